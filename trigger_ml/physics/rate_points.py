"""From integer scores of zero-bias events to rates: several working points at once, with or without a menu."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trigger_ml.physics import abcd, roc
from trigger_ml.physics.correlation import distance_correlation
from trigger_ml.physics.intervals import Estimate, Floats, binomial, effective_count, efficiency
from trigger_ml.physics.menu_rates import Fired, added, left_over, unique_threshold
from trigger_ml.physics.rate_table import Pair, RateCurve, Shift, WorkingPoint
from trigger_ml.physics.rates import at_rate, crossings_khz, with_rate
from trigger_ml.physics.roc import Background, Point, Scores
from trigger_ml.physics.shift import rate_shift, tpr_shifts

FIRMWARE = "firmware"
CURVE = 72
"""Thresholds of a curve, about."""

CORRELATED = 100_000
"""Events behind a distance correlation, at most: about 10 s."""

Bools = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Base:
    """A menu that a score is added to.

    Attributes:
        fired: its decisions on the zero-bias events.
        prescales: of its seeds.
        signals: signal -> whether an unprescaled seed keeps each event.
    """

    fired: Fired
    prescales: Sequence[int]
    signals: Mapping[str, Bools]


def rate_name(khz: float) -> str:
    """Name of the working point of a total rate."""
    return f"rate_{khz:g}_khz"


def working_points(
    background: Scores,
    sources: NDArray[Any],
    signals: Mapping[str, Scores],
    rates_khz: Sequence[float],
    bunches: int,
    *,
    firmware: int | None = None,
    base: Base | None = None,
) -> tuple[WorkingPoint, ...]:
    """Thresholds at target rates by exact counting, with the efficiencies there.

    Args:
        background: integer score of each zero-bias event.
        sources: source id of each.
        signals: signal -> scores.
        rates_khz: targets of the total rate and, with a menu, of the unique rate.
        bunches: colliding bunches in an orbit.
        firmware: a threshold that is given, the working point ``firmware``.
        base: the menu; None: total rates only.
    """
    ordered = Background.of(background, sources)
    points = [at_rate(rate_name(khz), ordered, khz, bunches) for khz in rates_khz]
    if base is not None:
        left = left_over(base.fired, base.prescales)
        cuts = {f"unique_{khz:g}_khz": unique_threshold(background, left, khz, bunches) for khz in rates_khz}
        points += [_given(name, ordered, cut, bunches) for name, cut in cuts.items()]
    if firmware is not None:
        points.append(_given(FIRMWARE, ordered, firmware, bunches))
    found = []
    for point in points:
        tpr = {name: roc.tpr(scores, ordered, point) for name, scores in signals.items()}
        if base is None:
            found.append(WorkingPoint(point, tpr))
            continue
        unique = added(background >= point.threshold, left, sources, bunches)
        gain = {name: _share((s >= point.threshold) & ~base.signals[name]) for name, s in signals.items()}
        found.append(WorkingPoint(point, tpr, unique, gain))
    return tuple(found)


def _given(name: str, background: Background, threshold: int, bunches: int) -> Point:
    return with_rate(roc.at_threshold(name, background, threshold), bunches)


def _share(kept: Bools) -> Estimate:
    return efficiency(int(np.count_nonzero(kept)), len(kept))


def rate_curve(background: Scores, sources: NDArray[Any], bunches: int) -> RateCurve:
    """Total rate at about :data:`CURVE` thresholds, evenly spaced in the logarithm of the events above."""
    ordered = Background.of(background, sources)
    wanted = np.unique(np.geomspace(1, ordered.events, CURVE).astype(int))
    thresholds = np.unique([ordered.threshold(int(k)) for k in wanted])[::-1]
    counts = np.array([ordered.count(t) for t in thresholds])
    thresholds, counts = thresholds[counts > 0], counts[counts > 0]
    worth = np.array([effective_count(ordered.sources[:k]) for k in counts])
    low, high = binomial(worth, ordered.events * worth / counts)
    khz = crossings_khz(bunches)
    values = counts / ordered.events * khz
    return RateCurve(
        tuple(int(t) for t in thresholds),
        tuple(int(k) for k in counts),
        _floats(values),
        _floats(np.minimum(low * khz, values)),
        _floats(np.maximum(high * khz, values)),
    )


def _floats(values: Floats) -> tuple[float, ...]:
    return tuple(float(v) for v in values)


def shifts(
    quantized: Mapping[str, Scores],
    floating: Mapping[str, Scores],
    sources: NDArray[Any],
    rates_khz: Sequence[float],
    bunches: int,
    frac: int,
    *,
    resamplings: int,
    seed: int,
) -> tuple[Shift, ...]:
    """What quantization changed at each target rate: rate at the float threshold, efficiency at equal rates.

    Args:
        quantized: ``background`` and signals -> integer scores.
        floating: the float twin's scores of the same events, in the unit ``integer * 2**-frac``.
        sources: source id of each background event.
        rates_khz: targets.
        bunches: colliding bunches in an orbit.
        frac: fractional bits of the integer score.
        resamplings: of the paired bootstrap, at least 2.
        seed: of the bootstrap.
    """
    both = (quantized, floating)
    ordered = [Background.of(scores["background"], sources) for scores in both]
    points = [[at_rate(rate_name(khz), background, khz, bunches) for khz in rates_khz] for background in ordered]
    targets = [float(p.target) for p in points[0] if p.target is not None]
    names = [name for name in quantized if name != "background"]
    pairs = [(scores["background"], {name: scores[name] for name in names}) for scores in both]
    errors = tpr_shifts(pairs[0], pairs[1], sources, targets, resamplings, seed)
    found = []
    for i, (q, f) in enumerate(zip(*points, strict=True)):
        kept = quantized["background"] >= math.ceil(f.threshold * 2.0**frac)
        rate = rate_shift(kept, floating["background"] >= f.threshold, sources, crossings_khz(bunches))
        tpr = {
            name: Estimate.symmetric(
                float(np.mean(quantized[name] >= q.threshold) - np.mean(floating[name] >= f.threshold)),
                errors[name][i],
            )
            for name in names
        }
        found.append(Shift(q.name, rate, tpr))
    return tuple(found)


def pair_estimates(
    quantized: NDArray[np.int64], floating: Floats | None, sources: NDArray[Any], points: Sequence[WorkingPoint]
) -> Pair:
    """What the two scores behind a score, the lesser of both, say about the background.

    Args:
        quantized: both integer scores of each zero-bias event, ``(events, 2)``.
        floating: the float twin's; None without one.
        sources: source id of each event.
        points: thresholds, at which each of the two is cut.
    """
    first, second = quantized.T
    few = slice(0, CORRELATED)
    return Pair(
        distance_correlation(first[few], second[few], sources[few]),
        {
            p.point.name: abcd.abcd(first, second, (p.point.threshold, p.point.threshold), sources, p.point.target)
            for p in points
        },
        () if floating is None else abcd.closure_shifts((floating[:, 0], floating[:, 1]), (first, second), sources),
    )


@dataclass(frozen=True)
class PileupBin:
    """A decision on the events of one bin of pileup.

    Attributes:
        low: of the bin, included.
        high: not included.
        events: in it.
        rate_khz: the rate if every crossing had such pileup.
        tpr: signal -> efficiency in the same bin.
    """

    low: float
    high: float
    events: int
    rate_khz: Estimate
    tpr: Mapping[str, Estimate]


def in_pileup_bins(
    edges: Sequence[float],
    background: tuple[NDArray[Any], Bools, NDArray[Any]],
    signals: Mapping[str, tuple[NDArray[Any], Bools]],
    bunches: int,
) -> tuple[PileupBin, ...]:
    """Rate and efficiencies at a fixed threshold in bins of pileup: flat where the score is stable.

    Args:
        edges: of the bins, rising.
        background: pileup, decision and source id of each zero-bias event.
        signals: signal -> pileup and decision of each event.
        bunches: colliding bunches in an orbit.
    """
    pileup, keeps, sources = background
    bins = []
    for low, high in zip(edges, edges[1:], strict=False):
        here = (pileup >= low) & (pileup < high)
        kept = here & keeps
        total = int(np.count_nonzero(here))
        worth = effective_count(sources[kept]), len(np.unique(sources[here]))
        rate = efficiency(int(np.count_nonzero(kept)), total, *worth)
        tpr = {name: _share(fired[(pu >= low) & (pu < high)]) for name, (pu, fired) in signals.items()}
        bins.append(PileupBin(float(low), float(high), total, rate.scaled(crossings_khz(bunches)), tpr))
    return tuple(bins)
