"""Choosing patches whose classes, taken together, are as even as can be."""

from __future__ import annotations

import numpy as np

SEED_SHARE = 0.25  # of the patches, spread over the image, whatever their classes
_BATCH = 64  # the first batches are one in so many of the patches


def spread_out(candidates: np.ndarray) -> np.ndarray:
    """A quarter of the patches, evenly spread: every other one of every other row, thinned out where that is more.

    Args:
        candidates: (patch rows, patch columns) booleans.

    Returns:
        Booleans of the same shape.
    """
    every = round(SEED_SHARE**-0.5)
    lattice = np.zeros(candidates.shape, bool)
    lattice[::every, ::every] = True
    found = np.flatnonzero(candidates & lattice)
    if not found.size:
        found = np.flatnonzero(candidates)
    most = max(int(SEED_SHARE * np.count_nonzero(candidates)), 1)
    if len(found) > most:
        found = found[np.arange(most) * len(found) // most]
    out = np.zeros(candidates.size, bool)
    out[found] = True
    return out.reshape(candidates.shape)


def evenness(histograms: np.ndarray) -> np.ndarray:
    """Cosine between histograms (..., classes) and an even one: 1 where all classes have as many pixels."""
    lengths = np.sqrt((histograms.astype(np.float64) ** 2).sum(-1) * histograms.shape[-1])
    return histograms.sum(-1) / np.maximum(lengths, 1e-300)


def even_out(histograms: np.ndarray, chosen: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Add patches to those chosen, always those that make the classes of all together most even, until none does.

    Args:
        histograms: (patches, classes) pixels.
        chosen: (patches,) booleans, what to begin with.
        rng: decides between patches that are as good.

    Returns:
        (patches,) booleans.
    """
    chosen = chosen.copy()
    pooled = histograms[chosen].sum(0)
    batch = max(len(chosen) // _BATCH, 1)
    left = rng.permutation(np.flatnonzero(~chosen))
    while left.size:
        now = float(evenness(pooled))
        scores = evenness(pooled + histograms[left])
        order = np.argsort(-scores, kind='stable')[:batch]
        best = left[order[scores[order] > now]]
        if not best.size:
            break
        together = pooled + histograms[best].sum(0)
        if float(evenness(together)) > now:
            chosen[best], pooled = True, together
            left = left[~np.isin(left, best)]
        else:
            batch = max(min(batch, best.size) // 2, 1)  # each is good, all of them together are too many
    return chosen


def even_out_once(histograms: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """As `even_out`, in the order of OTBTF: the patches least like those chosen come first; the first that makes the
    classes less even ends it.
    """
    chosen = chosen.copy()
    pooled = histograms[chosen].sum(0)
    left = np.flatnonzero(~chosen)
    lengths = np.linalg.norm(histograms[left], axis=1) * np.linalg.norm(pooled)
    alike = histograms[left] @ pooled / np.maximum(lengths, 1e-300)
    order = left[np.argsort(alike, kind='stable')]
    totals = pooled + np.cumsum(histograms[order], 0)
    falls = np.flatnonzero(np.diff(evenness(totals), prepend=evenness(pooled)) <= 0)
    chosen[order[: falls[0] if falls.size else None]] = True
    return chosen
