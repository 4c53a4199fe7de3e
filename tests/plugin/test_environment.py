"""The engine's environment: which interpreter is taken, how one is made, and that a broken one is noticed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip('qgis.core')

from quadrat.engine.errors import Cancelled, DiskFull, EngineError, EngineMissing, InputMissing, OutputRefused
from quadrat.engine.events import Log, Progress
from quadrat.plugin import environment, installation, pip
from quadrat.plugin.installation import Installer

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def clean(provider, monkeypatch, tmp_path):
    """No interpreter chosen, nothing installed; returns where the environment would be."""
    monkeypatch.delenv('QUADRAT_PYTHON', raising=False)
    folder = tmp_path / 'profile' / 'engine'
    monkeypatch.setattr(environment, 'managed_folder', lambda: folder)
    monkeypatch.setattr(environment, '_has_tensorflow', lambda python: False)
    return folder


def pretend_installed(folder: Path, requirements: str) -> None:
    python = environment.python_in(folder)
    python.parent.mkdir(parents=True)
    python.symlink_to(sys.executable)
    (folder / environment.STAMP).write_text(f'{{"requirements": "{requirements}"}}')


def choose(monkeypatch, path: str) -> None:
    from processing.core.ProcessingConfig import ProcessingConfig

    monkeypatch.setattr(ProcessingConfig.settings['QUADRAT_PYTHON'], 'value', path)


def test_the_order_of_interpreters(clean, monkeypatch, tmp_path):
    with pytest.raises(EngineMissing, match=r'not installed.*quadrat:installengine.*QUADRAT_PYTHON'):
        environment.find()
    own = environment.find(tensorflow=False)
    assert own.path == environment.qgis_python()
    assert Path(own.path).name.startswith('python')

    monkeypatch.setattr(environment, '_has_tensorflow', lambda python: True)
    assert environment.find().path == own.path

    pretend_installed(clean, environment.requirements_hash())
    managed = environment.find()
    assert managed.path == str(environment.python_in(clean)) and not managed.note

    option, variable = tmp_path / 'option', tmp_path / 'variable'
    for place in (option, variable):
        place.symlink_to(sys.executable)
    choose(monkeypatch, str(option))
    assert environment.find().path == str(option) and 'Options' in environment.find().origin
    monkeypatch.setenv('QUADRAT_PYTHON', str(variable))
    assert environment.find().path == str(variable) and 'QUADRAT_PYTHON' in environment.find().origin


@pytest.mark.parametrize(('name', 'text'), [('none', 'does not exist'), ('', 'is a folder'), ('file', 'no program')])
def test_a_chosen_interpreter_is_never_passed_over(clean, monkeypatch, tmp_path, name, text):
    (tmp_path / 'file').write_text('no program')
    pretend_installed(clean, environment.requirements_hash())
    wrong = str(tmp_path / name)
    for tensorflow in (True, False):
        monkeypatch.setenv('QUADRAT_PYTHON', wrong)
        with pytest.raises(EngineMissing, match=text) as caught:
            environment.find(tensorflow)
        assert wrong in str(caught.value) and 'unset it' in str(caught.value)
        monkeypatch.delenv('QUADRAT_PYTHON')
        choose(monkeypatch, wrong)
        with pytest.raises(EngineMissing, match='leave it empty'):
            environment.find(tensorflow)
        choose(monkeypatch, '')


def test_damaged_and_outdated_environments(clean):
    pretend_installed(clean, 'those of another version')
    assert 'another version' in environment.find().note
    environment.python_in(clean).unlink()
    with pytest.raises(EngineMissing, match=r'damaged.*installengine.*repair'):
        environment.find()
    assert environment.find(tensorflow=False).path == environment.qgis_python()


def test_requirements_keep_numpy_as_qgis_has_it():
    plain = pip.requirements(False, '')
    assert any(line.startswith('tensorflow-cpu>=') for line in plain)
    assert any(line.startswith('numpy<2; python_version') for line in plain)
    assert pip.requirements(False, '1.24.2')[-1] == 'numpy>=1,<2'
    held = pip.requirements(True, '2.2.4')
    assert held[-1] == 'numpy>=2,<3' and sum(line.startswith('numpy') for line in held) == 1
    assert any(line.startswith('tensorflow[and-cuda]>=') for line in held) and 'tensorflow-cpu' not in ' '.join(held)


@pytest.mark.parametrize(
    ('line', 'error', 'text'),
    [
        ('ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device', DiskFull, 'full'),
        ("WARNING: Retrying … ProxyError('Cannot connect to proxy.', OSError('407'))", EngineError, 'HTTPS_PROXY'),
        ('… SSLCertVerificationError(1, certificate verify failed: self-signed …)', EngineError, 'PIP_CERT'),
        ("… NewConnectionError('… Temporary failure in name resolution')", EngineError, 'no connection'),
        ('pip._vendor.urllib3.exceptions.ReadTimeoutError: … Read timed out.', EngineError, 'no connection'),
        ('ERROR: ResolutionImpossible: for help visit …', EngineError, 'ResolutionImpossible'),
    ],
)
def test_what_pip_says_is_explained(line, error, text):
    output = ['Collecting tensorflow', line, 'ERROR: No matching distribution found for tensorflow-cpu<2.22,>=2.16']
    if 'ResolutionImpossible' in line:
        output = [line]
    found = pip.explain(output, pip.Options())
    assert type(found) is error and text in str(found)


def test_packages_that_do_not_exist():
    output = ['ERROR: No matching distribution found for tensorflow-cpu<2.22,>=2.16']
    here = f'tensorflow-cpu<2.22,>=2.16 for Python {sys.version_info[0]}.{sys.version_info[1]}'
    assert f'no package {here}' in str(pip.explain(output, pip.Options()))
    assert f'/wheels: no wheel of {here}' in str(pip.explain(output, pip.Options(wheels='/wheels')))
    output = ['ERROR: No matching distribution found for setuptools>=40.8.0']
    assert '/wheels: holds packages as source' in str(pip.explain(output, pip.Options(wheels='/wheels')))


def fake_python(path: Path, body: str) -> str:
    path.write_text(f'#!/bin/sh\n{body}\n')
    path.chmod(0o755)
    return str(path)


def install(folder, options=None, cancelled=lambda: False):
    heard = []
    return Installer(folder, options or pip.Options(), heard.append, cancelled).install(), heard


def test_failures_leave_nothing_behind(clean, monkeypatch, tmp_path):
    def fails(error, text, **options):
        with pytest.raises(error, match=text):
            install(clean, pip.Options(**options))
        assert not clean.exists() and not clean.with_name('engine.part').exists()

    fails(InputMissing, 'no wheels', wheels=str(tmp_path))
    venv = 'The virtual environment was not created successfully because ensurepip is not available.'
    monkeypatch.setattr(environment, 'qgis_python', lambda: fake_python(tmp_path / 'p', f'echo {venv}; exit 1'))
    fails(EngineMissing, 'sudo apt install python3-venv')
    monkeypatch.setattr(environment, 'qgis_python', lambda: fake_python(tmp_path / 'p', 'echo ERROR: odd; exit 1'))
    fails(EngineError, 'ERROR: odd')
    monkeypatch.setattr(installation, 'SPACE', {False: 1e9})
    fails(DiskFull, 'only .* GB are free')
    shutil.rmtree(clean.parent)
    clean.parent.write_text('a file where a folder should be')
    fails(OutputRefused, 'cannot be put there')


def test_cancel_undoes_an_installation(clean):
    heard = []
    with pytest.raises(Cancelled):
        Installer(clean, pip.Options(), heard.append, lambda: any('Getting' in str(event) for event in heard)).install()
    assert [path.name for path in clean.parent.iterdir()] == ['engine.lock']


def test_two_installations_at_once(clean, tmp_path):
    clean.parent.mkdir(parents=True)
    (tmp_path / 'quadrat').symlink_to(ROOT)
    lock = clean.with_name('engine.lock')
    code = (
        'import pathlib, sys, time; from quadrat.plugin.installation import _locked\n'
        'with _locked(pathlib.Path(sys.argv[1])): print(1, flush=True); time.sleep(1000)'
    )
    other = subprocess.Popen(
        [sys.executable, '-c', code, lock],
        env={**os.environ, 'PYTHONPATH': str(tmp_path)},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert other.stdout.readline() == '1\n'
    with pytest.raises(OutputRefused, match='being installed already'):
        install(clean)
    other.kill()
    other.communicate()
    with installation._locked(lock):
        assert lock.exists()


def test_the_way_of_a_user(profile_factory, qgis_process, tmp_path_factory):
    """Install, check, break, be told, repair without a network: all through qgis_process."""
    profile = {key: value for key, value in profile_factory().items() if key != 'QUADRAT_PYTHON'}
    folder = Path(profile['QGIS_CUSTOM_CONFIG_PATH'], 'profiles', 'default', 'quadrat', 'engine')

    missing = qgis_process('checkengine', profile=profile)
    assert missing.returncode == 1 and 'Run "Install the engine" (quadrat:installengine)' in missing.stdout

    done = qgis_process('installengine', profile=profile)
    assert done.returncode == 0, done.stdout
    assert 'Installing packages' in done.stdout and '100' in done.stdout
    assert environment.is_whole(folder) and environment.is_current(folder)

    report = folder.parent / 'report.txt'
    fine = qgis_process('checkengine', profile=profile, REPORT=report)
    assert fine.returncode == 0, fine.stdout
    facts = dict(line.split(': ', 1) for line in report.read_text('utf-8').splitlines())
    assert facts['Interpreter'] == str(environment.python_in(folder))
    assert facts['tensorflow'].startswith('2.') and facts['Device'].startswith(('CPU', 'GPU'))
    base = subprocess.run(
        [environment.qgis_python(), '-I', '-c', 'import numpy; print(numpy.__version__)'],
        capture_output=True,
        text=True,
        check=True,
    )
    assert facts['numpy'].split('.')[0] == base.stdout.split('.')[0]

    again = qgis_process('installengine', profile=profile)
    assert again.returncode == 0 and 'nothing to do' in again.stdout

    (victim,) = folder.glob('lib/python*/site-packages/tensorflow/python/framework/ops.py')
    victim.unlink()
    broken = qgis_process('checkengine', profile=profile)
    assert broken.returncode == 1
    assert 'cannot load what the engine needs' in broken.stdout and 'quadrat:installengine' in broken.stdout

    wheels = tmp_path_factory.mktemp('wheels')
    subprocess.run(
        [environment.python_in(folder), '-m', 'pip', 'wheel', '-q', '-w', wheels, '-r', environment.REQUIREMENTS],
        check=True,
        stderr=subprocess.DEVNULL,
    )
    offline = {**profile, 'HTTPS_PROXY': 'http://127.0.0.1:9', 'HTTP_PROXY': 'http://127.0.0.1:9'}
    repaired = qgis_process('installengine', profile=offline, WHEELS=wheels)
    assert repaired.returncode == 0, repaired.stdout
    assert 'does not work and is made anew' in repaired.stdout
    assert victim.exists()
    assert sorted(path.name for path in folder.parent.iterdir()) == ['engine', 'engine.lock', 'report.txt']


def test_progress_of_an_installation_never_falls():
    heard = []
    hear = Installer(Path('x'), pip.Options(), heard.append, lambda: False)._follow()
    for line in [
        'Collecting a',
        'Downloading a-1.whl (1 kB)',
        'Collecting b>=1 (from a)',
        'Installing collected packages: a',
    ]:
        hear(line)
    fractions = [event.fraction for event in heard if isinstance(event, Progress)]
    assert fractions == sorted(fractions) and len(fractions) == 4
    assert not [event for event in heard if isinstance(event, Log)]
