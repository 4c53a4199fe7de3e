"""What all tests share: the data, the engine's Python, a cache and a QGIS profile of their own."""

from __future__ import annotations

import contextlib
import gc
import os
import shutil
import subprocess
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
# Where Debian keeps the plugin `processing`; QGIS itself puts it on the path when it starts.
sys.path.append('/usr/share/qgis/python/plugins')


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """Where the shared data are said to be there, a baseline test that skips has failed."""
    report = (yield).get_result()
    if report.skipped and 'QUADRAT_SHARED' in os.environ and item.get_closest_marker('baseline'):
        report.outcome = 'failed'
        report.longrepr = f'{item.nodeid} skipped although QUADRAT_SHARED is set: {report.longrepr}'


@pytest.fixture(scope='session', autouse=True)
def cache(tmp_path_factory) -> Iterator[Path]:
    """The folder for what is kept between runs, instead of the user's own."""
    folder = tmp_path_factory.mktemp('cache')
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv('QUADRAT_CACHE', str(folder))
        yield folder


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 4 MiB."""
    folder = tmp_path / 'disk'
    folder.mkdir()
    command = ['mount', '-t', 'tmpfs', '-o', 'size=4m', 'tmpfs', str(folder)]
    if os.name != 'posix' or subprocess.run(command, capture_output=True).returncode:
        pytest.skip('no right to mount a file system')
    yield folder
    subprocess.run(['umount', str(folder)], check=True)


@pytest.fixture(scope='session')
def shared() -> Path:
    """The folder of the shared data."""
    folder = os.environ.get('QUADRAT_SHARED')
    if not folder:
        pytest.skip('QUADRAT_SHARED is not set')
    assert Path(folder).is_dir(), folder
    return Path(folder)


@pytest.fixture(scope='session')
def engine_python() -> str:
    """An interpreter with everything the engine needs."""
    return os.environ.get('QUADRAT_PYTHON') or sys.executable


@pytest.fixture(scope='session')
def profile_factory(tmp_path_factory, engine_python):
    """A function that makes a new QGIS profile with the plugin enabled: the environment for qgis_process."""
    if shutil.which('qgis_process.bin') is None:
        pytest.skip('qgis_process is not installed')

    def make() -> dict[str, str]:
        home = tmp_path_factory.mktemp('profile')
        plugins = home / 'config' / 'profiles' / 'default' / 'python' / 'plugins'
        plugins.mkdir(parents=True)
        (plugins / 'quadrat').symlink_to(ROOT)
        runtime = home / 'runtime'
        runtime.mkdir(mode=0o700)
        variables = {
            **os.environ,
            'QGIS_CUSTOM_CONFIG_PATH': str(home / 'config'),
            'QT_QPA_PLATFORM': 'offscreen',
            'XDG_RUNTIME_DIR': str(runtime),
            'QUADRAT_PYTHON': engine_python,
            'PYTHONDONTWRITEBYTECODE': '1',
        }
        subprocess.run(
            ['qgis_process.bin', 'plugins', 'enable', 'quadrat'], env=variables, check=True, capture_output=True
        )
        return variables

    return make


@pytest.fixture(scope='session')
def qgis_profile(profile_factory) -> dict[str, str]:
    """Environment variables for qgis_process: a private profile with the plugin enabled."""
    return profile_factory()


@pytest.fixture(scope='session')
def qgis_process(qgis_profile):
    """A function that runs an algorithm as a user does: ``(id, NAME=value, …) -> CompletedProcess``."""

    def run(algorithm: str, *options: str, profile: dict[str, str] = qgis_profile, **parameters):
        command = ['qgis_process.bin', *options, 'run', f'quadrat:{algorithm}', '--']
        for key, values in parameters.items():
            for value in values if isinstance(values, (list, tuple)) else [values]:
                command.append(f'{key}={value}')
        return subprocess.run(
            command, env=profile, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False
        )

    return run


@pytest.fixture(scope='session')
def provider(tmp_path_factory):
    """The provider in a QGIS without a window in this process, its profile private."""
    pytest.importorskip('qgis.core')
    os.environ.setdefault('QT_QPA_PLATFORM', 'offscreen')
    os.environ['QGIS_CUSTOM_CONFIG_PATH'] = str(tmp_path_factory.mktemp('config'))
    from processing.core.Processing import Processing
    from qgis.testing import start_app

    start_app()
    Processing.initialize()
    from quadrat.plugin.main import QuadratPlugin

    plugin = QuadratPlugin(None)
    plugin.initProcessing()
    yield plugin.provider
    _forget_frames()
    plugin.unload()


def _forget_frames() -> None:
    """Let go of what only frames of finished functions hold.

    QGIS keeps each exception that passes through it for ever, and with it all frames up to the test's. Layers among
    their variables would be destroyed after QGIS itself, which ends the process.
    """
    from qgis.core import QgsProcessingException

    for kept in [item for item in gc.get_objects() if isinstance(item, QgsProcessingException)]:
        for frame, _ in traceback.walk_tb(kept.__traceback__):
            for outer, _ in traceback.walk_stack(frame):
                with contextlib.suppress(RuntimeError):  # it is still running
                    outer.clear()
    gc.collect()
