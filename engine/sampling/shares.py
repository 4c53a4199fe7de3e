"""Dealing out: whole numbers in proportion to shares, and groups to splits so that the shares are nearly met."""

from __future__ import annotations

import numpy as np

_TRIALS = 16  # ways to deal that are tried; the one nearest to the shares is kept


def apportion(total: int, weights: np.ndarray) -> np.ndarray:
    """`total` as whole numbers in proportion to `weights`, by the method of the largest remainder.

    Where `total` is enough for that, every weight above 0 gets at least 1.
    """
    quotas = total * (weights / weights.sum())
    numbers = np.floor(quotas).astype(np.int64)
    most = np.argsort(numbers - quotas, kind='stable')
    numbers[most[: total - numbers.sum()]] += 1
    empty = np.flatnonzero((numbers == 0) & (weights > 0))
    for number in empty if total >= np.count_nonzero(weights) else []:
        numbers[numbers.argmax()] -= 1
        numbers[number] = 1
    return numbers


def deal(sizes: np.ndarray, shares: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Give each group to a split, so that the splits' shares of members come near to those asked for.

    Groups are shuffled and dealt out one by one to the split that lacks most, large ones first, so that small ones
    fill what they leave; of several shuffles the best is kept.

    Args:
        sizes: members of each group.
        shares: of each split, with the sum 1; one above 0 gets at least one group, one of 0 gets none.

    Returns:
        The number of the split of each group.

    Raises:
        ValueError: there are fewer groups than splits that want one.
    """
    if len(sizes) < np.count_nonzero(shares):
        raise ValueError(f'{len(sizes)} groups for {np.count_nonzero(shares)} splits')
    best, best_error = np.zeros(len(sizes), np.int64), np.inf
    for _ in range(_TRIALS):
        dealt = _deal_once(sizes, shares, rng)
        error = np.abs(np.bincount(dealt, sizes, len(shares)) / sizes.sum() - shares).max()
        if error < best_error:
            best, best_error = dealt, error
    return best


def _deal_once(sizes: np.ndarray, shares: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """One way to deal."""
    order = rng.permutation(len(sizes))
    # Groups of about the same size stay in random order, or every seed would deal alike.
    order = order[np.argsort(-np.floor(np.log2(sizes[order])), kind='stable')]
    missing = {split: float(share * sizes.sum()) for split, share in enumerate(shares.tolist()) if share > 0}
    held = dict.fromkeys(missing, 0)
    dealt = np.zeros(len(sizes), np.int64)
    for group, size in zip(order.tolist(), sizes[order].tolist()):
        split = max(missing, key=missing.__getitem__)
        dealt[group] = split
        missing[split] -= size
        held[split] += 1
    for split in [split for split, count in held.items() if not count]:
        giver = max(held, key=held.__getitem__)
        small = next(group for group in reversed(order.tolist()) if dealt[group] == giver)
        dealt[small] = split
        held[giver] -= 1
        held[split] += 1
    return dealt
