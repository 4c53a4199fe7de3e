"""What can be learnt, and from what: several sources, patches, values, foreign files, windows of rasters."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
from pathlib import Path

import keras
import numpy as np
import pytest

from quadrat import engine
from quadrat.engine import jobs
from quadrat.engine.datasets.reader import Dataset
from quadrat.engine.errors import DatasetError, InvalidJob, LabelError
from quadrat.engine.events import Log, Reporter, Warn
from quadrat.engine.gdalio import gdal
from quadrat.engine.jobs import ExtractPatchesJob, LabelRaster, ServeJob, SourceSpec, TrainJob, TrainOptions, VectorSpec
from quadrat.engine.model_package.package import open_package
from quadrat.engine.training.opening import open_material
from quadrat.engine.training.trainer import train_model
from quadrat.engine.training.windows import WindowSamples
from quadrat.engine.vector import read_points, write_points


@pytest.fixture(scope='module')
def scene(tmp_path_factory) -> Path:
    """A demo scene of 192 pixels, points of patches of 16, and points with the class of their pixel."""
    folder = tmp_path_factory.mktemp('scene')
    engine.run(jobs.DemoSceneJob(str(folder), 192, 3))
    ms, truth = str(folder / 'ms.tif'), str(folder / 'truth.tif')
    engine.run(jobs.SelectPatchesJob(ms, str(folder / 'points.gpkg'), patch_size=16, block_size=48))
    engine.run(jobs.SampleLabelImageJob(LabelRaster(truth), str(folder / 'single.gpkg'), count=40))
    return folder


def extraction(scene: Path, output: str = '', points: str = 'points.gpkg', **fields) -> ExtractPatchesJob:
    fields.setdefault('sources', (SourceSpec((str(scene / 'ms.tif'),), patch_size=(16, 16)),))
    if 'label_field' not in fields:
        fields.setdefault('labels', LabelRaster(str(scene / 'truth.tif')))
    return ExtractPatchesJob(points=VectorSpec(str(scene / points)), output=output, **fields)


@pytest.fixture(scope='module')
def plain(scene) -> str:
    engine.run(extraction(scene, str(scene / 'plain')))
    return str(scene / 'plain')


def train(output, dataset='', **fields):
    said: list[str] = []
    hear = Reporter(lambda event: said.append(event.text) if isinstance(event, (Log, Warn)) else None)
    settings = {'epochs': 1, 'batch_size': 8, 'options': TrainOptions(filters=4, depth=1), **fields}
    values = train_model(TrainJob(str(dataset), str(output), **settings), hear)
    return values, said, json.loads((Path(output) / 'training.json').read_text())


def places_crs(scene: Path) -> str:
    return gdal.Open(str(scene / 'ms.tif')).GetProjection()


def pixels(path, band: int = 1) -> np.ndarray:
    dataset = gdal.Open(str(path))
    return dataset.GetRasterBand(band).ReadAsArray().astype(float)


def weights(folder) -> list[np.ndarray]:
    return keras.models.load_model(Path(folder) / 'model/model.keras', compile=False).get_weights()


def same(a, b) -> bool:
    return all(np.array_equal(x, y) for x, y in zip(weights(a), weights(b)))


def test_sources_of_two_resolutions(scene, tmp_path):
    sources = (
        SourceSpec((str(scene / 'ms.tif'),), 'ms', patch_size=(16, 16)),
        SourceSpec((str(scene / 'pan.tif'),), 'pan', patch_size=(64, 64)),
    )
    engine.run(extraction(scene, str(tmp_path / 'data'), sources=sources))
    _, _, record = train(tmp_path / 'p', tmp_path / 'data', architecture='twobranch')
    with open_package(str(tmp_path / 'p')) as package:
        ms, pan = package.card.inputs
    assert (ms.name, ms.patch_size, pan.name, pan.patch_size) == ('ms', (16, 16), 'pan', (64, 64))
    assert pan.stride == 4 * ms.stride and len(record['dataset']['sources']) == 2
    engine.run(ServeJob(str(tmp_path / 'p'), sources, str(tmp_path / 'map.tif')))
    assert pixels(tmp_path / 'map.tif').shape == (192, 192)
    only = TrainJob(str(tmp_path / 'data'), str(tmp_path / 'q'), options=TrainOptions(sources=('ms',)))
    assert [source.name for source in open_material(only, Reporter()).sources] == ['ms']
    with pytest.raises(InvalidJob, match="no source 'sar'"):
        train(tmp_path / 'r', tmp_path / 'data', options=TrainOptions(sources=('sar',)))


def test_one_label_a_patch(scene, plain, tmp_path):
    engine.run(extraction(scene, str(tmp_path / 'data'), 'single.gpkg', label_field='class'))
    settings = {'task': 'classification', 'architecture': 'patchcnn', 'validation_share': 0.25}
    values, _, record = train(tmp_path / 'p', tmp_path / 'data', epochs=8, learning_rate=0.01, **settings)
    assert record['best']['measure'] == 'macro_f1' and values['BEST_SCORE'] > 0.4
    assert 'validation' in record['results'] and record['results']['validation']['calibration']['error'] < 0.6
    source = SourceSpec((str(scene / 'ms.tif'),))
    engine.run(ServeJob(str(tmp_path / 'p'), (source,), str(tmp_path / 'map.tif'), runtime='tensorflow'))
    found, truth = pixels(tmp_path / 'map.tif'), pixels(scene / 'truth.tif')
    assert found.shape == (96, 96) and (found == truth[1::2, 1::2])[4:-4, 4:-4].mean() > 0.4
    with pytest.raises(DatasetError, match='TASK classification wants one'):
        train(tmp_path / 'q', plain, task='classification', architecture='patchcnn')
    with pytest.raises(DatasetError, match='Choose the task classification'):
        train(tmp_path / 'q', tmp_path / 'data')


def test_labels_that_are_values(scene, tmp_path):
    """From a field of the points and from a raster, in a dataset and straight from the files."""
    places = read_points(VectorSpec(str(scene / 'points.gpkg')), places_crs(scene), ['split'])
    heights = [None if number == 3 else f'{number / 7:.3f}' for number in range(len(places.ids))]
    columns = {'split': list(places.fields['split']), 'height': heights}
    write_points(str(tmp_path / 'heights.gpkg'), places_crs(scene), places.x, places.y, columns)
    job = extraction(scene, str(tmp_path / 'a'), str(tmp_path / 'heights.gpkg'), label_field='height', values=True)
    engine.run(job)
    data, found = Dataset.open(job.output), WindowSamples(job, Reporter())
    order = np.arange(data.count)
    assert data.count == len(places.ids) - 1 and data.manifest.labels is None
    assert np.array_equal(data.read('values', order), found.read('values', order))
    wanted = [np.float32(text) for text in heights if text]
    assert data.read('values', order).ravel().tolist() == wanted
    settings = {'task': 'regression', 'architecture': 'patchcnn'}
    _, _, record = train(tmp_path / 'p', job.output, **settings)
    assert record['dataset']['splits']['train']['values']['maximum'] <= max(wanted)
    columns['height'][5] = 'tall'
    write_points(str(tmp_path / 'texts.gpkg'), places_crs(scene), places.x, places.y, columns)
    with pytest.raises(LabelError, match="'tall' is no number"):
        engine.run(
            extraction(scene, str(tmp_path / 'b'), str(tmp_path / 'texts.gpkg'), label_field='height', values=True)
        )

    driver = gdal.GetDriverByName('GTiff')
    fine = gdal.Open(str(scene / 'pan.tif'))
    surface = driver.Create(str(tmp_path / 'surface.tif'), fine.RasterXSize, fine.RasterYSize, 1, gdal.GDT_Float32)
    surface.SetGeoTransform(fine.GetGeoTransform())
    surface.SetProjection(fine.GetProjection())
    surface.GetRasterBand(1).SetNoDataValue(-1)
    values = np.linspace(-1, 1, fine.RasterXSize * fine.RasterYSize, dtype=np.float32).reshape(fine.RasterYSize, -1)
    surface.GetRasterBand(1).WriteArray(values)
    surface = None
    job = extraction(scene, str(tmp_path / 'c'), labels=LabelRaster(str(tmp_path / 'surface.tif')), values=True)
    engine.run(job)
    data, found = Dataset.open(job.output), WindowSamples(job, Reporter())
    assert data.forms['values'].shape == (64, 64, 1) and data.manifest.source('values').nodata == ('-1',)
    assert np.array_equal(data.read('values', [5, 0]), found.read('values', [5, 0]))
    with pytest.raises(DatasetError, match='Label patches are of 64 x 64 pixels and image patches of 16 x 16'):
        train(tmp_path / 'q', job.output, task='regression')


def test_values_of_pixels_and_of_patches(scene, plain, tmp_path):
    sources = (
        SourceSpec((str(scene / 'ms.tif'),), 'ms', (1, 2, 3), (16, 16)),
        SourceSpec((str(scene / 'ms.tif'),), 'nir', (4,), (16, 16)),
    )
    engine.run(extraction(scene, str(tmp_path / 'data'), sources=sources))
    options = TrainOptions(filters=8, depth=1, target='nir')
    settings = {'task': 'regression', 'learning_rate': 0.02}
    values, said, record = train(tmp_path / 'p', tmp_path / 'data', epochs=12, options=options, **settings)
    result = record['results']['test']
    assert values['BEST_SCORE'] > 0.7 and record['best']['measure'] == 'r2' and not record['classes']
    assert sum(map(sum, result['pairs']['counts'])) == result['count'] and 'nan' not in ' '.join(said)
    with open_package(str(tmp_path / 'p')) as package:
        assert [item.name for item in package.card.inputs] == ['ms'] and not package.card.outputs[0].classes
    engine.run(ServeJob(str(tmp_path / 'p'), sources[:1], str(tmp_path / 'map.tif')))
    found, truth = pixels(tmp_path / 'map.tif'), pixels(scene / 'ms.tif', 4)
    assert np.abs(found - truth).mean() < truth.std()
    page = (tmp_path / 'p/report.html').read_text()
    assert 'RMSE' in page and 'Reference' in page and 'Confusion' not in page
    engine.run(extraction(scene, str(tmp_path / 'single'), 'single.gpkg', label_field='class'))
    whole = TrainJob(str(tmp_path / 'single'), str(tmp_path / 'q'), 'regression', 'patchcnn')
    material = open_material(whole, Reporter())
    assert material.splits['train'].pixels == material.splits['train'].count and not material.per_pixel
    with pytest.raises(InvalidJob, match='has 3 bands; what is to be predicted has one'):
        train(tmp_path / 'r', tmp_path / 'data', options=TrainOptions(target='ms'), **settings)
    with pytest.raises(InvalidJob, match='No source is left'):
        train(tmp_path / 'r', plain, options=TrainOptions(target='source1'), **settings)
    path = tmp_path / 'single/labels-00000.npy'
    np.save(path, np.full_like(np.load(path), 11))
    with pytest.raises(LabelError, match='only the value 11'):
        train(tmp_path / 'r', tmp_path / 'single', task='regression', architecture='patchcnn')


@pytest.mark.parametrize('layout', ['tfrecords', 'patchesimages'])
def test_foreign_files_give_the_same_batches(plain, tmp_path, layout):
    folder = tmp_path / 'foreign'
    engine.run(jobs.ConvertDatasetJob(plain, str(folder), jobs.LayoutOptions(layout)))
    for name in ('manifest.json', 'samples.csv'):
        os.remove(folder / name)
    known, found = (open_material(TrainJob(str(data), 'x'), Reporter()) for data in (plain, folder))
    assert [item.value for item in found.classes] == [item.value for item in known.classes]
    for split in jobs.SPLITS:
        assert np.array_equal(found.splits[split].pixels, known.splits[split].pixels)
        for mine, theirs in zip(found.splits[split].batches(16), known.splits[split].batches(16)):
            assert np.array_equal(mine.images[0], theirs.images[0])
            assert np.array_equal(mine.labels, theirs.labels) and np.array_equal(mine.counted, theirs.counted)


def test_windows_give_the_same_weights_as_a_dataset(scene, plain, tmp_path):
    """No file is written between, and borders, no-data and labels are those of the extraction."""
    train(tmp_path / 'a', plain, epochs=2)
    windows = extraction(scene)
    train(tmp_path / 'b', epochs=2, windows=windows)
    assert same(tmp_path / 'a', tmp_path / 'b')
    job = dataclasses.replace(
        extraction(scene, str(tmp_path / 'data'), 'single.gpkg'),
        sources=(
            SourceSpec((str(scene / 'ms.tif'),), 'ms', patch_size=(24, 16), nodata='300'),
            SourceSpec((str(scene / 'pan.tif'),), 'pan', patch_size=(96, 64)),
        ),
        border='reflect',
        nodata_policy='all',
    )
    engine.run(job)
    data, found = Dataset.open(job.output), WindowSamples(job, Reporter())
    assert found.count == data.count and found.samples.ids == data.samples.ids
    assert found.manifest.classes == data.manifest.classes
    order = np.random.default_rng(0).permutation(data.count)
    for key in ('ms', 'pan', 'labels'):
        assert np.array_equal(found.read(key, order), data.read(key, order)), key
    for mine, theirs in zip(found.manifest.sources, data.manifest.sources):
        assert np.allclose(mine.statistics.mean, theirs.statistics.mean)
    points = dataclasses.replace(job, labels=None, label_field='class', output=str(tmp_path / 'points'))
    engine.run(points)
    data, found = Dataset.open(points.output), WindowSamples(points, Reporter())
    assert np.array_equal(found.read('labels', order), data.read('labels', order))


def test_validation_from_elsewhere(scene, plain, tmp_path):
    job = TrainJob(plain, str(tmp_path / 'a'), validation_share=0.3)
    material = open_material(job, Reporter())
    train_split, validation = material.splits['train'], material.splits['validation']
    samples = material.samples.samples
    size = 16 * material.sources[0].pixel_size[0]
    for sample in validation.pieces[0].indices:
        for other in train_split.pieces[0].indices:
            apart = abs(samples.x[sample] - samples.x[other]), abs(samples.y[sample] - samples.y[other])
            assert max(apart) >= size * 0.999
    assert set(material.samples.indices('train')) >= set(train_split.pieces[0].indices) | set(
        validation.pieces[0].indices
    )
    shutil.copytree(plain, tmp_path / 'other')
    two = dataclasses.replace(job, validation_share=0.0, validation=(str(tmp_path / 'other'), plain))
    assert open_material(two, Reporter()).splits['validation'].count == 2 * material.samples.count
    with pytest.raises(InvalidJob, match='give one of them'):
        train(tmp_path / 'b', plain, validation_share=0.3, validation=(plain,))
    narrow = extraction(scene, str(tmp_path / 'n'), sources=(SourceSpec((str(scene / 'ms.tif'),), bands=(1, 2)),))
    engine.run(narrow)
    with pytest.raises(DatasetError, match='2 bands there and of 16 x 16 pixels and 4 bands'):
        train(tmp_path / 'b', plain, validation=(str(tmp_path / 'n'),))
