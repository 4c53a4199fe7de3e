"""Images that are not like those a model was trained with are told of, and all others are not."""

from __future__ import annotations

import os
import subprocess
import sys
from fractions import Fraction

import numpy as np
import pytest

from quadrat import engine
from quadrat.engine.errors import Cancelled
from quadrat.engine.events import Reporter, Warn
from quadrat.engine.gdalio import ogr, open_raster
from quadrat.engine.grid import Window
from quadrat.engine.jobs import ServeJob, SourceSpec, VectorSpec
from quadrat.engine.model_package.card import InputCard
from quadrat.engine.raster import RasterStack
from quadrat.engine.serving.frame import Frame, plainly
from quadrat.engine.serving.resemblance import Known, warn_of_strangers
from quadrat.engine.vector import VectorWriter

MEAN, STDDEV = (600.0, 900.0, 2500.0), (300.0, 350.0, 700.0)
STATISTICS = {'mean': MEAN, 'stddev': STDDEV, 'minimum': (0.0, 0.0, 0.0), 'maximum': (9000.0, 9000.0, 9000.0)}
BANDS = ('red', 'green', 'blue')


def scene(rows=200, cols=200, seed=0):
    """(rows, columns, 3) with the statistics of the training, smooth as landscapes are."""
    rng = np.random.default_rng(seed)
    coarse = np.kron(rng.normal(size=(rows // 8 + 1, cols // 8 + 1, 3)), np.ones((8, 8, 1)))[:rows, :cols]
    return np.clip(MEAN + coarse * STDDEV, 1, 9000)


@pytest.fixture
def told(make_package, write_image, tmp_path):
    """A function: pixels of an image, options of the job -> the warnings about it."""
    model = make_package(**STATISTICS)
    count = iter(range(100))

    def run(pixels, nodata=None, model=model, **options):
        image = write_image(pixels, f'image{next(count)}.tif', nodata=nodata)
        events = []
        job = ServeJob(
            model,
            (SourceSpec((image,)),),
            **{'output': str(tmp_path / f'map{next(count)}.tif'), 'runtime': 'tensorflow', **options},
        )
        engine.run(job, on_event=events.append)
        warned = [event.text for event in events if isinstance(event, Warn) and 'not like the images' in event.text]
        assert all('\n' not in text and image in text for text in warned)
        return warned

    return run


def test_images_like_those_of_the_training(told):
    for pixels in (scene(), scene(seed=3).astype('int16'), scene() * 0.7 + 200, scene() * 1.5):
        assert not told(pixels.astype('float32') if pixels.dtype == 'float64' else pixels)


@pytest.mark.parametrize(
    'change, words',
    [
        (lambda pixels: pixels * 1e-4, ['about 0.0001 times as large', 'red 0.05', 'training 600 ± 300, 0 to 9000']),
        (lambda pixels: pixels / 40, ['about 0.02 times as large|about 0.03 times as large', 'scaled otherwise']),
        (lambda pixels: pixels * 10, ['about 10 times as large']),
        (lambda pixels: pixels[..., ::-1], ['bands in another order', 'red 2', 'blue 5']),
        (lambda pixels: pixels + 2000, ['Has it other units', 'red 25']),
        (lambda pixels: pixels * 0 + 777, ['Has it other units', '777 ± 0']),
        (lambda pixels: pixels * [1, 1, -1], ['blue -2', 'Has it other units']),
    ],
)
def test_images_of_another_kind(told, change, words):
    (text,) = told(change(scene()).astype('float32'))
    assert all(any(part in text for part in word.split('|')) for word in words), text
    assert text.endswith('The map may be wrong.')


def test_what_counts_are_pixels_with_data_where_the_map_is(told, write_image, tmp_path):
    pixels = scene(200, 400).astype('float32')
    pixels[:, :250] = 30000
    assert told(pixels)
    assert not told(pixels, nodata=30000)
    assert not told(pixels, window=(260, 0, 140, 200)) and told(pixels, window=(200, 20, 100, 100))
    wanted = np.zeros((200, 400, 1), 'uint8')
    wanted[:, 256:] = 1
    assert not told(pixels, mask=write_image(wanted, 'mask.tif'))
    path, (x, y) = str(tmp_path / 'p.geojson'), (600000 + 260 * 1.5, 5800000 - 20 * 1.5)
    crs = open_raster(str(tmp_path / 'mask.tif')).GetProjection()
    with VectorWriter(path, crs, geometry_type=ogr.wkbPolygon) as writer:
        corners = f'{x} {y}, {x + 180} {y}, {x + 180} {y - 200}, {x} {y - 200}, {x} {y}'
        writer.add(ogr.CreateGeometryFromWkt(f'POLYGON (({corners}))'), {})
    assert not told(pixels, mask_layer=VectorSpec(path))


def test_nothing_to_compare_with(told, package, make_package):
    alien = (scene() * 1e-4).astype('float32')
    assert not told(alien, model=package)
    assert not told(alien, model=make_package(**{**STATISTICS, 'stddev': (1.0, 2.0)}))
    assert not told(alien, model=make_package(**{**STATISTICS, 'mean': (float('nan'),) * 3}))
    assert not told(alien[:40, :40])  # too few pixels


def test_a_run_that_is_taken_up_tells_once(told, monkeypatch, tmp_path):
    alien, output = (scene() * 1e-4).astype('float32'), str(tmp_path / 'map.tif')
    assert len(told(alien, output=output, tile_size=32)) == 1
    assert len(told(alien, output=output, tile_size=32)) == 1


# -- which part of an image is read -----------------------------------------------------------------------------------


class Looked:
    """A raster and its reader that tell what was asked for."""

    def __init__(self, cols, rows, block, bands=3):
        from quadrat.engine.grid import Grid

        self.grid = Grid('', (0, 1, 0, 0, 0, -1), cols, rows)
        self.block, self.bands = block, BANDS[:bands]
        self.spec = SourceSpec(('image.tif',))
        self.windows, self.wanted = [], 0

    def values(self, number, window, wanted):
        assert self.grid.window.contains(window) and wanted.shape == (window.height, window.width)
        self.windows.append(window)
        self.wanted += int(wanted.sum())
        return np.random.default_rng(len(self.windows)).normal(MEAN, STDDEV, (int(wanted.sum()), 3))


def look(source, part, along=(0, 1), masks=()):
    frame = Frame(source.grid, ((plainly(*map(Fraction, along)),) * 2,))
    heard = []
    card = InputCard('source1', BANDS, **STATISTICS)
    warn_of_strangers([source], [card], source, frame, part, masks, Reporter(heard.append))
    assert not heard
    return source.windows


@pytest.mark.parametrize(
    'block', [(256, 256), (10980, 1), (10980, 7), (512, 512), (1024, 1024), (10980, 10980), (128, 64)]
)
def test_windows_are_few_small_and_spread(block):
    cols = rows = 10980
    found = look(Looked(cols, rows, block), Window(0, 0, cols, rows))
    assert found == look(Looked(cols, rows, block), Window(0, 0, cols, rows)) and len(set(found)) == len(found)
    assert 4 <= len(found) <= 64 and sum(window.width * window.height for window in found) <= 1 << 18
    blocks = set()
    for window in found:
        first = window.col // block[0], window.row // block[1]
        assert first == ((window.right - 1) // block[0], (window.bottom - 1) // block[1])
        blocks.add(first)
    assert len(blocks) * block[0] * block[1] * 3 <= max(6_000_000, 4 * block[0] * block[1] * 3)
    tenths = {(10 * window.row) // rows for window in found}
    assert len(tenths) >= min(len(found), 10) - 2


def test_windows_lie_in_the_part_that_is_mapped():
    part = Window(300, 100, 200, 50)  # of a map with pixels twice as large that begins at pixel 40
    found = look(Looked(4000, 3000, (256, 256)), part, (40, 2))
    region = Window(40 + 600, 40 + 200, 400, 100)
    assert found and all(region.contains(window) for window in found)
    assert sum(window.width * window.height for window in found) > 4096
    assert not look(Looked(100, 100, (100, 8)), Window(200, 200, 10, 10))  # beyond the image

    class Right:
        def read(self, ground):
            assert part.contains(ground) and not ground.empty
            return np.broadcast_to(np.arange(ground.col, ground.right) >= 450, (ground.height, ground.width))

    source = Looked(4000, 3000, (64, 64))
    found = look(source, part, (40, 2), [Right()])
    assert found and all(window.right > 40 + 2 * 450 for window in found)
    assert source.wanted == sum((window.right - max(window.col, 40 + 2 * 450)) * window.height for window in found)


def test_it_can_be_stopped():
    reporter = Reporter()
    reporter.cancelled.set()
    source = Looked(1000, 1000, (256, 256))
    frame = Frame(source.grid, ((plainly(Fraction(0), Fraction(1)),) * 2,))
    with pytest.raises(Cancelled):
        warn_of_strangers(
            [source], [InputCard('a', BANDS, **STATISTICS)], source, frame, source.grid.window, [], reporter
        )


# -- real images ------------------------------------------------------------------------------------------------------


def known(values):
    columns = [function(values.astype(float), axis=0) for function in (np.mean, np.std, np.min, np.max)]
    return Known(tuple(f'B{i + 1}' for i in range(values.shape[1])), *columns)


def read(path):
    stack = RasterStack(SourceSpec((str(path),)))
    return stack.read(stack.grid.window)


def check(train, image, turned=None):
    """Parts of an image are like the training; not so if it is scaled, or its bands are in another order."""
    statistics = known(train.reshape(-1, train.shape[2]))
    rows, cols, bands = image.shape
    side = min(128, rows, cols)
    parts = [image[r : r + side, c : c + side] for r in range(0, rows - side + 1, side) for c in range(0, cols, side)]
    if cols < 64:  # patches below one another
        parts = [image[r : r + 2048] for r in range(0, rows - 2047, 2048)]
    assert len(parts) > 1
    for part in [image, *parts]:
        values = part.reshape(-1, bands).astype('float32')
        assert not statistics.difference(values) and statistics.difference(values * 1e-4)
    values = image.reshape(-1, bands)[::5].astype('float32')
    for factor in (1e-4, 0.01, 255 / 10000, 10, 1000):
        assert 'times as large' in statistics.difference(values * factor)
    assert turned is None or 'in another order' in statistics.difference(values[:, turned])


def test_the_demo_scene(tmp_path):
    images = []
    for seed in (0, 1):
        # In a process of its own: where TensorFlow was loaded first, GDAL may write no GeoPackages.
        code = (
            'import sys; from quadrat.engine.demoscene import *; from quadrat.engine.events import Reporter; '
            'make_demo_scene(DemoSceneJob(sys.argv[1], 256, int(sys.argv[2])), Reporter())'
        )
        folder = str(tmp_path / str(seed))
        path = os.pathsep.join(sys.path)
        subprocess.run(
            [sys.executable, '-c', code, folder, str(seed)], env={**os.environ, 'PYTHONPATH': path}, check=True
        )
        images.append(read(tmp_path / str(seed) / 'ms.tif'))
    check(*images)


@pytest.mark.baseline
def test_real_images(shared):
    suite = shared / 'data/otbtf-suite/data'
    check(
        read(suite / 'Sentinel-2_B4328_10m_patches_A.jp2'),
        read(suite / 'Sentinel-2_B4328_10m_patches_B.jp2'),
        [3, 1, 2, 0],
    )
    check(read(suite / 's2_20m_patches_A.tif'), read(suite / 's2_20m_patches_B.tif'), [5, 4, 3, 2, 1, 0])
    spot = read(suite / 'fake_spot6.jp2')
    check(read(suite / 'amsterdam_patches_A.tif'), spot, [3, 2, 1, 0])
    check(spot[:512, :512], spot, [3, 2, 1, 0])
