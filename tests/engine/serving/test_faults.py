"""Faults in the middle of a map: one clear line, nothing under the final name, and what is done is kept."""

from __future__ import annotations

import dataclasses
import os
import subprocess

import numpy as np
import pytest

from quadrat import engine
from quadrat.engine import errors
from quadrat.engine.events import Log, Warn
from quadrat.engine.gdalio import gdal, open_raster
from quadrat.engine.jobs import ServeJob, SourceSpec
from quadrat.engine.runtimes.openvino import OpenVINORuntime
from quadrat.engine.serving import outputs


def run(job):
    """Do a job; returns all that it said."""
    events: list = []
    engine.run(job, on_event=events.append)
    return '\n'.join(event.text for event in events if isinstance(event, (Log, Warn)))


def pixels(path):
    return open_raster(path).ReadAsArray()


def test_a_disk_that_fills_up(package, make_image, small_disk, tmp_path):
    image = SourceSpec((make_image(700, 700),))
    path = str(small_disk / 'map.tif')
    job = ServeJob(package, (image,), probabilities=path, tile_size=128, runtime='tensorflow')
    with pytest.raises(errors.DiskFull, match=r'map\.tif: the disk is full'):
        engine.run(job)
    assert os.listdir(small_disk) == ['map.tif.part']
    subprocess.run(['mount', '-o', 'remount,size=64m', str(small_disk)], check=True)
    text = run(job)
    assert 'Resumed: ' in text and not os.path.exists(path + '.part')
    whole = dataclasses.replace(job, probabilities=str(tmp_path / 'whole.tif'))
    run(whole)
    assert np.array_equal(pixels(path), pixels(whole.probabilities))


def test_a_damaged_block_of_the_image(package, make_image, tmp_path):
    plain = make_image(512, 512)
    image = str(tmp_path / 'tiled.tif')
    gdal.Translate(image, plain, creationOptions=['TILED=YES', 'BLOCKXSIZE=128', 'BLOCKYSIZE=128', 'COMPRESS=DEFLATE'])
    dataset = open_raster(image)
    found = [dataset.GetRasterBand(1).GetMetadataItem(f'BLOCK_{item}_3_3', 'TIFF') for item in ('OFFSET', 'SIZE')]
    start, size = map(int, found)
    dataset = None
    with open(image, 'r+b') as file:
        file.seek(start)
        file.write(bytes(size))
    job = ServeJob(package, (SourceSpec((image,)),), str(tmp_path / 'map.tif'), tile_size=128, runtime='tensorflow')
    with pytest.raises(errors.InputUnreadable, match=r'tiled\.tif: columns .*, rows .* cannot be read') as caught:
        engine.run(job)
    assert '\n' not in str(caught.value)
    assert not os.path.exists(job.output)


def test_an_end_while_the_finished_file_is_worked_on(package, make_image, tmp_path, monkeypatch):
    image = SourceSpec((make_image(300, 300),))
    path = str(tmp_path / 'map.tif')
    job = ServeJob(package, (image,), path, tile_size=64, runtime='tensorflow', cog=True, sieve=30)
    original = outputs.finish_raster

    def fail(*arguments):
        original(*arguments)
        raise errors.Cancelled

    with monkeypatch.context() as patch:
        patch.setattr(outputs, 'finish_raster', fail)
        with pytest.raises(errors.Cancelled):
            engine.run(job)
    assert not os.path.exists(path)
    assert 'Resumed: 25 tiles kept, 0 computed.' in run(job)
    whole = dataclasses.replace(job, output=str(tmp_path / 'whole.tif'))
    run(whole)
    assert np.array_equal(pixels(path), pixels(whole.output))
    assert open_raster(path).GetMetadataItem('LAYOUT', 'IMAGE_STRUCTURE') == 'COG'


@pytest.mark.own_network
def test_openvino_goes_on_where_it_was(package, make_image, tmp_path, monkeypatch):
    image = SourceSpec((make_image(200, 200),))
    path = str(tmp_path / 'map.tif')
    job = ServeJob(package, (image,), probabilities=path, tile_size=64, runtime='openvino')
    original, calls = OpenVINORuntime.run, []

    def fail(self, feeds):
        calls.append(1)
        if len(calls) > 5:
            raise errors.ModelError('stop here')
        return original(self, feeds)

    with monkeypatch.context() as patch:
        patch.setattr(OpenVINORuntime, 'run', fail)
        with pytest.raises(errors.ModelError, match='stop here'):
            engine.run(job)
    kept = int(run(job).split('Resumed: ')[1].split()[0])
    assert 3 <= kept <= 5
    whole = dataclasses.replace(job, probabilities=str(tmp_path / 'whole.tif'))
    run(whole)
    assert np.array_equal(pixels(path), pixels(whole.probabilities))
    # Another runtime gives other numbers in the last digits: no tiles of both in one map.
    other = dataclasses.replace(job, probabilities=str(tmp_path / 'other.tif'), runtime='tensorflow')
    run(other)
    assert np.abs(pixels(path) - pixels(other.probabilities)).max() <= 1e-5
