"""Splits of samples: what belongs together stays together, the shares are met, and nothing else changes."""

from __future__ import annotations

import itertools
import os
from collections import Counter, defaultdict

import numpy as np
import pytest

from quadrat.engine.errors import Cancelled, EngineError, InputMissing, InvalidJob, NoSamples, OutputRefused
from quadrat.engine.events import Log, Reporter, Warn
from quadrat.engine.gdalio import gdal, ogr, osr
from quadrat.engine.jobs import SPLITS, SplitSamplesJob, VectorSpec
from quadrat.engine.sampling.groups import split_samples
from quadrat.engine.sampling.shares import deal


def layer_of(path, wkts, fields=(), kind=ogr.wkbPoint, epsg=32631):
    """A vector file: a feature for each WKT (None for one without geometry), with values of `fields` by name."""
    driver = {'.gpkg': 'GPKG', '.shp': 'ESRI Shapefile', '.geojson': 'GeoJSON'}[path.suffix]
    crs = osr.SpatialReference()
    crs.ImportFromEPSG(epsg)
    dataset = gdal.GetDriverByName(driver).Create(str(path), 0, 0, 0, gdal.GDT_Unknown)
    layer = dataset.CreateLayer('samples', crs, kind)
    for name, (field_kind, _) in dict(fields).items():
        layer.CreateField(ogr.FieldDefn(name, field_kind))
    for i, wkt in enumerate(wkts):
        feature = ogr.Feature(layer.GetLayerDefn())
        for name, (_, column) in dict(fields).items():
            if column[i] is not None:
                feature.SetField(name, column[i])
        if wkt:
            feature.SetGeometry(ogr.CreateGeometryFromWkt(wkt))
        layer.CreateFeature(feature)
    return VectorSpec(str(path))


def grouped(path, rng, count=200, groups=40, side=1000.0):
    """Random points, each in a group; the groups differ much in size."""
    weights = rng.lognormal(0, 1, groups)
    names = [f'tile{k}' for k in rng.choice(groups, count, p=weights / weights.sum())]
    wkts = [f'POINT ({x!r} {y!r})' for x, y in (rng.random((count, 2)) * side).tolist()]
    return layer_of(path, wkts, {'n': (ogr.OFTInteger64, list(range(count))), 'tile': (ogr.OFTString, names)})


def features(path):
    """(attributes, WKT) of each feature."""
    dataset = gdal.OpenEx(str(path), gdal.OF_VECTOR)
    layer = dataset.GetLayer(0)
    return [(f.items(), f.GetGeometryRef() and f.GetGeometryRef().ExportToIsoWkt()) for f in layer]


def split(folder, vector, name='out.gpkg', **options):
    """(attributes, WKT) of each feature, and the events."""
    events = []
    job = SplitSamplesJob(vector, str(folder / name), **options)
    assert split_samples(job, Reporter(events.append)) == {'OUTPUT': job.output}
    return features(job.output), events


def members(found, key, split_field='split'):
    """The splits that each group falls into."""
    out = defaultdict(set)
    for attributes, wkt in found:
        out[key(attributes, wkt)].add(attributes[split_field])
    return out


def shares(found, field='split'):
    counts = Counter(attributes[field] for attributes, _ in found)
    return {key: count / len(found) for key, count in counts.items()}


@pytest.mark.parametrize('seed', range(8))
@pytest.mark.parametrize('asked', [(60, 20, 20), (3, 0, 1), (0.9, 0.05, 0.05)])
def test_no_group_is_in_two_splits_and_the_shares_are_nearly_met(tmp_path, seed, asked):
    vector = grouped(tmp_path / 'p.gpkg', np.random.default_rng(seed))
    train, validation, test = asked
    found, _ = split(
        tmp_path,
        vector,
        strategy='group',
        group_field='tile',
        train=train,
        validation=validation,
        test=test,
        seed=seed,
    )
    assert all(len(splits) == 1 for splits in members(found, lambda a, _: a['tile']).values())
    got = shares(found)
    assert set(got) == {name for name, share in zip(SPLITS, asked) if share}
    for name, share in zip(SPLITS, asked):
        assert got.get(name, 0) == pytest.approx(share / sum(asked), abs=0.02)


@pytest.mark.parametrize('size', [100.0, 130.0, 0.0])
def test_no_block_is_in_two_splits(tmp_path, size):
    vector = grouped(tmp_path / 'p.gpkg', np.random.default_rng(3), 400)
    before = features(vector.path)
    xy = np.array([ogr.CreateGeometryFromWkt(wkt).GetPoint_2D() for _, wkt in before])
    side = size or np.ptp(xy, 0).max() / 8
    blocks = np.minimum((xy - xy.min(0)) // side, np.ceil(np.ptp(xy, 0) / side) - 1)
    for seed in range(5):
        found, events = split(tmp_path, vector, strategy='blocks', block_size=size, seed=seed)
        where = dict(zip([a['n'] for a, _ in found], map(tuple, blocks.tolist())))
        by_block = members(found, lambda a, _, where=where: where[a['n']])
        assert all(len(splits) == 1 for splits in by_block.values())
        assert shares(found) == pytest.approx({'train': 0.6, 'validation': 0.2, 'test': 0.2}, abs=0.02)
        text = '\n'.join(event.text for event in events if isinstance(event, Log))
        assert f'{len(by_block)} blocks of {side:g} map units (metre)' in text


def test_polygons_stay_whole_in_the_block_of_their_centroid(tmp_path):
    """A square in the middle of each block, and one that reaches over four of them."""
    wkts = []
    for col, row in itertools.product(range(6), range(5)):
        x, y = 10 * col + 5, 10 * row + 5
        half = 9 if (col, row) == (2, 2) else 1
        wkts.append(
            f'POLYGON (({x - half} {y - half},{x + half} {y - half},{x + half} {y + half},{x - half} {y + half},'
            f'{x - half} {y - half}))'
        )
    vector = layer_of(tmp_path / 'p.gpkg', wkts, kind=ogr.wkbPolygon)
    found, events = split(tmp_path, vector, strategy='blocks', block_size=10)
    assert [wkt for _, wkt in found] == [wkt for _, wkt in features(vector.path)]
    assert Counter(a['split'] for a, _ in found) == {'train': 18, 'validation': 6, 'test': 6}
    assert any(event.text.split() == ['train', '18', '18', '60.0%', '60.0%'] for event in events if event.type == 'log')


@pytest.mark.parametrize('count', [3, 4, 7, 99, 100])
def test_random_meets_the_shares_exactly(tmp_path, count):
    vector = layer_of(tmp_path / 'p.gpkg', [f'POINT ({i} 0)' for i in range(count)])
    for asked in ((60, 20, 20), (98, 1, 1), (1, 1, 1)):
        found, _ = split(tmp_path, vector, train=asked[0], validation=asked[1], test=asked[2])
        got = Counter(a['split'] for a, _ in found)
        for name, share in zip(SPLITS, asked):
            assert got[name] >= 1
            assert abs(got[name] - share / sum(asked) * count) < 1 or got[name] == 1 or count < 100


def test_the_same_seed_gives_the_same_splits_another_one_others(tmp_path):
    vector = grouped(tmp_path / 'p.gpkg', np.random.default_rng(4))
    for options in (
        {'strategy': 'random'},
        {'strategy': 'group', 'group_field': 'tile'},
        {'strategy': 'blocks'},
        {'strategy': 'kfold'},
        {'strategy': 'kfold', 'group_field': 'tile'},
    ):
        first, again, other = (split(tmp_path, vector, seed=seed, **options)[0] for seed in (5, 5, 6))
        assert first == again != other


@pytest.mark.parametrize('folds', [2, 5, 7])
@pytest.mark.parametrize(
    'options, key',
    [
        ({}, None),
        ({'group_field': 'tile'}, lambda a, wkt: a['tile']),
        ({'block_size': 125.0}, None),
        ({'block_size': 125.0, 'group_field': 'tile'}, lambda a, wkt: a['tile']),
    ],
    ids=['plain', 'groups', 'blocks', 'groups, not blocks'],
)
def test_folds_are_of_about_the_same_size_and_cut_no_group(tmp_path, folds, options, key):
    vector = grouped(tmp_path / 'p.gpkg', np.random.default_rng(6), 300, 60)
    for seed in range(3):
        found, _ = split(tmp_path, vector, strategy='kfold', folds=folds, seed=seed, **options)
        sizes = Counter(a['fold'] for a, _ in found)
        assert sorted(sizes) == list(range(1, folds + 1))
        assert max(sizes.values()) - min(sizes.values()) <= (6 if options else 1)
        if key:
            assert all(len(of) == 1 for of in members(found, key, 'fold').values())


@pytest.mark.parametrize('name', ['out.gpkg', 'out.geojson', 'out.shp'])
def test_nothing_else_changes(tmp_path, name):
    columns = {
        'id': (ogr.OFTInteger64, [2**40 + i for i in range(9)]),
        'kind': (ogr.OFTString, [None, 'é', 'x' * 80, '', 'a', 'b', 'c', 'd', 'e']),
        'SPLIT': (ogr.OFTInteger, [7] * 9),
        'area': (ogr.OFTReal, [i / 7 for i in range(9)]),
    }
    wkts = [f'POLYGON Z (({i} 0 1,{i + 1} 1 3,{i + 1} 0 2,{i} 0 1))' for i in range(9)]
    vector = layer_of(tmp_path / 'p.gpkg', wkts, columns, ogr.wkbPolygon25D)
    found, _ = split(tmp_path, vector, name)
    for (attributes, wkt), (old, old_wkt) in zip(found, features(vector.path)):
        assert list(attributes) == ['id', 'kind', 'area', 'split'] and attributes['split'] in SPLITS
        assert attributes['id'] == old['id'] and attributes['area'] == pytest.approx(old['area'], rel=1e-14)
        assert attributes['kind'] == old['kind'] or (attributes['kind'], old['kind'], name) == (None, '', 'out.shp')
        assert wkt == old_wkt


def test_layers_of_several_geometry_types(tmp_path):
    square, two = 'POLYGON ((0 0,0 1,1 1,0 0))', 'MULTIPOLYGON (((0 0,0 1,1 1,0 0)),((5 5,5 6,6 6,5 5)))'
    cases = {
        'same': ([square] * 3, ogr.wkbPolygon),
        'multi': ([square, two, square], ogr.wkbMultiPolygon),
        'none': ([square, None, square], ogr.wkbPolygon),
        'mixed': (['POINT (1 2)', square, 'LINESTRING (0 0,1 1)'], ogr.wkbUnknown),
    }
    for name, (wkts, kind) in cases.items():
        vector = layer_of(tmp_path / f'{name}.gpkg', wkts, kind=ogr.wkbUnknown)
        found, _ = split(tmp_path, vector, f'{name}-out.gpkg')
        dataset = gdal.OpenEx(str(tmp_path / f'{name}-out.gpkg'))
        assert dataset.GetLayer(0).GetGeomType() == kind
        for wkt, (_, new) in zip(wkts, found):
            assert (new is None) == (wkt is None)
            if wkt and kind == ogr.wkbMultiPolygon:
                wkt = ogr.ForceToMultiPolygon(ogr.CreateGeometryFromWkt(wkt)).ExportToWkt()
            assert wkt is None or ogr.CreateGeometryFromWkt(new).Equals(ogr.CreateGeometryFromWkt(wkt))


def test_what_has_no_group_or_no_place_stays_together_and_is_told(tmp_path):
    tiles = [None if i % 4 == 0 else f't{i % 9}' for i in range(80)]
    wkts = [None if i % 10 == 0 else f'POINT ({i} {i % 7})' for i in range(80)]
    vector = layer_of(tmp_path / 'p.gpkg', wkts, {'tile': (ogr.OFTString, tiles)})
    found, events = split(tmp_path, vector, strategy='group', group_field='tile')
    assert all(len(splits) == 1 for splits in members(found, lambda a, _: a['tile']).values())
    warnings = [event.text for event in events if isinstance(event, Warn)]
    assert warnings == ["20 of 80 features have no value in the field 'tile'; they stay together as one group."]
    found, events = split(tmp_path, vector, strategy='blocks', block_size=10)
    assert len(members(found, lambda a, wkt: wkt)[None]) == 1
    assert any('8 of 80 features have no geometry' in event.text for event in events if isinstance(event, Warn))
    _, events = split(tmp_path, vector, strategy='random', group_field='tile')
    assert any("does not look at the field 'tile'" in event.text for event in events if isinstance(event, Warn))


def test_blocks_in_degrees_and_smaller_ones_where_all_lies_in_two_corners(tmp_path):
    wkts = [f'POINT ({x + i / 1000} {y})' for x, y in ((3, 50), (4, 51)) for i in range(20)]
    vector = layer_of(tmp_path / 'p.gpkg', wkts, epsg=4326)
    found, events = split(tmp_path, vector, strategy='blocks')
    assert set(shares(found)) == set(SPLITS)
    assert any('degrees' in event.text and 'no squares' in event.text for event in events if isinstance(event, Log))


def test_dealing_gives_every_split_a_group():
    for seed in range(50):
        rng = np.random.default_rng(seed)
        sizes = rng.integers(1, 100, int(rng.integers(5, 30)))
        asked = np.array([0.96, 0.0, 0.02, 0.01, 0.01])
        assert set(deal(sizes, asked, rng)) == {0, 2, 3, 4}
    few = {tuple(deal(np.ones(5, int), np.array([0.9, 0.05, 0.05]), np.random.default_rng(seed))) for seed in range(99)}
    assert len(few) == 20  # every choice of two among five, in either order


@pytest.mark.parametrize(
    'changes, kind, words',
    [
        ({'strategy': 'spatial'}, InvalidJob, 'group, blocks, random, kfold'),
        ({'strategy': 'group'}, InvalidJob, 'needs a field'),
        ({'strategy': 'group', 'group_field': 'no'}, InvalidJob, "no field 'no'; it has n, tile"),
        ({'strategy': 'group', 'group_field': 'tile'}, NoSamples, 'makes only 2 groups, but each of 3 splits'),
        ({'strategy': 'kfold', 'group_field': 'tile'}, NoSamples, 'makes only 2 groups, but each of 5 folds'),
        ({'strategy': 'blocks', 'block_size': 1e6}, NoSamples, 'only 1 blocks, .*smaller blocks'),
        ({'strategy': 'blocks', 'block_size': -1.0}, InvalidJob, '0 or more'),
        ({'strategy': 'blocks', 'block_size': float('nan')}, InvalidJob, '0 or more'),
        ({'strategy': 'kfold', 'folds': 1}, InvalidJob, 'at least 2'),
        ({'strategy': 'kfold', 'folds': 30}, NoSamples, 'only 20 features, but each of 30 folds'),
        ({'seed': -1}, InvalidJob, '0 or more'),
        ({'train': 0.0, 'validation': 0.0, 'test': 0.0}, InvalidJob, 'one of them above 0'),
        ({'test': -1.0}, InvalidJob, '0 or more'),
        ({'vector': 'missing.gpkg'}, InputMissing, 'no such file'),
        ({'vector': 'none.gpkg'}, NoSamples, 'no features in it'),
        ({'vector': 'nowhere.gpkg', 'strategy': 'blocks'}, NoSamples, 'no feature has a geometry'),
        ({'output': 'p.xyz'}, OutputRefused, 'endings'),
        ({'output': 'p.gpkg/out.gpkg'}, OutputRefused, 'cannot be written'),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line_and_leaves_nothing(tmp_path, changes, kind, words):
    columns = {'n': (ogr.OFTInteger, list(range(20))), 'tile': (ogr.OFTString, ['a', 'b'] * 10)}
    layer_of(tmp_path / 'p.gpkg', [f'POINT ({i} {i})' for i in range(20)], columns)
    layer_of(tmp_path / 'none.gpkg', [])
    layer_of(tmp_path / 'nowhere.gpkg', [None] * 5)
    before = sorted(os.listdir(tmp_path))
    vector = VectorSpec(str(tmp_path / changes.pop('vector', 'p.gpkg')))
    output = str(tmp_path / changes.pop('output', 'out.gpkg'))
    with pytest.raises(kind, match=words) as caught:
        split_samples(SplitSamplesJob(vector, output, **changes), Reporter())
    assert isinstance(caught.value, EngineError) and '\n' not in str(caught.value)
    assert sorted(os.listdir(tmp_path)) == before


def test_cancel_leaves_nothing(tmp_path):
    vector = layer_of(tmp_path / 'p.gpkg', [f'POINT ({i} 0)' for i in range(5)])
    reporter = Reporter()
    reporter.cancelled.set()
    with pytest.raises(Cancelled):
        split_samples(SplitSamplesJob(vector, str(tmp_path / 'out.gpkg')), reporter)
    assert os.listdir(tmp_path) == ['p.gpkg']
