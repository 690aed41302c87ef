"""What quantization changed: paired differences of the float and the quantized score, and their rank correlation."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trigger_ml.errors import SampleError
from trigger_ml.physics.intervals import Estimate, Floats
from trigger_ml.physics.roc import Scores


def midranks(scores: Scores) -> Floats:
    """Ranks from 1, ties sharing their mean rank.

    >>> midranks(np.array([3, 1, 3])).tolist()
    [2.5, 1.0, 2.5]
    """
    _, place, counts = np.unique(scores, return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - (counts - 1) / 2)[place]


def spearman(a: Scores, b: Scores) -> float:
    """Rank correlation of two scores of the same events, ties by mean ranks; 0 if either is constant.

    Source: C. Spearman, Am. J. Psychol. 15 (1904) 72.

    Raises:
        SampleError: different numbers of events.
    """
    if len(a) != len(b):
        raise SampleError(f"rank correlation of {len(a)} with {len(b)} scores: give two scores of the same events")
    x, y = midranks(a), midranks(b)
    x, y = x - x.mean(), y - y.mean()
    norm = float(np.sqrt((x**2).sum() * (y**2).sum()))
    return min(max(float((x * y).sum()) / norm, -1.0), 1.0) if norm > 0 else 0.0


@dataclass(frozen=True, eq=False)
class _Staircase:
    """A score prepared for weighted counting: events by falling score, and where the levels end."""

    order: NDArray[np.intp]
    ends: NDArray[np.intp]
    passing: Mapping[str, NDArray[np.intp]]
    signal_order: Mapping[str, NDArray[np.intp]]

    @staticmethod
    def of(background: Scores, signals: Mapping[str, Scores]) -> _Staircase:
        levels, counts = np.unique(background, return_counts=True)
        passing, orders = {}, {}
        for name, scores in signals.items():
            orders[name] = np.argsort(scores, kind="stable")[::-1]
            above = len(scores) - np.searchsorted(np.sort(scores), levels[::-1], side="right")
            passing[name] = np.append(above, len(scores))
        return _Staircase(np.argsort(background, kind="stable")[::-1], np.cumsum(counts[::-1]), passing, orders)

    def efficiencies(
        self, weights: NDArray[np.int64], signal_weights: Mapping[str, NDArray[np.int64]], targets: Sequence[float]
    ) -> dict[str, Floats]:
        """Weighted efficiency of each signal at the largest weighted background fractions not above ``targets``."""
        filled = np.cumsum(weights[self.order])[self.ends - 1]
        failing = np.searchsorted(filled, np.asarray(targets) * filled[-1], side="right")
        found = {}
        for name, w in signal_weights.items():
            passed = np.append(0, np.cumsum(w[self.signal_order[name]]))
            found[name] = passed[self.passing[name][failing]] / w.sum()
        return found


def tpr_shifts(
    quantized: tuple[Scores, Mapping[str, Scores]],
    floating: tuple[Scores, Mapping[str, Scores]],
    sources: NDArray[np.integer],
    targets: Sequence[float],
    resamplings: int,
    seed: int,
) -> dict[str, NDArray[np.float64]]:
    """Standard deviation of ``TPR(quantized) - TPR(float)`` by a paired bootstrap that finds both thresholds anew.

    Background is resampled by source, so that events of one collision stay together; both scores see the same events.

    Args:
        quantized: background scores, and signal name -> scores.
        floating: the float scores of the same events.
        sources: source id of each background event.
        targets: false positive rates.
        resamplings: number of bootstrap samples, at least 2.
        seed: of the random numbers.

    Returns:
        Signal name -> one standard deviation for each target.
    """
    rng = np.random.default_rng(seed)
    ids, cluster = np.unique(sources, return_inverse=True)
    stairs = [_Staircase.of(*scores) for scores in (quantized, floating)]
    sizes = {name: len(scores) for name, scores in quantized[1].items()}
    found = {name: np.empty((resamplings, len(targets))) for name in sizes}
    for r in range(resamplings):
        weights = _resample(rng, len(ids))[cluster]
        signal_weights = {name: _resample(rng, n) for name, n in sizes.items()}
        q, f = (s.efficiencies(weights, signal_weights, targets) for s in stairs)
        for name in sizes:
            found[name][r] = q[name] - f[name]
    return {name: values.std(axis=0, ddof=1) for name, values in found.items()}


def _resample(rng: np.random.Generator, n: int) -> NDArray[np.int64]:
    return np.bincount(rng.integers(0, n, n), minlength=n)


def rate_shift(
    quantized: NDArray[np.bool_], floating: NDArray[np.bool_], sources: NDArray[np.integer], crossings_khz: float
) -> Estimate:
    """Change of the trigger rate, in kHz, from the float decision to the quantized one on the same zero-bias events.

    Only events that the two decide differently contribute to the error; those of one source count as one.

    Args:
        quantized: the quantized score's decision on each background event.
        floating: the float score's.
        sources: source id of each event.
        crossings_khz: rate of bunch crossings.
    """
    change = quantized.astype(np.int64) - floating.astype(np.int64)
    _, cluster = np.unique(sources, return_inverse=True)
    sums = np.bincount(cluster, change)
    scale = crossings_khz / len(change)
    return Estimate.symmetric(float(change.sum()) * scale, math.sqrt(float((sums**2).sum())) * scale)
