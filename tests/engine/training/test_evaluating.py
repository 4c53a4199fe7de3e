"""Evaluation: the figures are those of the pixels, on patches and on the ground alike."""

from __future__ import annotations

import csv
import itertools
import json
import os
import tempfile
from pathlib import Path

import keras
import numpy as np
import pytest
from sklearn import metrics

from quadrat import engine
from quadrat.engine import jobs
from quadrat.engine.datasets.reader import Dataset
from quadrat.engine.errors import (
    BandMismatch,
    EngineError,
    InvalidJob,
    LabelError,
    ModelError,
    NoSamples,
    OutputRefused,
)
from quadrat.engine.events import Log, Warn
from quadrat.engine.gdalio import gdal, gdal_type, ogr, osr
from quadrat.engine.jobs import ClassDef, EvaluateJob, LabelPolygons, LabelRaster, SourceSpec, VectorSpec
from quadrat.engine.model_package.card import InputCard, ModelCard, OutputCard, ReceptiveField
from quadrat.engine.model_package.package import write_package

SIDE, PATCH, WEST, NORTH, PIXEL = 64, 16, 600000, 5800000, 2
CLASSES = (ClassDef(9, 'stripes', '#ff0000'), ClassDef(3, 'dark', '#00ff00'), ClassDef(7, 'bright'))  # bands' order
VALUES = np.array([item.value for item in CLASSES])
FILL = (500.0, 500.0, 500.0)


def write(path, pixels, nodata=None, pixel: float = PIXEL) -> str:
    pixels = np.atleast_3d(pixels)
    rows, cols, bands = pixels.shape
    dataset = gdal.GetDriverByName('GTiff').Create(str(path), cols, rows, bands, gdal_type(pixels.dtype))
    dataset.SetGeoTransform((WEST, pixel, 0, NORTH, 0, -pixel))
    crs = osr.SpatialReference()
    crs.ImportFromEPSG(32631)
    dataset.SetSpatialRef(crs)
    for number in range(1, bands + 1):
        if nodata is not None:
            dataset.GetRasterBand(number).SetNoDataValue(nodata)
    dataset.WriteRaster(0, 0, cols, rows, np.ascontiguousarray(pixels.transpose(2, 0, 1)).tobytes())
    return str(path)


def write_vector(path, shapes, kind=ogr.OFTString) -> VectorSpec:
    """A layer of (WKT in pixels of the image, class)."""
    dataset = ogr.GetDriverByName('GPKG').CreateDataSource(str(path))
    crs = osr.SpatialReference()
    crs.ImportFromEPSG(32631)
    layer = dataset.CreateLayer('shapes', crs, ogr.wkbUnknown)
    layer.CreateField(ogr.FieldDefn('class', kind))
    for points, value in shapes:
        places = [f'{WEST + col * PIXEL} {NORTH - row * PIXEL}' for col, row in points]
        text = f'POINT({places[0]})' if len(places) == 1 else f'POLYGON(({", ".join([*places, places[0]])}))'
        feature = ogr.Feature(layer.GetLayerDefn())
        feature.SetGeometry(ogr.CreateGeometryFromWkt(text))
        if value is not None:
            feature.SetField('class', value)
        layer.CreateFeature(feature)
    return VectorSpec(str(path))


class Scene:
    """An image of which a part has no data, labels, and what a model of single pixels makes of it."""

    def __init__(self, folder: Path) -> None:
        rng = np.random.default_rng(0)
        self.folder = folder
        self.pixels = rng.integers(100, 1000, (SIDE, SIDE, 3)).astype(np.int16)
        self.pixels[20:25, 30:37] = 0
        self.valid = (self.pixels != 0).any(-1)
        self.image = write(folder / 'image.tif', self.pixels, 0)
        keras.utils.set_random_seed(1)
        source = keras.Input((None, None, 3), name='source1')
        x = keras.layers.Rescaling(1 / 250, -2)(source)
        self.network = keras.Model(
            source, {'probabilities': keras.layers.Conv2D(3, 1, activation='softmax', name='probabilities')(x)}
        )
        self.model = str(folder / 'package')
        self.card = ModelCard(
            'Pixels', 'segmentation', 'own', (self.input_card(),), (OutputCard('probabilities', 3, CLASSES),)
        )
        write_package(self.model, self.network, self.card)
        self.probabilities = self.network.predict(self.pixels[None].astype('float32'), verbose=0)['probabilities'][0]
        self.found = VALUES[self.probabilities.argmax(-1)]
        # Labels are often right, so that all scores differ.
        self.truth = np.where(rng.random((SIDE, SIDE)) < 0.6, self.found, rng.choice([3, 7, 9], (SIDE, SIDE)))
        self.truth = self.truth.astype(np.uint8)
        self.truth[:9, :30] = 255
        self.labels = write(folder / 'labels.tif', self.truth, 255)
        engine.run(jobs.SelectPatchesJob(self.image, str(folder / 'points.gpkg'), patch_size=PATCH, strategy='all'))

    def input_card(self, **fields) -> InputCard:
        field = {'field': ReceptiveField(0, 0, 0, 0), 'nodata_policy': 'all', 'nodata': ('0',) * 3, **fields}
        return InputCard('source1', ('B1', 'B2', 'B3'), fill=FILL, **field)

    def dataset(self, name: str, **fields) -> str:
        """All the ground in patches; the model's source is the second."""
        sources = tuple(SourceSpec((self.image,), name, patch_size=(PATCH, PATCH)) for name in ('other', 'source1'))
        fields = {'sources': sources, 'points': VectorSpec(str(self.folder / 'points.gpkg')), **fields}
        if 'label_field' not in fields:
            fields.setdefault('labels', LabelRaster(self.labels))
        engine.run(jobs.ExtractPatchesJob(output=str(self.folder / name), nodata_policy='all', **fields))
        return str(self.folder / name)


@pytest.fixture(scope='module')
def scene(tmp_path_factory) -> Scene:
    return Scene(tmp_path_factory.mktemp('scene'))


@pytest.fixture(scope='module')
def dataset(scene) -> str:
    return scene.dataset('dataset')


@pytest.fixture
def evaluate(scene, tmp_path, monkeypatch):
    """A function: fields of a job -> (its values, rows of the table, all that was said). Nothing is left behind."""
    numbers, temporary = itertools.count(), tmp_path / 'temporary'
    temporary.mkdir()
    monkeypatch.setattr(tempfile, 'tempdir', str(temporary))

    def run(**fields):
        said: list[str] = []
        if 'dataset' not in fields:
            fields.setdefault('sources', (SourceSpec((scene.image,)),))
        table = str(tmp_path / f'table{next(numbers)}.csv')
        job = EvaluateJob(
            **{'model': scene.model, 'runtime': 'tensorflow', **fields},
            table=table,
            report=str(tmp_path / 'report.html'),
        )
        try:
            values = engine.run(job, lambda event: said.append(event.text) if isinstance(event, (Log, Warn)) else None)
        except EngineError as error:
            assert '\n' not in str(error) and not os.path.exists(table)
            raise
        finally:
            assert not os.listdir(temporary)
        with open(table, encoding='utf-8', newline='') as file:
            return values, list(csv.DictReader(file)), said

    return run


def assert_scores(rows, truth, found, confidence=None) -> None:
    """The table's figures are those that scikit-learn gets from the pixels."""
    values = [3, 7, 9]
    *classes, overall = rows
    assert [(row['value'], row['name']) for row in classes] == [('3', 'dark'), ('7', 'bright'), ('9', 'stripes')]
    counts = metrics.confusion_matrix(truth, found, labels=values)
    assert [[int(row[f'predicted_{value}']) for value in values] for row in classes] == counts.tolist()
    assert [int(row['reference']) for row in rows] == [*counts.sum(1), counts.sum()]
    assert [int(row['predicted']) for row in rows] == [*counts.sum(0), counts.sum()]
    scores = metrics.precision_recall_fscore_support(truth, found, labels=values, zero_division=np.nan)[:3]
    for name, expected in zip(('precision', 'recall', 'f1'), scores):
        assert [float(row[name] or 'nan') for row in classes] == pytest.approx(expected.tolist(), nan_ok=True)
    iou = metrics.jaccard_score(truth, found, labels=values, average=None)
    assert [float(row['iou']) for row in classes] == pytest.approx(iou.tolist())
    assert float(overall['iou']) == pytest.approx(iou.mean()) and overall['value'] == 'all'
    assert float(overall['f1']) == pytest.approx(scores[2].mean())
    assert float(overall['overall_accuracy']) == pytest.approx((truth == found).mean())
    assert float(overall['kappa']) == pytest.approx(metrics.cohen_kappa_score(truth, found))
    if confidence is not None:
        bins = (confidence * 15).astype(int)
        parts = [abs((confidence - (truth == found))[bins == number].sum()) for number in range(15)]
        assert float(overall['calibration_error']) == pytest.approx(sum(parts) / len(truth), rel=1e-4)


def test_patches_and_the_ground_give_the_figures_of_the_pixels(scene, dataset, evaluate, tmp_path):
    counted = scene.valid & (scene.truth != 255)
    pixels = scene.truth[counted], scene.found[counted], scene.probabilities.max(-1)[counted]
    on_patches, rows, said = evaluate(dataset=dataset, split='all')
    assert_scores(rows, *pixels)
    assert not any('labels do not count' in line for line in said)  # the extraction left them out
    on_the_ground, again, said = evaluate(reference=LabelRaster(scene.labels))
    assert_scores(again, *pixels)
    assert on_the_ground['SCORE'] == on_patches['SCORE'] == pytest.approx(float(rows[-1]['iou']))
    lost = int((~scene.valid & (scene.truth != 255)).sum())
    assert lost and any(line.startswith(f'{lost} of {lost + counted.sum()} labels') for line in said)
    page = (tmp_path / 'report.html').read_text()
    assert 'Examples' not in page
    record = {'dataset': {'fingerprint': Dataset.open(dataset).manifest.fingerprint()}}
    write_package(str(tmp_path / 'trained'), scene.network, scene.card, record)
    _, again, said = evaluate(model=str(tmp_path / 'trained'), dataset=dataset, split='train')
    assert again == rows and any('was trained with samples of this split' in line for line in said)
    assert all(words in page for words in ('Calibration', 'Confusion matrix', scene.labels, 'stripes (9)', 'kappa'))
    assert 'alt="Model"' in (tmp_path / 'report.html').read_text()
    assert 'loss' not in page and json.loads((tmp_path / 'table1.csv.json').read_text())['values'] == on_the_ground


@pytest.mark.parametrize('ratio', [2, -4])
def test_a_reference_of_other_pixels(scene, evaluate, tmp_path, ratio):
    """The finer of the two is what is counted; the reference reaches beyond the image."""
    rng = np.random.default_rng(5)
    side = 80 * ratio if ratio > 0 else 80 // -ratio
    labels = rng.choice([3, 7, 9, 0], (side, side)).astype(np.uint8)
    path = write(tmp_path / 'labels.tif', labels, 0, PIXEL / ratio if ratio > 0 else PIXEL * -ratio)
    found, valid = scene.found, scene.valid
    if ratio > 0:
        found, valid = (np.kron(array, np.ones((ratio, ratio), array.dtype)) for array in (found, valid))
        truth = labels[: SIDE * ratio, : SIDE * ratio]
    else:
        truth = np.kron(labels, np.ones((-ratio, -ratio), np.uint8))[:SIDE, :SIDE]
    counted = valid & (truth != 0)
    _, rows, _ = evaluate(reference=LabelRaster(path))
    assert_scores(rows, truth[counted], found[counted])
    with pytest.raises(LabelError, match=r'no class of the model: 0 \('):
        evaluate(reference=LabelRaster(path, nodata='none'))


def test_polygons_and_points(scene, evaluate, tmp_path):
    squares = [([(4, 4), (20, 4), (20, 30), (4, 30)], 'dark'), ([(12, 20), (50, 20), (50, 40), (12, 40)], 'stripes')]
    polygons = LabelPolygons(write_vector(tmp_path / 'polygons.gpkg', squares), 'class', outside=7)
    area = write_vector(tmp_path / 'area.gpkg', [([(2, 2), (40, 2), (40, 60), (2, 60)], None)])
    truth = np.full((SIDE, SIDE), 7)
    truth[4:30, 4:20], truth[20:40, 12:50] = 3, 9
    inside = np.zeros((SIDE, SIDE), bool)
    inside[2:60, 2:40] = True
    _, rows, _ = evaluate(polygons=polygons, mask_layer=area)
    counted = inside & scene.valid
    assert_scores(rows, truth[counted], scene.found[counted])

    places = [(3.2, 8.9), (3.7, 8.1), (33.5, 22.5), (63.9, 63.9), (40.5, 3.5), (10.5, 50.5), (90, 90), (1.5, 1.5)]
    names = ['dark', 'bright', 'dark', 'stripes', 'dark', 'bright', 'dark', None]
    points = write_vector(tmp_path / 'points.gpkg', [([place], name) for place, name in zip(places, names)])
    _, rows, said = evaluate(points=points, label_field='class')
    taken = [(int(row), int(col)) for col, row in places[:6]]
    values = [{'dark': 3, 'bright': 7, 'stripes': 9}[name] for name in names[:6]]
    kept = [number for number, place in enumerate(taken) if scene.valid[place]]
    assert len(kept) == 5 and any('2 of 8 points are left out' in line for line in said)
    assert_scores(rows, np.array(values)[kept], np.array([scene.found[taken[number]] for number in kept]))
    with pytest.raises(NoSamples, match='none of 8 points'):
        evaluate(points=points, label_field='class', mask_layer=write_vector(tmp_path / 'far.gpkg', [(FAR, None)]))


FAR = [(200, 200), (210, 200), (210, 210)]


def test_one_answer_a_patch(scene, evaluate, tmp_path):
    """The patches at points, from a dataset and where the map has its pixels."""
    keras.utils.set_random_seed(2)
    source = keras.Input((PATCH, PATCH, 3), name='source1')
    x = keras.layers.Conv2D(3, PATCH, activation='softmax')(keras.layers.Rescaling(1 / 1000, -0.5)(source))
    network = keras.Model(source, {'probabilities': x})
    card = ModelCard(
        'Patches',
        'classification',
        'own',
        (scene.input_card(field=None, patch_size=(PATCH, PATCH)),),
        (OutputCard('probabilities', 3, CLASSES),),
    )
    write_package(str(tmp_path / 'patches'), network, card)
    rng = np.random.default_rng(8)
    places = rng.uniform(8, SIDE - 8, (40, 2)).round(1) + 0.05
    shapes = [([tuple(place)], int(value)) for place, value in zip(places, rng.choice([3, 7, 9], 40))]
    points = write_vector(tmp_path / 'points.gpkg', shapes, ogr.OFTInteger)
    data = scene.dataset('single', points=points, label_field='class')
    model = str(tmp_path / 'patches')
    values, rows, _ = evaluate(model=model, dataset=data, split='train')
    on_the_ground, again, _ = evaluate(model=model, points=points, label_field='class')
    patches = [scene.pixels[int(row) - 8 :, int(col) - 8 :][:PATCH, :PATCH] for col, row in places]
    filled = np.where((np.array(patches) == 0).all(-1, keepdims=True), FILL, patches)
    found = VALUES[network.predict(filled, verbose=0)['probabilities'][:, 0, 0].argmax(-1)]
    assert_scores(rows, np.array([value for _, value in shapes]), found)
    assert_scores(again, np.array([value for _, value in shapes]), found)
    assert values['SCORE'] == on_the_ground['SCORE'] == float(rows[-1]['f1'])
    with pytest.raises(ModelError, match=r'whose labels are of 16 x 16'):
        evaluate(model=model, dataset=str(scene.folder / 'dataset'), split='all')


def test_values(scene, dataset, evaluate, tmp_path):
    source = keras.Input((None, None, 3), name='source1')
    values = keras.layers.Conv2D(1, 1, kernel_initializer='ones', name='values')(source)
    network = keras.Model(source, {'values': values})
    card = ModelCard('Values', 'regression', 'own', (scene.input_card(),), (OutputCard('values', 1),))
    write_package(str(tmp_path / 'values'), network, card)
    model = str(tmp_path / 'values')
    found = scene.pixels.astype(float).sum(-1)
    truth = (found + np.random.default_rng(3).normal(100, 300, found.shape)).astype(np.float32)
    truth[:5] = np.nan
    result, (row,), said = evaluate(model=model, reference=LabelRaster(write(tmp_path / 'truth.tif', truth)))
    counted = scene.valid & np.isfinite(truth)
    a, b = truth[counted].astype(float), found[counted]
    assert int(row['count']) == len(a) and any('labels do not count' in line for line in said)
    assert float(row['rmse']) == pytest.approx(metrics.root_mean_squared_error(a, b))
    assert float(row['mae']) == pytest.approx(metrics.mean_absolute_error(a, b))
    assert float(row['bias']) == pytest.approx((b - a).mean())
    assert result['SCORE'] == float(row['r2']) == pytest.approx(metrics.r2_score(a, b))
    assert 'Reference' in (tmp_path / 'report.html').read_text()
    sources = (SourceSpec((scene.image,), 'source1', patch_size=(PATCH,) * 2),)
    truth_source = SourceSpec((str(tmp_path / 'truth.tif'),), 'truth', patch_size=(PATCH,) * 2)
    data = scene.dataset('values', sources=(*sources, truth_source), labels=None)
    again, (same,), _ = evaluate(model=model, dataset=data, split='all', target='truth')
    assert again['SCORE'] == pytest.approx(result['SCORE']) and same['count'] == row['count']
    points = write_vector(tmp_path / 'points.gpkg', [([(5.5, 9.5)], 800.5), ([(7.5, 40.5)], 1500.0)], ogr.OFTReal)
    _, (row,), _ = evaluate(model=model, points=points, label_field='class')
    assert float(row['bias']) == pytest.approx(np.mean([found[9, 5] - 800.5, found[40, 7] - 1500]))


def test_models_that_do_not_say_what_they_are(scene, evaluate, tmp_path):
    model = str(tmp_path / 'bare')
    scene.network.export(model, verbose=False)
    counted = scene.truth != 255
    reference = LabelRaster(scene.labels)
    with pytest.raises(InvalidJob, match=r'the output probabilities has 3 bands.*CLASSES'):
        evaluate(model=model, reference=reference)
    with pytest.raises(ModelError, match="no output 'scores'"):
        evaluate(model=model, reference=reference, output_name='scores')
    _, rows, _ = evaluate(model=model, reference=reference, classes=CLASSES)
    counted &= scene.valid
    assert_scores(rows, scene.truth[counted], scene.found[counted], scene.probabilities.max(-1)[counted])

    source = keras.Input((None, None, 3), name='source1')
    told = keras.ops.argmax(scene.network(source)['probabilities'], -1)
    keras.Model(source, {'told': told}).export(str(tmp_path / 'told'), verbose=False)
    numbered = [np.where(scene.truth == value, index, 0) for index, value in enumerate(VALUES)]
    indices = np.where(scene.truth == 255, 255, sum(numbered)).astype(np.uint8)
    named = tuple(ClassDef(index, item.name) for index, item in enumerate(CLASSES))
    indexed = LabelRaster(write(tmp_path / 'indices.tif', indices, 255))
    _, (*classes, overall), _ = evaluate(model=str(tmp_path / 'told'), reference=indexed, classes=named)
    right = (scene.truth == scene.found)[counted].mean()
    assert float(overall['overall_accuracy']) == pytest.approx(right) and not overall['calibration_error']
    data = scene.dataset('indexed', labels=indexed)
    _, rows, _ = evaluate(model=str(tmp_path / 'told'), dataset=data, split='all', classes=named)
    assert rows == [*classes, overall] and [row['name'] for row in classes] == ['stripes', 'dark', 'bright']

    source = keras.Input((None, None, 3), name='source1')
    second = keras.layers.Conv2D(1, 1, activation='sigmoid', kernel_initializer='ones', bias_initializer='ones')
    doubled = keras.layers.Rescaling(2.0)(second(keras.layers.Rescaling(1 / 500, -1.4)(source)))
    keras.Model(source, {'twice': doubled}).export(str(tmp_path / 'twice'), verbose=False)
    two = np.where(np.isin(scene.truth, (3, 7)), scene.truth, 255).astype(np.uint8)
    reference = LabelRaster(write(tmp_path / 'two.tif', two, 255))
    _, rows, said = evaluate(model=str(tmp_path / 'twice'), reference=reference, classes=(ClassDef(3), ClassDef(7)))
    assert not rows[-1]['calibration_error'] and any('no probabilities' in line for line in said)


def test_what_is_wrong_is_said(scene, dataset, evaluate, tmp_path):
    reference = LabelRaster(scene.labels)
    with pytest.raises(InvalidJob, match='give one of the two'):
        evaluate(dataset=dataset, reference=reference)
    with pytest.raises(InvalidJob, match='No reference given'):
        evaluate()
    with pytest.raises(InvalidJob, match='REFERENCE and POINTS given'):
        evaluate(reference=reference, points=VectorSpec('p.gpkg'))
    with pytest.raises(InvalidJob, match='LABEL_FIELD'):
        evaluate(points=VectorSpec('p.gpkg'))
    with pytest.raises(OutputRefused, match='this is an input'):
        engine.run(
            EvaluateJob(scene.model, sources=(SourceSpec((scene.image,)),), reference=reference, table=scene.labels)
        )
    with pytest.raises(NoSamples, match=r"split 'test'. There are train \(16\)"):
        evaluate(dataset=dataset)
    other = scene.truth.copy()
    other[30:32, 10:13] = 5
    path = write(tmp_path / 'other.tif', other, 255)
    with pytest.raises(LabelError, match=r'no class of the model: 5 \(6\); its classes are 3 \(dark\), 7'):
        evaluate(reference=LabelRaster(path))
    with pytest.raises(LabelError, match=r'no class of the model: 5 \(6\)'):
        evaluate(dataset=scene.dataset('other', labels=LabelRaster(path)), split='all')
    empty = write(tmp_path / 'empty.tif', np.full((SIDE, SIDE), 255, np.uint8), 255)
    with pytest.raises(LabelError, match='says nothing about the ground'):
        evaluate(reference=LabelRaster(empty))
    nothing = write(tmp_path / 'nothing.tif', np.zeros_like(scene.pixels), 0)
    with pytest.raises(NoSamples, match='none of its 3826 labels the model says anything'):
        evaluate(sources=(SourceSpec((nothing,)),), reference=reference)
    bands = (SourceSpec((scene.image,), 'source1', (1, 2), (PATCH, PATCH)),)
    with pytest.raises(BandMismatch, match=r'has 2 bands \(B1, B2\), but the model wants 3'):
        evaluate(dataset=scene.dataset('two', sources=bands), split='all')
