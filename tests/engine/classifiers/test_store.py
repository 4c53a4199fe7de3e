"""Classifiers in files: what comes back is the same, and what was tampered with is not used."""

from __future__ import annotations

import dataclasses
import io
import json
import zipfile

import numpy as np
import pytest
import skops.io
from sklearn.preprocessing import FunctionTransformer

from quadrat.engine.classifiers import store
from quadrat.engine.classifiers.classifier import Classifier, ClassifierCard
from quadrat.engine.classifiers.kinds import CLASSIFIER, train
from quadrat.engine.classifiers.store import CARD, load_classifier, to_bytes
from quadrat.engine.errors import InputMissing, InputUnreadable
from quadrat.engine.events import Reporter
from quadrat.engine.jobs import CLASSIFIERS, ClassDef, classifier_options

FEATURES = 4
FAST = {
    'rf': {'n_estimators': 5},
    'extratrees': {'n_estimators': 5},
    'gbt': {'max_iter': 5},
    'ann': {'hidden_layer_sizes': [8], 'max_iter': 20},
}


@pytest.fixture(scope='module')
def make():
    """A function: kind of classifier, number of classes -> a new one, trained on noise with structure."""

    def build(kind, classes=3, **options):
        rng = np.random.default_rng(0)
        labels = np.arange(150) % classes
        values = rng.normal(labels[:, None] * 2, 1, (150, FEATURES)).astype('float32')
        given = {**FAST.get(kind, {}), **({'n_clusters': classes} if kind == 'kmeans' else {}), **options}
        chosen = classifier_options(kind, given)
        pipeline = train(kind, chosen, 0, values, labels, Reporter())
        card = ClassifierCard(
            kind,
            dataclasses.asdict(chosen),
            0,
            tuple(f'f_{i}' for i in range(FEATURES)),
            tuple(ClassDef(10 + i, f'cläss {i}', '#00ff00') for i in range(classes)),
            (50,) * classes,
            (0.0,) * FEATURES,
            (1.0,) * FEATURES,
        )
        return Classifier(card, pipeline)

    return build


@pytest.fixture
def keep(tmp_path):
    """A function: classifier -> path of its file."""

    def write(classifier, name='c.skops'):
        path = tmp_path / name
        path.write_bytes(to_bytes(classifier))
        return str(path)

    return write


@pytest.mark.parametrize('classes', [2, 3])
@pytest.mark.parametrize('kind', CLASSIFIERS)
def test_every_kind_comes_back_the_same(make, keep, kind, classes):
    made = make(kind, classes)
    path = keep(made)
    found = load_classifier(path)
    values = np.random.default_rng(1).normal(0, 3, (20_000, FEATURES)).astype('float32')  # for several threads
    expected = made.probabilities(values)
    assert vars(found.card) == {**vars(made.card), 'options': found.card.options}
    assert json.dumps(found.card.options) == json.dumps(made.card.options)
    assert expected.dtype == np.float32 and expected.shape == (20_000, classes)
    assert np.array_equal(found.probabilities(values), expected)
    assert np.abs(expected.sum(1) - 1).max() < 1e-5
    if made.card.has_probabilities:
        assert np.allclose(made.pipeline.predict_proba(values), expected, atol=1e-6)
    # Nothing has to be trusted that is not on the list, and others can open the file as well.
    assert set(skops.io.get_untrusted_types(file=path)) <= set(store.TRUSTED.get(kind, ()))
    skops.io.load(path, trusted=list(store.TRUSTED.get(kind, ())))


def test_support_vectors_without_probabilities(make, keep):
    made = make('svm', probability=False)
    found = load_classifier(keep(made))
    values = np.random.default_rng(1).normal(0, 3, (100, FEATURES)).astype('float32')
    assert not found.card.has_probabilities
    assert np.array_equal(found.predict(values), made.pipeline.predict(values))


def _tree(estimator, field, node, value):
    """Change a node of a decision tree."""
    state = estimator.tree_.__getstate__()
    state['nodes'][field][node] = value
    estimator.tree_.__setstate__(state)


TAMPERED = {
    'a forest that never ends': ('rf', lambda e: _tree(e.estimators_[2], 'left_child', 0, 0)),
    'a child outside': ('extratrees', lambda e: _tree(e.estimators_[0], 'right_child', 0, 10**6)),
    'a feature outside': ('dt', lambda e: _tree(e, 'feature', 0, FEATURES)),
    'a negative feature': ('dt', lambda e: _tree(e, 'feature', 0, -1)),
    'boosting that never ends': ('gbt', lambda e: e._predictors[1][0].nodes['left'].__setitem__(0, 0)),
    'boosting on a feature outside': ('gbt', lambda e: e._predictors[0][1].nodes['feature_idx'].__setitem__(0, 99)),
    'boosting by bits': ('gbt', lambda e: e._predictors[0][0].nodes['is_categorical'].__setitem__(0, 1)),
    'more vectors than there are': ('svm', lambda e: _of(e)._n_support.__setitem__(0, 999)),
    'fewer coefficients': ('svm', lambda e: setattr(_of(e), '_dual_coef_', _of(e)._dual_coef_[:, :2])),
    'narrow vectors': ('svm', lambda e: setattr(_of(e), 'support_vectors_', _of(e).support_vectors_[:, :1].copy())),
    'a neighbour of no class': ('knn', lambda e: e._y.__setitem__(0, 50)),
    'more neighbours than samples': ('knn', lambda e: setattr(e, 'n_neighbors', 5000)),
    'narrow clusters': ('kmeans', lambda e: setattr(e, 'cluster_centers_', e.cluster_centers_[:, :1].copy())),
}


def _of(calibrated):
    return calibrated.calibrated_classifiers_[0].estimator


@pytest.mark.parametrize('what', TAMPERED)
def test_numbers_that_lead_astray_are_found(make, keep, what):
    kind, tamper = TAMPERED[what]
    made = make(kind)
    tamper(made.pipeline.named_steps[CLASSIFIER])
    with pytest.raises(InputUnreadable, match='not used') as caught:
        load_classifier(keep(made))
    assert '\n' not in str(caught.value)


def replace(path, **members):
    """Rewrite a file with other members (None: without one)."""
    with zipfile.ZipFile(path) as archive:
        contents = {name: archive.read(name) for name in archive.namelist()}
    contents.update({name.replace('_json', '.json'): text for name, text in members.items()})
    with zipfile.ZipFile(path, 'w') as archive:
        for name, content in contents.items():
            if content is not None:
                archive.writestr(name, content)
    return path


def test_files_that_are_none_of_ours(make, keep, tmp_path, monkeypatch):
    def refused(path, *texts, error=InputUnreadable):
        with pytest.raises(error) as caught:
            load_classifier(str(path))
        assert '\n' not in str(caught.value) and all(text in str(caught.value) for text in (str(path), *texts))

    good = keep(make('dt'))
    card = json.loads(zipfile.ZipFile(good).read(CARD))
    refused(tmp_path / 'none.skops', 'no such file', error=InputMissing)
    (tmp_path / 'text').write_text('hello')
    refused(tmp_path / 'text', 'no classifier')
    whole = (tmp_path / 'c.skops').read_bytes()
    (tmp_path / 'short').write_bytes(whole[: len(whole) // 2])
    refused(tmp_path / 'short', 'no classifier')
    (tmp_path / 'foreign').write_bytes(skops.io.dumps(FunctionTransformer()))
    refused(tmp_path / 'foreign', CARD)
    for change, text in (
        ({'classifier': 2}, 'another version'),
        ({'kind': 'oracle'}, 'damaged'),
        ({'features': ['f']}, 'damaged'),
        ({'classes': 'x'}, 'classes'),
        ({'extra': 1}, 'extra'),
        ({'kind': 'rf'}, 'no rf'),
        ({'kind': 'bayes'}, ''),
    ):
        path = replace(keep(make('dt'), 'changed.skops'), **{'quadrat_json': json.dumps({**card, **change})})
        refused(path, text)
    path = replace(keep(make('dt'), 'noschema.skops'), schema_json=None)
    refused(path, 'train it again')
    monkeypatch.setattr(store, 'LARGEST', 1000)
    refused(good, 'unpacked')


def test_what_would_run_code_is_refused(make, tmp_path):
    """A step that calls a function of anybody's choice is not among what may be in a file."""
    made = make('bayes')
    made.pipeline.steps.insert(0, ('call', FunctionTransformer(print)))
    file = io.BytesIO(to_bytes(made))
    (tmp_path / 'evil.skops').write_bytes(file.getvalue())
    with pytest.raises(InputUnreadable, match=r'other steps|trusted'):
        load_classifier(str(tmp_path / 'evil.skops'))
    made = make('bayes')
    made.pipeline.named_steps[CLASSIFIER].priors = np.random.default_rng  # no function that skops knows
    (tmp_path / 'evil.skops').write_bytes(to_bytes(made))
    with pytest.raises(InputUnreadable) as caught:
        load_classifier(str(tmp_path / 'evil.skops'))
    assert '\n' not in str(caught.value)
