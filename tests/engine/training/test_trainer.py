"""Training: it learns, the same seed gives the same weights, and what it leaves out has no influence."""

from __future__ import annotations

import json
import os
import shutil
import threading
from collections import defaultdict

import numpy as np
import pytest

from quadrat.engine.datasets.manifest import read_manifest
from quadrat.engine.errors import (
    Cancelled,
    DatasetError,
    InputMissing,
    InvalidJob,
    LabelError,
    NoSamples,
    OutputRefused,
    TrainingDiverged,
)
from quadrat.engine.events import Log, Metric, Progress, Reporter, Warn
from quadrat.engine.jobs import ClassDef, TrainJob, TrainOptions
from quadrat.engine.model_package.package import open_package
from quadrat.engine.training.survey import class_weights
from quadrat.engine.training.trainer import train_model

SMALL = TrainOptions(filters=4, depth=1)


def train(data, output, on_event=None, **settings):
    """Train, by default a small network for two epochs; returns the outputs and the events."""
    events = []

    def hear(event):
        events.append(event)
        if on_event:
            on_event(event)

    job = TrainJob(str(data), str(output), **{'epochs': 2, 'batch_size': 8, 'options': SMALL, **settings})
    return train_model(job, Reporter(hear)), events


def weights_of(folder):
    import keras

    return keras.models.load_model(os.path.join(folder, 'model/model.keras'), compile=False).get_weights()


def equal(a, b):
    return all(np.array_equal(x, y) for x, y in zip(a, b))


@pytest.fixture(scope='module')
def trained(dataset, tmp_path_factory):
    """A training long enough to learn the made-up classes."""
    folder = tmp_path_factory.mktemp('trained') / 'package'
    report = folder.parent / 'copy.html'
    named = (ClassDef(7, 'bright', '#ffffff'), ClassDef(3), ClassDef(9))
    values, events = train(dataset, folder, epochs=12, learning_rate=0.02, classes=named, report=str(report))
    return folder, values, events, report


def test_it_learns_and_says_so(trained):
    folder, values, events, report = trained
    record = json.loads((folder / 'training.json').read_text())
    assert values['BEST_SCORE'] > 0.8 and record['results']['test']['mean_iou'] > 0.8
    assert len(record['history']) == 12 and record['best'] == {
        'epoch': values['BEST_EPOCH'],
        'step': 5 * values['BEST_EPOCH'],
        'score': values['BEST_SCORE'],
        'measure': 'mean_iou',
        'split': 'validation',
        'chosen': True,
    }
    assert record['job']['epochs'] == 12 and record['versions']['tensorflow'] and record['seconds'] > 0
    metrics = defaultdict(list)
    for event in events:
        if isinstance(event, Metric):
            metrics[event.name].append((event.step, event.value))
    names = ('loss', 'overall_accuracy', 'mean_iou', 'macro_f1')
    assert set(metrics) == {f'{split}/{name}' for split in ('training', 'validation') for name in names}
    assert all([step for step, _ in found] == list(range(1, 13)) for found in metrics.values())
    assert max(value for _, value in metrics['validation/mean_iou']) == values['BEST_SCORE']
    assert sum(isinstance(event, Log) and event.text.startswith('Epoch 3/12: ') for event in events) == 1
    fractions = [event.fraction for event in events if isinstance(event, Progress)]
    assert fractions == sorted(fractions) and fractions[0] < 0.1
    assert not [event for event in events if isinstance(event, Warn)]
    assert os.listdir(folder.parent) == ['package', 'copy.html'] or sorted(os.listdir(folder.parent)) == [
        'copy.html',
        'package',
    ]
    assert report.read_text() == (folder / 'report.html').read_text()


def test_the_card_says_what_the_dataset_is(trained, dataset):
    manifest = read_manifest(dataset)
    with open_package(str(trained[0])) as package:
        card = package.card
    source, output = card.inputs[0], card.outputs[0]
    assert (source.name, source.bands, source.dtype) == ('source1', ('B1', 'B2', 'B3'), 'float32')
    assert source.fill == source.mean == manifest.sources[0].statistics.mean
    assert source.stride == 2 and source.field.width == 17 and source.patch_size == (16, 16)
    assert [(c.value, c.name) for c in output.classes] == [(3, 'class 3'), (7, 'bright'), (9, 'class 9')]
    assert output.classes[1].colour == '#ffffff' and all(c.colour for c in output.classes)
    ring = card.geometry['coordinates'][0]
    assert ring[0] == ring[-1] and all(4.4 < x < 4.6 and 52.2 < y < 52.4 for x, y in ring)


def test_scores_in_the_package_are_those_of_the_weights_in_it(trained, dataset):
    """Recomputed from the SavedModel and the arrays on disk, with nothing of the trainer."""
    import tensorflow as tf

    folder = trained[0]
    record = json.loads((folder / 'training.json').read_text())
    images = np.load(os.path.join(dataset, 'source1-00000.npy'))[42:].astype(np.float32)
    labels = np.load(os.path.join(dataset, 'labels-00000.npy'))[42:, ..., 0]
    signature = tf.saved_model.load(str(folder / 'model/savedmodel')).signatures['serving_default']
    found = np.array([3, 7, 9])[signature(source1=tf.constant(images))['probabilities'].numpy().argmax(-1)]
    known = labels != 255
    result = record['results']['test']
    assert result['overall_accuracy'] == pytest.approx((found == labels)[known].mean())
    assert (
        np.sum(result['confusion'])
        == known.sum()
        == record['dataset']['splits']['test']['pixels'][0] + sum(record['dataset']['splits']['test']['pixels'][1:])
    )


def test_the_same_seed_gives_the_same_weights(dataset, tmp_path):
    options = TrainOptions(filters=4, depth=1, dropout=0.3)
    for name in 'ab':
        train(dataset, tmp_path / name, seed=1, options=options)
    assert equal(weights_of(tmp_path / 'a'), weights_of(tmp_path / 'b'))


def test_pixels_that_do_not_count_have_no_influence(make_scene, make_dataset, tmp_path):
    images, labels = make_scene(24, 8, 3)
    images[:, 4:6, :3], labels[:, 0, :] = 65535, 255
    splits = ['train'] * 16 + ['validation'] * 8
    train(make_dataset(tmp_path / 'd', images, labels, splits, nodata='65535'), tmp_path / 'a')
    changed = labels.copy()
    changed[:, 4:6, :3] = np.where(labels[:, 4:6, :3] == 3, 7, 3)  # labels where the image has no data
    train(make_dataset(tmp_path / 'e', images, changed, splits, nodata='65535'), tmp_path / 'b')
    assert equal(weights_of(tmp_path / 'a'), weights_of(tmp_path / 'b'))


def test_class_weights():
    pixels = np.array([900, 100, 0, 25])
    weights = class_weights(pixels, 'auto')
    assert weights[1] / weights[0] == pytest.approx(3) and weights[3] / weights[1] == pytest.approx(2)
    assert (weights * pixels).sum() / pixels.sum() == pytest.approx(1) and weights[2] == 1
    assert (class_weights(pixels, 'none') == 1).all()


def test_the_best_epoch_is_kept_and_patience_ends_the_training(dataset, tmp_path):
    options = TrainOptions(filters=4, depth=1, patience=1)
    values, _ = train(dataset, tmp_path / 'a', epochs=30, learning_rate=0.5, options=options)
    record = json.loads((tmp_path / 'a/training.json').read_text())
    scores = [epoch['validation']['mean_iou'] for epoch in record['history']]
    assert values['BEST_EPOCH'] == len(scores) - 1 == int(np.argmax(scores)) + 1 < 29
    assert record['results']['validation']['mean_iou'] == pytest.approx(max(scores))


def test_without_validation_the_last_weights_are_kept_with_a_warning(make_scene, make_dataset, tmp_path):
    images, labels = make_scene(12, 8, 3)
    labels[8:] = 255  # a validation split without any label is none
    data = make_dataset(tmp_path / 'd', images, labels, ['train'] * 8 + ['validation'] * 4)
    options = TrainOptions(filters=4, depth=1, validation_steps=3, patience=1)
    values, events = train(data, tmp_path / 'a', options=options)
    told = [event.text for event in events if isinstance(event, Warn)]
    assert any('split "validation"' in text for text in told)
    assert any(text.startswith('validation_steps, patience: without effect') for text in told)
    assert values['BEST_EPOCH'] == 2 and 0 <= values['BEST_SCORE'] <= 1
    assert list(json.loads((tmp_path / 'a/training.json').read_text())['results']) == ['train']
    with open_package(str(tmp_path / 'a')) as package:
        assert package.card.geometry is None  # the dataset names no CRS


def test_a_validation_split_without_one_of_the_classes_cannot_choose(make_scene, make_dataset, tmp_path):
    images, labels = make_scene(12, 8, 3)
    labels[8:] = np.where(labels[8:] == 7, 3, labels[8:])
    data = make_dataset(tmp_path / 'd', images, labels, ['train'] * 8 + ['validation'] * 4)
    values, events = train(data, tmp_path / 'a', epochs=3)
    assert any('no pixel of class 7 (class 7)' in event.text for event in events if isinstance(event, Warn))
    record = json.loads((tmp_path / 'a/training.json').read_text())
    assert values['BEST_EPOCH'] == 3 and not record['best']['chosen']
    assert values['BEST_SCORE'] == pytest.approx(record['history'][-1]['validation']['mean_iou'])


def test_a_background_declared_as_no_data(make_scene, make_dataset, tmp_path):
    images, labels = make_scene(12, 8, 3)
    labels = np.where(labels == 7, 1, 0).astype(np.uint8)
    data = make_dataset(tmp_path / 'd', images, labels, ['train'] * 8 + ['validation'] * 4, label_nodata=0)
    with pytest.raises(LabelError, match=r'CLASSES.*"0,background" and "1,class 1"'):
        train(data, tmp_path / 'a')
    train(data, tmp_path / 'a', classes=(ClassDef(0, 'background'), ClassDef(1, 'building')))
    record = json.loads((tmp_path / 'a/training.json').read_text())
    assert sum(record['dataset']['splits']['train']['pixels']) == 8 * 8 * 8


@pytest.mark.parametrize('text', ['Counting labels', 'Epoch 1 of', 'Epoch 2 of', 'Writing the model'])
def test_cancel_leaves_the_state_as_it_is_and_nothing_else(dataset, tmp_path, text):
    stop = threading.Event()
    seen = []

    def hear(event):
        seen.append(event)
        if isinstance(event, Progress) and event.text.startswith(text):
            stop.set()

    reporter = Reporter(hear, stop)
    reporter.INTERVAL = 0.0
    with pytest.raises(Cancelled):
        train_model(TrainJob(dataset, str(tmp_path / 'a'), epochs=2, batch_size=8, options=SMALL), reporter)
    assert isinstance(seen[-1], Progress)  # nothing more was done
    left = [str(path.relative_to(tmp_path)) for path in sorted(tmp_path.rglob('*')) if path.is_file()]
    kept = ['a.part/checkpoint/state.npz'] if text != 'Counting labels' else []
    assert [name for name in left if 'best-' not in name] == kept and bool(os.listdir(tmp_path)) == bool(kept)


def test_a_loss_that_is_no_number_ends_the_training(dataset, tmp_path):
    with pytest.raises(TrainingDiverged, match=r'epoch 1, batch \d.*LEARNING_RATE'):
        train(dataset, tmp_path / 'a', learning_rate=1e38)
    assert not os.listdir(tmp_path)


def test_what_cannot_be_trained_is_refused_in_one_line(dataset, make_scene, make_dataset, tmp_path):
    images, labels = make_scene(8, 12, 3)

    def refused(error, words, data=dataset, output=tmp_path / 'out', **settings):
        with pytest.raises(error, match=words) as caught:
            train(data, output, **settings)
        assert (
            '\n' not in str(caught.value) and not (tmp_path / 'out').exists() and not (tmp_path / 'out.part').exists()
        )

    half = ['train'] * 4 + ['validation'] * 4
    plain = make_dataset(tmp_path / 'plain', images, labels, half)
    refused(InputMissing, 'nowhere', data=tmp_path / 'nowhere')
    refused(DatasetError, 'no dataset', data=tmp_path)
    refused(NoSamples, "'train'", data=make_dataset(tmp_path / 'v', images, labels, ['validation'] * 8))
    refused(LabelError, r'only class 3', data=make_dataset(tmp_path / 'one', images, labels * 0 + 3, half))
    refused(LabelError, r'outside the named classes: 9 \(\d+ pixels\)', classes=(ClassDef(3), ClassDef(7)))
    refused(LabelError, '255', classes=(ClassDef(3), ClassDef(7), ClassDef(9), ClassDef(255)))
    refused(InvalidJob, r'"depth": 2\}, the largest', data=plain, options=TrainOptions(depth=3))
    refused(InvalidJob, 'EPOCHS 0', epochs=0)
    refused(InvalidJob, 'BATCH_SIZE 0', batch_size=0)
    refused(InvalidJob, 'LEARNING_RATE', learning_rate=float('nan'))
    refused(InvalidJob, 'dropout', options=TrainOptions(dropout=1.0))
    refused(InvalidJob, 'Architecture.*transformer', architecture='transformer')
    refused(OutputRefused, 'plain', output=plain)
    refused(OutputRefused, 'no folder', report=str(tmp_path / 'not/there.html'))
    small = make_dataset(tmp_path / 'small', images, labels[:, ::2, ::2], half)
    refused(DatasetError, 'Label patches are of 6 x 6', data=small)
    one = make_dataset(tmp_path / 'single', images, labels[:, :1, :1], half)
    refused(DatasetError, 'one label a patch', data=one)


def test_a_class_without_labels_is_warned_of(dataset, tmp_path):
    named = (ClassDef(3), ClassDef(7), ClassDef(9), ClassDef(20, 'snow'))
    _, events = train(dataset, tmp_path / 'a', epochs=1, classes=named)
    assert any('20 (snow)' in event.text for event in events if isinstance(event, Warn))
    with open_package(str(tmp_path / 'a')) as package:
        assert package.card.outputs[0].bands == 4


def test_a_dataset_that_was_meddled_with_is_warned_of(dataset, tmp_path):
    copy = tmp_path / 'copy'
    shutil.copytree(dataset, copy)
    (copy / 'labels-00007.npy').write_bytes(b'left over')
    said = []
    train(str(copy), tmp_path / 'p', lambda event: said.append(event.text) if isinstance(event, Warn) else None)
    (warning,) = [text for text in said if 'labels-00007.npy' in text]
    assert 'no part of the dataset' in warning and '\n' not in warning
