"""Dealing out groups of patches so that every split gets its share of each class."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np

_TRIALS = 16  # orders that are tried; the one nearest to the shares is kept
_DEALT = 4000  # groups dealt in all trials together: many groups come near to the shares in one
_STEPS = 400  # of bettering
_WORTH = 1e-4  # what a step must gain, as part of all there is of a kind
_PAIRS = 1 << 17  # swaps, times kinds, looked at in a step; with more groups than that moves are enough


def deal_evenly(amounts: np.ndarray, shares: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Give each group to a split, so that of every kind the splits get nearly their shares.

    Iterative stratification: the rarest kind comes first, its largest groups first, each to the split that lacks most
    of it (Sechidis, Tsoumakas, Vlahavas 2011, "On the stratification of multi-label data"; here for amounts rather than
    for yes or no). Of several orders the best is kept, and then bettered by moving and swapping groups.

    Args:
        amounts: (groups, kinds) of each kind in each group; kind 0, the patches, is above 0 everywhere.
        shares: of each split, with the sum 1; one above 0 gets at least one group, one of 0 gets none.

    Returns:
        The number of the split of each group.

    Raises:
        ValueError: there are fewer groups than splits that want one.
    """
    wanted = np.flatnonzero(shares > 0)
    if len(amounts) < len(wanted):
        raise ValueError(f'{len(amounts)} groups for {len(wanted)} splits')
    if len(wanted) == 1:
        return np.full(len(amounts), wanted[0])
    # The rarest kind first; the patches last, for groups without any class.
    order = [*(kind + 1 for kind in np.argsort(amounts[:, 1:].sum(0), kind='stable').tolist()), 0]
    parts = amounts / np.maximum(amounts.sum(0), 1)
    target = shares[wanted, None] * (parts.sum(0) > 0)
    trials = min(_TRIALS, max(1, _DEALT // len(parts)))
    dealt = [_improve(parts, _deal_once(parts, order, target, rng), target) for _ in range(trials)]
    return wanted[min(dealt, key=lambda trial: _miss(_sums(parts, trial, len(wanted)), target).sum())]


def _deal_once(parts: np.ndarray, order: list[int], target: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """One way to deal: (groups,) splits, numbered as the rows of `target`."""
    dealt = np.full(len(parts), -1)
    lack = target / target[:, :1]  # as parts of what a split is to have, so that all fill up alike
    for kind in order:
        groups = rng.permutation(np.flatnonzero((parts[:, kind] > 0) & (dealt < 0)))
        # Groups with about as much stay in random order, or every trial would deal alike.
        sizes = np.floor(np.log2(parts[groups, kind]))
        for group in groups[np.argsort(-sizes, kind='stable')].tolist():
            split = int(np.lexsort((-lack[:, 0], -lack[:, kind]))[0])
            dealt[group] = split
            lack[split] -= parts[group] / target[split, 0]
    for split in np.flatnonzero(np.bincount(dealt, minlength=len(target)) == 0).tolist():
        giver = np.bincount(dealt).argmax()
        groups = np.flatnonzero(dealt == giver)
        dealt[groups[parts[groups, 0].argmin()]] = split
    return dealt


def _improve(parts: np.ndarray, dealt: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Move or swap groups between splits as long as that brings the splits nearer to their shares."""
    sums = _sums(parts, dealt, len(target))
    for _ in range(_STEPS):
        gain, changes = max(_changes(parts, dealt, sums, target), key=lambda change: change[0], default=(0.0, ()))
        if gain < _WORTH:
            break
        for group, split in changes:
            sums[dealt[group]] -= parts[group]
            sums[split] += parts[group]
            dealt[group] = split
    return dealt


def _changes(
    parts: np.ndarray, dealt: np.ndarray, sums: np.ndarray, target: np.ndarray
) -> Iterator[tuple[float, tuple[tuple[int, int], ...]]]:
    """For each two splits the best move and the best swap: what it gains, and the (group, split) it changes."""
    for giver, taker in itertools.permutations(range(len(sums)), 2):
        own, others = np.flatnonzero(dealt == giver), np.flatnonzero(dealt == taker)
        now = _miss(sums[[giver, taker]], target[[giver, taker]]).sum()
        if len(own) > 1:
            missed = _miss(sums[giver] - parts[own], target[giver]) + _miss(sums[taker] + parts[own], target[taker])
            best = int(missed.argmin())
            yield now - missed[best], ((int(own[best]), taker),)
        if giver < taker and len(own) * len(others) * parts.shape[1] <= _PAIRS:
            moved = parts[own][:, None] - parts[others]
            missed = _miss(sums[giver] - moved, target[giver]) + _miss(sums[taker] + moved, target[taker])
            i, j = np.unravel_index(int(missed.argmin()), missed.shape)
            yield now - missed[i, j], ((int(own[i]), taker), (int(others[j]), giver))


def _sums(parts: np.ndarray, dealt: np.ndarray, splits: int) -> np.ndarray:
    """(splits, kinds) what each split has."""
    return np.stack([parts[dealt == split].sum(0) for split in range(splits)])


def _miss(sums: np.ndarray, target: np.ndarray) -> np.ndarray:
    """How far splits are from what they should have, summed over the kinds; to have none at all counts as all."""
    none = (sums < 1e-12) & (target > 0)
    return (np.abs(sums - target) + none).sum(-1)
