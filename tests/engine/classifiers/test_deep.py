"""From polygons to a map through a network and a classifier."""

from __future__ import annotations

import dataclasses
import json
import os

import keras
import numpy as np
import pytest
from sklearn.metrics import confusion_matrix

from quadrat import engine
from quadrat.engine.classifiers import deep
from quadrat.engine.classifiers.mapping import Classifying
from quadrat.engine.classifiers.pixels import shared_number
from quadrat.engine.classifiers.samples import Samples
from quadrat.engine.classifiers.store import load_classifier
from quadrat.engine.errors import EngineError
from quadrat.engine.gdalio import ogr
from quadrat.engine.jobs import ClassDef, SourceSpec, TrainDeepFeaturesJob, job_from_dict

TREES = {'n_estimators': 10}


def texts(said) -> list[str]:
    return [getattr(event, 'text', '') for event in said if type(event).__name__ in ('Log', 'Warn')]


@pytest.fixture
def seen(monkeypatch):
    """What the sampling hands to the training: training and validation samples of each run."""
    kept = []
    finish = deep.finish

    def keep(job, features, samples, validation, reporter, **origin):
        kept.append((samples, validation))
        return finish(job, features, samples, validation, reporter, **origin)

    monkeypatch.setattr(deep, 'finish', keep)
    return kept


def counts(samples) -> list[int]:
    return np.unique(samples.texts, return_counts=True)[1].tolist()


def test_from_polygons_to_a_map(train_deep, map_deep, landscape, others, tmp_path, card_of):
    confusion, report = str(tmp_path / 'c.csv'), str(tmp_path / 'r.html')
    path, results, said = train_deep(validation=others, mv=-1, bm=0, confusion=confusion, report=report, options=TREES)
    card = card_of(path)
    assert card['features'] == ['means_1', 'means_2'] and card['outputs'] == ['means'] and card['model'] == 'model'
    assert results['ACCURACY'] > 0.9 and any('lie on no-data' in text for text in texts(said))
    names = {'confidence': 'confidence.tif', 'probabilities': 'probabilities.tif'}
    rasters, said = map_deep(path, **{key: str(tmp_path / name) for key, name in names.items()})
    classes, shares = rasters['output'][..., 0], rasters['probabilities']
    empty = np.zeros(classes.shape, bool)
    empty[:8, :8] = True
    assert (classes[empty] == 255).all() and (classes[~empty] != 255).all()
    assert (classes == landscape.codes[landscape.truth])[~empty].mean() > 0.95
    assert np.isnan(shares[empty]).all() and np.allclose(shares[~empty].sum(-1), 1, atol=1e-6)
    assert np.array_equal(landscape.codes[shares[~empty].argmax(-1)], classes[~empty])
    assert np.array_equal(rasters['confidence'][~empty][:, 0], shares[~empty].max(-1))
    assert not any('another model' in text for text in texts(said))
    assert 'value="41"' in (tmp_path / 'map.qml').read_text('utf-8')
    assert not [name for name in os.listdir(tmp_path) if '.part' in name or '.features' in name]
    # The confusion matrix of all points is what the map says there.
    with open(confusion, encoding='utf-8') as file:
        matrix = np.array([[int(cell) for cell in line.split(',')] for line in file.read().splitlines()[2:]])
    rows, cols = landscape.points.T
    expected = confusion_matrix(landscape.codes[landscape.truth][rows, cols], classes[rows, cols])
    assert np.array_equal(matrix, expected) and np.trace(matrix) / 200 == results['ACCURACY']


def test_the_same_seed_gives_the_same_map_and_tiles_do_not_show(train_deep, map_deep):
    maps = [map_deep(train_deep(seed=4, options=TREES, name=name)[0])[0]['output'] for name in 'ab']
    assert np.array_equal(*maps)
    path, _, _ = train_deep(options=TREES)
    whole, _ = map_deep(path, name='whole', probabilities=path + '.p.tif')
    tiled, said = map_deep(path, name='tiled', tile_size=32, probabilities=path + '.q.tif')
    assert any('in 12 tiles' in text for text in texts(said))
    assert np.array_equal(whole['output'], tiled['output'])
    assert np.array_equal(whole['probabilities'], tiled['probabilities'], equal_nan=True)


def test_numbers_of_samples(train_deep, seen, others):
    # Two polygons of 144, 121, 100 and 81 pixels of a class; 16 pixels of the first are no-data.
    for options, training, validation in (
        ({}, [81] * 4, [81] * 4),
        ({'vtr': 0.0}, [162] * 4, None),
        ({'bm': 0, 'mt': 30, 'mv': 10}, [10, 10, 10, 10], [10, 10, 10, 10]),
        ({'bm': 0, 'mt': 30, 'mv': -1, 'vtr': 0.25}, [30, 30, 30, 30], [10, 10, 10, 10]),
        ({'bm': 0, 'mt': -1, 'mv': -1, 'vtr': 0.0}, [288, 242, 200, 162], None),
        ({'bm': 0, 'mt': 50, 'mv': 20, 'validation': others}, [50, 50, 50, 50], [20, 20, 20, 20]),
    ):
        train_deep(options=TREES, **options)
        kept, apart = seen.pop()
        # Some of those of the first class lie on no-data.
        assert counts(kept)[1:] == training[1:] and 0 <= training[0] - counts(kept)[0] <= 16, options
        assert (apart is None) == (validation is None)
        if validation is not None:
            assert counts(apart)[1:] == validation[1:] and 0 <= validation[0] - counts(apart)[0] <= 16, options


def test_numbers_for_training_and_validation_together():
    assert shared_number(1000, 1000, 0.5) == 2000 and shared_number(-1, 100, 0.25) == 400
    assert shared_number(90, -1, 0.1) == 100 and shared_number(90, 1, 0.0) == 90 and shared_number(-1, -1, 0.5) == -1
    samples = Samples(np.arange(11, dtype='float32')[:, None], np.array(['a'] * 7 + ['b'] * 4))
    training, validation = deep.split(samples, 0.5)
    assert counts(training) == [4, 2] and counts(validation) == [3, 2]
    assert sorted([*training.values[:, 0], *validation.values[:, 0]]) == list(range(11))


def test_features_are_those_of_the_map(train_deep, serving, seen, map_deep, landscape, tmp_path, scene):
    """What is sampled equals what serving writes, for several outputs, other grids and modes, masks and extents."""
    mask = landscape.write_raster(tmp_path / 'mask.tif', (landscape.truth[..., None] != 1).astype('uint8'))
    for options in (
        {'output_names': ('mixed', 'means')},
        {'output_names': ('coarse',)},
        {'mask': mask, 'window': (0, 0, 100, 96)},
        {
            'mode': 'otbtf-fullyconv',
            'output_names': ('means',),
            'sources': (SourceSpec((scene,), receptive_field=(4, 4)),),
            'expression_field': (4, 4),
        },
    ):
        apply = serving(runtime='tensorflow', **options)
        path, _, _ = train_deep(apply, options=TREES, bm=0, mt=-1, mv=-1, vtr=0.0)
        samples, _ = seen.pop()
        written = str(tmp_path / 'features.tif')
        engine.run(dataclasses.replace(apply, output=written, fill_value=float('nan')))
        values = landscape.read_raster(written)
        rows = {tuple(row) for row in values[np.isfinite(values).all(-1)].tolist()}
        assert {tuple(row) for row in samples.values.tolist()} <= rows, options
        assert load_classifier(path).card.outputs == options.get('output_names', ('means',))
        if 'mask' in options:
            assert '12' not in samples.texts and len(set(samples.texts)) == 3
        rasters, _ = map_deep(path, **{key: value for key, value in options.items() if key != 'output_names'})
        assert rasters['output'].shape[:2] == values.shape[:2]


def test_only_what_holds_samples_is_computed(train_deep, serving):
    _, _, said = train_deep(serving(runtime='tensorflow', tile_size=16), options=TREES)
    tile = next(text for text in texts(said) if 'were not computed' in text)
    number, total = (int(word) for word in tile.replace(' of', '').split()[:2])
    assert total == 48 and number >= 48 - 18


def test_a_map_goes_on_with_the_same_classifier_alone(train_deep, map_deep, monkeypatch):
    path, _, _ = train_deep(options=TREES)
    run, calls = Classifying.run, []

    def failing(self, values, valid):
        calls.append(1)
        if len(calls) % 8 == 0:
            raise EngineError('power failure')
        return run(self, values, valid)

    monkeypatch.setattr(Classifying, 'run', failing)
    with pytest.raises(EngineError, match='power failure'):
        map_deep(path, tile_size=32)
    resumed, said = map_deep(path, tile_size=32)
    assert any('Resumed' in text for text in texts(said))
    with pytest.raises(EngineError, match='power failure'):
        map_deep(path, tile_size=32)
    train_deep(seed=9, options=TREES)  # takes its place
    monkeypatch.setattr(Classifying, 'run', run)
    _, said = map_deep(path, tile_size=32)
    assert any(f'{path} changed since: starting over' in text for text in texts(said))
    train_deep(options=TREES)
    assert np.array_equal(map_deep(path, name='whole')[0]['output'], resumed['output'])


def test_clusters(train_deep, map_deep, landscape, tmp_path):
    path, _, _ = train_deep(classifier='kmeans', options={'n_clusters': 4})
    classes = map_deep(path)[0]['output'][..., 0]
    assert set(np.unique(classes)) == {1, 2, 3, 4, 255}
    for number in range(4):  # each quarter is mostly of one cluster
        _, found = np.unique(classes[landscape.truth == number], return_counts=True)
        assert found.max() / found.sum() > 0.8
    with pytest.raises(EngineError, match='does not say how sure'):
        map_deep(path, confidence=str(tmp_path / 'confidence.tif'))


def test_names_fill_value_and_threshold(train_deep, map_deep):
    path, _, _ = train_deep(field='name', options=TREES)
    classes = (ClassDef(1, 'fields', '#aabbcc'),)
    found = map_deep(path, fill_value=0, threshold=0.99, classes=classes)[0]['output'][..., 0]
    assert (found[:8, :8] == 0).all() and 0 < (found[8:] == 0).mean() < 0.5
    with pytest.raises(EngineError, match='this is a class'):
        map_deep(path, fill_value=2)
    with pytest.raises(EngineError, match='9 is no class'):
        map_deep(path, classes=(ClassDef(9),))


def test_what_is_wrong_is_said_in_one_line(train_deep, map_deep, serving, landscape, tmp_path):
    far = landscape.write_vector(
        tmp_path / 'far.gpkg', [(landscape.square(5000, 0, 9), {'code': 1})], fields=(('code', ogr.OFTInteger),)
    )
    dark = landscape.write_vector(
        tmp_path / 'dark.gpkg',
        [(landscape.square(0, 0, 3), {'code': 1}), (landscape.square(4, 0, 3), {'code': 2})],
        fields=(('code', ogr.OFTInteger),),
    )
    for options, text in (
        ({'field': 'depth'}, "no field 'depth'"),
        ({'field': 'none'}, 'no feature has a value'),
        ({'field': 'one'}, 'one class, 7'),
        ({'vector': far}, 'has a pixel'),
        ({'vector': dark}, 'lie on no-data'),
        ({'mt': 0}, 'MT 0'),
        ({'mv': -2}, 'MV -2'),
        ({'vtr': 1.0}, 'VTR 1'),
        ({'apply': serving(output_names=('depth',))}, 'depth'),
        ({'apply': serving(model='/nowhere')}, '/nowhere'),
        ({'classifier': 'oracle'}, 'oracle'),
    ):
        with pytest.raises(EngineError) as caught:
            train_deep(**{'options': TREES if options.get('classifier') is None else {}, **options})
        assert text in str(caught.value) and '\n' not in str(caught.value), (options, str(caught.value))
    assert sorted(os.listdir(tmp_path)) == ['dark.gpkg', 'far.gpkg']
    path, _, _ = train_deep(options=TREES)
    for classifier, options, text in (
        ('', {}, 'no classifier given'),
        (str(tmp_path / 'none.skops'), {}, 'no such file'),
        (str(tmp_path / 'far.gpkg'), {}, 'no classifier of Quadrat'),
        (path, {'output_names': ('mixed',)}, 'trained on 2 features, but the outputs mixed (3) give 3'),
        (path, {'output_folder': str(tmp_path / 'each')}, 'OUTPUT_FOLDER'),
    ):
        with pytest.raises(EngineError) as caught:
            map_deep(classifier, **options)
        assert text in str(caught.value) and '\n' not in str(caught.value), (options, str(caught.value))


def test_another_model_is_noticed(train_deep, map_deep, tmp_path):
    path, _, _ = train_deep(options=TREES)
    image = keras.Input((None, None, 2), name='image')
    other = str(tmp_path / 'other')
    keras.Model(image, {'means': keras.layers.Rescaling(2.0)(image)}).export(other, verbose=False)
    _, said = map_deep(path, model=other)
    assert any('another model gives' in text for text in texts(said))


def test_the_job_in_the_record_does_it_again(train_deep, tmp_path):
    path, _, _ = train_deep(options=TREES)
    with open(path + '.json', encoding='utf-8') as file:
        record = json.load(file)
    job = job_from_dict(record['job'])
    assert isinstance(job, TrainDeepFeaturesJob) and job.options == TREES and hash(job)
