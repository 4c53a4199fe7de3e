"""Dealing and choosing by classes: shares met, evenness gained, nobody without a group."""

from __future__ import annotations

import numpy as np
import pytest

from quadrat.engine.sampling.balance import even_out, even_out_once, evenness, spread_out
from quadrat.engine.sampling.strata import deal_evenly


def miss(amounts, dealt, shares):
    """By how much the share of a split of a kind misses at worst."""
    sums = np.stack([amounts[dealt == split].sum(0) for split in range(len(shares))])
    return np.abs(sums / amounts.sum(0) - shares[:, None]).max()


@pytest.mark.parametrize('groups, most', [(40, 0.05), (400, 0.005), (4000, 0.002)])
def test_classes_are_dealt_out_in_the_shares_asked_for(groups, most):
    rng = np.random.default_rng(groups)
    shares = np.array([0.6, 0.3, 0.1])
    classes = rng.gamma(0.4, 1000, (groups, 6)).astype(int)
    amounts = np.concatenate([rng.integers(1, 17, (groups, 1)), classes], 1)
    dealt = deal_evenly(amounts, shares, np.random.default_rng(1))
    assert miss(amounts, dealt, shares) < most
    at_random = rng.choice(3, groups, p=shares)
    assert miss(amounts, dealt, shares) < miss(amounts, at_random, shares) / 3
    assert (dealt == deal_evenly(amounts, shares, np.random.default_rng(1))).all()


def test_every_split_gets_a_group_and_one_without_share_none():
    for seed in range(20):
        amounts = np.random.default_rng(seed).integers(1, 50, (3, 4))
        dealt = deal_evenly(amounts, np.array([0.98, 0.01, 0.01]), np.random.default_rng(seed))
        assert sorted(dealt) == [0, 1, 2]
        assert set(deal_evenly(amounts, np.array([0.5, 0.0, 0.5]), np.random.default_rng(seed))) == {0, 2}
        assert set(deal_evenly(amounts, np.array([0.0, 1.0, 0.0]), np.random.default_rng(seed))) == {1}
    with pytest.raises(ValueError, match='1 groups for 2 splits'):
        deal_evenly(amounts[:1], np.array([0.5, 0.0, 0.5]), np.random.default_rng(0))


def test_a_rare_class_in_three_groups_reaches_three_splits():
    amounts = np.zeros((60, 3), int)
    amounts[:, 0], amounts[:, 1], amounts[7:10, 2] = 16, 1000, 50
    dealt = deal_evenly(amounts, np.array([0.6, 0.2, 0.2]), np.random.default_rng(0))
    assert sorted(dealt[7:10]) == [0, 1, 2]
    assert np.bincount(dealt).tolist() == [36, 12, 12]


def test_patches_are_added_as_long_as_the_classes_become_more_even():
    rng = np.random.default_rng(0)
    histograms = (rng.dirichlet([8, 1, 0.3, 0.1], 900) * 4096).astype(int)
    seed = spread_out(np.ones((30, 30), bool)).ravel()
    assert seed.sum() == 225
    for chosen in (even_out(histograms, seed, rng), even_out_once(histograms, seed)):
        assert (chosen[seed]).all() and seed.sum() < chosen.sum() < 900
        assert evenness(histograms[chosen].sum(0)) > evenness(histograms[seed].sum(0)) + 0.02
    chosen = even_out(histograms, seed, rng)
    pooled = histograms[chosen].sum(0)
    assert (evenness(pooled + histograms[~chosen]) <= evenness(pooled)).all()
    assert evenness(pooled) > evenness(histograms[even_out_once(histograms, seed)].sum(0))
    # Even already: nothing more is needed.
    assert (even_out(np.full((900, 4), 5), seed, rng) == seed).all()


def test_a_quarter_is_spread_over_whatever_is_there():
    rng = np.random.default_rng(0)
    for _ in range(30):
        there = rng.random(rng.integers(1, 30, 2)) < rng.random()
        if there.any():
            found = spread_out(there)
            assert not (found & ~there).any() and 1 <= found.sum() <= max(there.sum() // 4, 1)
    corner = np.zeros((9, 9), bool)
    corner[1, 1::2] = True  # none of them on the lattice
    assert spread_out(corner).sum() == 1
