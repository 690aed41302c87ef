"""Numbers of unfolded events: one observable at a time, migration between truth and measurement, calibration."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trigger_ml.offline.metrics import Number

Floats = NDArray[np.floating]

CELLS = 8
"""Of a migration matrix along each side, equally filled by the true pairs; 64 cells in all."""

LEAST = 10
"""Entries of a cell, both samples together, below which it doesn't enter a chi2."""

NOMINAL = 0.68


def wasserstein_of(found: Floats, weights: Floats | None, wanted: Floats) -> float:
    """First Wasserstein distance of one observable, in units of the wanted sample's standard deviation.

    Args:
        found: ``(events,)``.
        weights: of these, not negative; None: all alike.
        wanted: ``(other events,)``.
    """
    from scipy.stats import wasserstein_distance

    return float(wasserstein_distance(found, wanted, weights) / wanted.std())


@dataclass(frozen=True, eq=False)
class Migration:
    """Counts of pairs by cell of truth and of measurement, for each observable: ``(observables, truth, reco)``."""

    counts: NDArray[np.int64]

    @property
    def purity(self) -> float:
        """Of what is measured in a cell, the share whose truth is in that cell too; mean over cells, observables."""
        return _diagonal(self.counts, 1)

    @property
    def stability(self) -> float:
        """Of what is in a cell of truth, the share that is measured in that cell; mean over cells, observables."""
        return _diagonal(self.counts, 2)


def _diagonal(counts: NDArray[np.int64], along: int) -> float:
    inside = np.diagonal(counts, axis1=1, axis2=2)
    total = counts.sum(along)
    return float((inside[total > 0] / total[total > 0]).mean())


def migration(truth: Floats, reco: Floats, edges: Floats) -> Migration:
    """Count pairs.

    Args:
        truth: ``(events, observables)``, true or unfolded.
        reco: of the same events and observables.
        edges: of :func:`edges_of`; the outer cells have no outer end.
    """
    found = np.zeros((truth.shape[1], CELLS, CELLS), np.int64)
    for each, t, r, inner in zip(found, truth.T, reco.T, edges, strict=True):
        np.add.at(each, (np.searchsorted(inner, t, "right"), np.searchsorted(inner, r, "right")), 1)
    return Migration(found)


def edges_of(truth: Floats) -> Floats:
    """Inner edges that cut each observable into cells of equal content: ``(observables, CELLS - 1)``."""
    return np.quantile(truth, np.linspace(0, 1, CELLS + 1)[1:-1], axis=0).T


def migration_chi2(one: Migration, other: Migration) -> Number:
    """Chi2 per degree of freedom of two independent samples' matrices; 1 if both are of one distribution.

    ``(a - b sum(a)/sum(b))**2`` over its variance, for cells with enough entries; the sums cost one degree of freedom
    each observable. The error is that of a chi2 (observables share events, so it is somewhat too small).
    """
    total, degrees = 0.0, 0
    for a, b in zip(one.counts, other.counts, strict=True):
        ratio = a.sum() / b.sum()
        use = a + b >= LEAST
        difference, variance = a - ratio * b, (a + b) * ratio
        total += float((difference[use] ** 2 / variance[use]).sum())
        degrees += int(use.sum()) - 1
    return Number(total / degrees, float(np.sqrt(2 / degrees)))


def rank_probability(samples: Floats, truth: Floats, seed: int) -> Number:
    """Probability of Kolmogorov's and Smirnov's test that truth's rank among posterior samples is flat.

    The least over dimensions times their number, at most 1 (Bonferroni); it has no error. Ranks are spread over their
    step at random, so that they are continuous (S. Talts et al., arXiv:1804.06788).

    Args:
        samples: ``(draws, events, dimensions)``.
        truth: ``(events, dimensions)``.
        seed: of the spreading.
    """
    from scipy.stats import kstest

    below, same = (samples < truth).sum(0), (samples == truth).sum(0)
    share = (below + np.random.default_rng(seed).random(truth.shape) * (1 + same)) / (len(samples) + 1)
    least = min(float(kstest(column, "uniform").pvalue) for column in share.T)
    return Number(min(1.0, least * truth.shape[1]), 0.0)


def coverage(samples: Floats, truth: Floats) -> Number:
    """How often the central interval of posterior samples holds the truth, over how often it should; 1 if calibrated.

    The interval is between two of the ordered samples, so that its probability is exact: the nearest to 68 % (with 31
    samples 68.75 %). Mean over dimensions; the error takes an event's dimensions together.

    Args:
        samples: ``(draws, events, dimensions)``.
        truth: ``(events, dimensions)``.
    """
    steps = len(samples) + 1
    cut = max(1, round(steps * (1 - NOMINAL) / 2))
    ordered = np.sort(samples, axis=0)
    inside = ((ordered[cut - 1] < truth) & (truth <= ordered[-cut])).mean(1)
    should = (steps - 2 * cut) / steps
    return Number(float(inside.mean()) / should, float(inside.std(ddof=1) / np.sqrt(len(inside))) / should)
