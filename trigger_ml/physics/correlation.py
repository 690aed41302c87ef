"""Distance correlation of two quantities: zero if and only if they are independent."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trigger_ml.errors import SampleError
from trigger_ml.physics.intervals import Estimate, Floats

GROUPS = 10
"""Groups of sources that the jackknife leaves out in turn."""


@dataclass(frozen=True)
class DistanceCorrelation:
    """How far two quantities are from independent.

    Attributes:
        events: behind it.
        squared: dCor^2 as a loss has it, the sum over all pairs; 0 to 1, above 0 even for independent quantities.
        unbiased: dCor^2 without that bias, which scatters around 0 for independent ones; with its jackknife error.
    """

    events: int
    squared: float
    unbiased: Estimate


def distance_correlation(
    x: NDArray[Any], y: NDArray[Any], sources: NDArray[Any] | None = None, groups: int = GROUPS, seed: int = 0
) -> DistanceCorrelation:
    """Squared distance correlation of two quantities, exact, in ``O(n log^2 n)`` time and ``O(n)`` memory.

    Source: G. Szekely, M. Rizzo and N. Bakirov, Ann. Statist. 35 (2007) 2769; without bias: G. Szekely and M. Rizzo,
    Ann. Statist. 42 (2014) 2382; the sum over pairs by sorting: X. Huo and G. Szekely, Technometrics 58 (2016) 435.

    Args:
        x: ``(events,)``, finite.
        y: ``(events,)``.
        sources: source id of each event; None: all independent. The jackknife leaves whole sources out.
        groups: of the jackknife, at least 2.
        seed: deals the sources into groups.

    Raises:
        SampleError: fewer than 4 events in some group's complement, different numbers of them, or a value that isn't
            finite.
    """
    x, y = np.asarray(x, np.float64), np.asarray(y, np.float64)
    sources = np.arange(len(x)) if sources is None else np.asarray(sources)
    if x.ndim != 1 or not x.shape == y.shape == sources.shape:
        raise SampleError(f"quantities of shapes {x.shape}, {y.shape}, {sources.shape}: give one number for each event")
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise SampleError("a distance correlation needs finite numbers: take the others out")
    _, cluster = np.unique(sources, return_inverse=True)
    count = int(cluster.max(initial=-1)) + 1
    groups = min(groups, count)
    dealt = (np.random.default_rng(seed).permutation(count) % max(groups, 1))[cluster]
    if groups < 2 or any(len(x) - n < 4 for n in np.bincount(dealt, minlength=groups)):
        raise SampleError(f"{len(x)} events of {count} sources are too few for a distance correlation: give more")
    biased, unbiased = _both(x, y)
    left_out = np.array([_both(x[dealt != g], y[dealt != g])[1] for g in range(groups)])
    error = math.sqrt((groups - 1) / groups * float(((left_out - left_out.mean()) ** 2).sum()))
    return DistanceCorrelation(len(x), biased, Estimate.symmetric(unbiased, error))


def _both(x: Floats, y: Floats) -> tuple[float, float]:
    """dCor^2 over all pairs, and without bias; 0 where a quantity is constant."""
    n = len(x)
    x, y = _standard(x), _standard(y)
    rows_x, rows_y = _row_sums(x), _row_sums(y)
    products = {
        "xy": (_sum_of_products(x, y), float(rows_x @ rows_y), float(rows_x.sum() * rows_y.sum())),
        "xx": (2 * n * float(x @ x) - 2 * float(x.sum()) ** 2, float(rows_x @ rows_x), float(rows_x.sum()) ** 2),
        "yy": (2 * n * float(y @ y) - 2 * float(y.sum()) ** 2, float(rows_y @ rows_y), float(rows_y.sum()) ** 2),
    }
    biased = {k: pairs / n**2 - 2 * rows / n**3 + total / n**4 for k, (pairs, rows, total) in products.items()}
    unbiased = {
        k: pairs / (n * (n - 3)) - 2 * rows / (n * (n - 2) * (n - 3)) + total / (n * (n - 1) * (n - 2) * (n - 3))
        for k, (pairs, rows, total) in products.items()
    }
    first, second = (_ratio(v["xy"], v["xx"], v["yy"]) for v in (biased, unbiased))
    return min(max(first, 0.0), 1.0), second


def _ratio(xy: float, xx: float, yy: float) -> float:
    return xy / math.sqrt(xx * yy) if xx > 0 and yy > 0 else 0.0


def _standard(x: Floats) -> Floats:
    """Centred and of unit width, which changes no correlation and keeps sums of products exact enough."""
    x = x - x.mean()
    width = float(x.std())
    return x / width if width > 0 else np.zeros_like(x)


def _row_sums(x: Floats) -> Floats:
    """For each event the sum of distances to all."""
    order = np.argsort(x, kind="stable")
    s = x[order]
    below = np.cumsum(s) - s
    rank = np.arange(len(x))
    out = np.empty_like(x)
    out[order] = s * (2 * rank - len(x)) - 2 * below + s.sum()
    return out


def _sum_of_products(x: Floats, y: Floats) -> float:
    """``sum_ij |x_i - x_j| |y_i - y_j|`` by merging: events in order of x, ever longer stretches in order of y."""
    order = np.argsort(x, kind="stable")
    x, y = x[order], y[order]
    n = len(x)
    size = 1 << (n - 1).bit_length()
    pad = size - n
    there = np.concatenate([np.ones(n), np.zeros(pad)])
    xs, ys = (np.concatenate([v, np.zeros(pad)]) for v in (x, y))
    key = np.concatenate([y, np.full(pad, np.inf)])
    sums = np.stack([there, xs, ys, xs * ys])
    total, half = 0.0, 1
    while half < size:
        shape = (-1, 2 * half)
        merged = np.argsort(key.reshape(shape), axis=1, kind="stable")
        at = (merged + np.arange(0, size, 2 * half)[:, None]).ravel()
        left = (merged < half).ravel()
        key, sums = key[at], sums[:, at]
        # Pairs of a left event (lower x) and a right one: (x_r - x_l) |y_r - y_l|, lower y first, then the others.
        below = np.cumsum((sums * left).reshape(4, *shape), axis=2)
        above = below[:, :, -1:] - below
        signed = (below - above).reshape(4, size)
        one, xr, yr, both = sums * ~left
        total += float((both * signed[0] - xr * signed[2] - yr * signed[1] + one * signed[3]).sum())
        half *= 2
    return 2 * total
