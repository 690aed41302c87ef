"""How far two samples are apart: Wasserstein-1, triangular discriminator, Frechet and kernel distance of features.

numpy arrays in, frozen results out; every distance has a statistical error, and none knows what made the samples.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trigger_ml.errors import SampleError, ToolMissing
from trigger_ml.physics.intervals import Estimate, Floats


@dataclass(frozen=True)
class Wasserstein:
    """Wasserstein-1 distance of each feature.

    Attributes:
        events: of the first and the second sample.
        features: one distance each, in the feature's unit; bootstrap error.
    """

    events: tuple[int, int]
    features: tuple[Estimate, ...]


@dataclass(frozen=True)
class Triangular:
    """Triangular discriminator of one binned quantity.

    Attributes:
        bins: number of bins.
        value: 0 for equal histograms, 1 for disjoint ones; bootstrap error.
        floor: what equal distributions would give on average, from the finite samples alone.
    """

    bins: int
    value: Estimate
    floor: float


@dataclass(frozen=True)
class Frechet:
    """Frechet distance of features, extrapolated to infinitely many events.

    Attributes:
        value: the intercept of the linear fit in 1/N; its error joins that of the fit with a jackknife of the samples.
        sizes: events in a batch, rising.
        means: mean distance of the batches of each size.
    """

    value: Estimate
    sizes: tuple[int, ...]
    means: tuple[float, ...]


@dataclass(frozen=True)
class Kernel:
    """Kernel distance of features: squared maximum mean discrepancy.

    Attributes:
        value: median over batches, plus and minus half of the width that holds 68 % of them.
        batches: distance of each batch; they scatter around 0 for equal distributions.
        size: events in a batch.
    """

    value: Estimate
    batches: tuple[float, ...]
    size: int


def wasserstein(first: NDArray[Any], second: NDArray[Any], resamplings: int = 50, seed: int = 0) -> Wasserstein:
    """Wasserstein-1 distance of each feature of two samples; a bootstrap of both gives the errors.

    A finite sample has a distance above 0 from any other: compare with that of two halves of one.

    Args:
        first: ``(events, features)``.
        second: another sample of the same features.
        resamplings: of the bootstrap, at least 2.
        seed: of the bootstrap.

    Raises:
        SampleError: samples that are empty, not finite, or of different features.
        ToolMissing: scipy is not installed.
    """
    a, b = _pair(first, second, 1)
    distance = _scipy().stats.wasserstein_distance
    rng = np.random.default_rng(seed)
    found = []
    for i in range(a.shape[1]):
        p, q = np.sort(a[:, i]), np.sort(b[:, i])
        tried = [distance(*(np.sort(v[rng.integers(0, len(v), len(v))]) for v in (p, q))) for _ in range(resamplings)]
        found.append(Estimate.symmetric(float(distance(p, q)), float(np.std(tried, ddof=1))))
    return Wasserstein((len(a), len(b)), tuple(found))


def triangular(
    first: NDArray[Any], second: NDArray[Any], edges: NDArray[Any], resamplings: int = 200, seed: int = 0
) -> Triangular:
    """Triangular discriminator ``1/2 sum (p - q)^2 / (p + q)`` over bins, also known as Vincze-Le Cam divergence.

    Source: F. Topsoe, IEEE Trans. Inform. Theory 46 (2000) 1602, with the factor 1/2 of A. Andreassen et al.,
    Phys. Rev. Lett. 124 (2020) 182001, arXiv:1911.09107 (which quotes 1000 times this).

    Args:
        first: one quantity, ``(events,)``.
        second: the same quantity in another sample.
        edges: of the bins, rising; what lies outside goes into the outermost.
        resamplings: of the bootstrap, at least 2.
        seed: of the bootstrap.

    Raises:
        SampleError: samples that are empty or not finite, or fewer than two edges.
    """
    a, b = (v[:, 0] for v in _pair(np.reshape(first, (-1, 1)), np.reshape(second, (-1, 1)), 1))
    if len(edges) < 2:
        raise SampleError("a triangular discriminator needs a bin: give two edges or more")
    bins = len(edges) - 1
    counts = [
        np.bincount(np.clip(np.searchsorted(edges, v, side="right") - 1, 0, bins - 1), minlength=bins) for v in (a, b)
    ]
    rng = np.random.default_rng(seed)
    tried = [_discriminator(*(rng.multinomial(c.sum(), c / c.sum()) for c in counts)) for _ in range(resamplings)]
    filled = int(np.count_nonzero(counts[0] + counts[1]))
    floor = (filled - 1) / 4 * (1 / len(a) + 1 / len(b))
    value = Estimate.symmetric(_discriminator(*counts), float(np.std(tried, ddof=1)))
    return Triangular(bins, value, floor)


def _discriminator(a: NDArray[np.int64], b: NDArray[np.int64]) -> float:
    p, q = a / a.sum(), b / b.sum()
    seen = p + q > 0
    return min(float(((p - q)[seen] ** 2 / (p + q)[seen]).sum() / 2), 1.0)


def frechet(
    real: NDArray[Any],
    generated: NDArray[Any],
    *,
    smallest: int = 20_000,
    largest: int = 50_000,
    points: int = 10,
    batches: int = 20,
    normalise: bool = True,
    seed: int = 0,
) -> Frechet:
    """Frechet distance of two samples' features as Gaussians ("FPD"), extrapolated linearly in 1/N to infinite N.

    Batches are drawn without replacement, so that a batch is as independent events are. Source: R. Kansal et al.,
    Phys. Rev. D 107 (2023) 076017, arXiv:2211.10295; the extrapolation: M. Chong and D. Forsyth, arXiv:1911.07023.

    Args:
        real: ``(events, features)``, the reference.
        generated: another sample of the same features.
        smallest: events in the smallest batch, at least twice the number of features for a covariance of full rank.
        largest: in the largest; at most as many as the smaller sample has are used.
        points: sizes of batches, evenly spaced in 1/N, at least 3.
        batches: of each size.
        normalise: divide each feature by its largest absolute value in ``real``.
        seed: of the batches.

    Raises:
        SampleError: samples that are too small, not finite, or of different features.
    """
    a, b = _features(real, generated, normalise, smallest)
    largest = min(largest, len(a), len(b))
    if smallest >= largest or points < 3 or batches < 1 or smallest < 2:
        raise SampleError(
            f"batches of {smallest} to {largest} events at {points} sizes: give a smallest size below the sample's "
            "and at least 3 sizes"
        )
    rng = np.random.default_rng(seed)
    sizes = np.rint(1 / np.linspace(1 / smallest, 1 / largest, points)).astype(int)
    means = np.array([np.mean([_gaussians(*_draw(rng, (a, b), n)) for _ in range(batches)]) for n in sizes])
    value, error = _intercept(1 / sizes, means)
    error = math.hypot(error, _jackknife(rng, a, b))
    return Frechet(Estimate.symmetric(value, error), tuple(map(int, sizes)), tuple(map(float, means)))


def _gaussians(a: Floats, b: Floats) -> float:
    """``|mean difference|^2 + tr(S1 + S2 - 2 (S1 S2)^(1/2))``, the Frechet distance of two Gaussians."""
    s1, s2 = (np.atleast_2d(np.cov(v, rowvar=False)) for v in (a, b))
    values, vectors = np.linalg.eigh(s1)
    root = vectors * np.sqrt(np.clip(values, 0, None)) @ vectors.T
    both = np.sqrt(np.clip(np.linalg.eigvalsh(root @ s2 @ root), 0, None)).sum()
    shift = a.mean(axis=0) - b.mean(axis=0)
    return float(shift @ shift + np.trace(s1) + np.trace(s2) - 2 * both)


def _jackknife(rng: np.random.Generator, a: Floats, b: Floats, groups: int = 10) -> float:
    """Standard deviation of the distance of both whole samples, from leaving out a tenth of both in turn."""
    (a, b), tried = (v[rng.permutation(len(v))] for v in (a, b)), []
    for g in range(groups):
        tried.append(_gaussians(*(v[np.arange(len(v)) % groups != g] for v in (a, b))))
    return math.sqrt((groups - 1) * float(np.var(tried)))


def _intercept(x: Floats, y: Floats) -> tuple[float, float]:
    """Least squares with equal weights; the error from the scatter about the line."""
    design = np.stack([np.ones_like(x), x], axis=1)
    best, *_ = np.linalg.lstsq(design, y, rcond=None)
    scatter = float(((y - design @ best) ** 2).sum()) / (len(x) - 2)
    return float(best[0]), math.sqrt(scatter * float(np.linalg.inv(design.T @ design)[0, 0]))


def kernel(
    real: NDArray[Any],
    generated: NDArray[Any],
    *,
    size: int = 5_000,
    batches: int = 10,
    normalise: bool = True,
    seed: int = 0,
) -> Kernel:
    """Kernel distance ("KPD"): unbiased squared maximum mean discrepancy with the kernel ``(x.y / features + 1)^4``.

    Source: R. Kansal et al., Phys. Rev. D 107 (2023) 076017, arXiv:2211.10295. Needs ``8 size^2`` bytes.

    Args:
        real: ``(events, features)``, the reference.
        generated: another sample of the same features.
        size: events in a batch.
        batches: number of batches, at least 2.
        normalise: divide each feature by its largest absolute value in ``real``.
        seed: of the batches.

    Raises:
        SampleError: samples that are too small, not finite, or of different features.
    """
    a, b = _features(real, generated, normalise, 2)
    size = min(size, len(a), len(b))
    rng = np.random.default_rng(seed)
    found = [_discrepancy(*_draw(rng, (a, b), size)) for _ in range(batches)]
    low, high = np.percentile(found, [16.275, 83.725])
    return Kernel(Estimate.symmetric(float(np.median(found)), float(high - low) / 2), tuple(found), size)


def _discrepancy(x: Floats, y: Floats) -> float:
    n, m = len(x), len(y)

    def total(p: Floats, q: Floats) -> float:
        return float(_fourth_power(p @ q.T, p.shape[1]).sum())

    def diagonal(p: Floats) -> float:
        return float(_fourth_power((p * p).sum(axis=1), p.shape[1]).sum())

    same = (total(x, x) - diagonal(x)) / (n * (n - 1)) + (total(y, y) - diagonal(y)) / (m * (m - 1))
    return same - 2 * total(x, y) / (n * m)


def _fourth_power(products: Floats, features: int) -> Floats:
    """``(products / features + 1)^4`` in their place: squared twice, since numpy's own power of a matrix is slow."""
    products /= features
    products += 1
    products *= products
    products *= products
    return products


def _draw(rng: np.random.Generator, pair: tuple[Floats, Floats], n: int) -> tuple[Floats, Floats]:
    first, second = (v[rng.permutation(len(v))[:n]] for v in pair)
    return first, second


def _features(real: NDArray[Any], generated: NDArray[Any], normalise: bool, least: int) -> tuple[Floats, Floats]:
    a, b = _pair(real, generated, least)
    if not normalise:
        return a, b
    scale = np.abs(a).max(axis=0)
    scale = np.where(scale > 0, scale, 1.0)
    return a / scale, b / scale


def _pair(first: NDArray[Any], second: NDArray[Any], least: int) -> tuple[Floats, Floats]:
    a, b = np.asarray(first, np.float64), np.asarray(second, np.float64)
    if a.ndim != 2 or b.ndim != 2 or a.shape[1] != b.shape[1] or not a.shape[1]:
        raise SampleError(f"samples of shapes {a.shape} and {b.shape}: give (events, features) of the same features")
    if min(len(a), len(b)) < least:
        raise SampleError(f"samples of {len(a)} and {len(b)} events are too small: give {least} or more of each")
    if not (np.isfinite(a).all() and np.isfinite(b).all()):
        raise SampleError("a distance needs finite features: take the others out")
    return a, b


def _scipy() -> Any:
    try:
        import scipy.stats
    except ImportError:
        raise ToolMissing('Wasserstein distances need scipy: pip install "trigger_ml[report]"') from None
    return scipy
