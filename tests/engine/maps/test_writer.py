"""Rasters that are whole or not there at all."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys

import numpy as np
import pytest

from quadrat.engine.errors import DiskFull, EngineError, InvalidJob, OutputRefused
from quadrat.engine.gdalio import open_raster
from quadrat.engine.grid import Grid, Window
from quadrat.engine.maps.part import PartFolder, check_outputs
from quadrat.engine.maps.writer import RasterSpec, RasterWriter, block_option

UTM = 'EPSG:32631'


def grid(width=300, height=200):
    return Grid('', (600000.0, 1.5, 0.0, 5800000.0, 0.0, -1.5), width, height)


def spec(bands=1, dtype='uint8', options=(), size=(300, 200), block=(128, 64)):
    nodata = float('nan') if dtype == 'float32' else 255
    names = tuple(f'band {i}' for i in range(bands))
    return RasterSpec(grid(*size), np.dtype(dtype), nodata, names, block, options, {'QUADRAT_MODEL': 'a "model"'})


def tiles(raster):
    """Areas of one to four blocks that cover the raster."""
    cols, rows = raster.block[0] * 2, raster.block[1] * 2
    for row in range(0, raster.grid.height, rows):
        for col in range(0, raster.grid.width, cols):
            yield Window(col, row, cols, rows).intersect(raster.grid.window)


def fill(writer, raster, pixels, skip=()):
    for number, area in enumerate(tiles(raster)):
        part = np.ascontiguousarray(pixels[area.row : area.bottom, area.col : area.right])
        if number not in skip:
            writer.write(area, part, np.ones(part.shape[:2], bool))


def make(path, raster, pixels, skip=()):
    with PartFolder(str(path)) as part, RasterWriter(part, raster) as writer:
        fill(writer, raster, pixels, skip)
        writer.finish()
        writer.publish()


def noise(raster, seed=0):
    rng = np.random.default_rng(seed)
    shape = (raster.grid.height, raster.grid.width, len(raster.bands))
    if raster.dtype.kind == 'f':
        return rng.random(shape, np.float32)
    return rng.integers(0, 250, shape).astype(raster.dtype)


def read(path):
    return open_raster(str(path)).ReadAsArray().reshape(-1, 200, 300).transpose(1, 2, 0)


@pytest.mark.parametrize(
    ('bands', 'dtype', 'options'),
    [
        (1, 'uint8', ()),
        (3, 'float32', ()),
        (3, 'float32', ('INTERLEAVE=BAND', 'COMPRESS=LZW')),
        (1, 'int32', ('COMPRESS=ZSTD', 'NUM_THREADS=2')),
    ],
)
def test_what_is_written_is_read(tmp_path, bands, dtype, options):
    path, raster = tmp_path / 'a.tif', spec(bands, dtype, options)
    pixels = noise(raster)
    make(path, raster, pixels)
    assert os.listdir(tmp_path) == ['a.tif']
    assert np.array_equal(read(path), pixels)
    dataset = open_raster(str(path))
    band = dataset.GetRasterBand(bands)
    assert dataset.GetGeoTransform() == raster.grid.transform and band.GetBlockSize() == [128, 64]
    assert dataset.GetMetadataItem('QUADRAT_MODEL') == 'a "model"' and band.GetDescription() == f'band {bands - 1}'
    assert str(band.GetNoDataValue()) == str(float(raster.nodata))
    wanted = dict(option.split('=') for option in options).get('COMPRESS', 'DEFLATE')
    assert dataset.GetMetadataItem('COMPRESSION', 'IMAGE_STRUCTURE') == wanted


def test_what_is_left_out_is_no_data_and_takes_no_space(tmp_path):
    path, raster = tmp_path / 'a.tif', spec(2, 'float32')
    make(path, raster, noise(raster), skip=(0, 1))
    pixels = read(path)
    assert np.isnan(pixels[:128]).all() and not np.isnan(pixels[128:]).any()
    dataset = open_raster(str(path))
    assert dataset.GetRasterBand(1).GetMetadataItem('BLOCK_OFFSET_0_0', 'TIFF') is None


def test_scale_and_offset_and_no_no_data(tmp_path):
    path, raster = tmp_path / 'a.tif', dataclasses.replace(spec(2), nodata=None, scale=0.004, offset=-1.0)
    make(path, raster, noise(raster))
    dataset = open_raster(str(path))
    for number in (1, 2):
        band = dataset.GetRasterBand(number)
        assert (band.GetScale(), band.GetOffset(), band.GetNoDataValue()) == (0.004, -1.0, None)
    make(path, spec(), noise(spec()))
    dataset = open_raster(str(path))
    assert dataset.GetRasterBand(1).GetScale() is None and dataset.GetRasterBand(1).GetOffset() is None


def test_a_former_file_stays_until_the_new_one_is_whole(tmp_path):
    path, raster = tmp_path / 'a.tif', spec()
    make(path, raster, noise(raster))
    (tmp_path / 'a.tif.ovr').write_text('overviews of the former file')
    before = path.read_bytes()
    with pytest.raises(ZeroDivisionError), PartFolder(str(path)) as part, RasterWriter(part, raster) as writer:
        fill(writer, raster, noise(raster, 1))
        assert path.read_bytes() == before and os.path.isdir(f'{path}.part')
        raise ZeroDivisionError
    assert path.read_bytes() == before and sorted(os.listdir(tmp_path)) == ['a.tif', 'a.tif.ovr']
    make(path, raster, noise(raster, 1))
    assert np.array_equal(read(path), noise(raster, 1)) and os.listdir(tmp_path) == ['a.tif']


def test_what_a_killed_run_left_is_cleared_and_what_is_not_ours_is_not(tmp_path):
    path, raster = tmp_path / 'a.tif', spec()
    old = tmp_path / 'a.tif.part'
    old.mkdir()
    (old / 'job.json').write_text('{}')
    (old / 'a.tif').write_text('half')
    make(path, raster, noise(raster))
    assert not old.exists()
    old.mkdir()
    (old / 'thesis.odt').write_text('years of work')
    with pytest.raises(OutputRefused, match='not of Quadrat'):
        make(path, raster, noise(raster))
    assert (old / 'thesis.odt').exists()


def test_damage_before_the_end_is_found(tmp_path, monkeypatch):
    path, raster = tmp_path / 'a.tif', spec()
    check = RasterWriter._check

    def cut(self, dataset):
        file = f'{path}.part/a.tif'
        os.truncate(file, os.path.getsize(file) - 2000)
        check(self, dataset)

    monkeypatch.setattr(RasterWriter, '_check', cut)
    with pytest.raises(EngineError, match=r'a\.tif: .*block .* is missing'):
        make(path, raster, noise(raster))
    assert os.listdir(tmp_path) == []


def test_a_full_disk_is_said_and_leaves_nothing(small_disk):
    raster = spec(4, 'float32', size=(1000, 1000), block=(256, 256))
    with pytest.raises(DiskFull, match=r'map.tif: the disk is full'):
        make(small_disk / 'map.tif', raster, noise(raster))
    assert os.listdir(small_disk) == []


def test_the_last_bytes_count_too(small_disk):
    """A disk that fills up while the file is closed, or is full already."""
    raster = spec(1, 'uint8', size=(2000, 2000), block=(2000 // 16 * 16, 2000 // 16 * 16))
    for free in (0, 5000, 200000):
        (small_disk / 'other').write_bytes(bytes(4 * 2**20 - free))
        with pytest.raises(DiskFull):
            make(small_disk / 'map.tif', raster, noise(raster))
        os.remove(small_disk / 'other')
        assert os.listdir(small_disk) == []


def test_a_limit_on_file_size_is_found(tmp_path):
    code = (
        'import resource, sys; sys.path.insert(0, sys.argv[2]); import test_writer as t\n'
        'resource.setrlimit(resource.RLIMIT_FSIZE, (300000, 300000))\n'
        'raster = t.spec(4, "float32")\n'
        'try: t.make(sys.argv[1], raster, t.noise(raster))\n'
        'except t.EngineError as error: print(type(error).__name__, error)\n'
    )
    path = str(tmp_path / 'a.tif')
    done = subprocess.run([sys.executable, '-c', code, path, os.path.dirname(__file__)], capture_output=True, text=True)
    assert done.stdout.count('\n') == 1 and path in done.stdout, done.stderr
    assert os.listdir(tmp_path) == []


def test_places_that_cannot_be_written_are_refused(tmp_path):
    image = tmp_path / 'image.tif'
    image.write_text('')
    link = tmp_path / 'link.tif'
    link.symlink_to(image)
    (tmp_path / 'folder.tif').mkdir()
    cases = {
        str(tmp_path / 'a.jp2'): 'GeoTIFF',
        str(tmp_path / 'none' / 'a.tif'): 'no folder',
        str(tmp_path / 'folder.tif'): 'is a folder',
        str(image): 'is an input',
        str(link): 'is an input',
    }
    for path, message in cases.items():
        with pytest.raises(OutputRefused, match=message):
            check_outputs({'OUTPUT': path}, [str(image)])
    twice = {'OUTPUT': str(tmp_path / 'a.tif'), 'PROBABILITIES': str(tmp_path / 'x' / '..' / 'a.tif')}
    with pytest.raises(InvalidJob, match='the same file'):
        check_outputs(twice, [])
    check_outputs({'OUTPUT': str(tmp_path / 'A.TIFF')}, [str(image)])


def test_a_folder_without_permission_is_refused(tmp_path):
    """Where the tests run as root, permissions do not count, so a file system that is mounted for reading does."""
    folder = tmp_path / 'fixed'
    folder.mkdir()
    mounted = (
        os.geteuid() == 0
        and not subprocess.run(
            ['mount', '-t', 'tmpfs', '-o', 'ro', 'tmpfs', str(folder)], capture_output=True
        ).returncode
    )
    if os.geteuid() == 0 and not mounted:
        pytest.skip('no right to mount a file system')
    folder.chmod(0o500) if not mounted else None
    try:
        with pytest.raises(OutputRefused, match='cannot be written'):
            make(folder / 'a.tif', spec(), noise(spec()))
    finally:
        if mounted:
            subprocess.run(['umount', str(folder)], check=True)


@pytest.mark.parametrize('option', ['COMPRESS', '=LZW', 'TILED=NO', 'BLOCKXSIZE=100', 'BLOCKYSIZE=big', 'COMPRES=LZW'])
def test_creation_options_that_cannot_be_are_refused(option):
    with pytest.raises(InvalidJob, match='Creation option'):
        block_option([option])


def test_the_users_blocks_are_used():
    assert block_option(['compress=lzw', 'blockxsize=256']) == (256, 0)


@pytest.mark.parametrize('option', ['COMPRESS=NONSENSE', 'INTERLEAVE=DIAGONAL'])
def test_values_that_gdal_refuses_or_ignores_are_errors(tmp_path, option):
    raster = spec(options=(option,))
    with pytest.raises(EngineError, match=option.split('=')[1]):
        make(tmp_path / 'a.tif', raster, noise(raster))
    assert os.listdir(tmp_path) == []
