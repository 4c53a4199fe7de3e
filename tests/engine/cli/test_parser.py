"""What arguments are understood, and what is said of those that are not."""

from __future__ import annotations

import dataclasses

import pytest

from quadrat.engine.cli import serve
from quadrat.engine.cli.parser import COMMANDS, Answered, UsageError, parse
from quadrat.engine.jobs import ServeJob


def test_global_options_stand_before_and_after_the_command():
    before = parse(['--json', '-l', 'debug', '--device', 'cpu', 'train', 'x'])
    after = parse(['train', 'x', '--json', '--log-level', 'DEBUG', '--device', 'cpu'])
    assert {**vars(before), 'leaf': 0} == {**vars(after), 'leaf': 0}
    assert (after.json, after.log_level, after.device) == (True, 'DEBUG', 'cpu')
    plain = parse(['manifest', 'check', 'x'])
    assert (plain.json, plain.log_level, plain.device) == (False, 'INFO', None)
    assert parse(['manifest', '--json', 'check', 'x']).json and parse(['manifest', 'check', 'x', '--json']).json
    # The later one counts.
    assert parse(['-l', 'ERROR', 'train', 'x', '-l', 'DEBUG']).log_level == 'DEBUG'


@pytest.mark.parametrize('name', COMMANDS)
def test_help_of_every_command_has_examples(name):
    with pytest.raises(Answered) as caught:
        parse([name, '--help'])
    text = str(caught.value)
    assert f'usage: quadrat {name}' in text and '--device' in text
    assert f'\n  quadrat {name} ' in text.partition('\nexamples:')[2] or name == 'toy'


@pytest.mark.parametrize('arguments', [['-h'], ['--help'], ['--help', 'train']])
def test_help_names_all_commands(arguments):
    with pytest.raises(Answered) as caught:
        parse(arguments)
    assert all(f'\n    {name} ' in str(caught.value) for name in COMMANDS)


def test_version():
    import quadrat

    with pytest.raises(Answered, match=quadrat.__version__):
        parse(['--version'])


@pytest.mark.parametrize(
    ('arguments', 'words'),
    [
        ([], 'COMMAND'),
        (['trian', 'x'], "'trian'.*'train'"),
        (['train'], r'NAME\|FILE'),
        (['train', 'x', 'y'], 'unknown: y'),
        (['train', 'x', '--restrat'], r'unknown: --restrat; did you mean --restart\?'),
        (['train', 'x', '--restar'], r'did you mean --restart\?'),  # nothing is guessed
        (['train', 'x', '-p'], 'param.*expected one'),
        (['train', 'x', '-p', 'a', 'b', 'c'], 'unknown: c; -p takes key=value or KEY VALUE, and a pattern.*in quotes'),
        (['train', '-p', 'a', 'b', 'c', 'd', 'x'], 'unknown: d x; .*in quotes'),
        (['train', 'x', '--device', 'gpu'], 'gpu:0'),
        (['--device', 'tpu', 'train', 'x'], 'auto, cpu'),
        (['train', 'x', '-l', 'LOUD'], 'LOUD'),
        (['manifest', 'chek', 'x'], 'chek'),
        (['manifest', 'count'], 'PATTERN'),
        (['serve', 'm', 'i'], 'OUTPUT'),
        (['serve', 'm', 'i', 'o', '--tile-size', 'many'], 'many'),
        (['serve', 'm', 'i', 'o', '--tta', 'd8'], 'd8'),
        (['serve', 'm', 'i', 'o', '--extent', '1', '2'], '4'),
    ],
)
def test_usage_errors_are_one_line(arguments, words):
    with pytest.raises(UsageError, match=words) as caught:
        parse(arguments)
    assert '\n' not in str(caught.value) and '--help' in str(caught.value)


def test_fields_of_a_job_are_options():
    fields = [field for group in serve.GROUPS.values() for field in group]
    named = {field.name for field in fields} | {'model', 'sources', 'output', 'classes', 'device'}
    assert named == {field.name for field in dataclasses.fields(ServeJob)}
