"""The Python environment of the engine: which interpreter it is, what its process inherits, whether it works.

The interpreter is, in this order: the one the user chose (environment variable or Processing option), the one of the
environment that Quadrat made in the profile (see `installation`), QGIS' own where TensorFlow is there. One that was
chosen but does not work is an error, never passed over.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, Callable, Dict, Optional

from qgis.core import QgsApplication

from ..engine.errors import EngineMissing
from ..engine.events import Event
from ..engine.jobs import CheckEngineJob
from .process import do_job

SETTING = 'QUADRAT_PYTHON'  # the environment variable and the Processing option
INSTALL = 'Run "Install the engine" (quadrat:installengine)'
OPTION = 'Settings > Options > Processing > Providers > Quadrat'
REQUIREMENTS = Path(__file__).resolve().parent.parent / 'resources' / 'requirements-engine.txt'
STAMP = 'quadrat.json'  # in an environment that Quadrat made: how; written last
CHECK_LIMIT = 300.0  # seconds; a first import of TensorFlow from a slow disk takes minutes

# What would lead another Python to the wrong modules or libraries: PYTHONHOME, PYTHONPATH, PYTHONEXECUTABLE and their
# like, settings of pip, libraries of QGIS or of its launcher.
_DROPPED = ('PYTHON', 'PIP_', 'QGIS_', 'DYLD_', 'LD_LIBRARY_PATH', 'VIRTUAL_ENV', '__PYVENV_LAUNCHER__')
_DROPPED_DATA = ('GDAL_DATA', 'GDAL_DRIVER_PATH', 'PROJ_LIB', 'PROJ_DATA')
_KEPT = ('PYTHONDONTWRITEBYTECODE', 'PYTHONPYCACHEPREFIX')


@dataclasses.dataclass(frozen=True)
class Interpreter:
    """A Python for the engine.

    Attributes:
        path: the program.
        origin: why it is this one, for people.
        remedy: what to do if it does not work, a sentence.
        note: what the user should know although it may work.
    """

    path: str
    origin: str
    remedy: str
    note: str = ''


def find(tensorflow: bool = True) -> Interpreter:
    """The interpreter that does the jobs.

    Args:
        tensorflow: whether the job needs TensorFlow; QGIS' own Python does the others where nothing else is set up.

    Raises:
        EngineMissing: there is none, or the one that was chosen is not there.
    """
    from_variable = os.environ.get(SETTING, '').strip()
    if from_variable:
        remedy = f'Correct the environment variable {SETTING}, or unset it to use the engine that Quadrat installs.'
        return _chosen(from_variable, f'the environment variable {SETTING}', remedy)
    from_option = option()
    if from_option:
        remedy = f'Correct it under {OPTION}, or leave it empty there to use the engine that Quadrat installs.'
        return _chosen(from_option, f'the option "{OPTION}"', remedy)
    folder = managed_folder()
    if folder.exists() and (tensorflow or is_whole(folder)):
        return managed(folder)
    own = qgis_python()
    if tensorflow and not _has_tensorflow(own):
        raise EngineMissing(
            f'The engine is not installed. {INSTALL}; or name a Python that has TensorFlow under {OPTION} or in the '
            f'environment variable {SETTING}.'
        )
    return Interpreter(own, "QGIS' own Python", f'{INSTALL}.')


def option() -> str:
    """The interpreter named in the Processing options; empty if none is."""
    from processing.core.ProcessingConfig import ProcessingConfig

    return str(ProcessingConfig.getSetting(SETTING) or '').strip()


def _chosen(value: str, where: str, remedy: str) -> Interpreter:
    path = shutil.which(os.path.expanduser(value))
    if path is None:
        what = 'is a folder, not a program' if os.path.isdir(value) else 'is no program'
        if not os.path.exists(value):
            what = 'does not exist'
        raise EngineMissing(f'{value}, named by {where}, {what}. {remedy}')
    return Interpreter(path, f'named by {where}', remedy)


def managed_folder() -> Path:
    """Where the environment is that Quadrat makes: in the QGIS profile."""
    return Path(QgsApplication.qgisSettingsDirPath()) / 'quadrat' / 'engine'


def managed(folder: Path) -> Interpreter:
    """The interpreter of an environment that Quadrat made.

    Raises:
        EngineMissing: the environment is damaged.
    """
    remedy = f'{INSTALL} to repair it.'
    if not is_whole(folder):
        raise EngineMissing(f'The engine in {folder} is damaged. {remedy}')
    note = '' if is_current(folder) else f'The engine was installed for another version of Quadrat. {INSTALL} again.'
    return Interpreter(str(python_in(folder)), f'installed by Quadrat in {folder}', remedy, note)


def python_in(folder: Path) -> Path:
    """The interpreter of a virtual environment."""
    return folder / ('Scripts/python.exe' if sys.platform == 'win32' else 'bin/python')


def stamp(folder: Path) -> Dict[str, Any]:
    """What Quadrat noted in an environment when it had made it; empty if it did not come so far."""
    try:
        return json.loads((folder / STAMP).read_text('utf-8'))
    except (OSError, ValueError):
        return {}


def is_whole(folder: Path) -> bool:
    """Whether an environment was completed and its interpreter is there; does not start it."""
    return bool(stamp(folder)) and python_in(folder).exists()


def is_current(folder: Path) -> bool:
    """Whether an environment was made from the present requirements."""
    return stamp(folder).get('requirements') == requirements_hash()


def requirements_hash() -> str:
    """Tells one list of requirements from another."""
    return hashlib.sha256(REQUIREMENTS.read_bytes()).hexdigest()


def qgis_python() -> str:
    """The interpreter that QGIS runs on, as a program; `sys.executable` is often QGIS itself.

    Raises:
        EngineMissing: it is not where it should be.
    """
    names = (f'python{sys.version_info[0]}.{sys.version_info[1]}', 'python3', 'python')
    places = [Path(sys.prefix, 'bin', name) for name in names]
    if sys.platform == 'win32':
        places = [Path(sys.prefix, f'{name}.exe') for name in names]
    for place in places:
        if place.is_file():
            return str(place)
    raise EngineMissing(
        f"QGIS' Python was not found in {sys.prefix}. Name a Python that has TensorFlow and GDAL under {OPTION} or in "
        f'the environment variable {SETTING}.'
    )


def child_environment() -> Dict[str, str]:
    """The environment variables of the engine's process: those of QGIS without what misleads another Python."""
    # On Windows the environment is made with QGIS' Python, whose GDAL needs them; elsewhere GDAL finds its own data,
    # and that of another version would do harm.
    dropped = _DROPPED if sys.platform == 'win32' else _DROPPED + _DROPPED_DATA
    kept = {key: value for key, value in os.environ.items() if key in _KEPT or not key.startswith(dropped)}
    return {**kept, 'PYTHONNOUSERSITE': '1', 'PYTHONUTF8': '1'}


def verify(
    python: str, on_event: Optional[Callable[[Event], None]] = None, cancelled: Callable[[], bool] = lambda: False
) -> Dict[str, Any]:
    """Really load everything the engine needs, and compute something, in a process of its own.

    Returns:
        What `CheckEngineJob` gives: ``PYTHON``, ``VERSIONS``, ``DEVICES``.

    Raises:
        EngineError: the reason why it does not work, in one line.
    """
    return do_job(
        python, child_environment(), CheckEngineJob(), on_event or (lambda event: None), cancelled, CHECK_LIMIT
    )


def _has_tensorflow(python: str) -> bool:
    """Whether TensorFlow can be found, without loading it; never in the process of QGIS."""
    code = 'import importlib.util, sys; sys.exit(importlib.util.find_spec("tensorflow") is None)'
    try:
        # A fixed program and a fixed text.
        done = subprocess.run(  # nosec B603
            [python, '-I', '-c', code], env=child_environment(), timeout=60, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0
