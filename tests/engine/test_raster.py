"""Stacks of rasters: exact pixels, padding, no-data, and errors that name the file."""

from __future__ import annotations

import os
import re
import threading

import numpy as np
import pytest

from quadrat.engine.errors import BandMismatch, GridMismatch, InputMissing, InputUnreadable, InvalidJob
from quadrat.engine.gdalio import gdal, gdal_type, open_raster, osr
from quadrat.engine.grid import Window
from quadrat.engine.jobs import SourceSpec
from quadrat.engine.raster import RasterStack, format_nodata, parse_nodata, unformat_nodata

UTM = (600000.0, 2.0, 0.0, 5800000.0, 0.0, -2.0)


def make(path, array, epsg=32631, transform=UTM, nodata=None, driver='GTiff', options=()):
    """Write (bands, rows, cols) and return the path as text."""
    bands, rows, cols = array.shape
    dataset = gdal.GetDriverByName(driver).Create(str(path), cols, rows, bands, gdal_type(array.dtype), list(options))
    dataset.SetGeoTransform(transform)
    if epsg:
        crs = osr.SpatialReference()
        crs.ImportFromEPSG(epsg)
        dataset.SetSpatialRef(crs)
    for number in range(bands):
        band = dataset.GetRasterBand(number + 1)
        band.WriteRaster(0, 0, cols, rows, np.ascontiguousarray(array[number]))
        if nodata is not None:
            band.SetNoDataValue(nodata)
    return str(path)


@pytest.fixture
def image(tmp_path):
    array = np.random.default_rng(0).integers(-500, 500, (4, 37, 53)).astype('int16')
    return make(tmp_path / 'a.tif', array, options=['TILED=YES', 'BLOCKXSIZE=16', 'BLOCKYSIZE=16']), array


@pytest.mark.parametrize('dtype', ['uint8', 'int16', 'uint16', 'int32', 'uint32', 'float32', 'float64'])
def test_pixels_come_as_they_are(tmp_path, dtype):
    limits = np.finfo(dtype) if dtype.startswith('f') else np.iinfo(dtype)
    array = np.random.default_rng(1).uniform(limits.min / 2, limits.max / 2, (3, 9, 11)).astype(dtype)
    stack = RasterStack(SourceSpec((make(tmp_path / 'a.tif', array),)))
    assert stack.dtype == dtype
    np.testing.assert_array_equal(stack.read(Window(2, 1, 7, 5)), array[:, 1:6, 2:9].transpose(1, 2, 0))


def test_bands_of_several_files_in_the_order_asked_for(tmp_path, image):
    path, array = image
    other = np.random.default_rng(2).integers(0, 255, (2, 37, 53)).astype('uint8')
    paths = (path, make(tmp_path / 'b.tif', other))
    everything = np.concatenate([array, other])
    for bands in ((), (6, 1, 5), (2,), (4, 3, 2, 1), (1, 1)):
        stack = RasterStack(SourceSpec(paths, bands=bands))
        chosen = everything[[number - 1 for number in bands] or slice(None)]
        np.testing.assert_array_equal(stack.read(stack.grid.window), chosen.transpose(1, 2, 0))
        assert stack.bands == tuple(f'B{number}' for number in bands or range(1, 7))
    with pytest.raises(BandMismatch, match='no band 7'):
        RasterStack(SourceSpec(paths, bands=(7,)))


def test_bands_by_name(image):
    path, array = image
    dataset = gdal.Open(path, gdal.GA_Update)
    for number, name in enumerate(('Red', 'near infrared', 'Red'), 1):
        dataset.GetRasterBand(number).SetDescription(name)
    del dataset
    stack = RasterStack(SourceSpec((path,), 's', band_names=('B4', 'near infrared')))
    np.testing.assert_array_equal(stack.read(stack.grid.window), array[[3, 1]].transpose(1, 2, 0))
    assert stack.bands == ('B4', 'near infrared')
    for names, words in (
        (('Near Infrared',), "no band 'Near Infrared'; did you mean 'near infrared'? The bands are Red, near infr"),
        (('swir',), "s: no band 'swir'. The bands are Red, near infrared, Red, B4."),
        (('Red',), r"several bands are called 'Red' (1, 3); choose"),
    ):
        with pytest.raises(BandMismatch, match=re.escape(words)):
            RasterStack(SourceSpec((path,), 's', band_names=names))
    with pytest.raises(InvalidJob, match='by number and by name'):
        RasterStack(SourceSpec((path,), 's', bands=(1,), band_names=('B4',)))


@pytest.mark.parametrize('padding, mode', [('reflect', 'reflect'), ('edge', 'edge')])
def test_padding_is_that_of_numpy(image, padding, mode):
    path, array = image
    stack = RasterStack(SourceSpec((path,)))
    pad = 120  # more than twice the image
    whole = np.pad(array, ((0, 0), (pad, pad), (pad, pad)), mode=mode).transpose(1, 2, 0)
    for window in (Window(-3, -7, 20, 30), Window(50, 30, 9, 9), Window(-120, -100, 250, 200), Window(60, 40, 4, 4)):
        expected = whole[window.row + pad : window.bottom + pad, window.col + pad : window.right + pad]
        np.testing.assert_array_equal(stack.read_padded(window, padding), expected)


def test_threads_read_the_same(image):
    path, array = image
    stack, wrong = RasterStack(SourceSpec((path,))), []

    def work(seed):
        for col in np.random.default_rng(seed).integers(0, 40, 50).tolist():
            if not np.array_equal(stack.read(Window(col, 5, 8, 8)), array[:, 5:13, col : col + 8].transpose(1, 2, 0)):
                wrong.append(col)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


@pytest.mark.parametrize(
    'text, expected',
    [
        ('', (0.0, None, 7.0)),
        ('none', (None, None, None)),
        ('-9999', (-9999.0,) * 3),
        ('1, none 3', (1.0, None, 3.0)),
        (' 1e3;'.strip(';'), (1000.0,) * 3),
    ],
)
def test_nodata_from_text(text, expected):
    values = parse_nodata(text, [0.0, None, 7.0])
    assert values == expected
    assert unformat_nodata(format_nodata(values)) == values


def test_nodata_text_that_makes_no_sense():
    assert np.isnan(parse_nodata('nan', [0.0])[0])
    for text in ('x', '1 2', '0x10'):
        with pytest.raises(InvalidJob, match='No-data'):
            parse_nodata(text, [None])


def test_errors_name_the_file_and_what_is_wrong(tmp_path, image):
    path, array = image
    (tmp_path / 'text.tif').write_text('no raster')
    whole = (tmp_path / 'a.tif').read_bytes()
    (tmp_path / 'short.tif').write_bytes(whole[: len(whole) // 2])
    cases = [
        (InputMissing, 'gone:1.tif: no such file', (str(tmp_path / 'gone:1.tif'),)),
        (InputUnreadable, 'text.tif: not a raster', (str(tmp_path / 'text.tif'),)),
        (InputUnreadable, 'not a raster', (str(tmp_path),)),
        (GridMismatch, 'EPSG:32632.*Reproject', (path, make(tmp_path / 'b.tif', array, epsg=32632))),
        (GridMismatch, 'one grid', (path, make(tmp_path / 'c.tif', array[:, 1:]))),
        (InvalidJob, 'no raster', ()),
    ]
    for kind, words, paths in cases:
        with pytest.raises(kind, match=words) as caught:
            RasterStack(SourceSpec(paths))
        assert '\n' not in str(caught.value)
    with pytest.raises(InputUnreadable, match=r'short\.tif'):
        stack = RasterStack(SourceSpec((str(tmp_path / 'short.tif'),)))
        stack.read(stack.grid.window)


def test_a_sidecar_is_read_but_never_written(tmp_path):
    """PNG keeps CRS and no-data in an .aux.xml; the engine sees them, and leaves no file of its own."""
    path = str(tmp_path / 'a.png')
    array = np.arange(400, dtype='uint8').reshape(1, 20, 20)
    gdal.SetConfigOption('GDAL_PAM_ENABLED', 'YES')
    try:
        source = gdal.Open(make(tmp_path / 'a.tif', array, nodata=7))
        gdal.GetDriverByName('PNG').CreateCopy(path, source).FlushCache()
    finally:
        gdal.SetConfigOption('GDAL_PAM_ENABLED', 'NO')
    before = {name: os.stat(tmp_path / name).st_mtime_ns for name in os.listdir(tmp_path)}
    assert 'a.png.aux.xml' in before
    stack = RasterStack(SourceSpec((path,)))
    assert stack.grid.transform == UTM and '32631' in stack.grid.crs and stack.nodata == (7.0,)
    stack.read(stack.grid.window)
    del stack
    assert {name: os.stat(tmp_path / name).st_mtime_ns for name in os.listdir(tmp_path)} == before
    os.remove(path + '.aux.xml')
    RasterStack(SourceSpec((path,))).read(Window(0, 0, 20, 20))
    assert sorted(os.listdir(tmp_path)) == ['a.png', 'a.tif']


def test_signed_bytes_are_refused_where_gdal_would_read_them_wrongly(tmp_path):
    if hasattr(gdal, 'GDT_Int8'):
        pytest.skip('this GDAL knows signed bytes')
    path = make(tmp_path / 'a.tif', np.zeros((1, 4, 4), 'uint8'), options=['PIXELTYPE=SIGNEDBYTE'])
    with pytest.raises(InputUnreadable, match='signed bytes'):
        open_raster(path) and RasterStack(SourceSpec((path,)))
