"""Training of SavedModels by their own graphs."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import resource
import shutil
import threading
from pathlib import Path

import numpy as np
import pytest

from quadrat import engine
from quadrat.engine import errors, jobs
from quadrat.engine.training.graph.saving import save_checkpoint

LOSS = 'loss/value'


def sources(patches, name, image='image', reference='reference'):
    return (
        jobs.SourceSpec((patches[name, 'image'],), 'source1', patch_size=(0, 0), placeholder=image),
        jobs.SourceSpec((patches[name, 'reference'],), 'source2', patch_size=(0, 0), placeholder=reference),
    )


@pytest.fixture
def job(linear_model, patches, tmp_path):
    """Ten epochs of the linear model."""
    return jobs.TrainSavedModelJob(
        linear_model,
        str(tmp_path / 'trained'),
        ('train',),
        sources=sources(patches, 'training'),
        output_tensors=(LOSS,),
        batch_size=8,
        epochs=10,
        seed=3,
    )


def variables(folder):
    """Variables of a SavedModel by name."""
    import tensorflow as tf

    prefix = os.path.join(folder, 'variables/variables')
    return {
        name: tf.train.load_variable(prefix, name)
        for name, _ in tf.train.list_variables(prefix)
        if not name.startswith('_')
    }


def same(one, other):
    return all(np.array_equal(value, other[name]) for name, value in one.items())


def run(job):
    """The events of a job by type."""
    events = []
    engine.run(job, events.append)
    return {kind: [event for event in events if event.type == kind] for kind in ('log', 'metric', 'warning')}


def changed(job, **fields):
    return dataclasses.replace(job, **fields)


@pytest.mark.parametrize('batch_size', [1, 8, 37, 100])
def test_every_epoch_takes_all_samples_once(job, patches, batch_size):
    from quadrat.engine.datasets.pipelines.arrays import gdal_open, read_as_np_arr

    run(changed(job, batch_size=batch_size, epochs=2))
    found = variables(job.output)
    references = read_as_np_arr(gdal_open(patches['training', 'reference']))
    assert found['seen'] == 2 * 37
    np.testing.assert_allclose(found['total'], 2 * references.sum(), rtol=1e-4)


def test_what_is_learnt_is_reported_saved_and_served(job, patches, tmp_path):
    import tensorflow as tf

    validation = jobs.GraphValidation('rmse', 4, sources(patches, 'validation', reference='value'))
    checkpoint = tmp_path / 'checkpoint'
    report = tmp_path / 'report.html'
    said = run(changed(job, validation=validation, epochs=30, report=str(report), save_to=str(checkpoint)))
    losses = [event.value for event in said['metric'] if event.name == f'training/{LOSS}']
    assert len(losses) == 30 and losses[-1] < 1e-6 < 0.1 < losses[0]
    assert any(f'{LOSS} {losses[0]:.6g}' in event.text for event in said['log'])
    scores = {(event.name, event.step): event.value for event in said['metric'] if event.name.startswith('validation')}
    assert [step for name, step in scores if name == 'validation/value/rmse'] == [4, 8, 12, 16, 20, 24, 28, 30]
    assert scores['validation/value/rmse', 30] < 1e-3 and scores['validation/value/r2', 30] > 0.999
    page = report.read_text('utf-8')
    assert page.count('<svg') == 3 and LOSS in page and 'RMSE of value' in page

    trained = tf.saved_model.load(job.output)
    image = np.ones((2, 2, 2, 3), 'float32')
    value = trained.signatures['serving_default'](image=tf.constant(image), reference=tf.zeros((2, 1, 1, 1)))
    np.testing.assert_allclose(value['value'].numpy().ravel(), 6, atol=1e-2)
    assert {path.name for path in tmp_path.iterdir() if path.name.startswith('checkpoint')} == {
        'checkpoint.index',
        'checkpoint.data-00000-of-00001',
    }
    assert tf.train.load_variable(str(checkpoint), 'weights').tolist() == variables(job.output)['weights'].tolist()


def test_the_seed_decides_wherever_samples_are_read_from(job, tmp_path):
    """With dropout, whose operation has no seed of its own."""
    results = []
    for number, fields in enumerate(({}, {}, {'streaming': True}, {'seed': 4})):
        output = str(tmp_path / str(number))
        run(changed(job, output=output, epochs=3, user_placeholders='keep=0.5', **fields))
        results.append(variables(output)['weights'])
    assert np.array_equal(results[0], results[1]) and np.array_equal(results[0], results[2])
    assert not np.array_equal(results[0], results[3])


def test_constants_are_fed_by_the_name_of_an_operation(job):
    run(changed(job, user_placeholders='lr=0; keep=1', epochs=1))
    assert not variables(job.output)['weights'].any()


def test_signatures_of_tensorflow_2_train(job, modern_model, patches, tmp_path):
    import tensorflow as tf

    def train(name, **fields):
        output = str(tmp_path / name)
        fields = {'user_placeholders': 'lr=0.1', 'output_tensors': ('loss',), 'epochs': 40, **fields}
        validation = jobs.GraphValidation('rmse', 40, sources(patches, 'validation', reference='value'))
        said = run(
            changed(job, model=modern_model, output=output, target_nodes=('train',), validation=validation, **fields)
        )
        return [event.value for event in said['metric'] if event.name == 'training/loss'], variables(output)

    losses, first = train('first')
    assert losses[-1] < 0.5 * losses[0]
    assert same(first, train('again')[1]) and not same(first, train('other', seed=9)[1])
    loaded = tf.saved_model.load(str(tmp_path / 'first'))
    assert not os.path.exists(tmp_path / 'first/fingerprint.pb')
    image = tf.ones((1, 2, 2, 3))
    value = loaded.signatures['serving_default'](image=image)['value'].numpy().item()
    assert 4 < value < 7
    loaded.signatures['train'](image=image, reference=tf.zeros((1, 1, 1, 1)), lr=tf.constant(0.1))
    assert loaded.signatures['serving_default'](image=image)['value'].numpy().item() < value


def test_training_goes_on_from_a_checkpoint(job, modern_model, tmp_path):
    """Over the variables of the model itself, and over the model."""
    model = str(tmp_path / 'own')
    shutil.copytree(job.model, model)
    prefix = os.path.join(model, 'variables/variables')
    own = changed(job, model=model, save_to=prefix, epochs=2)
    run(own)
    assert same(variables(model), variables(job.output)) and variables(model)['seen'] == 74
    run(changed(own, save_to='', restore_from=prefix, model=job.model, output=model))
    assert variables(model)['seen'] == 148
    with pytest.raises(errors.ModelError, match=r'not a checkpoint of .*: seen is missing'):
        engine.run(changed(own, restore_from=os.path.join(modern_model, 'variables/variables')))
    damaged = tmp_path / 'damaged.index'
    damaged.write_bytes(b'x' * 99)
    with pytest.raises(errors.ModelError, match='not a checkpoint'):
        engine.run(changed(own, restore_from=str(damaged.with_suffix(''))))
    assert sorted(os.listdir(model)) == ['saved_model.pb', 'variables']
    assert sorted(os.listdir(tmp_path / 'own/variables')) == ['variables.data-00000-of-00001', 'variables.index']


def test_what_was_there_is_kept_where_saving_fails(job, tmp_path):
    model = str(tmp_path / 'own')
    shutil.copytree(job.model, model)
    before = variables(model)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (30, hard))
    try:
        with pytest.raises(errors.DiskFull, match=r'may not grow any larger|disk is full'):
            engine.run(changed(job, model=model, output=model, epochs=1))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert same(before, variables(model)) and os.listdir(tmp_path) == ['own']


def test_a_checkpoint_is_replaced_as_a_whole(tmp_path, monkeypatch):
    """What was there is put back, whether moving the new files fails or the computer did."""

    class Session:
        def save(self, prefix):
            for ending in ('data-00000-of-00001', 'index'):
                Path(f'{prefix}.{ending}').write_text('new')

    def content():
        return {path.name: path.read_text() for path in tmp_path.iterdir() if path.is_file()}

    prefix, rename = str(tmp_path / 'variables'), os.rename
    before = {'variables.data-00000-of-00002': '1', 'variables.data-00001-of-00002': '2', 'variables.index': 'old'}
    for name, text in before.items():
        (tmp_path / name).write_text(text)

    def fail_at_last(source, target):
        if target == f'{prefix}.index':
            raise OSError(28, 'No space left on device')
        rename(source, target)

    monkeypatch.setattr(os, 'rename', fail_at_last)
    with pytest.raises(errors.DiskFull):
        save_checkpoint(Session(), prefix)
    assert content() == before
    monkeypatch.undo()
    (tmp_path / 'variables.part/old').mkdir(parents=True)
    rename(f'{prefix}.index', tmp_path / 'variables.part/old/variables.index')
    monkeypatch.setattr(Session, 'save', lambda self, prefix: (_ for _ in ()).throw(errors.DiskFull('full')))
    with pytest.raises(errors.DiskFull):
        save_checkpoint(Session(), prefix)
    assert content() == before and not (tmp_path / 'variables.part').exists()
    monkeypatch.undo()
    save_checkpoint(Session(), prefix)
    assert content() == {'variables.data-00000-of-00001': 'new', 'variables.index': 'new'}


def test_a_job_survives_json(job):
    job = changed(job, validation=jobs.GraphValidation('class', 3, job.sources, user_placeholders='keep=1'))
    assert jobs.job_from_dict(json.loads(jobs.dumps(job))) == job and hash(job)


def test_labels_are_compared(job, patches, write_images, tmp_path):
    """Of an output that rounds what the model gives; with the CSV of the validation samples."""
    paths, expected = {}, {}
    for name, count in (('training', 37), ('validation', 23)):
        expected[name] = np.random.default_rng(count).integers(0, 3, count)
        images = np.ones((count, 2, 2, 3), 'float32') * expected[name][:, None, None, None]
        labels = (6 * images[:, :1, :1, :1]).astype('int16')
        if name == 'validation':
            labels[:2] = 40  # a class that the model never gives
        for kind, array in (('image', images), ('reference', labels)):
            paths[name, kind] = write_images(tmp_path / f'{name}-{kind}.tif', array)
    table = tmp_path / 'confusion.csv'
    validation = jobs.GraphValidation('class', 15, sources(paths, 'validation', reference='label'), streaming=True)
    fields = {'sources': sources(paths, 'training'), 'validation': validation, 'confusion': str(table)}
    said = run(changed(job, epochs=20, **fields))
    head, columns, *rows = table.read_text().splitlines()
    assert head == '#Reference labels (rows):0,6,12,40' and columns == '#Produced labels (columns):0,6,12,40'
    counts = np.array([[int(value) for value in row.split(',')] for row in rows])
    right = np.bincount(expected['validation'][2:], minlength=3)
    assert counts.sum() == 23 and np.array_equal(np.diag(counts)[:3], right)
    assert counts[3].sum() == 2 and not counts[:, 3].any()
    text = '\n'.join(event.text for event in said['log'])
    assert 'training, label: overall accuracy 1.0000' in text
    assert 'class 40: precision nan, recall 0.0000' in text and 'validation, label: overall accuracy 0.9130' in text


def test_a_dataset_feeds_its_keys(tensorflow1, dataset, tmp_path):
    """Sources, then labels; pixels without label are told of and not compared."""

    def build(tf):
        v1 = tf.compat.v1
        x = v1.placeholder(tf.float32, (None, 16, 16, 3), 'x')
        y = v1.placeholder(tf.int32, (None, 16, 16, 1), 'y')
        bias = v1.get_variable('bias', initializer=tf.constant(1e-6), use_resource=True)
        dark = tf.cast(x[..., :1] < 350.0, tf.float32) + 0 * bias
        found = tf.where(dark > 0, 3, 7)
        tf.identity(found, 'found')
        loss = tf.reduce_mean(bias**2 + 0 * tf.cast(y, tf.float32), name='loss')
        v1.train.GradientDescentOptimizer(0.1).minimize(loss, name='step')
        return {'source1': x, 'labels': y}, {'found': found}

    model = tensorflow1(tmp_path / 'model', build)
    job = jobs.TrainSavedModelJob(
        model,
        str(tmp_path / 'out'),
        ('step',),
        dataset=dataset,
        epochs=1,
        validation=jobs.GraphValidation('class', placeholders=('', 'found')),
        confusion=str(tmp_path / 'c.csv'),
        report=str(tmp_path / 'r.html'),
    )
    said = run(job)
    assert any('330 of 8448 label pixels have no label' in event.text for event in said['warning'])
    rows = (tmp_path / 'c.csv').read_text().splitlines()
    assert rows[0] == '#Reference labels (rows):3,7,9'
    assert sum(int(value) for row in rows[2:] for value in row.split(',')) == 9 * (256 - 10)
    assert 'class 3' in (tmp_path / 'r.html').read_text()


def test_any_tag_set(job, tmp_path):
    """A graph to train beside one to serve: what serves has the trained variables too."""
    import tensorflow as tf

    v1, model = tf.compat.v1, str(tmp_path / 'model')
    builder = v1.saved_model.Builder(model)
    for tag, start in (('train', 0.0), ('serve', 9.0)):
        with v1.Graph().as_default(), v1.Session() as session:
            x = v1.placeholder(tf.float32, (None, 2, 2, 3), 'x')
            y = v1.placeholder(tf.float32, (None,), 'y')  # without axes of one
            bias = v1.get_variable('bias', initializer=tf.constant(start), use_resource=True)
            signature = v1.saved_model.predict_signature_def({'x': x}, {'value': tf.reduce_sum(x, (1, 2, 3)) + bias})
            if tag == 'train':
                loss = tf.reduce_mean((bias - y) ** 2)
                v1.train.AdamOptimizer(0.1).minimize(loss, name='train')
                session.run(v1.global_variables_initializer())
                builder.add_meta_graph_and_variables(session, [tag], {'serving_default': signature})
            else:
                builder.add_meta_graph([tag], {'serving_default': signature})
    builder.save()
    image, reference = (dataclasses.replace(item, placeholder=name) for item, name in zip(job.sources, 'xy'))
    said = run(changed(job, model=model, output_tensors=(), sources=(image, reference), epochs=1))
    assert any('does not depend on x' in event.text for event in said['warning'])
    kept = variables(job.output)
    assert kept['bias'] != 0 and {'bias/Adam', 'beta1_power'} <= set(kept)
    served = tf.saved_model.load(job.output, tags=['serve']).signatures['serving_default']
    assert served(x=tf.zeros((1, 2, 2, 3)))['value'].numpy().item() == kept['bias']
    with pytest.raises(errors.ModelError, match="no operation or signature 'train'"):
        engine.run(changed(job, model=model, tags='serve'))


def test_a_job_can_be_stopped(job):
    stop, seen = threading.Event(), []

    def listen(event):
        if event.type == 'metric':
            seen.append(event)
            stop.set()

    with pytest.raises(errors.Cancelled):
        engine.run(changed(job, epochs=1000), listen, stop)
    assert len(seen) == 1 and not os.path.exists(job.output) and not os.path.exists(job.output + '.part')


@pytest.mark.parametrize(
    ('words', 'fields'),
    [
        ("no operation or signature 'trian'; did you mean 'train'", {'target_nodes': ('trian',)}),
        ('TARGET_NODES.*such as train', {'target_nodes': ()}),
        ("no output 'loss/valu'; did you mean .*'loss/value'", {'output_tensors': ('loss/valu',)}),
        ("no placeholder 'rate'", {'user_placeholders': 'rate=1'}),
        ('lr=x', {'user_placeholders': 'lr=x'}),
        ('image is fed with samples', {'user_placeholders': 'image=1'}),
        ('no graph with the tags other', {'tags': 'other'}),
        ('Give either DATASET or INPUT', {'sources': ()}),
        ('no such checkpoint', {'restore_from': '/nowhere/variables'}),
        ('SAVE_TO', {'save_to': '/nowhere/variables'}),
        ('VALIDATION_INPUT: 0 sources', {'validation': jobs.GraphValidation('class')}),
        ('CONFUSION.*VALIDATION_MODE class', {'confusion': 'x.csv'}),
        ('EPOCHS 0', {'epochs': 0}),
        ('loss/value is (nan|inf) in epoch 1, batch', {'user_placeholders': 'lr=1e30', 'batch_size': 2}),
    ],
)
def test_what_is_wrong_is_said_in_one_line(job, words, fields):
    with pytest.raises(errors.EngineError) as caught:
        engine.run(changed(job, **fields))
    assert re.search(words, str(caught.value)), caught.value
    assert not os.path.exists(job.output) and not os.path.exists(job.output + '.part')


def test_patches_that_do_not_fit(job, patches, write_images, tmp_path):
    def refused(words, image=None, reference=None, size=(0, 0), **fields):
        one, two = sources(patches, 'training')
        one = dataclasses.replace(one, rasters=(image or one.rasters[0],), patch_size=size)
        two = dataclasses.replace(two, rasters=(reference or two.rasters[0],))
        with pytest.raises(errors.EngineError, match=words):
            engine.run(changed(job, sources=(one, two), **fields))

    refused('holds 36 patches.*37', reference=write_images(tmp_path / 'a.tif', np.ones((36, 1, 1, 1), 'float32')))
    refused('2 x 74 pixels are not patches of 3 x 3.*PATCH_SIZE 2', size=(3, 3))
    refused(
        r'patches of 4 x 4 pixels and 3 bands do not fit image, whose shape is \(any, 2, 2, 3\)',
        image=write_images(tmp_path / 'b.tif', np.ones((37, 4, 4, 3), 'float32')),
    )
    one, _ = sources(patches, 'training')
    with pytest.raises(errors.ModelError, match='needs a value for reference as well'):
        engine.run(changed(job, sources=(one,)))
    broken = tmp_path / 'broken.tif'
    broken.write_bytes(Path(patches['training', 'image']).read_bytes()[:300])
    refused('broken', image=str(broken))
    compared = jobs.GraphValidation('rmse', 1, sources(patches, 'training', reference='weights/Read/ReadVariableOp'))
    with pytest.raises(errors.ModelError, match='cannot be compared'):
        engine.run(changed(job, validation=compared, epochs=1))
    measured = jobs.GraphValidation('class', 1, sources(patches, 'training', reference='label'))
    with pytest.raises(errors.ModelError, match=r'is no label.*VALIDATION_MODE rmse'):
        engine.run(changed(job, validation=measured, epochs=1))
    nothing = jobs.GraphValidation('rmse', 1, sources(patches, 'training'))
    with pytest.raises(errors.InvalidJob, match='nothing is compared'):
        engine.run(changed(job, validation=nothing, epochs=1))
