"""Numbers with errors: distances between samples, calibration of posteriors."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating]

RESAMPLINGS = 40
BINS = 40


@dataclass(frozen=True)
class Number:
    """A value and one standard deviation."""

    value: float
    error: float


def bootstrapped(statistic: Callable[..., float], samples: tuple[Floats, ...], seed: int) -> Number:
    """A statistic of samples, and its spread over resamplings with replacement (B. Efron, Ann. Statist. 7 (1979) 1).

    Args:
        statistic: of arrays with the events first.
        samples: each is drawn from independently.
        seed: fixes the resamplings.
    """
    rng = np.random.default_rng(seed)
    found = [statistic(*(s[rng.integers(0, len(s), len(s))] for s in samples)) for _ in range(RESAMPLINGS)]
    return Number(float(statistic(*samples)), float(np.std(found, ddof=1)))


def wasserstein(found: Floats, wanted: Floats) -> float:
    """Mean over dimensions of the first Wasserstein distance, in units of the wanted sample's standard deviation.

    Both ``(events, dimensions)`` with as many events.
    """
    distance = np.abs(np.sort(found, axis=0) - np.sort(wanted, axis=0)).mean(0)
    return float((distance / wanted.std(0)).mean())


def triangular(found: Floats, weights: Floats, wanted: Floats) -> float:
    """Triangular discriminator of weighted against unweighted values: mean over dimensions, times 1000.

    ``1/2 sum (p - q)**2 / (p + q)`` over 40 bins between the wanted sample's 0.1 % quantiles, values outside in the end
    bins (F. Topsoe, IEEE Trans. Inf. Theory 46 (2000) 1602).
    """
    total = 0.0
    for x, y in zip(found.T, wanted.T, strict=True):
        edges = np.quantile(y, np.linspace(0.001, 0.999, BINS + 1))
        edges = np.linspace(edges[0], edges[-1], BINS + 1)
        p = np.histogram(np.clip(x, edges[0], edges[-1]), edges, weights=weights)[0] / weights.sum()
        q = np.histogram(np.clip(y, edges[0], edges[-1]), edges)[0] / len(y)
        both = p + q
        total += 0.5 * float(((p - q)[both > 0] ** 2 / both[both > 0]).sum())
    return 1000 * total / found.shape[1]


def rank_chi2(samples: Floats, truth: Floats) -> Number:
    """Chi2 per degree of freedom of a flat distribution of truth's rank among posterior samples; 1 if calibrated.

    Args:
        samples: ``(draws, events, dimensions)``.
        truth: ``(events, dimensions)``.

    The error is that of a chi2 with as many degrees of freedom. Source: S. Talts et al., arXiv:1804.06788.
    """
    draws = len(samples)
    ranks = (samples < truth).sum(0)
    total, degrees = 0.0, 0
    for column in ranks.T:
        counts = np.bincount(column, minlength=draws + 1)
        want = len(column) / (draws + 1)
        total += float(((counts - want) ** 2 / want).sum())
        degrees += draws
    return Number(total / degrees, float(np.sqrt(2 / degrees)))
