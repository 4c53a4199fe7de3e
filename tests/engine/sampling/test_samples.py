"""Samples of classes: so many as the strategy says, the very pixels the sampler says, with all attributes."""

from __future__ import annotations

import math
import os
from collections import Counter
from fractions import Fraction

import numpy as np
import pytest

from quadrat.engine.errors import EngineError
from quadrat.engine.events import Log, Reporter, Warn
from quadrat.engine.gdalio import gdal, ogr, osr
from quadrat.engine.grid import Grid
from quadrat.engine.jobs import PolygonStatisticsJob, SampledImage, SelectSamplesJob, VectorSpec
from quadrat.engine.sampling import samples as module
from quadrat.engine.sampling.periodic import Periodic
from quadrat.engine.sampling.rates import Demand, Rate, image_rates, rates_text, read_by_class, single_rates
from quadrat.engine.sampling.samples import select_samples
from quadrat.engine.sampling.statistics import count_classes
from quadrat.engine.sampling.statisticsxml import read_class_counts, statistics_xml

PLAIN = ((0, 1, 0, 0, 0, 1), None)
METRES = ((5e5 + 0.7, 0.3, 0, 5e6 + 0.1, 0, -0.3), 32631)

# -- how many ---------------------------------------------------------------------------------------------------------

COUNTS = {'1': 104, '2': 160, '3': 211, '4': 0, '5': 7}


@pytest.mark.parametrize(
    ('demand', 'required'),
    [
        (Demand('smallest'), (7, 7, 7, 0, 7)),
        (Demand('constant', 50), (50, 50, 50, 0, 50)),
        (Demand('percent', percent=0.5), (52, 80, 106, 0, 4)),  # halves upwards
        (Demand('percent', percent=0.0), (0, 0, 0, 0, 0)),
        (Demand('total', 100), (22, 33, 44, 0, 1)),
        (Demand('all'), (104, 160, 211, 0, 7)),
        (Demand('byclass', by_class={'1': 3, '5': 9}), (3, 0, 0, 0, 9)),
    ],
)
def test_numbers_on_one_image(demand, required):
    rates = single_rates(demand, COUNTS)
    assert rates == {text: Rate(number, COUNTS[text]) for text, number in zip(COUNTS, required)}
    assert all(rate.taken == min(rate.required, rate.total) for rate in rates.values())
    assert image_rates('equal', [demand], [COUNTS]) == [rates]


IMAGES = ({'1': 104, '2': 160, '3': 211}, {'1': 98, '2': 190, '3': 178}, {'1': 130, '2': 144, '4': 250})
NAMED = {'1': 140, '2': 130, '3': 124}


@pytest.mark.parametrize(
    ('mode', 'demand', 'required'),
    [
        ('equal', Demand('smallest'), ((83, 83, 83, 0), (83, 83, 83, 0), (83, 83, 0, 83))),
        ('custom', Demand('smallest'), ((104, 104, 104, 0), (98, 98, 98, 0), (130, 130, 0, 130))),
        ('proportional', Demand('constant', 151), ((47, 48, 81, 0), (44, 58, 69, 0), (59, 44, 0, 151))),
        ('equal', Demand('constant', 151), ((50, 50, 50, 0), (50, 50, 50, 0), (50, 50, 0, 50))),
        ('proportional', Demand('byclass', by_class=NAMED), ((43, 42, 67, 0), (41, 50, 56, 0), (54, 37, 0, 0))),
        ('equal', Demand('byclass', by_class=NAMED), ((46, 43, 41, 0), (46, 43, 41, 0), (46, 43, 0, 0))),
        ('equal', Demand('all'), ((104, 160, 211, 0), (98, 190, 178, 0), (130, 144, 0, 250))),
        ('proportional', Demand('percent', percent=0.33), ((34, 53, 70, 0), (32, 63, 59, 0), (43, 48, 0, 83))),
        ('equal', Demand('percent', percent=0.33), ((37, 54, 43, 28), (37, 54, 43, 28), (37, 54, 43, 28))),
        ('proportional', Demand('total', 300), ((21, 33, 43, 0), (20, 39, 36, 0), (27, 29, 0, 51))),
        ('equal', Demand('total', 300), ((22, 34, 44, 0), (21, 41, 38, 0), (25, 27, 0, 48))),
    ],
)
def test_numbers_on_several_images(mode, demand, required):
    found = image_rates(mode, [demand] * 3, IMAGES)
    assert [tuple(rate.required for rate in rates.values()) for rates in found] == list(required)
    assert all(list(rates) == ['1', '2', '3', '4'] for rates in found)


def test_own_numbers_for_each_image():
    demands = [Demand('constant', number) for number in (70, 80, 90)]
    found = image_rates('custom', demands, IMAGES)
    assert [rates['1'] for rates in found] == [Rate(70, 104), Rate(80, 98), Rate(90, 130)]
    assert rates_text(found[2]) == (
        '#className\trequiredSamples\ttotalSamples\trate\n'
        '1\t90\t130\t0.692308\n2\t90\t144\t0.625\n3\t0\t0\t0\n4\t90\t250\t0.36\n'
    )


@pytest.mark.parametrize(
    'text',
    [
        '1\t10\n2\t20\n',
        '# classes\n\n1;10\n2;20',
        'class,samples\n1,10\n2,20\n',
        'class samples\n1;10\n2;20\n',
        'class;samples;remark\n1; 10;x\n2 ;20;\n',
        '\ufeff1   10\r\n2 20\r\n',
        rates_text({'1': Rate(10, 30), '2': Rate(20, 5)}),
    ],
)
def test_tables_of_numbers(tmp_path, text):
    (tmp_path / 't.csv').write_text(text, encoding='utf-8', newline='')
    assert read_by_class(str(tmp_path / 't.csv')) == {'1': 10, '2': 20}


@pytest.mark.parametrize(
    ('text', 'words'),
    [
        ('a,1\nb,many\n', "t.csv, line 2: 'b,many' is no class and number"),
        ('a,-5\nb,1\n', "line 1: 'a,-5' is no class"),
        ('a;1.5\n', "line 1: 'a;1.5' is no class"),
        ('a,1\n\na,2\n', "line 3: class 'a' stands there twice"),
        ('# nothing\n', 'no numbers of samples'),
        ('class,number\n', 'no numbers of samples'),
        (b'\xff\xfe\x00', 'cannot be read'),
    ],
)
def test_tables_that_are_none(tmp_path, text, words):
    (tmp_path / 't.csv').write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(EngineError, match=words):
        read_by_class(str(tmp_path / 't.csv'))


# -- which ones -------------------------------------------------------------------------------------------------------


def in_pieces(draw, total, rng):
    """All that is drawn, asked for in pieces of any length."""
    cuts = [0, *sorted(rng.integers(0, total + 1, 6).tolist()), total]
    return np.concatenate([draw.within(a, b) + a for a, b in zip(cuts, cuts[1:])]).tolist()


def test_the_periodic_sampler_is_its_formula():
    rng = np.random.default_rng(2)
    for _ in range(200):
        total = int(rng.integers(1, 120))
        target = int(rng.integers(0, total + 1))
        expected, taken = [], 0
        for i in range(1, total + 1):
            if math.ceil(i * Fraction(target, total) - taken) > 0:
                expected.append(i - 1)
                taken += 1
        assert in_pieces(Periodic(total, target, 0, rng), total, rng) == expected
        assert len(expected) == target


def test_jitter_keeps_the_number_and_the_order():
    rng = np.random.default_rng(4)
    for jitter in (0, 1, 3, 50):
        for _ in range(60):
            total = int(rng.integers(1, 300))
            target = int(rng.integers(1, total + 1))
            seed = int(rng.integers(100))
            plain = in_pieces(Periodic(total, target, 0, rng), total, rng)
            found = in_pieces(Periodic(total, target, jitter, np.random.default_rng(seed)), total, rng)
            again = in_pieces(Periodic(total, target, jitter, np.random.default_rng(seed)), total, rng)
            late = np.array(found) - plain
            assert found == again and len(found) == target and (np.diff(found) > 0).all()
            assert late.min() >= 0 and late.max() <= min(jitter, total / target - 1) + 1 and found[-1] < total
    assert late.max() > 0


# -- samples of layers ------------------------------------------------------------------------------------------------

FIELDS = {'class': ogr.OFTString, 'n': ogr.OFTInteger, 'size': ogr.OFTReal, 'day': ogr.OFTDate, 'big': ogr.OFTInteger64}
SQUARES = [
    ('POLYGON((1 1, 7 1, 7 7, 1 7, 1 1), (3 3, 5 3, 5 5, 3 5, 3 3))', 'field', 1, 1.5, '2020/01/31', 1 << 40),  # 32
    ('POLYGON((10 1, 13 1, 13 4, 10 4, 10 1))', 'wood', 2, None, None, 2),  # 9
    ('POLYGON((10 10, 18 10, 18 18, 10 18, 10 10))', 'field', 3, -2.25, '1999/12/31', 3),  # 64
    ('LINESTRING(0.5 19.5, 4.5 19.5)', 'road', 4, 0.0, None, 4),  # 5
    ('MULTIPOINT(0.25 0.125, 0.75 0.875, 40 40)', 'tree', 5, 0.0, None, 5),  # 2
    ('POLYGON((1 1, 7 1, 7 7, 1 7, 1 1))', None, 6, 0.0, None, 6),
]


def run(tmp_path, images, said=None, output='samples.gpkg', **options):
    """The samples as (attributes, x, y), and the table of rates of each image."""
    images = tuple(images) if isinstance(images, list) else (images,)
    path, rates = str(tmp_path / output), str(tmp_path / 'rates.csv')
    job = SelectSamplesJob(images, 'class', path, rates=rates, **options)
    values = select_samples(job, Reporter(None if said is None else said.append))
    files = [rates] if len(images) == 1 else [rates.replace('.csv', f'_{i + 1}.csv') for i in range(len(images))]
    assert values == {'OUTPUT': path, 'RATES': files[0]} and all(map(os.path.exists, files))
    layer = gdal.OpenEx(path, gdal.OF_VECTOR)
    found = [(f.items(), f.GetGeometryRef().GetX(), f.GetGeometryRef().GetY()) for f in layer.GetLayer(0)]
    tables = []
    for file in files:
        with open(file, encoding='utf-8') as lines:
            tables.append({row[0]: tuple(map(int, row[1:3])) for row in (line.split('\t') for line in list(lines)[1:])})
    return found, tables


@pytest.fixture
def squares(write_raster, write_layer):
    """(raster, vector) of 20 x 20 pixels without georeferencing."""
    return write_raster('image.tif', 20, 20, PLAIN), write_layer('squares.gpkg', None, FIELDS, SQUARES)


def image_of(squares, **options):
    return SampledImage(squares[0], VectorSpec(squares[1]), **options)


@pytest.mark.parametrize('sampler', ['periodic', 'random'])
@pytest.mark.parametrize('together', [1 << 18, 7])
def test_all_samples_with_all_attributes(squares, tmp_path, monkeypatch, sampler, together):
    monkeypatch.setattr(module, '_TOGETHER', together)
    found, (rates,) = run(tmp_path, image_of(squares), strategy='all', sampler=sampler)
    assert rates == {'field': (96, 96), 'road': (5, 5), 'tree': (2, 2), 'wood': (9, 9)}
    assert [items['class'] for items, _, _ in found] == ['field'] * 96 + ['road'] * 5 + ['tree'] * 2 + ['wood'] * 9
    for items, x, y in found:
        assert (int(x), int(y)) == (items['col'], items['row'])
        assert items['n'] == items['originfid'] and (items['class'] == 'tree' or (x % 1, y % 1) == (0.5, 0.5))
    assert [(x, y) for items, x, y in found if items['class'] == 'tree'] == [(0.25, 0.125), (0.75, 0.875)]
    (first, _, _), (wood, _, _) = found[0], found[-1]
    assert first == {
        **{'class': 'field', 'n': 1, 'size': 1.5, 'day': '2020/01/31', 'big': 1 << 40},
        **{'originfid': 1, 'row': 1, 'col': 1},
    }
    assert wood['size'] is None and wood['day'] is None and wood['big'] == 2
    order = [(items['originfid'], items['row'], items['col']) for items, _, _ in found[:96]]
    assert order == sorted(order) and len(set(order)) == 96


def test_the_periodic_choice_runs_through_the_features(squares, tmp_path):
    everything, _ = run(tmp_path, image_of(squares), strategy='all')
    found, (rates,) = run(tmp_path, image_of(squares), strategy='constant', count=30)
    assert rates == {'field': (30, 96), 'road': (30, 5), 'tree': (30, 2), 'wood': (30, 9)}
    expected = [item for item in everything if item[0]['class'] == 'field']
    expected = [expected[i] for i in Periodic(96, 30, 0, np.random.default_rng(0)).within(0, 96)]
    assert found[:30] == expected and len(found) == 30 + 5 + 2 + 9


def test_seeds(squares, tmp_path):
    def choose(seed, **options):
        found, _ = run(tmp_path, image_of(squares), strategy='constant', count=20, seed=seed, **options)
        assert Counter(items['class'] for items, _, _ in found) == {'field': 20, 'road': 5, 'tree': 2, 'wood': 9}
        places = [(items['class'], items['row'], items['col'], items['originfid']) for items, _, _ in found]
        assert len(set(places)) == len(places) - 1  # both trees are in one pixel
        return places

    for options in ({'sampler': 'random'}, {'jitter': 4}):
        chosen = [choose(seed, **options) for seed in (0, 1, 0)]
        assert chosen[0] == chosen[2] != chosen[1]
        assert [place for place in chosen[0] if place[0] != 'field'] == [
            place for place in chosen[1] if place[0] != 'field'
        ]
    assert choose(0) == choose(1)


def test_random_samples_are_as_likely_everywhere(squares, tmp_path):
    seen = Counter()
    for seed in range(40):
        found, _ = run(tmp_path, image_of(squares), strategy='constant', count=24, sampler='random', seed=seed)
        seen.update((items['row'], items['col']) for items, _, _ in found if items['class'] == 'field')
    assert len(seen) == 96 and sum(seen.values()) == 40 * 24
    assert max(seen.values()) < 24 and min(seen.values()) > 1  # 10 expected


def test_a_mask_and_warnings(squares, write_raster, tmp_path):
    mask = np.zeros((20, 20), np.uint8)
    mask[:, :9] = 200
    (tmp_path / 't.csv').write_text('field;40\nlake;5\nwood;1\n')
    said = []
    masked = image_of(squares, mask=write_raster('mask.tif', 20, 20, PLAIN, mask))
    found, (rates,) = run(tmp_path, masked, said, strategy='byclass', by_class=str(tmp_path / 't.csv'))
    assert rates == {'field': (40, 32), 'lake': (5, 0), 'road': (0, 5), 'tree': (0, 2), 'wood': (1, 0)}
    assert len(found) == 32 and all(items['col'] < 9 for items, _, _ in found)
    warned = '\n'.join(event.text for event in said if isinstance(event, Warn))
    assert 'OVERFLOW: fewer pixels than were asked for; all are taken of field (32 of 40).' in warned
    assert 'Classes without a pixel: lake, wood.' in warned
    assert "1 features have no pixels: no value in 'class'" in warned
    logged = [event.text.split() for event in said if isinstance(event, Log)]
    assert ['field', '32', '40', '32', '1'] in logged and ['all', '39', '32'] in logged


def test_statistics_that_fit_and_that_do_not(squares, tmp_path):
    """Those that fit change nothing; others are said to, and the result is that of a count."""
    expected = run(tmp_path, image_of(squares), strategy='total', count=30)
    path = tmp_path / 's.xml'
    count_classes(PolygonStatisticsJob(squares[0], VectorSpec(squares[1]), 'class', str(path)), Reporter())
    text = path.read_text()
    for change, words in (
        (text, ''),
        (text.replace('key="field" value="96"', 'key="field" value="70"'), 'differ of the classes field (70 there, 96'),
        (text.replace('<StatisticMap key="tree" value="2" />', ''), 'differ of the classes tree (0 there, 2 here)'),
    ):
        path.write_text(change)
        said = []
        assert run(tmp_path, image_of(squares, statistics=str(path)), said, strategy='total', count=30) == expected
        warned = [event.text for event in said if 'does not fit' in getattr(event, 'text', '')]
        assert (len(warned) == 1 and words in warned[0]) if words else not warned
    path.write_text(text.replace('key="', 'key="x'))
    with pytest.raises(EngineError, match="counts no pixel of field, road, tree, wood, the classes in the field 'cla"):
        run(tmp_path, image_of(squares, statistics=str(path)))


def test_pixels_lie_in_their_polygons_on_any_grid(any_grid, write_raster, write_layer, tmp_path):
    transform, epsg = any_grid
    grid = Grid('', tuple(map(float, transform)), 40, 30)
    rng = np.random.default_rng(17)
    features = []
    for i in range(6):
        corners = rng.uniform((-4, -4), (44, 34), (3, 2))
        ring = ', '.join('{!r} {!r}'.format(*grid.to_map(*corner)) for corner in [*corners, corners[0]])
        features.append((f'POLYGON(({ring}))', f'c{i % 2}'))
    raster = write_raster('image.tif', 40, 30, any_grid)
    vector = write_layer('triangles.gpkg', epsg, {'class': ogr.OFTString}, features)
    found, (rates,) = run(tmp_path, SampledImage(raster, VectorSpec(vector)), strategy='percent', percent=0.3)
    assert len(found) == sum(rate[0] for rate in rates.values()) > 100
    for items, x, y in found:
        assert ogr.CreateGeometryFromWkt(features[items['originfid'] - 1][0]).Contains(
            ogr.CreateGeometryFromWkt(f'POINT({x!r} {y!r})')
        )
        assert grid.pixel_at(x, y) == (items['col'], items['row']) and (x, y) == grid.centre(items['col'], items['row'])


def test_formats_that_are_read_one_after_the_other(write_raster, write_layer, tmp_path):
    """A file without random access gives the same, and its order and ids."""
    features = [(f'POINT({5e5 + 2 + i} 4999997)', 'ab'[i % 2], i, 'same') for i in range(10)]
    raster = write_raster('image.tif', 100, 100, METRES)
    fields = {'class': ogr.OFTString, 'n': ogr.OFTInteger, 'fid': ogr.OFTString}
    results = []
    for name in ('p.fgb', 'p.geojson'):
        vector = write_layer(name, 32631, fields, features)
        found, _ = run(tmp_path, SampledImage(raster, VectorSpec(vector)), strategy='all')
        results.append(found)
        assert [items['n'] for items, _, _ in found] == [0, 2, 4, 6, 8, 1, 3, 5, 7, 9]
        assert all(items['originfid'] == items['n'] and items['fid'] == 'same' for items, _, _ in found)
    assert results[0] == results[1]


def test_several_images(write_raster, write_layer, tmp_path):
    """Two grids in two CRS, layers with other fields; coordinates in the CRS of the first."""
    west, east = osr.SpatialReference(), osr.SpatialReference()
    west.ImportFromEPSG(32631)
    east.ImportFromEPSG(32632)
    first = write_raster('first.tif', 100, 100, ((5e5, 2, 0, 5e6, 0, -2), 32631))
    second = write_raster('second.tif', 50, 50, ((3e4, 4, 0, 5e6, 0, -4), 32632))
    a = write_layer(
        'a.gpkg',
        32631,
        {'class': ogr.OFTInteger, 'n': ogr.OFTInteger, 'row': ogr.OFTReal},
        [('POLYGON((500020 4999980, 500060 4999980, 500060 4999900, 500020 4999900, 500020 4999980))', 7, 1, 0.5)],
    )  # 800 pixels
    b = write_layer(
        'b.gpkg',
        32632,
        {'class': ogr.OFTInteger64, 'n': ogr.OFTString, 'who': ogr.OFTString},
        [
            ('POLYGON((30040 4999960, 30120 4999960, 30120 4999920, 30040 4999920, 30040 4999960))', 7, 'x', 'me'),
            ('POINT(30001 4999999)', 8, 'y', None),
        ],
    )  # 200 pixels, and 1
    images = [SampledImage(first, VectorSpec(a)), SampledImage(second, VectorSpec(b))]
    said = []
    found, rates = run(tmp_path, images, said, strategy='constant', count=11)
    assert rates == [{'7': (8, 800), '8': (0, 0)}, {'7': (2, 200), '8': (11, 1)}]
    assert Counter((items['image'], items['class']) for items, _, _ in found) == {(1, 7): 8, (2, 7): 2, (2, 8): 1}
    assert {(items['image'], items['raster']) for items, _, _ in found} == {(1, first), (2, second)}
    assert [found[0][0]['n'], found[-1][0]['n'], found[-2][0]['who'], found[0][0]['who']] == ['1', 'y', 'me', None]
    warned = '\n'.join(event.text for event in said if isinstance(event, (Log, Warn)))
    assert 'fewer samples are taken than were asked for: 7 (10 of 11)' in warned
    assert f"{a}: the field 'row' is replaced" in warned
    assert f'{second}: OVERFLOW' in warned and '8 (1 of 11)' in warned
    transform = osr.CoordinateTransformation(west, east)
    for items, x, y in found:
        if items['image'] == 2 and items['class'] == 7:
            x, y, _ = transform.TransformPoint(x, y)
            assert np.allclose((x, y), (3e4 + 4 * items['col'] + 2, 5e6 - 4 * items['row'] - 2), atol=1e-5)
            assert 10 <= items['col'] < 30 and 10 <= items['row'] < 20
    written = gdal.OpenEx(str(tmp_path / 'samples.gpkg'), gdal.OF_VECTOR)
    assert written.GetLayer(0).GetSpatialRef().GetAuthorityCode(None) == '32631'
    custom = [SampledImage(first, VectorSpec(a), count=5), SampledImage(second, VectorSpec(b), count=50)]
    _, rates = run(tmp_path, custom, strategy='constant', image_rates='custom')
    assert rates == [{'7': (5, 800), '8': (0, 0)}, {'7': (50, 200), '8': (50, 1)}]
    _, rates = run(tmp_path, images, strategy='all')
    assert rates == [{'7': (800, 800), '8': (0, 0)}, {'7': (200, 200), '8': (1, 1)}]


@pytest.mark.parametrize(
    ('changes', 'words'),
    [
        ({'strategy': 'most'}, "Strategy 'most': choose one of byclass"),
        ({'sampler': 'best'}, "Sampler 'best'"),
        ({'image_rates': 'fair'}, "'fair': choose one of proportional"),
        ({'images': ()}, 'No image is given'),
        ({'strategy': 'constant', 'count': 0}, 'at least 1 must be asked for'),
        ({'strategy': 'percent', 'percent': 50.0}, 'A share of 50 of the pixels: it must lie between 0 and 1'),
        ({'strategy': 'percent', 'percent': 0.0}, 'Not one sample is asked for of the classes field, road, tree, wood'),
        ({'strategy': 'byclass'}, 'needs a table'),
        ({'strategy': 'byclass', 'by_class': 'none.csv'}, 'none.csv: no such file'),
        ({'strategy': 'byclass', 'by_class': 'foreign.csv'}, 'Not one sample is asked for'),
        ({'jitter': -1}, 'jitter and the seed are 0 or more'),
        ({'field': 'kind'}, "no field 'kind'; it has class, n, size"),
        ({'output': 's.xyz'}, 'give one of these endings'),
        ({'rates': 'no/such/folder/r.csv'}, 'cannot be written'),
        ({'statistics': 'none.xml'}, 'none.xml: no such file'),
        ({'statistics': 'foreign.csv'}, 'no whole statistics of classes'),
        ({'mask': 'small.tif'}, 'small.tif'),
        ({'raster': 'far.tif'}, 'none of the 5 features has a pixel of .*far.tif'),
        ({'raster': 'far.tif', 'statistics': 's.xml'}, 'none of the 5 features has a pixel of .*far.tif'),
        ({'vector': 'empty.gpkg'}, 'there is no feature in it'),
        ({'also': 'utm.tif'}, 'samples of both cannot lie in one layer'),
    ],
)
def test_what_is_wrong_is_said_in_a_line(squares, write_raster, write_layer, tmp_path, changes, words):
    write_raster('small.tif', 19, 20, PLAIN)
    write_raster('far.tif', 20, 20, ((5e6, 1, 0, 5e6, 0, -1), 32631))
    write_raster('utm.tif', 20, 20, ((0, 1, 0, 0, 0, 1), 32631))
    write_layer('empty.gpkg', None, FIELDS, [])
    (tmp_path / 'foreign.csv').write_text('lake,5\n')
    (tmp_path / 's.xml').write_text(statistics_xml({'field': 96, 'tree': 2}, {}))
    before = sorted(os.listdir(tmp_path))
    job = {'raster': 'image.tif', 'vector': 'squares.gpkg', 'output': 's.gpkg', 'rates': 'r.csv', **changes}
    for name in ('raster', 'vector', 'output', 'rates', 'statistics', 'mask', 'by_class', 'also'):
        if name in job:
            job[name] = str(tmp_path / job[name])
    vector = VectorSpec(job.pop('vector'))
    own = {name: job.pop(name) for name in ('statistics', 'mask') if name in job}
    images = [SampledImage(job.pop('raster'), vector, **own)]
    images += [SampledImage(job.pop('also'), vector)] if 'also' in job else []
    with pytest.raises(EngineError, match=words) as caught:
        select_samples(SelectSamplesJob(**{'images': tuple(images), 'field': 'class', **job}), Reporter())
    assert '\n' not in str(caught.value)
    assert sorted(os.listdir(tmp_path)) == before


@pytest.mark.baseline
def test_buildings_of_a_real_image(shared, tmp_path):
    """Footprints on a panchromatic image: as many pixels as GDAL draws, and samples inside."""
    raster, vector = shared / 'data/atlanta/worldview_pan.tif', shared / 'data/atlanta/buildings.geojson'
    counts = tmp_path / 's.xml'
    spec = VectorSpec(str(vector))
    count_classes(PolygonStatisticsJob(str(raster), spec, 'building', str(counts)), Reporter())
    image = SampledImage(str(raster), spec, statistics=str(counts))
    job = SelectSamplesJob((image,), 'building', str(tmp_path / 's.gpkg'), 'constant', sampler='random')
    select_samples(job, Reporter())
    source, layer = gdal.Open(str(raster)), gdal.OpenEx(str(vector), gdal.OF_VECTOR)
    drawn = gdal.GetDriverByName('MEM').Create('', source.RasterXSize, source.RasterYSize, 1, gdal.GDT_Byte)
    drawn.SetGeoTransform(source.GetGeoTransform())
    drawn.SetSpatialRef(source.GetSpatialRef())
    gdal.RasterizeLayer(drawn, [1], layer.GetLayer(0), burn_values=[1])
    pixels = np.frombuffer(drawn.ReadRaster(), np.uint8).reshape(source.RasterYSize, -1)
    samples = gdal.OpenEx(str(tmp_path / 's.gpkg'), gdal.OF_VECTOR)
    assert read_class_counts(str(counts)) == {'yes': pixels.sum()}
    assert samples.GetLayer(0).GetFeatureCount() == 1000
    assert all(pixels[f['row'], f['col']] for f in samples.GetLayer(0))
