"""Ways to fit: schedules, optimisers, precision, first weights from elsewhere, layers that wait."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path

import keras
import numpy as np
import pytest

from quadrat.engine.accuracy.calibration import Calibration
from quadrat.engine.accuracy.regression import PairMoments
from quadrat.engine.errors import InvalidJob, ModelError, TrainingDiverged
from quadrat.engine.events import Log, Reporter, Warn
from quadrat.engine.jobs import ClassDef, TrainJob, TrainOptions
from quadrat.engine.model_package.package import open_package
from quadrat.engine.training.checks import check_job
from quadrat.engine.training.history import history_table
from quadrat.engine.training.opening import open_material
from quadrat.engine.training.schedule import Schedule
from quadrat.engine.training.state import TrainingFolder
from quadrat.engine.training.trainer import train_model
from quadrat.engine.training.training import Training

SMALL = TrainOptions(filters=4, depth=1)


def begin(job: TrainJob, folder=None) -> Training:
    """A training before its first step."""
    folder = folder or TrainingFolder(job.output, writes=False)
    return Training(job, open_material(job, Reporter()), folder, Reporter())


def fit(job: TrainJob) -> Training:
    """A training without a package."""
    training = begin(job)
    training.fit()
    return training


def test_schedules():
    rates = {kind: [Schedule(kind, 0.1, 100, 0.1).rate(step) for step in range(100)] for kind in ('cosine', 'constant')}
    assert all(0 < rate <= 0.1 for found in rates.values() for rate in found)
    assert rates['cosine'][:10] == rates['constant'][:10] and rates['cosine'][10] == 0.1
    assert rates['cosine'][99] < 1e-4 and rates['constant'][99] == 0.1
    once = [Schedule('onecycle', 0.1, 100, 0.5).rate(step) for step in range(100)]
    assert 28 <= int(np.argmax(once)) <= 31 and once[0] == pytest.approx(0.004) and once[-1] == pytest.approx(4e-7)
    plateau = Schedule('plateau', 0.1, 100, 0.0, 2, 0.5)
    scores = [0.1, 0.2, 0.2, 0.1, 0.3, 0.2, 0.1, 0.0, 0.0]
    assert [plateau.rate(50, scores[:n]) for n in range(10)] == [0.1] * 4 + [0.05] * 3 + [0.025] * 2 + [0.0125]


def rates(peak: float, **options) -> list[float]:
    """Of five epochs of four steps each."""
    schedule = Schedule.of(TrainOptions(**{'warm_up': 0.0, **options}), peak, 4, 5)
    return [schedule.rate(step) for step in range(20)]


def test_schedules_by_steps_and_epochs():
    stairs = rates(0.8, schedule='exponential', decay_rate=0.5)
    assert stairs == [0.8] * 4 + [0.4] * 4 + [0.2] * 4 + [0.1] * 4 + [0.05] * 4
    curve = rates(0.8, schedule='exponential', decay_rate=0.25, schedule_steps=2, staircase=False)
    assert curve == pytest.approx([0.8 * 0.5**step for step in range(20)])
    pieces = rates(1.0, schedule='piecewise', piecewise='0.1:1:0.02:3:0.003')
    assert pieces == [0.1] * 4 + [0.02] * 8 + [0.003] * 8
    cycles = rates(0.9, schedule='cyclical', minimum_rate=0.1, schedule_steps=10)
    assert cycles[:10] == cycles[10:] and cycles[0] == 0.9 and cycles[5] == pytest.approx(0.5)
    assert (
        cycles[9] == pytest.approx(0.1 + 0.4 * (1 + np.cos(0.9 * np.pi))) and sorted(cycles[:10])[::-1] == cycles[:10]
    )
    warm = rates(0.8, schedule='exponential', decay_rate=0.5, warm_up=0.15)
    assert warm == pytest.approx([0.2, 0.4, 0.6, *stairs[3:]])


@pytest.mark.parametrize(
    ('options', 'what'),
    [
        ({'schedule': 'piecewise'}, 'piecewise'),
        ({'schedule': 'piecewise', 'piecewise': '0.1:5'}, 'piecewise'),
        ({'schedule': 'piecewise', 'piecewise': '0.1:5:0.01:5:0.001'}, 'piecewise'),
        ({'schedule': 'piecewise', 'piecewise': '0.1:a:0.01'}, 'piecewise'),
        ({'piecewise': '0.1:5:0.01'}, 'schedule piecewise'),
        ({'schedule': 'cyclical', 'minimum_rate': 0.01}, 'minimum_rate'),
        ({'schedule': 'exponential', 'decay_rate': 0.0}, 'decay_rate'),
        ({'schedule_steps': -1}, 'schedule_steps'),
        ({'save_checkpoint_steps': 5, 'save_checkpoint_secs': 5.0}, 'save_checkpoint_secs'),
        ({'monitor_mode': 'up'}, 'monitor_mode'),
        ({'monitor': 'acuracy'}, 'monitor'),
        ({'validation_epochs': -1}, 'validation_epochs'),
        ({'shuffle': False, 'shuffle_buffer': 5}, 'shuffle_buffer'),
        ({'warm_start_include': ('(',)}, 'warm_start_include'),
        ({'warm_start_exclude': ('head',)}, 'WARM_START'),
        ({'device': 'gpu'}, 'device'),
    ],
)
def test_contradictions_are_refused(options, what):
    with pytest.raises(InvalidJob, match=what):
        check_job(TrainJob('data', 'out', learning_rate=0.01, options=TrainOptions(**options)))


@pytest.mark.parametrize(
    'options',
    [
        {'optimizer': 'adam', 'schedule': 'plateau', 'clip_norm': 1.0},
        {'optimizer': 'sgd', 'schedule': 'onecycle', 'weight_decay': 1e-3, 'class_weights': {'3': 2, '9': 0.5}},
        {'precision': 'mixed', 'schedule': 'constant', 'augment': {'gain': 0.1, 'crop': 8}},
    ],
)
def test_it_learns_in_other_ways(dataset, tmp_path, options):
    rate, options = 0.3 if 'sgd' in options.values() else 0.03, dataclasses.replace(SMALL, **options)
    training = fit(TrainJob(dataset, str(tmp_path / 'a'), epochs=8, batch_size=8, learning_rate=rate, options=options))
    assert training.best_score > 0.45
    if options.precision == 'mixed':
        kinds = {layer.compute_dtype for layer in training.model.layers}
        assert kinds == {'float32', 'bfloat16'} and {w.dtype for w in training.model.weights} == {'float32'}


def test_clipped_steps_are_no_longer_than_they_may_be(dataset, tmp_path):
    options = dataclasses.replace(SMALL, optimizer='sgd', weight_decay=0.0, schedule='constant', warm_up=0.0)
    moved = []
    for norm in (0.0, 0.01):
        job = TrainJob(dataset, str(tmp_path / 'a'), epochs=1, batch_size=33, learning_rate=1.0)
        training = begin(dataclasses.replace(job, options=dataclasses.replace(options, clip_norm=norm)))
        before = [np.array(weight) for weight in training.fitting.network.trainable_variables]
        training.fitting.train(training._training_batches(1), 1)
        after = training.fitting.network.trainable_variables
        moved.append(float(np.sqrt(sum(np.sum((np.array(a) - b) ** 2) for a, b in zip(after, before)))))
    assert moved[0] > 0.1 and moved[1] == pytest.approx(0.019, rel=1e-3)  # Nesterov's first step is 1.9 times as long


@pytest.fixture(scope='module')
def known(dataset, tmp_path_factory):
    """A package to start from."""
    folder = str(tmp_path_factory.mktemp('known') / 'package')
    train_model(TrainJob(dataset, folder, epochs=4, batch_size=8, learning_rate=0.02, options=SMALL), Reporter())
    return folder


def test_starting_from_a_model(dataset, known, make_scene, make_dataset, tmp_path):
    said: list[str] = []
    hear = Reporter(lambda event: said.append(event.text) if isinstance(event, (Log, Warn)) else None)
    job = TrainJob(dataset, str(tmp_path / 'a'), epochs=1, batch_size=8, warm_start=known, options=SMALL)
    training = Training(job, open_material(job, hear), TrainingFolder(job.output, writes=False), hear)
    with open_package(known) as package:
        first = keras.models.load_model(package.keras, compile=False)
    for mine, theirs in zip(training.model.get_weights(), first.get_weights()):
        assert np.array_equal(mine, theirs)
    assert any('layers taken over: ' in text for text in said)

    images, labels = make_scene(12, 16, 5)
    images = np.concatenate([images[..., ::-1], images[..., :1]], -1)  # bands B1, B2, B3 are now others, and one is new
    labels = np.where(labels == 7, 1, labels)
    other = make_dataset(tmp_path / 'other', images, labels, ['train'] * 8 + ['validation'] * 4)
    manifest = json.loads((tmp_path / 'other/manifest.json').read_text())
    manifest['sources'][0]['bands'] = ['B3', 'B2', 'B1', 'B4']
    (tmp_path / 'other/manifest.json').write_text(json.dumps(manifest))
    training = begin(dataclasses.replace(job, dataset=other))
    mine, theirs = (m.get_layer('down1a_conv').kernel.numpy() for m in (training.model, first))
    assert np.array_equal(mine[:, :, :3], theirs[:, :, ::-1]) and np.allclose(mine[:, :, 3], theirs.mean(2))
    mine, theirs = (m.get_layer('logits').get_weights() for m in (training.model, first))
    for new, old in zip(mine, theirs):  # classes 1, 3, 9 after 3, 7, 9
        assert np.array_equal(new[..., 1:], old[..., [0, 2]]) and not np.array_equal(new[..., 0], old[..., 1])
    assert training.transfer['adapted'] == ['down1a_conv', 'logits'] and not training.transfer['mismatched']

    shutil.copytree(dataset, tmp_path / 'named')
    manifest = json.loads((tmp_path / 'named/manifest.json').read_text())
    for names, place in ((['red', 'green', 'blue'], 'loaded'), (['B3', 'B2', 'B1'], 'adapted')):
        manifest['sources'][0]['bands'] = names  # those of the model, B1 to B3, say nothing but their order
        (tmp_path / 'named/manifest.json').write_text(json.dumps(manifest))
        training = begin(dataclasses.replace(job, dataset=str(tmp_path / 'named')))
        assert 'down1a_conv' in training.transfer[place]
        mine = training.model.get_layer('down1a_conv').kernel.numpy()
        theirs = first.get_layer('down1a_conv').kernel.numpy()
        assert np.array_equal(mine, theirs if place == 'loaded' else theirs[:, :, ::-1])

    chosen = dataclasses.replace(SMALL, warm_start_include=('down', 'up1'), warm_start_exclude=('.*_norm',))
    training = begin(dataclasses.replace(job, dataset=other, options=chosen))
    taken = [*training.transfer['loaded'], *training.transfer['adapted']]
    assert 'down1a_conv' in taken and 'down1a_norm' in training.transfer['excluded']
    assert all(name.startswith(('down', 'up1')) and not name.endswith('_norm') for name in taken)
    assert {'logits', 'bottoma_conv'} <= set(training.transfer['excluded'])
    with pytest.raises(InvalidJob, match=r'warm_start_include.*leaves no layer.*down1a_conv'):
        begin(dataclasses.replace(job, options=dataclasses.replace(SMALL, warm_start_include=('head',))))

    wide = begin(dataclasses.replace(job, options=dataclasses.replace(SMALL, filters=4, depth=2)))
    assert 'up2_transpose' in wide.transfer['skipped'] and 'bottoma_conv' in wide.transfer['mismatched']
    with pytest.raises(ModelError, match='no layer of it fits'):
        begin(dataclasses.replace(job, architecture='dilated', options=TrainOptions(filters=4)))
    with pytest.raises(ModelError, match='no item'):
        begin(dataclasses.replace(job, warm_start=str(tmp_path / 'other')))


def test_layers_wait_and_learn_slowly(dataset, known, tmp_path):
    options = dataclasses.replace(SMALL, freeze=('down.*', 'bottom.*'), unfreeze_after=1, fine_tune=0.1)
    job = TrainJob(dataset, str(tmp_path / 'a'), epochs=2, batch_size=8, warm_start=known, options=options)
    training = begin(job)
    names = ('down1a_conv', 'down1a_norm', 'up1a_conv', 'logits')
    states = [{name: training.model.get_layer(name).get_weights() for name in names}]
    for epoch in (1, 2):
        training._epoch(epoch)
        states.append({name: training.model.get_layer(name).get_weights() for name in names})

    def moved(name: str, epoch: int) -> float:
        return max(float(np.abs(a - b).max()) for a, b in zip(states[epoch][name], states[epoch - 1][name]))

    assert moved('down1a_conv', 1) == moved('down1a_norm', 1) == 0  # its moving averages wait as well
    assert moved('down1a_conv', 2) > 0 and 0 < moved('up1a_conv', 1) < 0.3 * moved('logits', 1)
    assert training.fitting.steps == 10 and len(training.fitting.groups) == 3
    for wrong, words in (
        ({'freeze': ('.*',)}, 'no layer is left'),
        ({'freeze': ('encoder.*',)}, "no layer is called 'encoder"),
        ({'freeze': ('(',)}, 'no regular expression'),
        ({'unfreeze_after': 3}, 'no layer is frozen'),
        ({'fine_tune': 0.1}, 'give WARM_START'),
    ):
        with pytest.raises(InvalidJob, match=words):
            train_model(TrainJob(dataset, str(tmp_path / 'b'), options=dataclasses.replace(SMALL, **wrong)), Reporter())


def test_bad_options_are_refused_in_one_line(dataset, tmp_path):
    for fields, options, words in (
        ({'loss': 'hinge'}, {}, "LOSS 'hinge'"),
        ({'loss': 'mse'}, {}, 'no loss for classes'),
        ({}, {'loss': {'gama': 1}}, 'no such option'),
        ({}, {'optimizer': 'lion'}, 'known are adamw, adam, sgd'),
        ({}, {'schedule': 'poly'}, "schedule 'poly'"),
        ({}, {'class_weights': {'4': 1}}, '4 is no class; they are 3, 7, 9'),
        ({}, {'class_weights': 'some'}, 'a weight for each class'),
        ({}, {'augment': {'flip': True}}, "did you mean 'flips'"),
        ({}, {'augment': {'crop': 17}}, 'crop 17: must be 1 to 16'),
        ({}, {'strategy': 'workers'}, 'TF_CONFIG'),
        ({}, {'target': 'source1'}, 'only regression'),
        ({'validation_share': 1.5}, {}, 'VALIDATION_SHARE'),
        ({'dataset': ''}, {}, 'give one of them'),
        ({'architecture': 'patchcnn'}, {}, 'a label for the whole patch'),
    ):
        job = TrainJob(**{'dataset': dataset, 'output': str(tmp_path / 'a'), **fields}, options=TrainOptions(**options))
        with pytest.raises(InvalidJob, match=words) as caught:
            train_model(job, Reporter())
        assert '\n' not in str(caught.value) and not list(tmp_path.iterdir())


def test_history_and_logs(known):
    record = json.loads((Path(known) / 'training.json').read_text())
    lines = (Path(known) / 'history.csv').read_text().splitlines()
    assert lines[0].startswith('epoch,seconds,learning_rate,training_loss,') and len(lines) == 5
    assert history_table(record['history']).splitlines() == lines
    import tensorflow as tf
    from tensorflow.python.summary.summary_iterator import summary_iterator

    (path,) = tf.io.gfile.glob(f'{known}/logs/validation/events*')
    found = {
        (event.step, value.tag): value.simple_value for event in summary_iterator(path) for value in event.summary.value
    }
    for epoch in record['history']:
        assert found[epoch['epoch'], 'mean_iou'] == pytest.approx(epoch['validation']['mean_iou'])


def test_scores_of_values_and_of_confidence():
    rng = np.random.default_rng(0)
    x, y = rng.normal(5000, 3, 500), rng.normal(5001, 4, 500)
    counted = rng.random(500) < 0.8
    moments = PairMoments(5000)
    for part in np.array_split(np.arange(500), 7):
        moments.update(x[part], y[part], counted[part])
    scores, a, b = moments.scores(), x[counted], y[counted]
    assert scores.rmse == pytest.approx(np.sqrt(((a - b) ** 2).mean())) and scores.mae == pytest.approx(
        abs(a - b).mean()
    )
    assert scores.r2 == pytest.approx(1 - ((a - b) ** 2).sum() / ((a - a.mean()) ** 2).sum())
    assert scores.bias == pytest.approx((b - a).mean()) and scores.correlation == pytest.approx(np.corrcoef(a, b)[0, 1])
    assert np.isnan(PairMoments().scores().rmse) and np.isnan(PairMoments().scores().r2)
    sure = rng.uniform(0.5, 1, 100_000)
    for shift, least, most in ((0.0, 0.0, 0.01), (0.2, 0.19, 0.21)):
        calibration = Calibration()
        calibration.update(sure, rng.random(100_000) < sure - shift, np.ones(100_000, bool))
        assert least <= calibration.error <= most
    assert calibration.to_dict()['confidence'][0] is None


def test_a_value_that_is_no_number_stops_the_training(dataset, tmp_path, monkeypatch):
    job = TrainJob(dataset, str(tmp_path / 'a'), epochs=1, batch_size=8, learning_rate=1e30, options=SMALL)
    with pytest.raises(TrainingDiverged, match=r'epoch 1, batch \d'):
        train_model(dataclasses.replace(job, classes=(ClassDef(3), ClassDef(7), ClassDef(9))), Reporter())
    assert not list(tmp_path.iterdir())
