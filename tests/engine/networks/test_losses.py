"""Losses against their formulas, and that pixels which do not count have no part in them."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from quadrat.engine.errors import InvalidJob
from quadrat.engine.jobs import LOSSES
from quadrat.engine.networks.losses import loss

OF_CLASSES = ('crossentropy', 'focal', 'dice', 'tversky')
OF_VALUES = ('huber', 'mse', 'mae')
SHAPE = (2, 4, 4)


def case(kind, options=None, channels=3):
    """The loss, something found, labels and weights."""
    rng = np.random.default_rng(0)
    regression = kind in OF_VALUES
    found = rng.normal(size=(*SHAPE, channels)).astype(np.float32)
    labels = rng.normal(0, 2, (*SHAPE, channels)).astype(np.float32) if regression else rng.integers(0, 3, SHAPE)
    weights = (rng.uniform(0.5, 2, SHAPE) * (rng.random(SHAPE) < 0.6)).astype(np.float32)
    return loss(kind, options or {}, regression=regression), found, labels, weights


def softmax(logits):
    values = np.exp(logits.astype(float))
    return values / values.sum(-1, keepdims=True)


def expected(kind, found, labels, weights):
    """The sums, from the formulas, in double precision."""
    if kind in OF_VALUES:
        error = np.abs(found.astype(float) - labels)
        each = {'mse': error**2, 'mae': error, 'huber': np.where(error < 1, error**2 / 2, error - 0.5)}[kind]
        return (weights * each.mean(-1)).sum()
    p = softmax(found)
    right = np.take_along_axis(p, labels[..., None], -1)[..., 0]
    if kind in ('crossentropy', 'focal'):
        return -(weights * np.log(right) * (1 if kind == 'crossentropy' else (1 - right) ** 2)).sum()
    alpha, beta, smooth = (0.5, 0.5, 0.5) if kind == 'dice' else (0.3, 0.7, 1.0)
    indices = []
    for number in range(found.shape[-1]):
        truth = labels == number
        if not (weights * truth).any():
            continue
        hit = (weights * truth * p[..., number]).sum()
        many = (weights * ~truth * p[..., number]).sum()
        few = (weights * truth * (1 - p[..., number])).sum()
        indices.append((hit + smooth) / (hit + alpha * many + beta * few + smooth))
    return (1 - np.mean(indices)) * (weights > 0).sum()


@pytest.mark.parametrize('kind', OF_CLASSES + OF_VALUES)
def test_the_sum_is_that_of_the_formula(kind):
    function, found, labels, weights = case(kind)
    assert float(function(found, labels, weights)) == pytest.approx(expected(kind, found, labels, weights), rel=1e-5)
    half = tf.cast(found, tf.float16)
    assert function(half, labels, weights).dtype == tf.float32


@pytest.mark.parametrize('kind', OF_CLASSES + OF_VALUES)
def test_what_does_not_count_may_hold_anything(kind):
    function, found, labels, weights = case(kind)
    out = weights == 0

    def gradient(values, truth):
        values = tf.Variable(values)
        with tf.GradientTape() as tape:
            total = function(values, truth, weights)
        return float(total), tape.gradient(total, values).numpy()

    before, slopes = gradient(found, labels)
    assert not slopes[out].any() and (slopes[~out] != 0).any(-1).all()
    for bad in (np.nan, np.inf, -np.inf, 3e38):
        wild, truth = found.copy(), labels.copy()
        wild[out] = bad
        truth[out] = bad if kind in OF_VALUES else -7
        after, others = gradient(wild, truth)
        assert after == before and np.array_equal(others, slopes)


@pytest.mark.parametrize('kind', OF_CLASSES + OF_VALUES)
def test_nothing_that_counts_gives_nothing(kind):
    function, found, labels, _ = case(kind)
    values = tf.Variable(found)
    with tf.GradientTape() as tape:
        total = function(values, labels, np.zeros(SHAPE, np.float32))
    assert float(total) == 0 and not tape.gradient(total, values).numpy().any()


@pytest.mark.parametrize('kind', OF_CLASSES)
def test_what_is_certain_has_slopes(kind):
    """Whole tensors of what is surely right, or surely wrong, at any power."""
    options = {'gamma': 0.5} if kind == 'focal' else {}
    function, _, labels, weights = case(kind, options)
    for sign in (1000, -1000):
        sure = tf.Variable(sign * np.eye(3, dtype=np.float32)[labels])
        with tf.GradientTape() as tape:
            total = function(sure, labels, weights)
        assert np.isfinite(float(total)) and np.isfinite(tape.gradient(total, sure).numpy()).all()
    assert float(function(1000 * np.eye(3, dtype=np.float32)[labels], labels, weights)) == pytest.approx(0, abs=1e-4)


def test_relations_between_losses():
    function, found, labels, weights = case('crossentropy')
    whole = float(function(found, labels, weights))
    assert float(loss('auto', {})(found, labels, weights)) == whole
    assert float(loss('focal', {'gamma': 0})(found, labels, weights)) == pytest.approx(whole, rel=1e-5)
    dice = loss('dice', {'smooth': 2})(found, labels, weights)
    assert float(loss('tversky', {'alpha': 0.5, 'beta': 0.5})(found, labels, weights)) == pytest.approx(float(dice))
    far = loss('huber', {'delta': 1e6}, regression=True)
    function, values, truth, weights = case('mse')
    assert float(far(values, truth, weights)) == pytest.approx(float(function(values, truth, weights)) / 2, rel=1e-5)
    assert float(loss('auto', {}, regression=True)(values, truth, weights)) == float(
        case('huber')[0](values, truth, weights)
    )


def test_one_answer_a_patch_and_one_value_a_pixel_have_any_axes():
    rng = np.random.default_rng(1)
    logits, labels, weights = rng.normal(size=(5, 3)).astype(np.float32), rng.integers(0, 3, 5), np.ones(5, np.float32)
    for kind in OF_CLASSES:
        total = loss(kind, {})(logits, labels, weights)
        assert total == loss(kind, {})(logits, labels[:, None, None], weights[:, None, None])
        assert total == loss(kind, {})(logits[:, None, None], labels[:, None, None], weights[:, None, None])
    for kind in OF_VALUES:
        values = loss(kind, {}, regression=True)
        assert values(logits[:, :1], logits[:, 1], weights) == values(logits[:, :1], logits[:, 1:2], weights)


def test_names_and_options():
    assert ('auto', *OF_CLASSES, *OF_VALUES) == LOSSES
    for message, kind, options, regression in (
        ('no loss for a regression', 'dice', {}, True),
        ('no loss for classes; those are auto, crossentropy', 'mse', {}, False),
        ("'gama'.*focal has no such option. Did you mean 'gamma'", 'focal', {'gama': 1}, False),
        ('crossentropy has no such option.*none', 'crossentropy', {'gamma': 1}, False),
        ('gamma -1.0: must be at least 0', 'focal', {'gamma': -1}, False),
        ('delta', 'huber', {'delta': 0}, True),
    ):
        with pytest.raises(InvalidJob, match=message):
            loss(kind, options, regression=regression)
