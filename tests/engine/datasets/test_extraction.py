"""Extraction, checked against pixels cut by hand from the rasters."""

from __future__ import annotations

import csv
import dataclasses
import hashlib
import os
import resource
import threading
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from quadrat.engine.datasets.extraction import extract_patches
from quadrat.engine.datasets.manifest import read_manifest
from quadrat.engine.datasets.overlap import shared_pixels
from quadrat.engine.datasets.reader import Dataset
from quadrat.engine.errors import (
    Cancelled,
    DatasetError,
    DiskFull,
    EngineError,
    GridMismatch,
    InputMissing,
    InputUnreadable,
    InvalidJob,
    LabelError,
    NoSamples,
    OutputRefused,
)
from quadrat.engine.events import Progress, Reporter
from quadrat.engine.gdalio import gdal, gdal_type, ogr, osr
from quadrat.engine.grid import Grid
from quadrat.engine.jobs import (
    ClassDef,
    ExtractPatchesJob,
    LabelPolygons,
    LabelRaster,
    LayoutOptions,
    SelectPatchesJob,
    SourceSpec,
    VectorSpec,
)
from quadrat.engine.sampling.patches import select_patches
from quadrat.engine.vector import write_points

UTM = (600000.0, 2.0, 0.0, 5800000.0, 0.0, -2.0)
COLS, ROWS, SIZE = 90, 70, 8


def crs(epsg):
    out = osr.SpatialReference()
    out.ImportFromEPSG(epsg)
    out.SetAxisMappingStrategy(osr.OAMS_TRADITIONAL_GIS_ORDER)
    return out


def make(path, array, epsg=32631, transform=UTM, nodata=None):
    bands, rows, cols = array.shape
    dataset = gdal.GetDriverByName('GTiff').Create(str(path), cols, rows, bands, gdal_type(array.dtype), ['TILED=YES'])
    dataset.SetGeoTransform(transform)
    dataset.SetSpatialRef(crs(epsg))
    for number in range(bands):
        band = dataset.GetRasterBand(number + 1)
        band.WriteRaster(0, 0, cols, rows, np.ascontiguousarray(array[number]))
        if nodata is not None:
            band.SetNoDataValue(nodata)
    return str(path)


def points_at(path, pixels, splits=None, transform=UTM, epsg=32631, ids=None):
    """Points at the centres of pixels (col, row)."""
    grid = Grid('', transform, COLS, ROWS)
    xy = np.array([grid.centre(col, row) for col, row in pixels], float).reshape(-1, 2)
    columns = {'id': np.arange(len(pixels)) if ids is None else ids}
    if splits is not None:
        columns['split'] = list(splits)
    write_points(str(path), crs(epsg).ExportToWkt(), xy[:, 0], xy[:, 1], columns)
    return VectorSpec(str(path))


class Scene:
    """An image, labels and random points, with the arrays they were made from."""

    def __init__(self, folder, seed=0):
        rng = np.random.default_rng(seed)
        self.folder = folder
        self.image = rng.integers(0, 3000, (3, ROWS, COLS)).astype('int16')
        self.labels = rng.choice([11, 12, 41], (ROWS, COLS)).astype('uint8')
        self.pixels = [(int(rng.integers(4, COLS - 4)), int(rng.integers(4, ROWS - 4))) for _ in range(40)]
        self.splits = rng.choice(['train', 'validation', 'test'], 40).tolist()
        self.job = ExtractPatchesJob(
            sources=(SourceSpec((make(folder / 'image.tif', self.image),), patch_size=(SIZE, SIZE)),),
            points=points_at(folder / 'points.gpkg', self.pixels, self.splits),
            labels=LabelRaster(make(folder / 'labels.tif', self.labels[None])),
            output=str(folder / 'out' / 'dataset'),
        )

    def patch(self, array, pixel, size=SIZE):
        col, row = pixel[0] - size // 2, pixel[1] - size // 2
        return array[..., row : row + size, col : col + size]

    def run(self, **changes):
        self.events = []
        job = dataclasses.replace(self.job, **changes)
        self.values = extract_patches(job, Reporter(self.events.append))
        return Dataset.open(job.output)

    def text(self, kind):
        return '\n'.join(event.text for event in self.events if event.type == kind)

    def with_labels(self, array, nodata=None, transform=UTM, epsg=32631, **spec):
        return LabelRaster(make(self.folder / 'other.tif', array[None], epsg, transform, nodata), **spec)

    def with_image(self, array, nodata=None, **spec):
        spec = {'patch_size': (SIZE, SIZE), **spec}
        return (SourceSpec((make(self.folder / 'image2.tif', array, nodata=nodata),), **spec),)


@pytest.fixture
def scene(tmp_path):
    return Scene(tmp_path)


# -- pixels -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize('size', [(8, 8), (7, 5), (1, 1)])
@pytest.mark.parametrize('per_shard', [0, 7, 40])
def test_samples_are_the_pixels_around_the_points_in_their_order(scene, size, per_shard):
    source = dataclasses.replace(scene.job.sources[0], patch_size=size)
    dataset = scene.run(sources=(source,), layout=LayoutOptions(samples_per_shard=per_shard))
    assert dataset.count == scene.values['COUNT'] == 40 and scene.values['OUTPUT'] == scene.job.output
    everything = np.arange(40)
    image, labels = dataset.read('source1', everything), dataset.read('labels', everything)
    assert image.dtype == 'int16' and labels.dtype == 'uint8'
    for i, (col, row) in enumerate(scene.pixels):
        part = np.s_[..., row - size[1] // 2 :, col - size[0] // 2 :]
        expected = scene.image[part][:, : size[1], : size[0]].transpose(1, 2, 0)
        np.testing.assert_array_equal(image[i], expected)
        np.testing.assert_array_equal(labels[i, ..., 0], scene.labels[part][: size[1], : size[0]])
    for split in ('train', 'validation', 'test'):
        expected = [i for i, name in enumerate(scene.splits) if name == split]
        assert dataset.indices(split).tolist() == dataset.splits[split].tolist() == expected
    order = np.random.default_rng(1).integers(0, 40, 100)
    np.testing.assert_array_equal(dataset.read('source1', order), image[order])


def test_the_tables_count_what_is_in_the_shards(scene):
    dataset = scene.run(layout=LayoutOptions(samples_per_shard=9))
    labels = dataset.read('labels', range(40))[..., 0]
    table = dataset.samples
    for value in (11, 12, 41):
        np.testing.assert_array_equal(table.pixels[value], (labels == value).sum((1, 2)))
        for split, info in dataset.manifest.splits.items():
            assert info.pixels[str(value)] == (labels[dataset.splits[split]] == value).sum()
    assert table.ids == tuple(str(i) for i in range(40)) and set(table.images) == set(scene.job.sources[0].rasters)
    grid = Grid('', UTM, COLS, ROWS)
    assert [grid.pixel_at(x, y) for x, y in zip(table.x, table.y)] == scene.pixels
    for shard in dataset.manifest.shards:
        data = Path(dataset.folder, shard.path).read_bytes()
        assert (len(data), hashlib.sha256(data).hexdigest()) == (shard.size, shard.sha256)
    assert sorted(os.listdir(dataset.folder)) == sorted(
        ['manifest.json', 'samples.csv', *(shard.path for shard in dataset.manifest.shards)]
    )
    left, bottom, right, top = dataset.manifest.extent
    cols, rows = zip(*scene.pixels)
    assert (left, top) == grid.to_map(min(cols) - 4, min(rows) - 4)
    assert (right, bottom) == grid.to_map(max(cols) + 4, max(rows) + 4)


@pytest.mark.parametrize('dtype', ['uint8', 'uint16', 'float32'])
def test_statistics_are_of_valid_training_pixels_and_do_not_depend_on_shards(scene, dtype):
    image = (scene.image % 250).astype(dtype)
    image[:, 3::11, 5::7] = 9
    changes = {'sources': scene.with_image(image, nodata=9), 'nodata_policy': 'all'}
    results = [
        scene.run(layout=LayoutOptions(samples_per_shard=n), **changes).manifest.sources[0].statistics for n in (0, 3)
    ]
    assert results[0] == results[1]
    pixels = np.concatenate(
        [
            scene.patch(image, pixel).reshape(3, -1)
            for pixel, split in zip(scene.pixels, scene.splits)
            if split == 'train'
        ],
        1,
    ).astype(float)
    for statistics in results:
        valid = pixels[:, ~(pixels == 9).all(0)]
        assert statistics.count == (valid.shape[1],) * 3
        assert statistics.mean == pytest.approx(valid.mean(1), rel=1e-12)
        assert statistics.stddev == pytest.approx(valid.std(1), rel=1e-12)
        assert statistics.minimum == tuple(valid.min(1)) and statistics.maximum == tuple(valid.max(1))


def test_several_sources_of_one_pixel_size_and_another_extent(scene):
    shifted = np.zeros((1, ROWS + 10, COLS + 10), 'float32')
    shifted[0, 5 : 5 + ROWS, 3 : 3 + COLS] = scene.image[0] / 7
    transform = (UTM[0] - 3 * 2, 2.0, 0.0, UTM[3] + 5 * 2, 0.0, -2.0)
    path = make(scene.folder / 'b.tif', shifted, transform=transform)
    second = SourceSpec((path,), 'other', patch_size=(SIZE, SIZE))
    dataset = scene.run(sources=(*scene.job.sources, second))
    a, b = (dataset.read(key, range(40)) for key in ('source1', 'other'))
    np.testing.assert_array_equal((a[..., :1] / 7).astype('float32'), b)
    half_a_pixel = make(scene.folder / 'c.tif', shifted, transform=(UTM[0] + 1, 2.0, 0, UTM[3], 0, -2.0))
    with pytest.raises(GridMismatch, match='shifted'):
        scene.run(sources=(*scene.job.sources, SourceSpec((half_a_pixel,), 'c', patch_size=(SIZE, SIZE))))


def test_points_come_from_any_crs(scene):
    to_wgs84 = osr.CoordinateTransformation(crs(32631), crs(4326))
    grid = Grid('', UTM, COLS, ROWS)
    xy = np.array([to_wgs84.TransformPoint(*grid.centre(*pixel))[:2] for pixel in scene.pixels])
    xy = np.vstack([xy, [[3.0, 95.0], [np.nan, np.nan]]])
    path = str(scene.folder / 'wgs84.geojson')
    write_points(
        path,
        crs(4326).ExportToWkt(),
        xy[:, 0],
        xy[:, 1],
        {'id': np.arange(42), 'split': [*scene.splits, 'test', 'test']},
    )
    rejected = str(scene.folder / 'rejected.gpkg')
    dataset = scene.run(points=VectorSpec(path), rejected=rejected)
    assert dataset.count == 40
    np.testing.assert_array_equal(
        dataset.read('labels', range(40))[..., 0], [scene.patch(scene.labels, pixel) for pixel in scene.pixels]
    )
    layer = gdal.OpenEx(rejected)
    assert [f['id'] for f in layer.GetLayer(0)] == [40, 41]


def test_an_image_without_georeference(scene):
    dataset = gdal.GetDriverByName('GTiff').Create(str(scene.folder / 'bare.tif'), COLS, ROWS, 1, gdal.GDT_Byte)
    dataset.WriteRaster(0, 0, COLS, ROWS, scene.labels.tobytes())
    del dataset
    bare, points = str(scene.folder / 'bare.tif'), str(scene.folder / 'bare.gpkg')
    select_patches(SelectPatchesJob(bare, points, SIZE, block_size=16), Reporter())
    sources = (SourceSpec((bare,), patch_size=(SIZE, SIZE)),)
    dataset = scene.run(sources=sources, points=VectorSpec(points), labels=LabelRaster(bare))
    pixels, labels = (dataset.read(key, range(dataset.count)) for key in ('source1', 'labels'))
    np.testing.assert_array_equal(pixels, labels)
    assert dataset.manifest.crs == '' and 'CRS' not in scene.text('warning')


# -- rejections -------------------------------------------------------------------------------------------------------


def test_every_point_is_in_the_dataset_or_rejected_for_a_reason(scene):
    image = scene.image.copy()
    image[1, 40, 40] = -1
    labels = scene.labels.astype('float32')
    labels[50:60, 50:60] = np.nan
    pixels = [
        (4, 4),
        (3, 4),
        (89, 20),
        (90, 20),
        (20, -1),
        (40, 40),
        (44, 44),
        (45, 45),
        (54, 54),
        (20, 20),
        (20, 66),
        (20, 67),
    ]
    job = {
        'sources': scene.with_image(image, nodata=-1),
        'labels': scene.with_labels(labels, nodata=np.nan),
        'points': points_at(scene.folder / 'p.gpkg', pixels),
        'accepted': str(scene.folder / 'accepted.gpkg'),
        'rejected': str(scene.folder / 'rejected.gpkg'),
    }
    dataset = scene.run(**job, layout=LayoutOptions(samples_per_shard=2))
    files = {name: gdal.OpenEx(job[name]) for name in ('accepted', 'rejected')}
    accepted = {f['id']: (f['col'], f['row']) for f in files['accepted'].GetLayer(0)}
    reasons = {f['id']: f['reason'] for f in files['rejected'].GetLayer(0)}
    assert accepted == {i: pixels[i] for i in (0, 7, 9, 10)} and dataset.samples.ids == ('0', '7', '9', '10')
    edge, outside = 'patch reaches over the edge of the image', 'point outside the image'
    assert reasons == {
        1: edge,
        2: edge,
        11: edge,
        3: outside,
        4: outside,
        5: 'no-data in the image',
        6: 'no-data in the image',
        8: 'no labelled pixel',
    }
    for i, number in enumerate((0, 7, 9, 10)):
        np.testing.assert_array_equal(
            dataset.read('source1', [i])[0], scene.patch(image, pixels[number]).transpose(1, 2, 0)
        )
    log = scene.text('log')
    assert '4 patches taken, 8 rejected' in log and f'{edge} (3)' in log and f'{outside} (2)' in log


@pytest.mark.parametrize('per_shard', [0, 3, 16])
def test_patches_that_are_rejected_late_leave_no_gap(scene, per_shard):
    """Labels, the first and the second source each reject some; the others move up in the files of all."""
    rng = np.random.default_rng(2)
    first, second = scene.image.copy(), (scene.image[:1] / 3).astype('float32')
    labels = scene.labels.astype('int16') * 100
    for array, nodata in ((first, -1), (second, np.nan), (labels, 0)):
        for _ in range(3):
            col, row = rng.integers(0, COLS - 12), rng.integers(0, ROWS - 12)
            array[..., row : row + 12, col : col + 12] = nodata
    second_path = make(scene.folder / 'second.tif', second)
    sources = (*scene.with_image(first, nodata=-1), SourceSpec((second_path,), 'second', patch_size=(SIZE, SIZE)))
    other = scene.with_labels(labels, nodata=0)
    dataset = scene.run(
        sources=sources,
        labels=other,
        rejected=str(scene.folder / 'rejected.gpkg'),
        layout=LayoutOptions(samples_per_shard=per_shard),
    )
    kept = []
    for number, pixel in enumerate(scene.pixels):
        a, b, c = (scene.patch(array, pixel) for array in (first, second, labels))
        if (a != -1).all() and np.isfinite(b).all():
            kept.append((number, a.transpose(1, 2, 0), b.transpose(1, 2, 0), c))
    vector = gdal.OpenEx(str(scene.folder / 'rejected.gpkg'))
    reasons = {feature['reason'] for feature in vector.GetLayer(0)}
    assert reasons == {'no-data in the image (source1)', 'no-data in the image (second)'} and 5 < len(kept) < 35
    assert dataset.samples.ids == tuple(str(number) for number, *_ in kept)
    for i, (_, a, b, c) in enumerate(kept):
        np.testing.assert_array_equal(dataset.read('source1', [i])[0], a)
        np.testing.assert_array_equal(dataset.read('second', [i])[0], b)
        np.testing.assert_array_equal(dataset.read('labels', [i])[0, ..., 0], c)
    for shard in dataset.manifest.shards:
        data = Path(dataset.folder, shard.path).read_bytes()
        assert (len(data), hashlib.sha256(data).hexdigest()) == (shard.size, shard.sha256)


@pytest.mark.parametrize('layout, compression', [('tfrecords', 'gzip'), ('patchesimages', 'none')])
def test_other_layouts_hold_the_same_samples(scene, layout, compression):
    numpy = scene.run(output=str(scene.folder / 'out' / 'numpy'))
    options = LayoutOptions(layout, 7, compression)
    other = scene.run(layout=options)
    assert (other.manifest.layout, other.manifest.compression) == (layout, compression)
    assert not [name for name in os.listdir(other.folder) if name.endswith('.npy')]
    for key in ('source1', 'labels'):
        np.testing.assert_array_equal(other.read(key, range(40)), numpy.read(key, range(40)))
    assert other.manifest.sources == numpy.manifest.sources and other.samples.ids == numpy.samples.ids
    assert not other.manifest.unsplit and set(os.listdir(other.folder)) >= {'train', 'validation', 'test'}
    pixels = [(10, 10), (30, 30), (50, 50)]
    plain = scene.run(layout=options, points=points_at(scene.folder / 'p.gpkg', pixels))
    assert plain.manifest.unsplit and not (set(os.listdir(plain.folder)) & {'train', 'validation', 'test'})


def test_a_truncated_raster_leaves_nothing(scene):
    for name, change in (('sources', scene.job.sources[0].rasters[0]), ('labels', scene.job.labels.path)):
        whole = Path(change).read_bytes()
        with open(change, 'rb+') as file:
            file.truncate(len(whole) * 2 // 3)
        with pytest.raises(InputUnreadable, match=rf'{Path(change).name}: columns .* cannot be read'):
            scene.run()
        Path(change).write_bytes(whole)
        assert not os.listdir(scene.folder / 'out'), name


@pytest.mark.parametrize('policy, taken', [('any', 1), ('all', 2), ('ignore', 3)])
def test_nodata_policy(scene, policy, taken):
    image = scene.image.copy()
    image[0, 18:22, 18:22] = -5  # one band of a few pixels
    image[:, 36:44, 36:44] = -5  # a whole patch
    points = points_at(scene.folder / 'p.gpkg', [(20, 20), (40, 40), (60, 60)])
    dataset = scene.run(sources=scene.with_image(image, nodata=-5), points=points, nodata_policy=policy)
    assert dataset.count == taken
    assert dataset.manifest.sources[0].nodata == ('-5',) * 3


def test_no_patch_at_all_counts_the_reasons_and_leaves_nothing(scene):
    points = points_at(scene.folder / 'p.gpkg', [(0, 0), (1, 30), (-5, 5)])
    before = sorted(os.listdir(scene.folder))
    with pytest.raises(NoSamples, match=r'edge of the image \(2\), point outside the image \(1\)'):
        scene.run(points=points)
    assert sorted(os.listdir(scene.folder)) == sorted({*before, 'out'}) and not os.listdir(scene.folder / 'out')


# -- labels: image no-data, label no-data, unlabelled -----------------------------------------------------------------


def test_the_three_settings_each_take_their_pixels_and_say_so(scene):
    """Image no-data and pixels outside the label raster become unlabelled, label no-data keeps its value."""
    image = scene.image.copy()
    image[:, 20:24, 20:30] = -9  # 40 pixels
    labels = scene.labels[:, :50].copy()  # the raster ends at column 50
    labels[10:12, 40:48] = 0  # 16 pixels of no-data
    points = points_at(scene.folder / 'p.gpkg', [(24, 24), (46, 12), (30, 60)])
    dataset = scene.run(
        sources=scene.with_image(image, nodata=-9),
        labels=scene.with_labels(labels, nodata=0),
        points=points,
        nodata_policy='all',
    )
    info = dataset.manifest.labels
    assert (info.unlabelled, info.nodata, info.dtype) == (255, 0, 'uint8')
    full = np.full((ROWS, COLS), 255)
    full[:, :50] = labels
    full[20:24, 20:30] = 255
    stored = dataset.read('labels', range(3))[..., 0]
    np.testing.assert_array_equal(stored, [scene.patch(full, pixel) for pixel in ((24, 24), (46, 12), (30, 60))])
    assert [c.value for c in dataset.manifest.classes] == [11, 12, 41]
    log = scene.text('log')
    for words in (f'{(stored == 255)[0].sum()} (', '12 (6.2%) that are no-data of the labels', '0 ('):
        assert words in log
    assert '12 (6.2%) label pixels are left out: their value 0 is no-data' in scene.text('warning')
    assert 'name it among the classes' in scene.text('warning')


def test_patches_of_label_nodata_alone_stay_since_training_may_name_it_a_class(scene):
    labels = scene.labels.copy()
    labels[50:60, 50:60] = 0
    points = points_at(scene.folder / 'p.gpkg', [(20, 20), (54, 54)])
    dataset = scene.run(points=points, labels=scene.with_labels(labels, nodata=0))
    assert dataset.manifest.labels.nodata == 0
    assert (dataset.read('labels', [1]) == 0).all() and 0 not in dataset.samples.pixels


def test_a_nodata_value_that_the_style_names_is_a_class(scene):
    labels = scene.labels.copy()
    labels[50:60, 50:60] = 0
    spec = scene.with_labels(labels, nodata=0)
    points = points_at(scene.folder / 'p.gpkg', [(20, 20), (54, 54)])
    only_coloured = scene.run(points=points, labels=spec, legend=(ClassDef(0, '0', '#ffffff'), ClassDef(11, 'field')))
    assert only_coloured.manifest.labels.nodata == 0
    named = scene.run(points=points, labels=spec, legend=(ClassDef(0, 'background', '#ffffff'), ClassDef(11, 'field')))
    assert named.manifest.labels.nodata is None
    assert [c.name for c in named.manifest.classes] == ['background', 'field', '12', '41']


def test_a_nodata_value_named_among_the_classes_is_a_class(scene):
    labels = np.where(scene.labels == 11, 0, 1).astype('uint8')
    named = (ClassDef(0, 'background', '#ffffff'), ClassDef(1, 'building'))
    dataset = scene.run(labels=scene.with_labels(labels, nodata=0), classes=named)
    assert dataset.manifest.labels.nodata is None and 'no-data' not in scene.text('warning')
    assert [(c.value, c.name) for c in dataset.manifest.classes] == [(0, 'background'), (1, 'building')]
    assert dataset.manifest.classes[0].colour == '#ffffff' and dataset.manifest.classes[1].colour
    counts = Counter(np.concatenate([scene.patch(labels, pixel).ravel() for pixel in scene.pixels]).tolist())
    assert {v: int(n.sum()) for v, n in dataset.samples.pixels.items()} == counts
    without = scene.run(
        labels=scene.with_labels(
            labels,
            nodata=0,
        )
    )
    assert [c.value for c in without.manifest.classes] == [1]
    declared_off = scene.run(labels=dataclasses.replace(scene.with_labels(labels, nodata=0), nodata='none'))
    assert [c.value for c in declared_off.manifest.classes] == [0, 1]


@pytest.mark.parametrize(
    'values, dtype, stored, unlabelled',
    [
        ((11, 12, 255), 'uint8', 'uint8', 254),
        ((11, 12, 300), 'uint16', 'uint16', 255),
        ((-3, 12, 255), 'int16', 'int16', -32768),
        ((-3, 12, 41), 'int32', 'int16', 255),
        ((1, 2, 70000), 'float32', 'int32', 255),
        ((1, 2, -70000), 'float64', 'int32', 255),
    ],
)
def test_any_whole_numbers_in_the_smallest_type(scene, values, dtype, stored, unlabelled):
    labels = np.select([scene.labels == 11, scene.labels == 12], values[:2], values[2]).astype(dtype)
    info_of = scene.run(labels=scene.with_labels(labels))
    info = info_of.manifest.labels
    assert (info.dtype, info.unlabelled) == (stored, unlabelled)
    expected = np.array([scene.patch(labels, pixel) for pixel in scene.pixels])
    np.testing.assert_array_equal(info_of.read('labels', range(40))[..., 0], expected)
    assert [c.value for c in info_of.manifest.classes] == sorted(values)


def test_all_256_values_of_a_byte_leave_room_for_one_more(scene):
    labels = np.arange(ROWS * COLS).reshape(ROWS, COLS) % 256
    dataset = scene.run(labels=scene.with_labels(labels.astype('uint8')))
    assert dataset.manifest.labels.dtype == 'uint16' and dataset.manifest.labels.unlabelled == 65535


@pytest.mark.parametrize(
    'change, words',
    [
        (lambda a: np.where(a == 11, 0.5, a).astype('float32'), 'is no class value'),
        (lambda a: np.where(a == 11, 2.0**40, a), 'is no class value'),
        (lambda a: np.arange(a.size).reshape(a.shape).astype('int32'), 'more than 1000'),
    ],
)
def test_rasters_that_are_no_classes(scene, change, words):
    with pytest.raises(LabelError, match=words):
        scene.run(labels=scene.with_labels(change(scene.labels)))


def test_nodata_that_is_no_whole_number_cannot_be_a_class(scene):
    labels = scene.labels.astype('float32')
    labels[labels == 11] = np.nan
    dataset = scene.run(labels=scene.with_labels(labels, nodata=float('nan')))
    assert dataset.manifest.labels.nodata is None and [c.value for c in dataset.manifest.classes] == [12, 41]
    assert 'nan is no-data' in scene.text('warning')


def test_values_outside_the_named_classes_are_an_error(scene):
    with pytest.raises(LabelError, match=r'12 \(\d+ pixels\), 41 \(\d+ pixels\)'):
        scene.run(classes=(ClassDef(11, 'field'),))
    dataset = scene.run(classes=(ClassDef(41, 'water'), ClassDef(11, 'field'), ClassDef(12), ClassDef(99, 'snow')))
    assert [(c.value, c.name) for c in dataset.manifest.classes] == [
        (41, 'water'),
        (11, 'field'),
        (12, '12'),
        (99, 'snow'),
    ]
    assert "Class 99 (snow) has no pixel in the split 'train'" in scene.text('warning')


@pytest.mark.parametrize('factor', [2, 5])
def test_finer_labels_cover_the_same_ground(scene, factor):
    fine = np.random.default_rng(3).integers(1, 5, (ROWS * factor, COLS * factor)).astype('uint8')
    image = scene.image.copy()
    image[:, scene.pixels[0][1], scene.pixels[0][0]] = -7
    transform = (UTM[0], 2 / factor, 0, UTM[3], 0, -2 / factor)
    dataset = scene.run(
        labels=scene.with_labels(fine, transform=transform),
        sources=scene.with_image(image, nodata=-7),
        nodata_policy='all',
    )
    size = SIZE * factor
    assert dataset.manifest.labels.shape == (size, size, 1)
    full = np.where(np.kron((image == -7).all(0), np.ones((factor, factor), bool)), 255, fine)
    for i, (col, row) in enumerate(scene.pixels):
        top, left = (row - SIZE // 2) * factor, (col - SIZE // 2) * factor
        np.testing.assert_array_equal(
            dataset.read('labels', [i])[0, ..., 0], full[top : top + size, left : left + size]
        )


def test_coarser_labels_need_patches_on_whole_pixels(scene):
    coarse = np.random.default_rng(3).integers(1, 5, (ROWS // 2, COLS // 2)).astype('uint8')
    labels = scene.with_labels(coarse, transform=(UTM[0], 4.0, 0, UTM[3], 0, -4.0))
    dataset = scene.run(labels=labels)
    even = [pixel for pixel in scene.pixels if pixel[0] % 2 == pixel[1] % 2 == 0]
    assert dataset.count == len(even) and 'patch covers no whole label pixels' in scene.text('log')
    for i, (col, row) in enumerate(even):
        top, left = (row - 4) // 2, (col - 4) // 2
        np.testing.assert_array_equal(dataset.read('labels', [i])[0, ..., 0], coarse[top : top + 4, left : left + 4])
    with pytest.raises(GridMismatch, match='multiple of 2'):
        scene.run(labels=labels, sources=(dataclasses.replace(scene.job.sources[0], patch_size=(7, 7)),))


@pytest.mark.parametrize(
    'transform, epsg, words',
    [
        (UTM, 32632, 'EPSG:32631.*EPSG:32632'),
        ((UTM[0], 3.0, 0, UTM[3], 0, -3.0), 32631, 'must be a whole number'),
        ((UTM[0] + 0.7, 2.0, 0, UTM[3], 0, -2.0), 32631, 'shifted'),
    ],
)
def test_labels_on_grids_that_do_not_fit(scene, transform, epsg, words):
    with pytest.raises(GridMismatch, match=words):
        scene.run(labels=scene.with_labels(scene.labels, transform=transform, epsg=epsg))


def test_names_and_colours_of_the_label_raster(scene):
    labels = scene.with_labels((scene.labels // 10).astype('uint8'))  # values 1 and 4
    dataset = gdal.Open(labels.path, gdal.GA_Update)
    band = dataset.GetRasterBand(1)
    table = gdal.ColorTable()
    table.SetColorEntry(1, (1, 2, 3, 255))
    table.SetColorEntry(4, (250, 251, 252, 255))
    band.SetColorTable(table)
    del band, dataset
    found = scene.run(labels=labels).manifest.classes
    assert found == (ClassDef(1, '1', '#010203'), ClassDef(4, '4', '#fafbfc'))
    (scene.folder / 'other.qml').write_text(
        '<!DOCTYPE qgis><qgis><pipe><rasterrenderer type="paletted" band="1"><colorPalette>'
        '<paletteEntry value="1" label="Field &amp; meadow" color="#00ff00" alpha="255"/>'
        '<paletteEntry value="9" label="Snow" color="#0000ff"/></colorPalette></rasterrenderer></pipe></qgis>'
    )
    found = scene.run(labels=labels).manifest.classes
    assert found == (ClassDef(1, 'Field & meadow', '#00ff00'), ClassDef(4, '4', '#fafbfc'))
    found = scene.run(labels=labels, legend=(ClassDef(4, 'Water'), ClassDef(1, '', '#123456'))).manifest.classes
    assert found == (ClassDef(1, 'Field & meadow', '#123456'), ClassDef(4, 'Water', '#fafbfc'))


def test_names_from_an_attribute_table(scene):
    labels = scene.with_labels(scene.labels)
    gdal.SetConfigOption('GDAL_PAM_ENABLED', 'YES')
    try:
        dataset = gdal.Open(labels.path)
        table = gdal.RasterAttributeTable()
        for name, kind, usage in (
            ('Value', gdal.GFT_Integer, gdal.GFU_MinMax),
            ('Class', gdal.GFT_String, gdal.GFU_Name),
        ):
            table.CreateColumn(name, kind, usage)
        table.SetRowCount(1)
        table.SetValueAsInt(0, 0, 41)
        table.SetValueAsString(0, 1, 'Water')
        dataset.GetRasterBand(1).SetDefaultRAT(table)
        del dataset
    finally:
        gdal.SetConfigOption('GDAL_PAM_ENABLED', 'NO')
    assert [c.name for c in scene.run(labels=labels).manifest.classes] == ['11', '12', 'Water']


# -- polygons ---------------------------------------------------------------------------------------------------------


def write_polygons(path, items, kind=ogr.OFTInteger, epsg=32631):
    """Rectangles ((col, row, width, height) on the image's grid, value) in the CRS `epsg`; None for no geometry."""
    dataset = gdal.GetDriverByName('GPKG').Create(str(path), 0, 0, 0, gdal.GDT_Unknown)
    layer = dataset.CreateLayer('polygons', crs(epsg), ogr.wkbUnknown)
    layer.CreateField(ogr.FieldDefn('class', kind))
    grid = Grid('', UTM, COLS, ROWS)
    to_crs = osr.CoordinateTransformation(crs(32631), crs(epsg))
    for box, value in items:
        feature = ogr.Feature(layer.GetLayerDefn())
        if value is not None:
            feature.SetField(0, value)
        if isinstance(box, str):
            feature.SetGeometry(ogr.CreateGeometryFromWkt(box))
        else:
            c, r, w, h = box
            corners = [grid.to_map(*p) for p in ((c, r), (c + w, r), (c + w, r + h), (c, r + h), (c, r))]
            ring = ','.join(f'{x:.9f} {y:.9f}' for x, y in corners)
            geometry = ogr.CreateGeometryFromWkt(f'POLYGON(({ring}))')
            geometry.Transform(to_crs)
            feature.SetGeometry(geometry)
        layer.CreateFeature(feature)
    return VectorSpec(str(path))


@pytest.mark.parametrize('epsg', [32631, 4326, 32632])
def test_polygons_are_burnt_on_the_grid_and_the_last_one_wins(scene, epsg):
    boxes = [((5, 5, 30, 40), 3), ((20, 20, 40, 20), -7), ((60, 10, 3, 50), 3), ((22, 22, 5, 5), 500)]
    expected = np.full((ROWS, COLS), 255)
    for (c, r, w, h), value in boxes:
        expected[r : r + h, c : c + w] = value
    spec = write_polygons(scene.folder / 'p.gpkg', boxes, epsg=epsg)
    dataset = scene.run(labels=None, polygons=LabelPolygons(spec, 'class'), rejected=str(scene.folder / 'r.gpkg'))
    patches = [scene.patch(expected, pixel) for pixel in scene.pixels]
    kept = [patch for patch in patches if (patch != 255).any()]
    np.testing.assert_array_equal(dataset.read('labels', range(dataset.count))[..., 0], kept)
    assert [c.value for c in dataset.manifest.classes] == [-7, 3, 500] and dataset.manifest.labels.unlabelled == 255
    assert not [name for name in os.listdir(dataset.folder) if name.endswith('.tif')]
    outside = scene.run(labels=None, polygons=LabelPolygons(spec, 'class', outside=0))
    np.testing.assert_array_equal(
        outside.read('labels', range(40))[..., 0], np.where(np.array(patches) == 255, 0, patches)
    )
    assert outside.manifest.classes[1].name == 'outside'


def test_classes_of_polygons(scene):
    boxes = [(0, 0, 30, 70), (30, 0, 30, 70), (60, 0, 30, 70)]

    def classes(texts, kind=ogr.OFTString, field='class', outside=None, **changes):
        spec = write_polygons(scene.folder / 'p.gpkg', list(zip(boxes, texts)), kind)
        found = scene.run(labels=None, polygons=LabelPolygons(spec, field, outside), **changes).manifest.classes
        return [(c.value, c.name) for c in found]

    assert classes(['wood', 'acre', 'wood']) == [(1, 'acre'), (2, 'wood')]
    assert classes(['wood', 'acre', None], outside=1) == [(1, 'outside'), (2, 'acre'), (3, 'wood')]
    assert '1 features are left out' in scene.text('warning')
    assert classes(['11', '42', '11']) == [(11, '11'), (42, '42')]
    assert classes([2.0, 5.0, 2.0], ogr.OFTReal) == [(2, '2'), (5, '5')]
    assert classes(['wood', 'acre', 'wood'], field='') == [(1, 'inside')]
    named = (ClassDef(7, 'acre', '#00ff00'), ClassDef(9, 'wood'))
    assert classes(['wood', 'acre', 'wood'], classes=named) == [(7, 'acre'), (9, 'wood')]
    assert classes(['wood', 'acre', None], classes=named, outside=0) == [(7, 'acre'), (9, 'wood'), (0, 'outside')]
    assert classes(['1', '2', None], legend=(ClassDef(2, 'two'),)) == [(1, '1'), (2, 'two')]
    for texts, changes, words in (
        (['wood', 'lake', 'acre'], {'classes': named}, 'lake not among the named classes'),
        ([1.5, 2.0, 3.0], {'kind': ogr.OFTReal}, '1.5 is no class'),
    ):
        with pytest.raises(LabelError, match=words):
            classes(texts, **changes)
    with pytest.raises(InvalidJob, match="no field 'kind'; it has class"):
        classes(['a', 'b', 'c'], field='kind')
    with pytest.raises(InvalidJob, match='OUTSIDE is 1'):
        classes(['a', 'b', 'c'], field='', outside=1)


def test_geometries_that_are_no_polygons_are_left_out_with_a_word(scene):
    items = [((0, 0, 90, 70), 1), ('POINT(600050 5799950)', 3), ('POLYGON EMPTY', 4)]
    dataset = scene.run(labels=None, polygons=LabelPolygons(write_polygons(scene.folder / 'p.gpkg', items), 'class'))
    assert [c.value for c in dataset.manifest.classes] == [1] and '2 features are left out' in scene.text('warning')


def test_invalid_polygons_are_repaired_with_a_word(scene):
    """A bow tie is its two triangles."""
    bow_tie = 'POLYGON((600010 5799990, 600090 5799900, 600090 5799990, 600010 5799900, 600010 5799990))'
    triangles = 'MULTIPOLYGON(((600010 5799990, 600050 5799945, 600010 5799900, 600010 5799990)),' + (
        '((600090 5799990, 600050 5799945, 600090 5799900, 600090 5799990)))'
    )
    found = []
    for name, shape in (('tie', bow_tie), ('triangles', triangles)):
        vector = write_polygons(scene.folder / f'{name}.gpkg', [((0, 0, 90, 70), 1), (shape, 2)])
        dataset = scene.run(labels=None, polygons=LabelPolygons(vector, 'class'))
        found.append(dataset.read('labels', np.arange(dataset.count)))
        assert ('1 invalid polygons' in scene.text('warning')) == (name == 'tie')
    np.testing.assert_array_equal(*found)
    assert (found[0] == 2).any()


# -- splits -----------------------------------------------------------------------------------------------------------


def test_splits_are_checked(scene):
    pixels = [(10, 10), (30, 30), (50, 50)]
    for splits, words in ((['train', 'valid', 'test'], "'valid' \\(1 points\\)"), (['train', '', 'test'], "'' \\(1")):
        with pytest.raises(InvalidJob, match=words):
            scene.run(points=points_at(scene.folder / 'p.gpkg', pixels, splits))
    with pytest.raises(InvalidJob, match="no field 'fold'"):
        scene.run(split_field='fold')
    dataset = scene.run(points=points_at(scene.folder / 'p.gpkg', pixels))
    assert list(dataset.splits) == ['train'] and dataset.indices('train').tolist() == [0, 1, 2]
    assert dataset.indices('validation').tolist() == []


def test_overlapping_splits_and_missing_classes_are_warned_of(scene):
    labels = np.where(np.arange(COLS) < 45, 1, 2)[None].repeat(ROWS, 0).astype('uint8')
    points = points_at(scene.folder / 'p.gpkg', [(20, 20), (60, 20), (22, 23)], ['train', 'train', 'test'])
    scene.run(points=points, labels=scene.with_labels(labels))
    assert '30 pixels lie in patches of more than one split' in scene.text('warning')  # 6 x 5
    assert "Class 2 (2) has no pixel in the split 'test'" in scene.text('warning')


def test_shared_pixels_against_painting():
    rng = np.random.default_rng(0)
    for _ in range(20):
        cols, rows = rng.integers(0, 50, 12), rng.integers(0, 40, 12)
        splits = rng.choice(['a', 'b', 'c'], 12)
        painted = np.zeros((3, 60, 60), bool)
        for col, row, split in zip(cols, rows, splits):
            painted['abc'.index(split), row : row + 7, col : col + 9] = True
        grid = Grid('', UTM, 60, 60)
        assert shared_pixels(grid, cols, rows, (9, 7), splits) == (painted.sum(0) > 1).sum()


# -- the folder -------------------------------------------------------------------------------------------------------


def test_what_is_not_ours_is_never_replaced(scene):
    folder = scene.folder / 'out' / 'dataset'
    folder.mkdir(parents=True)
    scene.run()  # an empty folder is fine
    first = read_manifest(str(folder)).fingerprint()
    (folder / 'notes.txt').write_text('mine')
    with pytest.raises(OutputRefused, match=r'notes\.txt, which is no part'):
        scene.run()
    (folder / 'notes.txt').unlink()
    assert (
        scene.run(layout=LayoutOptions(samples_per_shard=5)).manifest.fingerprint() != first
    )  # a dataset of ours is replaced
    assert sorted(os.listdir(scene.folder / 'out')) == ['dataset']
    other = scene.folder / 'other'
    other.mkdir()
    (other / 'thesis.doc').write_text('mine')
    for output in (other, scene.folder / 'labels.tif'):
        with pytest.raises(OutputRefused):
            scene.run(output=str(output))
    assert os.listdir(other) == ['thesis.doc']


@pytest.mark.parametrize('when', [0.1, 0.9])
def test_cancelling_leaves_the_old_dataset_and_nothing_else(scene, when):
    old = scene.run().manifest.fingerprint()
    cancelled = threading.Event()

    def listen(event):
        if isinstance(event, Progress) and event.fraction >= when:
            cancelled.set()

    reporter = Reporter(listen, cancelled)
    reporter.INTERVAL = 0
    with pytest.raises(Cancelled):
        extract_patches(scene.job, reporter)
    assert read_manifest(scene.job.output).fingerprint() == old
    assert sorted(os.listdir(scene.folder / 'out')) == ['dataset']


def test_a_full_disk_is_one_line_and_nothing_is_left(scene):
    """Writing fails as it does on a full disk: the system refuses to let the file grow."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
    try:
        with pytest.raises(DiskFull) as caught:
            scene.run()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert '\n' not in str(caught.value) and scene.job.output in str(caught.value)
    assert os.listdir(scene.folder / 'out') == []


def test_errors_are_one_line_and_nothing_is_written_beside_the_inputs(scene):
    (scene.folder / 'text.tif').write_text('no raster')
    (scene.folder / 'file').write_text('')
    before = sorted(os.listdir(scene.folder))
    gone, text = str(scene.folder / 'gone.tif'), str(scene.folder / 'text.tif')
    cases = [
        (InputMissing, 'gone.tif', {'sources': (SourceSpec((gone,)),)}),
        (InputUnreadable, 'text.tif', {'sources': (SourceSpec((text,)),)}),
        (InputMissing, 'gone.tif', {'points': VectorSpec(gone)}),
        (InputUnreadable, 'text.tif', {'points': VectorSpec(text)}),
        (InputUnreadable, 'no layer', {'points': dataclasses.replace(scene.job.points, layer='x')}),
        (InputMissing, 'gone.tif', {'labels': LabelRaster(gone)}),
        (InvalidJob, 'one of them', {'polygons': LabelPolygons(scene.job.points)}),
        (LabelError, 'no polygon', {'labels': None, 'polygons': LabelPolygons(scene.job.points)}),
        (InvalidJob, 'different names', {'sources': scene.job.sources * 2}),
        (OutputRefused, 'endings', {'rejected': str(scene.folder / 'r.xyz')}),
        (OutputRefused, 'cannot be written', {'output': str(scene.folder / 'file' / 'dataset')}),
    ]
    for kind, words, changes in cases:
        with pytest.raises(kind, match=words) as caught:
            scene.run(**changes)
        assert isinstance(caught.value, EngineError) and '\n' not in str(caught.value)
    scene.run(labels=None)
    assert sorted(os.listdir(scene.folder)) == sorted({*before, 'out'})


# -- reading back -----------------------------------------------------------------------------------------------------


def test_damage_is_named(scene):
    dataset = scene.run(layout=LayoutOptions(samples_per_shard=10))
    shard = os.path.join(dataset.folder, 'source1-00002.npy')
    whole = Path(shard).read_bytes()

    def damage(path, data, words):
        before = Path(path).read_bytes()
        os.remove(path)
        if data is not None:
            with open(path, 'wb') as file:
                file.write(data)
        with pytest.raises(DatasetError, match=words):
            Dataset.open(dataset.folder)
        with open(path, 'wb') as file:
            file.write(before)

    damage(shard, None, 'source1-00002.npy: this part of the dataset is missing')
    damage(shard, whole[:-1], r'source1-00002\.npy: \d+ bytes')
    damage(shard, b'\0' * len(whole), r'source1-00002\.npy: cannot be read')
    damage(shard, whole.replace(b"'<i2'", b"'<u2'", 1), r'source1-00002\.npy: holds uint16')
    table = os.path.join(dataset.folder, 'samples.csv')
    rows = Path(table).read_bytes().splitlines(True)
    damage(table, b''.join(rows[:-1]), r'samples\.csv: 39 samples')
    damage(table, None, r'samples\.csv: cannot be read')
    manifest = os.path.join(dataset.folder, 'manifest.json')
    damage(manifest, b'{}', 'not the manifest')
    damage(manifest, b'{"quadrat"', 'cannot be read')
    assert Dataset.open(dataset.folder).count == 40
    with pytest.raises(DatasetError, match='no source'):
        dataset.read('source9', [0])
    with pytest.raises(IndexError):
        dataset.read('source1', [40])


def test_many_shards_read_by_threads(scene):
    dataset = scene.run(layout=LayoutOptions(samples_per_shard=1))
    expected = dataset.read('source1', range(40))
    wrong = []

    def work(seed):
        order = np.random.default_rng(seed).integers(0, 40, 30)
        if not np.array_equal(dataset.read('source1', order), expected[order]):
            wrong.append(seed)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


# -- real images ------------------------------------------------------------------------------------------------------


@pytest.mark.baseline
@pytest.mark.parametrize('which', ['spot', 'atlanta'])
def test_a_real_image_pixel_by_pixel(tmp_path, shared, which):
    """Patches and labels equal those cut by hand, and the histogram of labels is the raster's over the patches."""
    if which == 'spot':
        suite = shared / 'data/otbtf-suite/data'
        image, labels = suite / 'fake_spot6.jp2', suite / 'amsterdam_labelimage.tif'
        how = {'labels': LabelRaster(str(labels)), 'classes': (ClassDef(0, 'other'), ClassDef(1, 'building'))}
        truth = gdal.Open(str(labels)).ReadAsArray(0, 0, 1024, 1024)
    else:
        image, polygons = shared / 'data/atlanta/worldview_pan.tif', shared / 'data/atlanta/buildings.geojson'
        how = {'polygons': LabelPolygons(VectorSpec(str(polygons)), outside=0)}
        source, vector = gdal.Open(str(image)), gdal.OpenEx(str(polygons))
        target = gdal.GetDriverByName('MEM').Create('', source.RasterXSize, source.RasterYSize)
        target.SetGeoTransform(source.GetGeoTransform())
        target.SetProjection(source.GetProjection())
        gdal.RasterizeLayer(target, [1], vector.GetLayer(0), burn_values=[1])
        truth = target.ReadAsArray()
    points = str(tmp_path / 'points.gpkg')
    select_patches(SelectPatchesJob(str(image), points, step=48, buffer=10), Reporter())
    job = ExtractPatchesJob((SourceSpec((str(image),)),), VectorSpec(points), str(tmp_path / 'dataset'), **how)
    count = extract_patches(job, Reporter())['COUNT']
    dataset = Dataset.open(job.output)
    pixels = gdal.Open(str(image)).ReadAsArray()
    pixels = pixels if pixels.ndim == 3 else pixels[None]
    with open(tmp_path / 'dataset/samples.csv') as file:
        rows = list(csv.DictReader(file))
    layer = gdal.OpenEx(points)
    histogram: Counter = Counter()
    for i, feature in enumerate(layer.GetLayer(0)):
        row, col = feature['row'] - 32, feature['col'] - 32
        label = truth[row : row + 64, col : col + 64]
        np.testing.assert_array_equal(
            dataset.read('source1', [i])[0], pixels[:, row : row + 64, col : col + 64].transpose(1, 2, 0)
        )
        np.testing.assert_array_equal(dataset.read('labels', [i])[0, ..., 0], label)
        assert rows[i]['split'] == feature['split'] and int(rows[i]['class_1']) == label.sum()
        histogram.update(label.ravel().tolist())
    assert i + 1 == count
    found = Counter()
    for info in dataset.manifest.splits.values():
        found.update({int(value): number for value, number in info.pixels.items()})
    assert found == histogram
