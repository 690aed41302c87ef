"""Thresholds by exact counting, and the area under the ROC curve with its error.

A trigger fires where ``score >= threshold``. Scores are integers with ties, so a rate can't be hit exactly: the
working point is always the one of the largest rate that is not above the target.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trigger_ml.errors import SampleError
from trigger_ml.physics.intervals import Estimate, Floats, effective_count, efficiency, poisson

Scores = NDArray[Any]
"""One score an event, int64 or float64."""


@dataclass(frozen=True, eq=False)
class Background:
    """Background scores from high to low, and the source of each event."""

    scores: Scores
    sources: NDArray[Any]

    @staticmethod
    def of(scores: Scores, sources: NDArray[Any] | None = None) -> Background:
        """Sort scores; without ``sources`` all events are independent.

        Raises:
            SampleError: no events, or another number of sources.
        """
        sources = np.arange(len(scores)) if sources is None else sources
        if not len(scores) or len(scores) != len(sources):
            raise SampleError(
                f"{len(scores)} background scores, {len(sources)} source ids: give one event or more, each with an id"
            )
        order = np.argsort(scores, kind="stable")[::-1]
        return Background(scores[order], sources[order])

    @property
    def events(self) -> int:
        """Number of events."""
        return len(self.scores)

    @cached_property
    def independent(self) -> int:
        """Number of different sources."""
        return len(np.unique(self.sources))

    def count(self, threshold: float) -> int:
        """Events at or above a threshold."""
        return self.events - int(np.searchsorted(self.scores[::-1], threshold, side="left"))

    def threshold(self, count: int) -> int | float:
        """The smallest threshold that at most ``count`` events pass: one step above the first that has to fail."""
        first_out = self.scores[max(count, 0)] if count < self.events else None
        if np.issubdtype(self.scores.dtype, np.integer):
            return int(self.scores[-1]) if first_out is None else int(first_out) + 1
        return float(self.scores[-1] if first_out is None else np.nextafter(first_out, np.inf))


@dataclass(frozen=True)
class Point:
    """A working point of one score.

    Attributes:
        name: e.g. ``fpr_1e-05``.
        target: the false positive rate asked for; None where the threshold was given.
        threshold: the trigger fires at or above it; in the score's integer units.
        events: background events at or above it.
        effective: independent events these are worth.
        fpr: achieved false positive rate.
        rate_khz: trigger rate before prescale, None for samples that give no rates.
    """

    name: str
    target: float | None
    threshold: int | float
    events: int
    effective: float
    fpr: Estimate
    rate_khz: Estimate | None = None


def allowed(target: float, events: int) -> int:
    """Largest whole number of events not above ``target * events``, in exact arithmetic on the target's decimal text.

    >>> allowed(1e-4, 200_000), allowed(1e-5, 99_999)
    (20, 0)
    """
    return math.floor(Fraction(repr(float(target))) * events)


def at_threshold(name: str, background: Background, threshold: int | float, target: float | None = None) -> Point:
    """The working point of a given threshold."""
    k = background.count(threshold)
    n_eff = effective_count(background.sources[:k])
    return Point(name, target, threshold, k, n_eff, efficiency(k, background.events, n_eff, background.independent))


def at_fpr(name: str, background: Background, target: float) -> Point:
    """The working point of the largest false positive rate not above ``target`` (0 to 1)."""
    return at_threshold(name, background, background.threshold(allowed(target, background.events)), target)


def tpr(signal: Scores, background: Background, point: Point) -> Estimate:
    """Efficiency for ``signal`` at a working point.

    The interval joins in quadrature the binomial error of the signal count and, where the threshold was derived from
    a target, the change of the efficiency when the threshold moves by one standard deviation of the background count.
    """
    n = len(signal)
    binomial = efficiency(int(np.count_nonzero(signal >= point.threshold)), n)
    if point.target is None:
        return binomial
    low, high = poisson(point.effective)
    scale = point.events / point.effective if point.effective else background.events / background.independent
    tight, loose = (background.threshold(int(c * scale)) for c in (low, high))
    down = max(binomial.value - np.count_nonzero(signal >= tight) / n, 0.0)
    up = max(np.count_nonzero(signal >= loose) / n - binomial.value, 0.0)
    value = binomial.value
    return Estimate(
        value,
        max(value - math.hypot(value - binomial.low, down), 0.0),
        min(value + math.hypot(binomial.high - value, up), 1.0),
    )


@dataclass(frozen=True, eq=False)
class Auc:
    """Area under the ROC curve, and what its error and that of differences are made of.

    Attributes:
        value: probability that a signal event scores above a background event, ties counting one half.
        signal: for each signal event the fraction of background below it, ties one half.
        background: for each background event the fraction of signal above it, ties one half.
        sources: source id of each background event.
    """

    value: float
    signal: Floats
    background: Floats
    sources: NDArray[Any]

    @property
    def error(self) -> float:
        """One standard deviation."""
        return _error(self.signal, self.background, self.sources)

    def estimate(self) -> Estimate:
        """The value with plus and minus one standard deviation."""
        return Estimate.symmetric(self.value, self.error)

    def minus(self, other: Auc) -> Estimate:
        """The difference to another score on the same events, correlation taken into account."""
        error = _error(self.signal - other.signal, self.background - other.background, self.sources)
        return Estimate.symmetric(self.value - other.value, error)


def auc(background: Scores, signal: Scores, sources: NDArray[Any] | None = None) -> Auc:
    """Area under the ROC curve as the rank statistic; exact for integer scores up to the final division.

    The error is that of E. DeLong, D. DeLong and D. Clarke-Pearson, Biometrics 44 (1988) 837, with the sum over
    clusters of N. Obuchowski, Biometrics 53 (1997) 567, for background events that share a source.

    Args:
        background: scores, higher means more signal-like.
        signal: scores of another set of events.
        sources: source id of each background event; None: all independent.

    Raises:
        SampleError: fewer than two events of either.
    """
    n, m = len(background), len(signal)
    if min(n, m) < 2:
        raise SampleError(
            f"an AUC needs two events of each class, there are {n} of background and {m} of signal: make more"
        )
    sorted_b, sorted_s = np.sort(background), np.sort(signal)
    twice_below = np.searchsorted(sorted_b, signal, "left") + np.searchsorted(sorted_b, signal, "right")
    levels, place = np.unique(background, return_inverse=True)
    twice_under = np.searchsorted(sorted_s, levels, "left") + np.searchsorted(sorted_s, levels, "right")
    value = int(twice_below.sum(dtype=np.int64)) / (2 * n * m)
    sources = np.arange(n) if sources is None else sources
    return Auc(value, twice_below / (2 * n), 1 - twice_under[place] / (2 * m), sources)


def _error(signal: Floats, background: Floats, sources: NDArray[Any]) -> float:
    """Standard deviation of the mean of both components, background summed within each source first."""
    return math.sqrt(float(signal.var(ddof=1)) / len(signal) + variance_of_mean(background, sources))


def variance_of_mean(values: Floats, sources: NDArray[Any]) -> float:
    """Variance of the mean of numbers that are summed within each source first; NaN for a single source.

    Where all sources differ it is the sample's variance over the number of events.
    """
    _, cluster = np.unique(sources, return_inverse=True)
    sums = np.bincount(cluster, values - values.mean())
    if len(sums) < 2:
        return math.nan
    return float((sums**2).sum()) / len(values) ** 2 * len(sums) / (len(sums) - 1)
