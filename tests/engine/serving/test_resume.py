"""Maps that were begun and ended before their time: what is done stays done."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from quadrat import engine
from quadrat.engine import errors
from quadrat.engine.events import Log, Warn
from quadrat.engine.gdalio import open_raster
from quadrat.engine.jobs import ServeJob, SourceSpec, dumps, job_from_dict
from quadrat.engine.maps.journal import FILE, Entry, Journal, read_journal
from quadrat.engine.runtimes.tensorflow import TensorFlowRuntime
from quadrat.engine.serving import serve

TILES = 36


@pytest.fixture
def job(package, make_image, tmp_path):
    """A map in 36 tiles, one of them without data."""

    def hole(pixels):
        pixels[:, 64:96, 32:64] = -9

    image = make_image(190, 190, nodata=-9, change=hole)
    model = str(tmp_path / 'package')
    shutil.copytree(package, model)
    return ServeJob(
        model,
        (SourceSpec((image,)),),
        output=str(tmp_path / 'map.tif'),
        probabilities=str(tmp_path / 'probabilities.tif'),
        tile_size=32,
        runtime='tensorflow',
    )


def run(job):
    """Do a job; returns what it said."""
    events: list = []
    engine.run(job, on_event=events.append)
    return [event for event in events if isinstance(event, (Log, Warn))]


def said(events):
    return '\n'.join(event.text for event in events)


def maps(job):
    return [open_raster(path).ReadAsArray() for path in job.outputs().values() if path]


def change(job, **values):
    return job_from_dict({**job.to_dict(), **values})


def undisturbed(job, tmp_path):
    whole = change(job, output=str(tmp_path / 'a.tif'), probabilities=str(tmp_path / 'b.tif'))
    events = run(whole)
    assert 'Resumed' not in said(events)
    return maps(whole)


def interrupt(job, monkeypatch, after):
    """Begin a map that fails when the model is run once more than `after` times."""
    original, calls = TensorFlowRuntime.run, []

    def fail(self, feeds):
        calls.append(1)
        if len(calls) > after:
            raise errors.ModelError('stop here')
        return original(self, feeds)

    with monkeypatch.context() as patch:
        patch.setattr(TensorFlowRuntime, 'run', fail)
        events: list = []
        with pytest.raises(errors.ModelError, match='stop here'):
            engine.run(job, on_event=events.append)
    told = [event.text for event in events if isinstance(event, Warn) and 'tiles are kept' in event.text]
    assert len(told) == job.resume
    return read_journal(os.path.join(job.output + '.part', FILE))


def test_a_fault_leaves_what_is_done_and_the_next_run_goes_on(job, tmp_path, monkeypatch):
    expected = undisturbed(job, tmp_path)
    kept = interrupt(job, monkeypatch, 20)
    assert 10 <= len(kept) <= 21 and not os.path.exists(job.output)
    computed = []
    original = TensorFlowRuntime.run
    monkeypatch.setattr(TensorFlowRuntime, 'run', lambda self, feeds: computed.append(1) or original(self, feeds))
    text = said(run(job))
    assert f'Resumed: {len(kept)} tiles kept, {len(computed)} computed.' in text
    empty = TILES - len(kept) - len(computed)
    assert empty == (0 if any(not entry.blocks for entry in kept.values()) else 1)
    for ours, theirs in zip(maps(job), expected):
        assert np.array_equal(ours, theirs, equal_nan=True)
    assert not os.path.exists(job.output + '.part') and not os.path.exists(job.probabilities + '.part')


CHANGES = {
    'image': lambda job: os.utime(job.sources[0].rasters[0], (1, 1)),
    'model': lambda job: Path(job.model, 'extra').write_text('x'),
    'setting': lambda job: change(job, tile_size=48),
    'file': lambda job: Path(job.output + '.part', 'map.tif').write_bytes(b'II*'),
    'lost': lambda job: os.remove(job.probabilities + '.part/probabilities.tif'),
}


@pytest.mark.parametrize('what', CHANGES)
def test_another_map_starts_over_and_says_so(job, tmp_path, monkeypatch, what):
    expected = undisturbed(job, tmp_path)
    interrupt(job, monkeypatch, 12)
    other = CHANGES[what](job)
    job = other if isinstance(other, ServeJob) else job
    events = run(job)
    warnings = [event.text for event in events if isinstance(event, Warn)]
    assert any('starting over' in text for text in warnings) and 'Resumed' not in said(events)
    reason = {'image': 'image.tif changed', 'model': 'package changed', 'setting': r'settings (tile_size)'}
    assert reason.get(what, '.part') in warnings[0]
    assert np.array_equal(maps(job)[0], expected[0])


def test_without_resume_nothing_is_taken_up_or_left(job, tmp_path, monkeypatch):
    interrupt(job, monkeypatch, 12)
    fresh = change(job, resume=False)
    assert 'Resumed' not in said(run(fresh))
    assert interrupt(fresh, monkeypatch, 12) == {} and not os.path.exists(job.output + '.part')


def test_an_error_before_the_first_tile_keeps_an_earlier_run(job, monkeypatch):
    def broken(*_):
        raise errors.ModelError('cannot be loaded today')

    kept = interrupt(job, monkeypatch, 12)
    monkeypatch.setattr(serve, 'load_network', broken)
    with pytest.raises(errors.ModelError, match='today'):
        run(job)
    assert kept and read_journal(os.path.join(job.output + '.part', FILE)) == kept


def test_a_full_disk_is_seen_before_the_start(job, monkeypatch):
    monkeypatch.setattr(shutil, 'disk_usage', lambda _: shutil._ntuple_diskusage(1, 1, 300))
    with pytest.raises(errors.DiskFull, match='0 MiB are free, but the map takes at least'):
        run(job)
    assert not os.path.exists(job.output + '.part')


SLOW = """
import json, sys, time
from quadrat import engine
from quadrat.engine.jobs import job_from_dict
from quadrat.engine.runtimes.tensorflow import TensorFlowRuntime
from quadrat.engine.serving import serve
original = TensorFlowRuntime.run
def slow(self, feeds):
    time.sleep(float(sys.argv[2]))
    return original(self, feeds)
TensorFlowRuntime.run = slow
engine.run(job_from_dict(json.load(open(sys.argv[1]))))
"""


def test_killed_again_and_again(job, tmp_path):
    """SIGKILL wherever it falls: no tile of the journal is lost or computed again, and the map is the same."""
    expected = undisturbed(job, tmp_path)
    (tmp_path / 'job.json').write_text(dumps(job))
    journal, kept = os.path.join(job.output + '.part', FILE), {}
    for wanted in (3, 11, 19):
        worker = subprocess.Popen([sys.executable, '-c', SLOW, str(tmp_path / 'job.json'), '0.03'])
        limit = time.monotonic() + 60
        while len(read_journal(journal)) < wanted:
            assert worker.poll() is None and time.monotonic() < limit
            time.sleep(0.001)
        worker.send_signal(signal.SIGKILL)
        worker.wait()
        assert not os.path.exists(job.output)
        now = read_journal(journal)
        assert kept.items() <= now.items()
        kept = now
    text = said(run(job))
    assert f'Resumed: {len(kept)} tiles kept' in text
    for ours, theirs in zip(maps(job), expected):
        assert np.array_equal(ours, theirs, equal_nan=True)
    dataset = open_raster(job.output)
    band = dataset.GetRasterBand(1)
    assert band.GetCategoryNames()[11] == 'forest' and band.GetNoDataValue() == 0


def test_a_torn_line_does_not_count(tmp_path):
    path = str(tmp_path / FILE)
    with Journal(path) as journal:
        journal.add(0, Entry(((0, 0), (1, 0))))
        journal.add(7, Entry((), 3))
    whole = read_journal(path)
    assert whole == {0: Entry(((0, 0), (1, 0))), 7: Entry((), 3)}
    text = Path(path).read_text()
    Path(path).write_text(text + text.splitlines()[0][:-3])
    with Journal(path) as journal:
        assert journal.entries == whole
        journal.add(8, Entry())
    assert read_journal(path) == {**whole, 8: Entry()}
    assert len([json.loads(line) for line in Path(path).read_text().splitlines()]) == 3
