"""Whether the engine works here: imports what it needs, runs a small network, tells versions and devices."""

from __future__ import annotations

import importlib
import importlib.metadata
import os
import platform
import shutil
import sys
from typing import Any

from .errors import EngineError
from .events import Reporter
from .jobs import CheckEngineJob
from .records import versions

NEEDED = ('numpy', 'osgeo.gdal', 'PIL.Image', 'yaml', 'omegaconf', 'sklearn', 'skops.io', 'tensorflow', 'keras')


def check_engine(job: CheckEngineJob, reporter: Reporter) -> dict[str, Any]:
    """Do `job`.

    Returns:
        ``PYTHON`` (path of the interpreter), ``VERSIONS`` (by name) and ``DEVICES`` (a text each).

    Raises:
        ImportError: something the engine needs is absent or cannot be loaded.
        EngineError: it loads but computes nonsense.
    """
    reporter.progress(0.1, 'Loading TensorFlow')
    for name in NEEDED:
        reporter.check_cancelled()
        importlib.import_module(name)
    reporter.progress(0.8, 'Running a small network')
    _check_gdal()
    devices = _check_tensorflow()
    found = versions()
    reporter.log(f'Python: {sys.executable} ({found.pop("python")})')
    reporter.log('Versions: ' + ', '.join(f'{name} {version}' for name, version in found.items()))
    reporter.log(f'OpenVINO: {_openvino()}')
    reporter.log('Devices: ' + ', '.join(devices))
    if shutil.which('nvidia-smi') and not any(device.startswith('GPU') for device in devices):
        reporter.warn(
            'This computer has an NVIDIA driver, but TensorFlow sees no GPU: the work is done by the processor. '
            '"Install the engine" with the option GPU installs TensorFlow for NVIDIA GPUs (Linux only).'
        )
    reporter.progress(1.0)
    return {'PYTHON': sys.executable, 'VERSIONS': versions(), 'DEVICES': devices}


def _openvino() -> str:
    """The version of OpenVINO, which is not needed; not imported here, as its first act is to report its use."""
    try:
        return importlib.metadata.version('openvino')
    except importlib.metadata.PackageNotFoundError:
        return 'not installed; TensorFlow runs the networks'


def _check_gdal() -> None:
    """A raster written and read as the engine does it."""
    import numpy as np

    from .gdalio import gdal

    array = np.arange(12, dtype='int16').reshape(3, 4)
    dataset = gdal.GetDriverByName('MEM').Create('', 4, 3, 1, gdal.GDT_Int16)
    dataset.WriteRaster(0, 0, 4, 3, array.tobytes())
    back = np.empty_like(array)
    dataset.ReadRaster(0, 0, 4, 3, buf_obj=back)
    if not np.array_equal(back, array):
        raise EngineError('GDAL returns other pixels than were written: its Python bindings do not fit this numpy.')


def _check_tensorflow() -> list[str]:
    """A convolution through Keras whose result is known; returns the devices."""
    import keras
    import numpy as np
    import tensorflow as tf

    network = keras.Sequential([keras.Input((8, 8, 2)), keras.layers.Conv2D(1, 3, kernel_initializer='ones')])
    predicted = network.predict(np.ones((1, 8, 8, 2), 'float32'), verbose=0)
    if predicted.shape != (1, 6, 6, 1) or not np.allclose(predicted, 18.0):
        raise EngineError(f'TensorFlow {tf.__version__} computes nonsense here; install the engine anew.')
    gpus = [
        f'GPU: {tf.config.experimental.get_device_details(gpu).get("device_name", gpu.name)}'
        for gpu in tf.config.list_physical_devices('GPU')
    ]
    return [*gpus, f'CPU: {platform.machine()}, {os.cpu_count()} cores']
