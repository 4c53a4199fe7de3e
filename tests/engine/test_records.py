"""Records: beside every output, complete, enough to do the job again; nothing where the job failed."""

from __future__ import annotations

import hashlib
import json
import os
import sys
from pathlib import Path

import pytest

from quadrat.engine import records, registry
from quadrat.engine.errors import EngineError, InputMissing, InputUnreadable
from quadrat.engine.events import Log, Reporter, Warn
from quadrat.engine.jobs import DemoSceneJob, DescribeJob, SelectPatchesJob, dumps


def run(monkeypatch, job, work):
    monkeypatch.setattr(registry, 'function_for', lambda job: work)
    heard = []
    return registry.run(job, heard.append), heard


def work(job, reporter):
    reporter.log('half the way')
    reporter.warn('mind the gap')
    reporter.resolve('step', 64)
    Path(job.output).write_text('points')
    return {'OUTPUT': job.output, 'COUNT': 3}


def test_a_record_beside_the_output(tmp_path, monkeypatch):
    image = tmp_path / 'image.tif'
    image.write_bytes(b'pixels')
    job = SelectPatchesJob(str(image), str(tmp_path / 'points.gpkg'))
    values, heard = run(monkeypatch, job, work)
    assert Log('half the way') in heard and Warn('mind the gap') in heard
    record = json.loads((tmp_path / 'points.gpkg.json').read_text('utf-8'))
    assert record['job'] == json.loads(dumps(job))
    assert record['values'] == values
    assert record['resolved'] == {'step': 64}
    assert record['versions']['python'] == sys.version.split()[0]
    (source,) = record['inputs']
    assert source['path'] == str(image) and source['size'] == 6 and source['mtime'] == image.stat().st_mtime
    assert source['sha256'] == hashlib.sha256(b'pixels').hexdigest()
    assert record['seconds'] >= 0
    log = (tmp_path / 'points.gpkg.log').read_text('utf-8')
    assert 'half the way' in log and 'Warning: mind the gap' in log
    assert sorted(os.listdir(tmp_path)) == ['image.tif', 'points.gpkg', 'points.gpkg.json', 'points.gpkg.log']


def test_folders_and_all_outputs_that_were_asked_for(tmp_path, monkeypatch):
    def make(job, reporter):
        os.makedirs(job.output)
        return {}

    run(monkeypatch, DemoSceneJob(str(tmp_path / 'scene') + '/'), make)
    assert sorted(os.listdir(tmp_path)) == ['scene', 'scene.json', 'scene.log']
    job = DescribeJob(str(tmp_path / 'scene'), json=str(tmp_path / 'model.json'))
    run(monkeypatch, job, lambda job, reporter: {})
    assert (tmp_path / 'model.json.json').exists() and not (tmp_path / '.json').exists()
    assert json.loads((tmp_path / 'model.json.json').read_text())['inputs'][0]['files'] == 0


def test_nothing_is_left_of_a_job_that_failed(tmp_path, monkeypatch):
    def fail(job, reporter):
        reporter.log('so far')
        raise EngineError('no luck')

    with pytest.raises(EngineError, match='no luck'):
        run(monkeypatch, DemoSceneJob(str(tmp_path / 'scene')), fail)
    assert os.listdir(tmp_path) == []


def test_a_record_that_cannot_be_written_is_an_error(tmp_path, monkeypatch):
    job = DemoSceneJob(str(tmp_path / 'nowhere' / 'scene'))
    with pytest.raises(EngineError, match='nowhere'):
        run(monkeypatch, job, lambda job, reporter: {})


def test_jobs_and_records_load(tmp_path, monkeypatch):
    job = SelectPatchesJob('image.tif', str(tmp_path / 'points.gpkg'))
    run(monkeypatch, job, work)
    assert records.load(str(tmp_path / 'points.gpkg.json')) == (job, os.getcwd())
    plain = tmp_path / 'job.json'
    plain.write_text(dumps(job), 'utf-8')
    assert records.load(str(plain)) == (job, '')


def test_files_that_are_no_jobs(tmp_path):
    with pytest.raises(InputMissing, match=r'none\.json'):
        records.load(str(tmp_path / 'none.json'))
    bad = tmp_path / 'bad.json'
    for text in ('', '{', '\xff\xfe'):
        bad.write_text(text, 'latin-1')
        with pytest.raises(InputUnreadable, match=r'bad\.json'):
            records.load(str(bad))
    bad.write_text('{"job": {}, "record": 99}')
    with pytest.raises(InputUnreadable, match='99'):
        records.load(str(bad))


def test_fingerprints(tmp_path):
    assert records.fingerprint('NETCDF:"a.nc":b') == {'path': 'NETCDF:"a.nc":b'}
    (tmp_path / 'a').write_bytes(b'xy')
    (tmp_path / 'b').mkdir()
    (tmp_path / 'b' / 'c').write_bytes(b'z')
    (tmp_path / 'b' / 'broken').symlink_to('nowhere')
    found = records.fingerprint(str(tmp_path))
    assert found['files'] == 3
    with open(tmp_path / 'large', 'wb') as file:
        file.truncate(records.HASHED + 1)
    assert 'sha256' not in records.fingerprint(str(tmp_path / 'large'))


def test_reporters_keep_what_was_resolved():
    heard = []
    reporter = Reporter(heard.append)
    reporter.resolve('tile_size', 256)
    assert reporter.resolved == {'tile_size': 256}
    assert heard == [Log('tile_size: 256', detail=True)]
