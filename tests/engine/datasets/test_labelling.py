"""Labels from attributes of the points; values that stand for no label; text as classes."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from quadrat.engine.datasets.classtexts import class_values
from quadrat.engine.datasets.extraction import extract_patches
from quadrat.engine.datasets.labelling import smallest_type
from quadrat.engine.datasets.reader import Dataset
from quadrat.engine.datasets.tally import Tally
from quadrat.engine.errors import EngineError, InvalidJob, LabelError, NoSamples
from quadrat.engine.events import Reporter
from quadrat.engine.gdalio import gdal, gdal_type, ogr, osr
from quadrat.engine.jobs import ClassDef, ExtractPatchesJob, LabelPolygons, LabelRaster, SourceSpec, VectorSpec
from quadrat.engine.vector import VectorWriter, field

TRANSFORM = (600000.0, 2.0, 0.0, 5800000.0, 0.0, -2.0)


def wkt():
    crs = osr.SpatialReference()
    crs.ImportFromEPSG(32631)
    return crs.ExportToWkt()


def make(path, pixels, nodata=None):
    rows, cols = pixels.shape
    dataset = gdal.GetDriverByName('GTiff').Create(str(path), cols, rows, 1, gdal_type(pixels.dtype))
    dataset.SetGeoTransform(TRANSFORM)
    dataset.SetProjection(wkt())
    dataset.WriteRaster(0, 0, cols, rows, pixels.tobytes())
    if nodata is not None:
        dataset.GetRasterBand(1).SetNoDataValue(nodata)
    del dataset
    return str(path)


@pytest.fixture
def image(tmp_path):
    return make(tmp_path / 'image.tif', np.random.default_rng(0).integers(1, 3000, (60, 80)).astype('int16'))


def run(folder, image, values=(0,) * 6, kind=ogr.OFTInteger64, **changes):
    """The dataset of patches of 8 pixels at six points in a row, whose field ``kind`` holds `values`; what was said;
    the reasons of rejection by id."""
    points = str(folder / 'points.gpkg')
    with VectorWriter(points, wkt(), [field('id', ogr.OFTInteger64), field('kind', kind)]) as out:
        for number, value in enumerate(values):
            out.add_point(600000 + 2 * (10 * number + 8.5), 5800000 - 2 * 20.5, {'id': number, 'kind': value})
    rejected = str(folder / 'rejected.gpkg')
    source = SourceSpec((image,), patch_size=(8, 8))
    job = ExtractPatchesJob((source,), VectorSpec(points), str(folder / 'dataset'), rejected=rejected)
    events = []
    extract_patches(dataclasses.replace(job, **changes), Reporter(events.append))
    vector = gdal.OpenEx(rejected)
    reasons = {feature['id']: feature['reason'] for feature in vector.GetLayer(0)}
    return Dataset.open(job.output), '\n'.join(getattr(event, 'text', '') for event in events), reasons


# -- an attribute of the points ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    'values, kind, expected, names',
    [
        ((3, 3, 7, 1, 3, 7), ogr.OFTInteger, [3, 3, 7, 1, 3, 7], {}),
        ((3, -3, 70000, 1, 3, 7), ogr.OFTInteger64, [3, -3, 70000, 1, 3, 7], {}),
        ((3.0, 3.0, 7.0, -1.0, 3.0, 7.0), ogr.OFTReal, [3, 3, 7, -1, 3, 7], {}),
        (('3', '+3', ' 7', '1', '3', '7'), ogr.OFTString, [3, 3, 7, 1, 3, 7], {}),
        (('b', 'a', 'c', 'a', 'a', 'b'), ogr.OFTString, [2, 1, 3, 1, 1, 2], {1: 'a', 2: 'b', 3: 'c'}),
        (('1.1', '1.2', '1.1', '1.1', '1.2', '2'), ogr.OFTString, [1, 2, 1, 1, 2, 3], {1: '1.1', 2: '1.2', 3: '2'}),
    ],
)
def test_a_value_for_each_patch(tmp_path, image, values, kind, expected, names):
    dataset, _, reasons = run(tmp_path, image, values, kind, label_field='kind')
    labels = dataset.read('labels', range(6))
    assert not reasons and labels.shape == (6, 1, 1, 1) and labels.ravel().tolist() == expected
    assert labels.dtype == ('int32' if 70000 in expected else 'int16' if min(expected) < 0 else 'uint8')
    found = {c.value: c.name for c in dataset.manifest.classes}
    assert found == {value: names.get(value, str(value)) for value in sorted(set(expected))}
    assert {value: column.tolist() for value, column in dataset.samples.pixels.items()} == {
        value: [int(item == value) for item in expected] for value in set(expected)
    }


def test_points_without_a_value_are_rejected(tmp_path, image):
    dataset, said, reasons = run(tmp_path, image, ('a', None, 'b', '', ' ', 'a'), ogr.OFTString, label_field='kind')
    assert dataset.samples.ids == ('0', '2', '5') and dataset.read('labels', range(3)).ravel().tolist() == [1, 2, 1]
    assert reasons == dict.fromkeys((1, 3, 4), 'no class in the label field')
    assert '3 patches taken, 3 rejected: no class in the label field (3)' in said
    with pytest.raises(NoSamples, match=r'no class in the label field \(6\)'):
        run(tmp_path, image, (None,) * 6, label_field='kind')


def test_names_say_which_text_is_meant(tmp_path, image):
    named = (ClassDef(7, 'wood', '#00ff00'), ClassDef(9, 'acre'))
    texts = ('wood', 'acre', 'wood', 'wood', 'acre', 'wood')
    dataset, _, _ = run(tmp_path, image, texts, ogr.OFTString, label_field='kind', classes=named)
    assert dataset.read('labels', range(6)).ravel().tolist() == [7, 9, 7, 7, 9, 7]
    assert dataset.manifest.classes[0] == named[0] and dataset.manifest.classes[1].name == 'acre'
    legend = (ClassDef(0, 'wood', '#123456'), ClassDef(0, 'lake', '#000000'))
    dataset, _, _ = run(tmp_path, image, texts, ogr.OFTString, label_field='kind', legend=legend)
    assert dataset.manifest.classes[1] == ClassDef(2, 'wood', '#123456')
    for values, kind, words in (
        (('wood', 'lake', 'wood', 'wood', 'acre', 'wood'), ogr.OFTString, 'lake not among the named classes'),
        ((7, 9, 8, 7, 7, 9), ogr.OFTInteger64, r'8 \(1 pixels\)'),
    ):
        with pytest.raises(LabelError, match=f"points.gpkg, field 'kind'.*{words}"):
            run(tmp_path, image, values, kind, label_field='kind', classes=named)


def test_fractions_are_no_classes_but_for_the_peer(tmp_path, image):
    values = (1.0, 2.7, -2.7, 1.5, 0.2, 3.0)
    with pytest.raises(LabelError, match=r"field 'kind': -2\.7 is no class; whole numbers or text are"):
        run(tmp_path, image, values, ogr.OFTReal, label_field='kind')
    dataset, _, _ = run(tmp_path, image, values, ogr.OFTReal, label_field='kind', otbtf=True)
    assert dataset.read('labels', range(6)).ravel().tolist() == [1, 2, -2, 1, 0, 3]
    with pytest.raises(LabelError, match='4294967296 has more than 32 bits'):
        run(tmp_path, image, (1, 2, 2**32, 1, 1, 1), label_field='kind')


def test_the_image_rejects_patches_whatever_their_label(tmp_path):
    pixels = np.ones((60, 80), 'float32')
    pixels[20, 28] = np.nan  # the third patch
    path = make(tmp_path / 'holes.tif', pixels)
    dataset, _, reasons = run(tmp_path, path, (1, 2, 3, 1, 2, 3), label_field='kind')
    assert reasons == {2: 'no-data in the image'}
    assert dataset.read('labels', range(5)).ravel().tolist() == [1, 2, 1, 2, 3]
    dataset, _, reasons = run(tmp_path, path, (1, 2, 3, 1, 2, 3), label_field='kind', nodata_policy='all')
    assert not reasons and dataset.count == 6


def test_errors_of_label_fields(tmp_path, image):
    raster = LabelRaster(image)
    for changes, error, words in (
        ({'label_field': 'class'}, InvalidJob, "no field 'class'; it has id, kind"),
        ({'label_field': 'kind', 'labels': raster}, InvalidJob, 'give one of them'),
        ({'label_field': 'kind', 'polygons': LabelPolygons(VectorSpec(image))}, InvalidJob, 'give one of them'),
    ):
        with pytest.raises(error, match=words) as caught:
            run(tmp_path, image, **changes)
        assert isinstance(caught.value, EngineError) and '\n' not in str(caught.value)
    assert not (tmp_path / 'dataset').exists()


# -- values for pixels without label ----------------------------------------------------------------------------------


def test_the_value_of_pixels_without_label(tmp_path, image):
    labels = np.full((60, 80), 3, 'uint8')
    labels[:18], labels[18:20] = 0, 9
    raster = LabelRaster(make(tmp_path / 'labels.tif', labels[:, :60], 0))  # ends within the last patch but one
    dataset, _, _ = run(tmp_path, image, labels=raster, unlabelled=-1)
    info = dataset.manifest.labels
    assert (info.unlabelled, info.nodata, info.dtype) == (-1, 0, 'int16') and dataset.count == 6
    last = dataset.read('labels', [5])[0, ..., 0]
    np.testing.assert_array_equal(last, np.where(np.arange(8) < 6, labels[16:24, 54:62], -1))
    for value in (3, 9, 0):
        with pytest.raises(LabelError, match=f'UNLABELLED {value}: that is a class, or the no-data'):
            run(tmp_path, image, labels=raster, unlabelled=value)
    assert not (tmp_path / 'dataset.part').exists()


def test_the_smallest_type():
    assert smallest_type([1, 2], 0) == (np.dtype('uint8'), 0)
    assert smallest_type([1, 2], 300) == (np.dtype('uint16'), 300)
    assert smallest_type([-1, 40000]) == (np.dtype('int32'), 255)
    assert smallest_type(range(256)) == (np.dtype('uint16'), 65535)


# -- counting ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize('values', [(1, 2, 7), (-70000, 3, 10**9), (0,)])
def test_a_tally_counts_each_patch(values):
    rng = np.random.default_rng(0)
    labels = rng.choice(values, (50, 6, 7)).astype('int32')
    counted = rng.random(labels.shape) < 0.7
    counted[3] = False
    tally = Tally(60, 'somewhere')
    for start in range(0, 50, 20):
        part = np.arange(start, min(start + 20, 50))
        np.testing.assert_array_equal(tally.set(part + 10, labels[part], counted[part]), counted[part].sum((1, 2)))
    for value in values:
        expected = ((labels == value) & counted).sum((1, 2))
        np.testing.assert_array_equal(tally.of(value), [0] * 10 + expected.tolist())
    assert tally.values == sorted(values) and not tally.of(5).any()
    tally.set(np.array([12]), np.full((1, 6, 7), values[0]), np.ones((1, 6, 7), bool))  # in place of what was there
    assert sum(int(tally.of(value)[12]) for value in values) == tally.of(values[0])[12] == 42


def test_too_many_values_are_no_classes():
    for spread in (1, 50):
        with pytest.raises(LabelError, match='somewhere: more than 1000 different values'):
            labels = np.arange(2000).reshape(2, 1000) * spread
            Tally(2, 'somewhere').set(np.arange(2), labels, np.ones(labels.shape, bool))


def test_texts_and_values():
    assert class_values({'11', '-2'}, '', True) == ({'11': 11, '-2': -2}, ())
    values, names = class_values({'b', 'a', '5'}, '', True, outside=2)
    assert values == {'5': 1, 'a': 3, 'b': 4} and [c.name for c in names] == ['5', 'a', 'b']
    assert class_values({'2.9', '3'}, '', False, truncate=True)[0] == {'2.9': 2, '3': 3}


# -- polygons ---------------------------------------------------------------------------------------------------------


def test_all_pixels_that_a_polygon_touches(tmp_path, image):
    path = str(tmp_path / 'polygons.gpkg')
    with VectorWriter(path, wkt(), geometry_type=ogr.wkbPolygon) as out:
        corners = [(9.4, 18.6), (12.6, 18.6), (12.6, 21.2), (9.4, 21.2), (9.4, 18.6)]
        ring = ', '.join(f'{600000 + 2 * col} {5800000 - 2 * row}' for col, row in corners)
        out.add(ogr.CreateGeometryFromWkt(f'POLYGON(({ring}))'), {})
    for all_touched, (left, right, top, bottom) in ((False, (9, 13, 19, 21)), (True, (9, 13, 18, 22))):
        polygons = LabelPolygons(VectorSpec(path), outside=0, all_touched=all_touched)
        dataset, _, _ = run(tmp_path, image, polygons=polygons)
        expected = np.zeros((60, 80), int)
        expected[top:bottom, left:right] = 1
        np.testing.assert_array_equal(dataset.read('labels', [0])[0, ..., 0], expected[16:24, 4:12])
