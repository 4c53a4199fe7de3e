"""Tensor/IO bundles: they predict, learn, are saved, trained by a job, and served."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil

import numpy as np
import pytest

from quadrat import engine
from quadrat.engine import Batch, Bundle, errors, jobs
from quadrat.engine.bundles.values import Scaling
from quadrat.engine.gdalio import gdal, open_raster
from quadrat.engine.model_package.importers import open_model

LOSS = 'sigmoid_cross_entropy_loss/value'


def write(path, pixels):
    """A raster of bytes (bands, rows, columns)."""
    bands, rows, cols = pixels.shape
    dataset = gdal.GetDriverByName('GTiff').Create(str(path), cols, rows, bands, gdal.GDT_Byte)
    dataset.WriteRaster(0, 0, cols, rows, np.ascontiguousarray(pixels).tobytes())
    return str(path)


def test_formulas():
    """Of Tensor/IO's documentation; what it leaves to chance ends at 0 and 255."""
    x = np.arange(256, dtype=np.uint8)
    np.testing.assert_allclose(Scaling('[0,1]').normalise(x), x / 255, rtol=1e-6)
    np.testing.assert_allclose(Scaling('[-1,1]').normalise(x), x * (2 / 255) - 1, atol=1e-6)
    pixel = np.array([[10, 20, 30]], np.uint8)
    own = Scaling('', 0.5, (1.0, 2.0, 3.0))
    assert own.normalise(pixel).tolist() == [[6, 12, 18]]
    assert Scaling('[0,1]').denormalise(np.array([0.5, 1.5, -1])).tolist() == [127, 255, 0]
    assert Scaling('[-1,1]').denormalise(np.array([-1, 0, 1])).tolist() == [0, 127, 255]
    assert Scaling('', 2.0, (3.0,)).denormalise(np.array([1.0, 4.2])).tolist() == [8, 14]


def test_it_learns_in_one_run_a_step(cats, pets):
    with Bundle(cats) as bundle:
        batch = Batch(['image', 'labels'], pets)
        results = [bundle.train(batch) for _ in range(30)]
        assert set(results[0]) == {LOSS} and results[0][LOSS] == pytest.approx(np.log(2), abs=1e-6)
        assert results[-1][LOSS] < 0.6 * results[0][LOSS]
        # The loss is the one that the step was made of, not one after it.
        before = bundle.train(batch, {'learning_rate': 0})[LOSS]
        assert bundle.train(batch, {'learning_rate': [0.0]})[LOSS] == before
    with Bundle(cats) as bundle:
        assert bundle.train(batch, {'learning_rate': 0.01})[LOSS] == results[0][LOSS]
        assert bundle.train(batch)[LOSS] > results[1][LOSS]


def test_epochs_and_saving(cats, pets, tmp_path):
    def fit(seed=0):
        epochs = []
        with Bundle(cats, seed) as bundle:
            history = bundle.fit(pets, 5, 8, on_epoch=lambda epoch, means: epochs.append(epoch))
            bundle.save(tmp_path / 'trained.tiobundle')
        assert epochs == [1, 2, 3, 4, 5]
        return [means[LOSS] for means in history]

    losses = fit()
    assert losses[-1] < losses[0] and losses != fit(1) and losses == fit()
    saved = tmp_path / 'trained.tiobundle'
    assert json.loads((saved / 'model.json').read_text()) == json.loads((cats / 'model.json').read_text())
    archive = shutil.make_archive(str(tmp_path / 'packed'), 'zip', tmp_path, 'trained.tiobundle')
    with Bundle(archive) as bundle:
        assert bundle.fit(pets, 1, 30, {'learning_rate': 0})[0][LOSS] < losses[-1]
    with Bundle(cats) as bundle, pytest.raises(errors.OutputRefused, match=r'ends in \.tiobundle'):
        bundle.save(tmp_path / 'elsewhere')


def test_predictions(colours):
    pixels = np.arange(12, dtype=np.uint8).reshape(2, 2, 3)
    with Bundle(colours) as bundle:
        found = bundle.predict({'image': pixels})
        red, green, blue = (2 * pixels[..., band].mean() for band in range(3))
        assert found['means'] == pytest.approx({'blue': blue + 0.5, 'green': green, 'red': red - 1})
        assert found['brightest'] == 22.5
        assert found['same'].dtype == np.uint8 and found['same'].shape == (2, 2, 3)
        assert found['same'][0, 0].tolist() == [0, 255, 255]  # (-1, 2, 4.5) + 1 times 127.5
        alpha = np.dstack([pixels, np.full((2, 2), 255, np.uint8)])
        rows = bundle.predict(Batch(['image'], [{'image': alpha}, {'image': pixels + 1}]))
        assert rows[0]['means'] == found['means'] and rows[1]['brightest'] == 24.5
        with pytest.raises(errors.InvalidJob, match=r'shape \(2, 2, 3\) is expected, not \(3, 2, 3\)'):
            bundle.predict({'image': np.zeros((3, 2, 3))})
        with pytest.raises(errors.InvalidJob, match='img: no input'):
            bundle.predict({'img': pixels})
        with pytest.raises(errors.InvalidJob, match='no mode "train"'):
            bundle.train(Batch(['image'], [{'image': pixels}]))


def test_a_bundle_is_trained_by_a_job_and_served(cats, pets, tmp_path):
    """With its own operations, outputs and scaling; the result is a bundle where the name says so."""

    pixels = np.stack([item['image'] for item in pets])
    images = write(tmp_path / 'image.tif', pixels.reshape(-1, 8, 3).transpose(2, 0, 1))
    labels = write(tmp_path / 'labels.tif', np.array([[[item['labels']] for item in pets]], np.uint8))
    sources = tuple(
        jobs.SourceSpec((path,), name, patch_size=(0, 0)) for path, name in ((images, 'image'), (labels, 'labels'))
    )
    events = []
    output = str(tmp_path / 'out.tiobundle')
    job = jobs.TrainSavedModelJob(str(cats), output, sources=sources, epochs=4, batch_size=30)
    engine.run(job, events.append)
    losses = [event.value for event in events if event.type == 'metric']
    with Bundle(cats) as bundle:
        batch = Batch(['image', 'labels'], pets)
        assert losses == pytest.approx([bundle.train(batch)[LOSS] for _ in range(4)], rel=1e-5)
    with Bundle(output) as bundle:
        assert bundle.train(batch)[LOSS] < losses[-1]
    engine.run(jobs.TrainSavedModelJob(output, str(tmp_path / 'plain'), sources=sources, epochs=1))
    assert os.path.isfile(tmp_path / 'plain/saved_model.pb')

    # A map of the column of patches has a pixel for each row; of every eighth the window is a patch.
    path = str(tmp_path / 'map.tif')
    source = jobs.SourceSpec((images,), receptive_field=(8, 8))
    fields = {'output_names': ('sigmoid',), 'mode': 'otbtf-patch'}
    engine.run(jobs.ServeJob(output, (source,), path, **fields))
    with Bundle(output) as bundle:
        session = bundle._loaded()
        feeds = {'image:0': pixels.astype('float32') / 255}
        expected = session.run_named(feeds, ['sigmoid:0'])[0][:, 0]
    found = np.frombuffer(gdal.Open(path).ReadRaster(buf_type=gdal.GDT_Float32), 'float32')
    np.testing.assert_allclose(found[::8], expected, atol=1e-5)


def test_a_map_with_scaled_bands_in_the_order_of_the_model(colours, tmp_path):
    """Given red, green, blue; a model of labels makes a class map of itself."""
    pixels = np.random.default_rng(2).integers(0, 200, (3, 6, 5), np.uint8)
    raster, path = write(tmp_path / 'i.tif', pixels), str(tmp_path / 'o.tif')
    with open_model(str(colours)) as model:
        assert model.card.inputs[0].bands == ('red', 'green', 'blue')
        assert [item.name for item in model.card.outputs[0].classes] == ['blue', 'green', 'red']
    job = jobs.ServeJob(str(colours), (jobs.SourceSpec((raster,)),), path, output_names=('means',), mode='otbtf-patch')
    engine.run(job)
    found = np.frombuffer(gdal.Open(path).ReadRaster(buf_type=gdal.GDT_Float32), 'float32').reshape(3, 5, 4)
    scaled = 2 * pixels[::-1].astype('float32') + np.array([0.5, 0, -1], 'float32').reshape(3, 1, 1)
    windows = np.lib.stride_tricks.sliding_window_view(scaled, (2, 2), (1, 2)).mean((-1, -2))
    np.testing.assert_allclose(found, windows, atol=1e-4)
    engine.run(dataclasses.replace(job, output_names=(), mode='native'))
    dataset = open_raster(path)
    assert dataset.GetRasterBand(1).GetCategoryNames()[:3] == ['blue', 'green', 'red']


@pytest.mark.parametrize(
    ('words', 'change'),
    [
        ("model.json: the field 'author' is missing", lambda data: data.pop('author')),
        ("unknown field 'input'; did you mean 'inputs'", lambda data: data.update(input=data.pop('inputs'))),
        (r'version: should be a text, and is 1', lambda data: data.update(version=1)),
        (r"modes: 'learn'; known are", lambda data: data['model'].update(modes=['learn'])),
        (r'train\.ops: missing', lambda data: data.pop('train')),
        (r"no operation 'trian'; did you mean 'train'", lambda data: data.update(train={'ops': ['trian']})),
        (r"no input 'images'; did you mean 'image'", lambda data: data['inputs'][0].update(name='images')),
        (r"model\.file: '\.\./x' is no path within", lambda data: data['model'].update(file='../x')),
        (r'model\.file: predict: no SavedModel there', lambda data: data['model'].update(file='predict')),
        (r'only SavedModels of TensorFlow', lambda data: data['model'].update(backend='tflite')),
        (r"normalize\.standard: '\[0,2\]'", lambda data: data['inputs'][0].update(normalize={'standard': '[0,2]'})),
        (r'either "standard"', lambda data: data['inputs'][0]['normalize'].update(scale=1)),
        (r'inputs\[0\]\.shape: \[8, -1, 8, 3\]', lambda data: data['inputs'][0].update(shape=[8, -1, 8, 3])),
        (r"unknown field 'dtype'", lambda data: data['inputs'][0].update(dtype='float32')),
        (r'outputs: the labels of', lambda data: data['outputs'][0].update(labels='none.txt')),
    ],
)
def test_what_is_wrong_with_a_bundle(cats, words, change):
    data = json.loads((cats / 'model.json').read_text())
    change(data)
    (cats / 'model.json').write_text(json.dumps(data))
    with pytest.raises(errors.ModelError, match=words) as caught:
        Bundle(cats)
    assert str(caught.value).startswith(str(cats))


def test_what_is_no_bundle(cats, tmp_path):
    with pytest.raises(errors.InputMissing):
        Bundle(tmp_path / 'none.tiobundle')
    shutil.copytree(cats, tmp_path / 'two/a.tiobundle')
    shutil.copytree(cats, tmp_path / 'two/b.tiobundle')
    with pytest.raises(errors.ModelError, match='one folder that ends in'):
        Bundle(shutil.make_archive(str(tmp_path / 'two'), 'zip', tmp_path / 'two'))
    (cats / 'model.json').write_text('{')
    with pytest.raises(errors.ModelError, match='cannot be read'):
        Bundle(cats)
    shutil.move(cats, tmp_path / 'cats')
    with pytest.raises(errors.ModelError, match='rename cats'):
        Bundle(tmp_path / 'cats')


def test_a_bundle_without_a_model(write_json, tmp_path):
    """It is for collecting items, and says nothing."""
    folder = tmp_path / 'empty.tiobundle'
    folder.mkdir()
    write_json(folder, placeholder=True, model={'file': '', 'quantized': False}, inputs=[], outputs=[])
    with Bundle(folder) as bundle:
        assert bundle.predict({'anything': 1}) == {}
    with pytest.raises(errors.ModelError, match='without a model'):
        engine.run(jobs.TrainSavedModelJob(str(folder), str(tmp_path / 'out'), dataset='none'))
