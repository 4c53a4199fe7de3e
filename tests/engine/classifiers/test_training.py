"""Classifiers from attributes: against scikit-learn itself, and what is wrong with the input."""

from __future__ import annotations

import json
import os

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, cohen_kappa_score, confusion_matrix

from quadrat import engine
from quadrat.engine.classifiers.kinds import SCALER
from quadrat.engine.classifiers.store import load_classifier
from quadrat.engine.errors import EngineError
from quadrat.engine.gdalio import ogr
from quadrat.engine.jobs import CLASSIFIERS, ClassDef, TrainVectorClassifierJob, VectorSpec

LABELS = (3, 8, 200)
FAST = {
    'rf': {'n_estimators': 10},
    'extratrees': {'n_estimators': 10},
    'gbt': {'max_iter': 5},
    'ann': {'max_iter': 50},
    'kmeans': {'n_clusters': 3, 'n_init': 2},
}


def table(seed, count=240):
    """Values (samples, 3) and classes: near one another, so that some are mistaken."""
    rng = np.random.default_rng(seed)
    classes = rng.choice(LABELS, count)
    centres = {3: (0, 0, 5), 8: (2, 1, 5), 200: (0, 3, 5)}
    return np.array([centres[label] for label in classes]) + rng.normal(0, 1, (count, 3)), classes


@pytest.fixture(scope='module')
def layers(tmp_path_factory, request):
    """Training and validation samples, among them some without class or value."""
    from quadrat.engine.vector import VectorWriter, field

    folder = tmp_path_factory.mktemp('samples')
    specs = []
    for seed, name in ((0, 'training'), (1, 'validation')):
        values, classes = table(seed)
        fields = [field(f'value_{i}', ogr.OFTReal) for i in (1, 0, 2)]
        fields += [field('code', ogr.OFTInteger64), field('name', ogr.OFTString), field('same', ogr.OFTInteger64)]
        path = str(folder / f'{name}.gpkg')
        with VectorWriter(path, '', fields) as writer:
            for row, label in zip(values.tolist(), classes.tolist()):
                known = {f'value_{i}': value for i, value in enumerate(row)}
                writer.add(None, {**known, 'code': label, 'name': f'class, {label}', 'same': 1})
            writer.add(None, {'value_0': 1.0, 'value_1': 1.0, 'value_2': None, 'code': 3})
            writer.add(None, {'value_0': 1.0, 'value_1': 1.0, 'value_2': 1.0, 'code': None})
        specs.append(VectorSpec(path))
    return specs


@pytest.fixture
def train(tmp_path, layers):
    """A function: options of the job -> (path of the classifier, results, what was said)."""

    def run(name='c', **options):
        said = []
        path = str(tmp_path / f'{name}.skops')
        given = {'vector': layers[0], 'field': 'code', 'output': path, **options}
        given.setdefault('options', FAST.get(given.get('classifier', 'rf'), {}))
        results = engine.run(TrainVectorClassifierJob(**given), on_event=said.append)
        return path, results, [getattr(event, 'text', '') for event in said]

    return run


@pytest.mark.parametrize('kind', CLASSIFIERS)
def test_the_confusion_matrix_is_that_of_scikit_learn(train, layers, tmp_path, kind):
    supervised = kind != 'kmeans'
    confusion = str(tmp_path / 'c.csv') if supervised else ''
    options = {'classifier': kind, 'report': str(tmp_path / 'r.html')}
    path, results, said = train(validation=layers[1], confusion=confusion, **options)
    found = load_classifier(path)
    assert found.card.features == ('value_0', 'value_1', 'value_2')
    assert sum(found.card.samples) == 240 + (not supervised)  # one sample lacks the class
    values, classes = table(1)
    told = np.array([item.value for item in found.card.classes])[found.predict(values.astype('float32'))]
    page = (tmp_path / 'r.html').read_text('utf-8')
    assert ('Importance of the features' in page) == (kind in ('rf', 'extratrees', 'dt'))
    assert any(f'{1 + supervised} features are left out' in text for text in said)
    if not supervised:
        assert [item.name for item in found.card.classes] == ['cluster 1', 'cluster 2', 'cluster 3']
        assert set(results) == {'OUTPUT', 'REPORT'}
        return
    with open(confusion, encoding='utf-8') as file:
        first, second, *rows = file.read().splitlines()
    assert first == '#Reference labels (rows):3,8,200' and second == '#Produced labels (columns):3,8,200'
    counts = np.array([[int(cell) for cell in row.split(',')] for row in rows])
    assert np.array_equal(counts, confusion_matrix(classes, told, labels=LABELS))
    assert results['ACCURACY'] == pytest.approx(accuracy_score(classes, told)) and results['ACCURACY'] > 0.75
    assert results['KAPPA'] == pytest.approx(cohen_kappa_score(classes, told))


def test_without_validation_the_training_samples_count_and_a_warning_says_so(train, tmp_path):
    path, results, said = train(classifier='dt', confusion=str(tmp_path / 'c.csv'))
    assert any('no samples for validation' in text for text in said)
    values, classes = table(0)
    told = np.array(LABELS)[load_classifier(path).predict(values.astype('float32'))]
    assert results['ACCURACY'] == pytest.approx((told == classes).mean())
    assert sorted(os.listdir(tmp_path)) == [
        f'{name}{end}' for name in ('c.csv', 'c.skops') for end in ('', '.json', '.log')
    ]


def test_the_same_seed_gives_the_same_classifier(train):
    values = np.random.default_rng(2).normal(0, 2, (500, 3)).astype('float32')
    for kind in ('rf', 'gbt', 'svm', 'ann', 'kmeans'):
        first, again, other = (
            load_classifier(train(seed=seed, classifier=kind)[0]).probabilities(values) for seed in (1, 1, 2)
        )
        assert np.array_equal(first, again)
        assert kind != 'rf' or not np.array_equal(first, other)


def test_classes_of_text_have_numbers_names_and_colours(train, layers):
    path, _, _ = train(
        field='name',
        validation=layers[1],
        legend=(ClassDef(0, 'class, 8', '#0000ff'), ClassDef(0, 'class, 9', '#ffffff')),
    )
    classes = load_classifier(path).card.classes
    assert [(item.value, item.name) for item in classes] == [(1, 'class, 200'), (2, 'class, 3'), (3, 'class, 8')]
    assert classes[2].colour == '#0000ff' and classes[0].colour
    named = tuple(ClassDef(value, f'class, {value}', '#00ff00') for value in LABELS)
    card = load_classifier(train(field='name', classes=named)[0]).card
    assert card.classes == named and sum(card.samples) == 240
    legend = (ClassDef(8, 'pond', '#0000ff'), ClassDef(9, 'lake', '#0000ff'))
    card = load_classifier(train(legend=legend, classes=(ClassDef(3, 'wood'),))[0]).card
    assert [(item.value, item.name) for item in card.classes] == [(3, 'wood'), (8, 'pond'), (200, '200')]


def test_fields_in_their_order_and_given_statistics(train, tmp_path):
    text = '<?xml version="1.0" ?>\n<FeatureStatistics>\n'
    for name, values in (('mean', (7, 5)), ('stddev', (2, 0))):
        vectors = ''.join(f'<StatisticVector value="{value}" />' for value in values)
        text += f'<Statistic name="{name}">{vectors}</Statistic>\n'
    (tmp_path / 's.xml').write_text(text + '</FeatureStatistics>\n')
    options = {'features': ('value_2', 'value_0'), 'classifier': 'logistic'}
    path, _, _ = train(statistics=str(tmp_path / 's.xml'), **options)
    found = load_classifier(path)
    assert found.card.features == ('value_2', 'value_0')
    assert (found.card.mean, found.card.scale) == ((7, 5), (2, 1))
    assert found.pipeline.named_steps[SCALER].transform([[11.0, 6.0]]).tolist() == [[2, 1]]
    assert np.allclose(load_classifier(train(**options)[0]).card.mean, table(0)[0][:, [2, 0]].mean(0))


def wrong(layers, tmp_path):
    """Options, and what the error says."""
    short = tmp_path / 'short.xml'
    short.write_text('<Statistic name="mean"><StatisticVector value="1"/></Statistic><Statistic name="stddev">'
                     '<StatisticVector value="1"/></Statistic>')  # fmt: skip
    return [
        ({'field': ''}, 'FIELD'),
        ({'field': 'nothing'}, "no field 'nothing'"),
        ({'features': ('value_0', 'depth')}, "no field 'depth'"),
        ({'features': ('value_0', 'name')}, "'name' holds no numbers"),
        ({'field': 'same'}, 'one class'),
        ({'vector': VectorSpec('/nowhere.gpkg')}, 'no such file'),
        ({'classifier': 'oracle'}, 'known are rf'),
        ({'options': {'n_estimator': 3}}, "did you mean 'n_estimators'"),
        ({'options': {'n_estimators': 0}}, "'n_estimators' parameter"),
        ({'options': {'n_estimators': 'many'}}, 'expected int'),
        ({'classifier': 'svm', 'options': {'kernel': 'magic'}}, "'kernel' parameter"),
        ({'classifier': 'kmeans', 'confusion': str(tmp_path / 'c.csv')}, 'CONFUSION'),
        ({'classifier': 'kmeans', 'options': {'n_clusters': 1000}}, 'n_clusters=1000'),
        ({'output': str(tmp_path / 'c.pkl')}, '.skops'),
        ({'output': '/nowhere/c.skops'}, '/nowhere'),
        ({'report': str(tmp_path / 'c.skops')}, 'same file'),
        ({'statistics': str(tmp_path / 'none.xml')}, 'no such file'),
        ({'statistics': str(short)}, 'statistics of 1 features'),
        ({'statistics': layers[0].path}, 'no statistics'),
    ]


def test_what_is_wrong_is_said_in_one_line(train, layers, tmp_path):
    for options, text in wrong(layers, tmp_path):
        with pytest.raises(EngineError) as caught:
            train(**options)
        assert text in str(caught.value) and '\n' not in str(caught.value), (options, str(caught.value))
    assert os.listdir(tmp_path) == ['short.xml']


def test_nothing_but_json_and_arrays_is_in_the_file(train):
    import zipfile

    with zipfile.ZipFile(train()[0]) as archive:
        names = archive.namelist()
        card = json.loads(archive.read('quadrat.json'))
    assert {os.path.splitext(name)[1] for name in names} <= {'.json', '.npy'}
    assert card['kind'] == 'rf' and card['versions']['sklearn'] and card['options']['n_estimators'] == 10
