"""Background estimate from two independent scores, before and after quantization.

Region A is what both scores keep, B what the first alone keeps, C the second alone, D the rest. For independent scores
``N_A = N_B N_C / N_D``, so the three other regions predict the background in A; ``N_A N_D / (N_B N_C)`` is the closure.
Source: V. Mikuni, B. Nachman and D. Shih, Phys. Rev. D 105 (2022) 055006, arXiv:2111.06417.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trigger_ml.errors import SampleError
from trigger_ml.physics.intervals import Estimate, Floats, effective_count, efficiency
from trigger_ml.physics.roc import Background, Scores, allowed

EFFICIENCIES = (1e-1, 1e-2, 1e-3, 1e-4, 1e-5)
"""Total efficiencies of a scan."""


@dataclass(frozen=True)
class Abcd:
    """Counts in the four regions and what they say.

    Attributes:
        target: total efficiency asked for; None where the thresholds were given.
        thresholds: of the first and the second score; each keeps what is at or above its own.
        counts: events in A, B, C, D.
        efficiency: of A.
        predicted: events in A from the three others; None where one of these is empty.
        closure: ``N_A N_D / (N_B N_C)``, 1 for independent scores; None where a region is empty.
    """

    target: float | None
    thresholds: tuple[int | float, int | float]
    counts: tuple[int, int, int, int]
    efficiency: Estimate
    predicted: Estimate | None
    closure: Estimate | None


@dataclass(frozen=True)
class ClosureShift:
    """What quantization changed in the closure at one total efficiency.

    Attributes:
        target: total efficiency, at which each pair has its own thresholds.
        floating: the float scores.
        quantized: the integer scores.
        ratio: closure after quantization over closure before; paired error. None where a region is empty.
    """

    target: float
    floating: Abcd
    quantized: Abcd
    ratio: Estimate | None


def abcd(
    first: Scores,
    second: Scores,
    thresholds: tuple[int | float, int | float],
    sources: NDArray[Any] | None = None,
    target: float | None = None,
) -> Abcd:
    """The estimate at given thresholds.

    Errors are those of the logarithm of the ratio, propagated from the counts: ``1/N`` of each region for independent
    events; events of one source vary together.

    Args:
        first: score of each background event.
        second: another score of the same events.
        thresholds: of the first and the second.
        sources: source id of each event; None: all independent.
        target: what the thresholds were made for.

    Raises:
        SampleError: no events, or different numbers of them.
    """
    return _estimate(first, second, thresholds, _clusters(first, second, sources), target)[0]


def diagonal(first: Scores, second: Scores, target: float) -> tuple[int | float, int | float]:
    """Thresholds at which both scores have the same efficiency and both together the largest one not above ``target``.

    Found by exact counting: of all pairs that keep at most ``k`` events each, that of the largest ``k``.

    Args:
        first: score of each background event.
        second: another score of the same events.
        target: total efficiency, 0 to 1.

    Raises:
        SampleError: no events, or different numbers of them.
    """
    _clusters(first, second, None)
    orders, most = (Background.of(first), Background.of(second)), allowed(target, len(first))

    def pair(k: int) -> tuple[int | float, int | float]:
        return orders[0].threshold(k), orders[1].threshold(k)

    def fits(k: int) -> bool:
        a, b = pair(k)
        return int(np.count_nonzero((first >= a) & (second >= b))) <= most

    low, high = 0, len(first)
    while low < high:  # the events that both keep never become fewer as k grows
        middle = (low + high + 1) // 2
        low, high = (middle, high) if fits(middle) else (low, middle - 1)
    return pair(low)


def scan(
    first: Scores,
    second: Scores,
    sources: NDArray[Any] | None = None,
    targets: Sequence[float] = EFFICIENCIES,
) -> tuple[Abcd, ...]:
    """The estimate along the diagonal, one for each total efficiency; arguments as in :func:`abcd`."""
    clusters = _clusters(first, second, sources)
    return tuple(_estimate(first, second, diagonal(first, second, t), clusters, t)[0] for t in targets)


def closure_shifts(
    floating: tuple[Scores, Scores],
    quantized: tuple[Scores, Scores],
    sources: NDArray[Any] | None = None,
    targets: Sequence[float] = EFFICIENCIES,
) -> tuple[ClosureShift, ...]:
    """What quantization changed in the closure, on the same events, each pair on its own diagonal.

    Args:
        floating: both float scores.
        quantized: both integer scores.
        sources: source id of each event; None: all independent.
        targets: total efficiencies.

    Raises:
        SampleError: no events, or different numbers of them.
    """
    clusters = _clusters(*floating, sources)
    _clusters(*quantized, sources)
    found = []
    for target in targets:
        (f, pull_f), (q, pull_q) = (
            _estimate(*pair, diagonal(*pair, target), clusters, target) for pair in (floating, quantized)
        )
        ratio = None
        if f.closure is not None and q.closure is not None:
            error = _spread(pull_q - pull_f, clusters)
            ratio = _logarithmic(q.closure.value / f.closure.value, error)
        found.append(ClosureShift(target, f, q, ratio))
    return tuple(found)


def _clusters(first: Scores, second: Scores, sources: NDArray[Any] | None) -> NDArray[np.int64]:
    sources = np.arange(len(first)) if sources is None else np.asarray(sources)
    if not len(first) or not len(first) == len(second) == len(sources):
        raise SampleError(
            f"{len(first)} and {len(second)} scores, {len(sources)} source ids: give both scores of the same events"
        )
    return np.unique(sources, return_inverse=True)[1]


def _estimate(
    first: Scores,
    second: Scores,
    thresholds: tuple[int | float, int | float],
    clusters: NDArray[np.int64],
    target: float | None,
) -> tuple[Abcd, Floats]:
    """The estimate, and how much each event moves the logarithm of the closure."""
    x, y = first >= thresholds[0], second >= thresholds[1]
    regions = (x & y, x & ~y, ~x & y, ~x & ~y)
    a, b, c, d = (int(np.count_nonzero(region)) for region in regions)
    pulls = [region / max(n, 1) for region, n in zip(regions, (a, b, c, d), strict=True)]
    pull = pulls[0] + pulls[3] - pulls[1] - pulls[2]
    predicted = closure = None
    if min(b, c, d):
        predicted = _logarithmic(b * c / d, _spread(pulls[1] + pulls[2] - pulls[3], clusters))
    if min(a, b, c, d):
        closure = _logarithmic(a * d / (b * c), _spread(pull, clusters))
    share = efficiency(a, len(first), effective_count(clusters[regions[0]]), int(clusters.max()) + 1)
    return Abcd(target, thresholds, (a, b, c, d), share, predicted, closure), pull


def _spread(pull: Floats, clusters: NDArray[np.int64]) -> float:
    """Standard deviation of the logarithm that ``pull`` moves, sources independent."""
    return math.sqrt(float((np.bincount(clusters, pull) ** 2).sum()))


def _logarithmic(value: float, error: float) -> Estimate:
    return Estimate(value, value * math.exp(-error), value * math.exp(error))
