"""Scores of a classification, against their definitions on the pixels themselves."""

from __future__ import annotations

import json

import numpy as np
import pytest

from quadrat.engine.accuracy.confusion import ConfusionMatrix, Scores


def test_scores_are_those_of_the_pixels():
    rng = np.random.default_rng(0)
    truth, found = rng.integers(0, 4, (5, 9, 9)), rng.integers(0, 4, (5, 9, 9))
    counted = rng.random(truth.shape) < 0.7
    truth[~counted] = 99  # whatever stands there
    matrix = ConfusionMatrix(4)
    for sample in range(5):
        matrix.update(truth[sample], found[sample], counted[sample])
    a, b = truth[counted], found[counted]
    scores = matrix.scores()
    for c in range(4):
        both, either = ((a == c) & (b == c)).sum(), ((a == c) | (b == c)).sum()
        assert matrix.counts[c].sum() == scores.support[c] == (a == c).sum()
        assert scores.iou[c] == pytest.approx(both / either)
        assert scores.precision[c] == pytest.approx(both / (b == c).sum())
        assert scores.recall[c] == pytest.approx(both / (a == c).sum())
        assert scores.f1[c] == pytest.approx(2 / (1 / scores.precision[c] + 1 / scores.recall[c]))
    assert scores.overall_accuracy == pytest.approx((a == b).mean())
    assert scores.mean_iou == pytest.approx(scores.iou.mean()) and scores.macro_f1 == pytest.approx(scores.f1.mean())


def test_kappa_of_the_textbook():
    # Cohen (1960) compares with chance: 0.7 agreement, 0.5 of it by chance.
    assert Scores.of(np.array([[20, 5], [10, 15]])).kappa == pytest.approx(0.4)
    assert Scores.of(np.diag([3, 4])).kappa == 1.0


def test_absent_classes_are_not_defined_and_do_not_count_in_the_means():
    # Class 1 is in neither, class 2 only predicted, class 3 only in the reference.
    scores = Scores.of(np.array([[6, 0, 2, 0], [0, 0, 0, 0], [0, 0, 0, 0], [4, 0, 0, 0]]))
    assert np.isnan([scores.iou[1], scores.f1[1], scores.recall[1], scores.recall[2], scores.precision[3]]).all()
    assert scores.iou[2] == scores.precision[2] == 0 and scores.iou[3] == 0
    assert scores.mean_iou == pytest.approx((scores.iou[0] + 0) / 2)
    nothing = Scores.of(np.zeros((2, 2), int))
    assert np.isnan([nothing.overall_accuracy, nothing.kappa, nothing.mean_iou]).all()
    plain = json.dumps(scores.to_dict(), allow_nan=False)
    assert json.loads(plain)['iou'][1] is None
