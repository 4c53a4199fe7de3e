"""Points on label rasters: the right numbers, of the right pixels, from all over; and OTBTF's choice."""

from __future__ import annotations

import os
from collections import Counter

import numpy as np
import pytest

from quadrat.engine.errors import Cancelled, EngineError, InvalidJob, LabelError, NoSamples, OutputRefused
from quadrat.engine.events import Log, Reporter, Warn
from quadrat.engine.gdalio import gdal, gdal_type, osr
from quadrat.engine.jobs import LabelRaster, SampleLabelImageJob
from quadrat.engine.raster import grid_of
from quadrat.engine.sampling import labelimage
from quadrat.engine.sampling.draws import Drawn, Every
from quadrat.engine.sampling.labelimage import sample_label_image
from quadrat.engine.sampling.shares import apportion

UTM = (600000.0, 2.0, 0.0, 5800000.0, 0.0, -2.0)
VALUES = (-7, 0, 3, 40, 1000)


def raster(path, array, nodata=None, transform=UTM, epsg=32631, options=()):
    rows, cols = array.shape
    dataset = gdal.GetDriverByName('GTiff').Create(str(path), cols, rows, 1, gdal_type(array.dtype), list(options))
    if transform:
        crs = osr.SpatialReference()
        crs.ImportFromEPSG(epsg)
        dataset.SetSpatialRef(crs)
        dataset.SetGeoTransform(transform)
    dataset.GetRasterBand(1).WriteRaster(0, 0, cols, rows, np.ascontiguousarray(array))
    if nodata is not None:
        dataset.GetRasterBand(1).SetNoDataValue(nodata)
    return str(path)


def points(path):
    dataset = gdal.OpenEx(str(path), gdal.OF_VECTOR)
    layer = dataset.GetLayer(0)
    return [{**f.items(), 'x': f.GetGeometryRef().GetX(), 'y': f.GetGeometryRef().GetY()} for f in layer]


def sample(folder, path, nodata='', **options):
    """Points and events."""
    events = []
    job = SampleLabelImageJob(LabelRaster(path, nodata=nodata), str(folder / 'points.gpkg'), **options)
    assert sample_label_image(job, Reporter(events.append)) == {'OUTPUT': job.output}
    return points(job.output), events


def patchwork(rng, rows, cols, dtype='int16'):
    """Labels with gaps, some negative, in classes of very different size."""
    return rng.choice(VALUES, (rows, cols), p=(0.02, 0.5, 0.3, 0.1, 0.08)).astype(dtype)


def check_points(found, array, transform=UTM):
    """Every point is the centre of the pixel it names, which has the class it names, and they come row by row."""
    rows, cols = np.array([p['row'] for p in found]), np.array([p['col'] for p in found])
    assert [p['class'] for p in found] == array[rows, cols].tolist()
    assert (np.diff(rows * array.shape[1] + cols) > 0).all()
    assert [p['id'] for p in found] == list(range(len(found)))
    t = transform or (0, 1, 0, 0, 0, 1)
    for p in found:
        col, row = p['col'] + 0.5, p['row'] + 0.5
        assert p['x'] == pytest.approx(t[0] + col * t[1] + row * t[2], rel=1e-14)
        assert p['y'] == pytest.approx(t[3] + col * t[4] + row * t[5], rel=1e-14)


@pytest.mark.parametrize('strip', [1, 700, 1 << 21])
@pytest.mark.parametrize(
    'strategy, wanted',
    [
        ('constant', lambda counts: {value: min(count, 300) for value, count in counts.items()}),
        ('smallest', lambda counts: dict.fromkeys(counts, min(counts.values()))),
        ('all', dict),
    ],
)
def test_each_class_gets_the_number_asked_for(tmp_path, monkeypatch, strategy, wanted, strip):
    monkeypatch.setattr(labelimage, '_STRIP', strip)
    array = patchwork(np.random.default_rng(1), 61, 47)
    path = raster(tmp_path / 'a.tif', array)
    found, events = sample(tmp_path, path, strategy=strategy, count=300)
    check_points(found, array)
    counts = Counter(array.ravel().tolist())
    assert Counter(p['class'] for p in found) == wanted(counts)
    few = [event.text for event in events if isinstance(event, Warn)]
    assert bool(few) == (strategy == 'constant')
    assert all(f'{value} ({counts[value]})' in few[0] for value in VALUES if few and counts[value] < 300)


@pytest.mark.parametrize('count', [1, 3, 4, 5, 7, 100, 1000, 2867, 9999])
def test_total_is_dealt_out_in_proportion_to_the_classes(tmp_path, count):
    array = patchwork(np.random.default_rng(2), 61, 47)
    found, events = sample(tmp_path, raster(tmp_path / 'a.tif', array), strategy='total', count=count)
    check_points(found, array)
    assert len(found) == min(count, array.size)
    taken = Counter(p['class'] for p in found)
    for value, available in Counter(array.ravel().tolist()).items():
        assert abs(taken[value] - available * len(found) / array.size) < 1 or count < 10
        assert taken[value] >= 1 or count < len(VALUES)
    assert any(isinstance(event, Warn) for event in events) == (count < len(VALUES) or count > array.size)


def test_the_choice_is_spread_over_the_image_and_goes_by_the_seed_alone(tmp_path, monkeypatch):
    array = np.zeros((300, 300), np.uint8)
    array[:, 150:] = 4
    path = raster(tmp_path / 'a.tif', array)
    first, _ = sample(tmp_path, path, count=900)
    for value in (0, 4):
        rows = [p['row'] for p in first if p['class'] == value]
        assert len(rows) == 900
        assert all(abs(part - 300) < 70 for part in np.histogram(rows, [0, 100, 200, 300])[0])  # five sigma
    monkeypatch.setattr(labelimage, '_STRIP', 997)
    assert sample(tmp_path, path, count=900)[0] == first
    assert sample(tmp_path, path, count=900, seed=1)[0] != first


@pytest.mark.parametrize(
    'transform, epsg',
    [
        (None, 0),
        ((600000.0, 0.3, 0.0, 5800000.0, 0.0, -0.3), 32631),
        ((600000.0, 1.2, 0.0, 5800000.0, 0.0, 1.2), 32631),
        ((4.9, 1e-5, 0.0, 52.3, 0.0, -1e-5), 4326),
        ((5e5, 1.2, 0.5, 5e6, 0.5, -1.2), 32631),
    ],
    ids=['none', '0.3 m', 'south-up', 'degrees', 'turned'],
)
def test_points_lie_in_the_pixels_they_name(tmp_path, transform, epsg):
    array = patchwork(np.random.default_rng(3), 40, 50)
    path = raster(tmp_path / 'a.tif', array, transform=transform, epsg=epsg)
    found, _ = sample(tmp_path, path, strategy='all')
    check_points(found, array, transform)
    grid = grid_of(gdal.Open(path))
    assert all(grid.pixel_at(p['x'], p['y']) == (p['col'], p['row']) for p in found)


@pytest.mark.parametrize('dtype', ['uint8', 'int16', 'uint16', 'int32', 'uint32', 'float32', 'float64'])
def test_any_type_of_whole_numbers_with_no_data_and_a_border(tmp_path, dtype):
    rng = np.random.default_rng(4)
    highest = 2**31 - 2 if dtype in ('int32', 'uint32', 'float64') else 200
    array = rng.choice([1, 9, 17, highest], (50, 40)).astype(dtype)
    if array.dtype.kind == 'f':
        array[rng.random(array.shape) < 0.3] = np.nan
    path = raster(tmp_path / 'a.tif', array, nodata=9, options=['TILED=YES', 'BLOCKXSIZE=16', 'BLOCKYSIZE=16'])
    inner = np.zeros(array.shape, bool)
    inner[6:-6, 6:-6] = True
    for text, gone in (('', 9), ('none', None), ('17', 17), ('nan', None)):
        found, _ = sample(tmp_path, path, text, strategy='all', pad=6)
        check_points(found, array)
        assert len(found) == (inner & np.isfinite(array) & (array != gone)).sum()


def test_the_log_has_a_table_with_names_and_says_what_no_data_took(tmp_path):
    array = np.full((20, 20), 5, np.uint8)
    array[:3] = 2
    array[0, :7] = 0
    path = raster(tmp_path / 'a.tif', array, nodata=0)
    (tmp_path / 'a.qml').write_text(
        '<qgis><rasterrenderer type="paletted"><paletteEntry value="5" label="water" color="#0000ff"/>'
        '</rasterrenderer></qgis>'
    )
    _, events = sample(tmp_path, path, count=60)
    table = [event.text.split() for event in events if isinstance(event, Log)]
    assert table == [
        ['class', 'available', 'taken', 'name'],
        ['2', '53', '53'],
        ['5', '340', '60', 'water'],
        ['all', '393', '113'],
    ]
    warnings = [event.text for event in events if isinstance(event, Warn)]
    assert any('7 pixels are in no class, being no-data (0, as the file declares)' in text for text in warnings)


# -- OTBTF ------------------------------------------------------------------------------------------------------------


def chosen_by_otbtf(array, strategy, number, nodata=-1, pad=0):
    """(class, row, col) by the rules of the application, pixel by pixel."""
    inside = array[pad : array.shape[0] - pad, pad : array.shape[1] - pad]
    counts = Counter(inside[inside != nodata].tolist())
    total, smallest = sum(counts.values()), min(counts.values())
    step, target = {}, {}
    for value, count in counts.items():
        if strategy == 'total':
            step[value] = max(total // number, 1)
            target[value] = count // step[value]
        else:
            target[value] = {'constant': min(number, smallest), 'smallest': smallest, 'all': count}[strategy]
            step[value] = count // target[value]
    seen, taken, out = Counter(), Counter(), []
    for row in range(inside.shape[0]):
        for col in range(inside.shape[1]):
            value = int(inside[row, col])
            seen[value] += value != nodata
            if value != nodata and seen[value] % step[value] == 0 and taken[value] < target[value]:
                taken[value] += 1
                out.append((value - min(counts), row + pad, col + pad))
    return out


@pytest.mark.parametrize('strip', [1, 900, 1 << 21])
@pytest.mark.parametrize('pad', [0, 4])
@pytest.mark.parametrize('strategy', ['constant', 'total', 'smallest', 'all'])
def test_otbtf_takes_every_nth_pixel_and_counts_labels_from_0(tmp_path, monkeypatch, strategy, pad, strip):
    monkeypatch.setattr(labelimage, '_STRIP', strip)
    array = patchwork(np.random.default_rng(5), 33, 37) + np.int16(20)
    array[::9, ::7] = -1
    path = raster(tmp_path / 'a.tif', array)
    for number in (1, 10, 333, 5000) if strategy in ('constant', 'total') else (1,):
        found, _ = sample(tmp_path, path, strategy=strategy, count=number, pad=pad, otbtf=True)
        expected = chosen_by_otbtf(array, strategy, number, pad=pad)
        assert [(p['class'], p['row'], p['col']) for p in found] == expected
        assert [p['id'] for p in found] == list(range(len(found)))


@pytest.mark.baseline
@pytest.mark.parametrize('zone', 'AB')
def test_otbtf_points_of_the_terrain_truth(tmp_path, shared, zone):
    data = shared / 'data' / 'otbtf-suite' / 'data'
    found, _ = sample(tmp_path, str(data / f'terrain_truth_epsg32654_{zone}.tif'), '255', count=1000, otbtf=True)
    known = points(data / f'outvec_{zone}.gpkg')
    assert len(known) == 6000
    assert [(p['class'], p['x'], p['y']) for p in found] == [(p['class'], p['x'], p['y']) for p in known]


# -- drawing ----------------------------------------------------------------------------------------------------------


def test_every_choice_is_as_likely():
    for target in (0, 2, 4, 6):
        seen = Counter(tuple(Drawn(6, target, np.random.default_rng(seed)).within(0, 6)) for seed in range(3000))
        choices = {0: 1, 2: 15, 4: 15, 6: 1}[target]
        assert len(seen) == choices and all(len(key) == target for key in seen)
        assert all(abs(n - 3000 / choices) < 5 * (3000 / choices) ** 0.5 for n in seen.values())


@pytest.mark.parametrize('target', [0, 1, 500, 501, 999, 1000])
def test_parts_of_a_draw_make_up_the_whole(target):
    for draw in (Drawn(1000, target, np.random.default_rng(0)), Every(1000 // max(target, 1), target)):
        whole = draw.within(0, 1000)
        assert len(whole) == target and len(np.unique(whole)) == target
        edges = np.sort(np.random.default_rng(1).integers(0, 1001, 30)).tolist()
        parts = [draw.within(a, b) + a for a, b in zip([0, *edges], [*edges, 1000])]
        assert np.concatenate(parts).tolist() == whole.tolist()


def test_apportioning():
    assert apportion(10, np.array([0.6, 0.2, 0.2])).tolist() == [6, 2, 2]
    assert apportion(7, np.array([60.0, 0.0, 40.0])).tolist() == [4, 0, 3]
    assert apportion(3, np.array([98, 1, 1])).tolist() == [1, 1, 1]
    assert apportion(1, np.array([98, 1, 1])).tolist() == [1, 0, 0]
    for total in range(50):
        numbers = apportion(total, np.array([0.7, 0.2, 0.1]))
        assert numbers.sum() == total and (numbers.min() >= 1 or total < 3)
        assert (np.abs(numbers - np.array([0.7, 0.2, 0.1]) * total) < 1).all() or total < 10


# -- what goes wrong --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    'changes, kind, words',
    [
        ({'strategy': 'percent'}, InvalidJob, 'constant, total, smallest, all'),
        ({'count': 0}, InvalidJob, 'at least 1'),
        ({'pad': -1}, InvalidJob, '0 or more'),
        ({'seed': -1}, InvalidJob, '0 or more'),
        ({'pad': 10}, NoSamples, 'leaves nothing of 20 x 20'),
        ({'nodata': 'zero'}, InvalidJob, 'neither a number'),
        ({'nodata': '1'}, NoSamples, r'no pixel has a label; all are no-data \(1\)'),
        ({'array': np.full((20, 20), np.nan, np.float32)}, NoSamples, 'no pixel has a label; all are no-data'),
        ({'array': np.full((20, 20), 0.5, np.float32)}, LabelError, '0.5 is no class value'),
        ({'array': np.arange(1600, dtype='uint16').reshape(40, 40)}, LabelError, 'more than 1000 different values'),
        ({'output': 'p.xyz'}, OutputRefused, 'endings'),
        ({'output': 'file/p.gpkg'}, OutputRefused, 'cannot be written'),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line_and_leaves_nothing(tmp_path, changes, kind, words):
    path = raster(tmp_path / 'a.tif', changes.pop('array', np.ones((20, 20), np.uint8)))
    (tmp_path / 'file').write_text('')
    labels = LabelRaster(path, nodata=changes.pop('nodata', ''))
    output = str(tmp_path / changes.pop('output', 'p.gpkg'))
    with pytest.raises(kind, match=words) as caught:
        sample_label_image(SampleLabelImageJob(labels, output, **changes), Reporter())
    assert isinstance(caught.value, EngineError) and '\n' not in str(caught.value)
    assert sorted(os.listdir(tmp_path)) == ['a.tif', 'file']


def test_cancel_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(labelimage, '_STRIP', 100)
    path = raster(tmp_path / 'a.tif', np.ones((50, 50), np.uint8))
    reporter = Reporter()
    reporter.emit = lambda event: 'Writing' in getattr(event, 'text', '') and reporter.cancelled.set()
    reporter.INTERVAL = 0.0
    with pytest.raises(Cancelled):
        sample_label_image(SampleLabelImageJob(LabelRaster(path), str(tmp_path / 'p.gpkg')), reporter)
    assert os.listdir(tmp_path) == ['a.tif']
