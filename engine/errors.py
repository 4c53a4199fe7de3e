"""The errors of the engine: one family, one class for each thing that can go wrong.

The message of an `EngineError` is one line for people: what is wrong, where, and what to do about it. The `code`
is for programs and does not change. Anything that is not an `EngineError` is a fault of Quadrat's own.
"""

from __future__ import annotations

import os


class EngineError(Exception):
    """Something went wrong that the user can act on. The message is one line: what, where, what to do."""

    code = 'engine'

    def __init__(self, message):
        super().__init__(' '.join(str(message).split()))


class Cancelled(EngineError):
    """The user stopped the job."""

    code = 'cancelled'

    def __init__(self, message='Cancelled.'):
        super().__init__(message)


class InvalidJob(EngineError):
    """A job, or a parameter of it, that cannot be understood or contradicts itself."""

    code = 'invalid-job'


class InputMissing(EngineError):
    """A file or folder that should be read does not exist."""

    code = 'input-missing'


class InputUnreadable(EngineError):
    """A file exists but is not what it should be, or is damaged."""

    code = 'input-unreadable'


class GridMismatch(EngineError):
    """Rasters that should lie on related grids do not: CRS, resolution, rotation or extent."""

    code = 'grid-mismatch'


class BandMismatch(EngineError):
    """A raster has other bands than the model or the dataset needs."""

    code = 'band-mismatch'


class LabelError(EngineError):
    """Labels that do not fit the classes, or leave nothing to learn."""

    code = 'labels'


class NoSamples(EngineError):
    """Sampling leaves no patch at all."""

    code = 'no-samples'


class DatasetError(EngineError):
    """A dataset folder that is damaged, incomplete or of an unknown kind."""

    code = 'dataset'


class ModelError(EngineError):
    """A model that cannot be loaded or does not fit the task."""

    code = 'model'


class TrainingDiverged(EngineError):
    """The loss is no longer a number."""

    code = 'diverged'


class OutputRefused(EngineError):
    """The output would overwrite something that is not ours, or cannot be written there."""

    code = 'output-refused'


class DiskFull(EngineError):
    """No space is left where the output goes."""

    code = 'disk-full'


class OutOfMemory(EngineError):
    """The job needs more memory than there is."""

    code = 'out-of-memory'


class EngineMissing(EngineError):
    """The Python environment of the engine is absent or broken."""

    code = 'engine-missing'


class WorkerFailed(EngineError):
    """The worker process ended, or stopped answering, without a word about the job."""

    code = 'worker-failed'


class ProtocolError(EngineError):
    """The two ends of the worker's pipe do not speak the same version of the protocol."""

    code = 'protocol'


class DeviceMissing(EngineError):
    """A device was asked for that this computer does not have."""

    code = 'device'


class ConfigurationError(EngineError):
    """A run configuration with faults.

    Args:
        faults: one line each: file and line, what is wrong, what to do; or the text of all of them, as it comes from
            another process.
    """

    code = 'configuration'
    BETWEEN = ' | '  # of faults in the message

    def __init__(self, faults):
        self.faults = (faults,) if isinstance(faults, str) else tuple(faults)
        count = f'{len(self.faults)} faults: ' if len(self.faults) > 1 else ''
        super().__init__(count + self.BETWEEN.join(self.faults))


def write_error(path: str, error: Exception) -> EngineError:
    """The engine's error for a failed write: a full disk, or a place where nothing can be written."""
    folder = os.path.dirname(os.path.abspath(path)) or '.'
    text = str(error)
    try:
        disk = os.statvfs(folder) if hasattr(os, 'statvfs') else None
        # File systems without blocks of their own, such as /proc, are not full.
        free = disk.f_bavail * disk.f_frsize if disk and disk.f_blocks else None
    except OSError:
        free = None
    if 'No space left' in text or getattr(error, 'errno', None) == 28 or (free is not None and free < 1 << 20):
        return DiskFull(f'{path}: the disk is full. Free some space or choose another place for the output.')
    if 'File too large' in text or getattr(error, 'errno', None) == 27:
        return DiskFull(f'{path}: the file may not grow any larger there ({text}). Choose another place.')
    return OutputRefused(f'{path}: cannot be written ({text}). Choose another place for the output.')
