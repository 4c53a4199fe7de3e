"""Make and repair the engine's environment in the QGIS profile.

It is made under a temporary name, really tried out, and only then put in its place: there is always a whole
environment there, or none.
"""

from __future__ import annotations

import contextlib
import datetime
import errno
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Optional, Tuple

from ..engine.errors import Cancelled, DiskFull, EngineError, EngineMissing, InputMissing, InvalidJob, OutputRefused
from ..engine.events import Event, Log, Progress, Warn
from . import environment, pip
from .child import Child
from .process import POLL

SPACE = {False: 2.5, True: 9.0}  # GB that an installation takes while it is made, without and with GPU support
PACKAGES = 50  # how many there are to be, about; for the progress bar alone


class Installer:
    """Makes the environment in a folder.

    Args:
        folder: where the environment is to be; its parent is made if need be.
        options: how.
        on_event: called with progress, log lines and warnings.
        cancelled: asked often; once it says yes, everything is undone.
    """

    def __init__(
        self, folder: Path, options: pip.Options, on_event: Callable[[Event], None], cancelled: Callable[[], bool]
    ) -> None:
        self._folder = folder
        self._options = options
        self._tell = on_event
        self._cancelled = cancelled

    def install(self) -> Dict[str, Any]:
        """See to it that there is a sound environment; does nothing where there is one already.

        Returns:
            What `environment.verify` says of it.

        Raises:
            EngineError: one line with what went wrong and what to do.
        """
        self._check_options()
        folder = self._folder
        try:
            folder.parent.mkdir(parents=True, exist_ok=True)
            with _locked(folder.with_name(folder.name + '.lock')):
                found = self._check()
                return self._create() if found is None else found
        except OSError as error:
            if error.errno == errno.ENOSPC:
                raise DiskFull(f'{folder.parent}: the disk is full.') from error
            raise OutputRefused(
                f'{folder.parent}: the engine cannot be put there ({error}). If a job is running, wait for its end; '
                'else check the rights on this folder.'
            ) from error

    def _check_options(self) -> None:
        if self._options.wheels and not list(Path(self._options.wheels).glob('*.whl')):
            raise InputMissing(f'{self._options.wheels}: there are no wheels (*.whl) in this folder.')
        if self._options.gpu and not sys.platform.startswith('linux'):
            raise InvalidJob('TensorFlow supports GPUs on Linux only. Switch the option GPU off.')
        if sys.platform == 'darwin':
            raise EngineMissing(
                'On macOS Quadrat cannot make the environment itself. Make one with TensorFlow and GDAL (with conda, '
                f'for example) and name its Python under {environment.OPTION}.'
            )

    def _check(self) -> Optional[Dict[str, Any]]:
        """What `verify` says of the environment that is there; None if it has to be made anew."""
        folder, made = self._folder, environment.stamp(self._folder)
        if not folder.exists():
            return None
        if not environment.is_whole(folder):
            self._tell(Log(f'The engine in {folder} is damaged and is made anew.'))
            return None
        if not environment.is_current(folder) or (self._options.gpu and not made.get('gpu')):
            self._tell(Log(f'The engine in {folder} was made from other requirements and is made anew.'))
            return None
        self._tell(Progress(0.0, 'Checking the engine that is there'))
        try:
            found = self._verify(folder)
        except Cancelled:
            raise
        except EngineError as error:
            self._tell(Log(f'The engine in {folder} does not work and is made anew: {error}'))
            return None
        self._tell(Log(f'The engine in {folder} is complete and works; there is nothing to do.'))
        return found

    def _create(self) -> Dict[str, Any]:
        """Make the environment and put it in place."""
        folder = self._folder
        part, old = folder.with_name(folder.name + '.part'), folder.with_name(folder.name + '.old')
        for leftover in (part, old):
            if leftover.exists():
                shutil.rmtree(leftover)
        self._check_space()
        base = environment.qgis_python()
        self._tell(Log(f'Making a Python environment with {base} in {folder}'))
        try:
            self._make(base, part)
            self._fill(base, part)
            self._tell(Progress(0.9, 'Trying the engine out'))
            found = self._verify(part)
            _write_stamp(part, self._options.gpu, found['VERSIONS'])
            _swap(part, folder, old)
        finally:
            shutil.rmtree(part, ignore_errors=True)
        self._tell(Progress(1.0))
        if self._options.gpu and not any(device.startswith('GPU') for device in found['DEVICES']):
            self._tell(Warn('TensorFlow sees no GPU. It needs an NVIDIA GPU and a recent driver.'))
        return {**found, 'PYTHON': str(environment.python_in(folder))}

    def _check_space(self) -> None:
        needed, free = SPACE[self._options.gpu], shutil.disk_usage(self._folder.parent).free / 1e9
        if free < needed:
            raise DiskFull(f'{self._folder.parent}: the engine takes {needed} GB, but only {free:.1f} GB are free.')

    def _make(self, base: str, part: Path) -> None:
        """A virtual environment with pip that also sees the packages of QGIS' Python, GDAL above all."""
        self._tell(Progress(0.0, 'Making the environment'))
        status, output = self._run([base, '-m', 'venv', '--system-site-packages', str(part)], lambda line: None)
        if status == 0:
            return
        if any('ensurepip' in line or 'No module named venv' in line for line in output):
            raise EngineMissing(
                f'{base} cannot make an environment because a part of Python is not installed. On Debian and Ubuntu, '
                'install it with: sudo apt install python3-venv'
            )
        raise pip.explain(output, self._options)

    def _fill(self, base: str, part: Path) -> None:
        """Install everything the engine needs."""
        if self._options.cache:
            os.makedirs(self._options.cache, exist_ok=True)
        self._tell(Progress(0.05, 'Getting packages'))
        wanted = pip.requirements(self._options.gpu, _numpy_version(base))
        command = pip.command(str(environment.python_in(part)), wanted, self._options)
        status, output = self._run(command, self._follow())
        if status != 0:
            raise pip.explain(output, self._options)

    def _follow(self) -> Callable[[str], None]:
        """A function that makes progress of what pip says."""
        seen = set()

        def hear(line: str) -> None:
            if line.startswith(('Collecting ', 'Processing ', 'Downloading ', 'Requirement already satisfied: ')):
                seen.add(line.partition(' (from')[0])
                self._tell(Progress(0.05 + 0.55 * min(1.0, len(seen) / PACKAGES)))
            elif line.startswith('Installing collected packages'):
                self._tell(Progress(0.6, 'Installing packages, this takes a while'))

        return hear

    def _run(self, command: List[str], hear: Callable[[str], None]) -> Tuple[Optional[int], List[str]]:
        """Run a program to its end; returns its exit status and the lines it printed."""
        output: List[str] = []
        with Child(command, pip.variables(self._options)) as child:
            child.close_input()
            while True:
                if self._cancelled():
                    child.terminate()
                    raise Cancelled()
                data = child.read(POLL)
                if data == b'':
                    return child.wait(60), output
                if data:
                    line = data.decode('utf-8', 'replace').strip()
                    output.append(line)
                    self._tell(Log(line, detail=True))
                    hear(line)

    def _verify(self, folder: Path) -> Dict[str, Any]:
        def tell(event: Event) -> None:  # its progress is not ours
            if not isinstance(event, Progress):
                self._tell(event)

        return environment.verify(str(environment.python_in(folder)), tell, self._cancelled)


def _numpy_version(python: str) -> str:
    """The version of numpy that an interpreter has; empty if it has none."""
    code = 'import numpy; print(numpy.__version__)'
    # A fixed program and a fixed text.
    done = subprocess.run(  # nosec B603
        [python, '-I', '-c', code], env=environment.child_environment(), capture_output=True, text=True, check=False
    )
    return done.stdout.strip()


def _write_stamp(folder: Path, gpu: bool, versions: Dict[str, str]) -> None:
    note = {
        'requirements': environment.requirements_hash(),
        'gpu': gpu,
        'versions': versions,
        'made': datetime.datetime.now().astimezone().isoformat(timespec='seconds'),
    }
    (folder / environment.STAMP).write_text(json.dumps(note, indent=1) + '\n', 'utf-8')


def _swap(new: Path, place: Path, old: Path) -> None:
    """Put an environment in another's place. What was there stays until the new one is in place.

    An environment can be moved: only its activation scripts name the folder it was made in, and nothing uses them.
    """
    if place.exists():
        place.rename(old)
    try:
        new.rename(place)
    except OSError:
        if old.exists():
            old.rename(place)
        raise
    shutil.rmtree(old, ignore_errors=True)  # files in use stay until the next installation


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Only one installation at a time. The system lifts the lock when its owner ends, in whatever way."""
    with open(path, 'a', encoding='utf-8') as file:
        try:
            if sys.platform == 'win32':
                import msvcrt

                msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
            else:
                import fcntl

                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise OutputRefused('The engine is being installed already. Wait for the other installation.') from error
        yield
