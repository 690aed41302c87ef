"""From scores to physics: every number of the report that has to do with events, in one pass over the test part."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trigger_ml.errors import SampleError
from trigger_ml.fixed import Fixed
from trigger_ml.physics import baselines, roc
from trigger_ml.physics.efficiency import turn_ons
from trigger_ml.physics.events import Events
from trigger_ml.physics.intervals import CONFIDENCE, Estimate, binomial, effective_count, poisson
from trigger_ml.physics.rates import at_rate, crossings_khz, with_rate
from trigger_ml.physics.result import Curve, Histogram, PhysicsResult, Quality, ScoreResult, SignalMeasures
from trigger_ml.physics.roc import Background, Point, Scores
from trigger_ml.physics.shift import rate_shift, spearman, tpr_shifts
from trigger_ml.physics.tagging import tagging
from trigger_ml.spec import Physics

ByProcess = Mapping[str, Mapping[str, NDArray[Any]]]
"""Process (``background`` or a signal's name) -> part (``test``, perhaps ``validation``) -> one score an event."""

FIRMWARE = "firmware"
"""Name of the working point whose threshold is built into the graph."""


@dataclass(frozen=True)
class _Twin:
    """The float twin's scores, and what quantization changed."""

    result: ScoreResult | None
    auc_shift: Mapping[str, Estimate]
    tpr_shift: Mapping[str, Mapping[str, Estimate]]
    rate_shift_khz: Estimate | None
    ranks: Mapping[str, float]


def evaluate(
    sample: Events,
    quantized: ByProcess,
    floating: ByProcess | None,
    physics: Physics,
    *,
    seed: int,
    score_format: Fixed | None = None,
    threshold: int | None = None,
) -> PhysicsResult:
    """Rates, efficiencies, ROC curves, turn-ons, baselines, and what quantization changed.

    Thresholds are set on the background's test part and efficiencies measured on the signals' test parts; ranks are
    correlated on the validation parts where both scores have them. About 3 s for 200,000 background events.

    Args:
        sample: the events.
        quantized: the graph's integer scores.
        floating: the float twin's scores of the same events, in the unit ``integer * 2**-frac`` of ``score_format``;
            None where there is no twin: then nothing is said of what quantization changed.
        physics: filling scheme and working points.
        seed: of the bootstrap.
        score_format: format of the integer score; None: saturation and the rate shift are left out.
        threshold: integer threshold of the graph's decision; it becomes the working point ``firmware``.

    Raises:
        SampleError: scores that don't match the sample's events or aren't finite.
        ToolMissing: scipy is not installed.
    """
    inputs = {"background": sample.background.test} | {name: parts.test for name, parts in sample.signals.items()}
    test_q = {process: _scores(quantized, process, len(x), "quantized") for process, x in inputs.items()}
    result_q, auc_q = _measure("quantized", "network", test_q, sample, physics, threshold)
    chosen = _working_point(physics, sample.gives_rates)
    cut = result_q.point(chosen).threshold
    signals = {name: parts.test for name, parts in sample.signals.items()}
    twin = _Twin(None, {}, {}, None, {})
    if floating is not None:
        test_f = {process: _scores(floating, process, len(x), "float") for process, x in inputs.items()}
        ranks = _ranks(quantized, floating, tuple(inputs))
        twin = _compared((test_q, result_q, auc_q), test_f, ranks, sample, physics, score_format, seed)
    return PhysicsResult(
        sample=f"{sample.name}/{sample.variant}",
        sample_digest=sample.digest,
        sample_notes=sample.notes,
        pileup=float(sample.pileup),
        gives_rates=sample.gives_rates,
        bunches=physics.bunches,
        crossings_khz=crossings_khz(physics.bunches),
        confidence=CONFIDENCE,
        background_events=len(inputs["background"]),
        independent_sources=len(np.unique(sample.source)),
        signal_events={name: len(x) for name, x in signals.items()},
        working_point=chosen,
        quantized=result_q,
        floating=twin.result,
        baselines=_counters(sample, inputs, physics),
        auc_shift=twin.auc_shift,
        tpr_shift=twin.tpr_shift,
        rate_shift_khz=twin.rate_shift_khz,
        rank_correlation=twin.ranks,
        quality=_quality(test_q, cut, score_format),
        histogram=_histogram(test_q, cut),
        turn_ons=turn_ons(sample, signals, {name: test_q[name] >= cut for name in signals}),
    )


def _counters(sample: Events, inputs: Mapping[str, NDArray[Any]], physics: Physics) -> tuple[ScoreResult, ...]:
    """Simple counters of the same events, measured as the network is."""
    found = {process: baselines.scores(sample, x) for process, x in inputs.items()}
    return tuple(
        _measure(name, baselines.LABELS[name], {p: s[name] for p, s in found.items()}, sample, physics, None)[0]
        for name in found["background"]
    )


def _compared(
    ours: tuple[Mapping[str, Scores], ScoreResult, Mapping[str, roc.Auc]],
    test_f: Mapping[str, Scores],
    ranks: Mapping[str, float],
    sample: Events,
    physics: Physics,
    score_format: Fixed | None,
    seed: int,
) -> _Twin:
    """The float twin measured as the graph was, and the differences; ``ours`` are the graph's scores and measures."""
    test_q, result_q, auc_q = ours
    sources = np.asarray(sample.source)
    result_f, auc_f = _measure("float", "float twin", test_f, sample, physics, None)
    shift = None
    if sample.gives_rates:
        chosen = _working_point(physics, True)
        shift = _rate_shift(test_q, test_f, sources, result_f, chosen, score_format, physics)
    return _Twin(
        result_f,
        {name: auc_q[name].minus(auc) for name, auc in auc_f.items()},
        _tpr_shift(test_q, test_f, sources, result_q, result_f, physics.bootstrap, seed),
        shift,
        ranks,
    )


def _scores(by_process: ByProcess, process: str, events: int, kind: str) -> Scores:
    try:
        scores = np.asarray(by_process[process]["test"])
    except KeyError:
        raise SampleError(
            f"there are no {kind} scores of the test part of {process}: compute them before the physics"
        ) from None
    if scores.size != events:
        raise SampleError(f"{scores.size} {kind} scores for {events} test events of {process}: give one score an event")
    if not np.isfinite(scores).all():
        bad = int(np.count_nonzero(~np.isfinite(scores)))
        raise SampleError(
            f"{bad} {kind} scores of {process} are not finite: the {kind} model overflows, train it again"
        )
    return scores.reshape(-1).astype(np.int64 if np.issubdtype(scores.dtype, np.integer) else np.float64)


def _rate_name(physics: Physics) -> str:
    return f"rate_{physics.rate_khz:g}_khz"


def _working_point(physics: Physics, gives_rates: bool) -> str:
    return _rate_name(physics) if gives_rates else f"fpr_{max(physics.fpr):g}"


def _points(background: Background, physics: Physics, gives_rates: bool, threshold: int | None) -> tuple[Point, ...]:
    points = [roc.at_fpr(f"fpr_{target:g}", background, target) for target in physics.fpr]
    if threshold is not None:
        points.append(roc.at_threshold(FIRMWARE, background, threshold))
    if not gives_rates:
        return tuple(points)
    rate = at_rate(_rate_name(physics), background, physics.rate_khz, physics.bunches)
    return (rate, *(with_rate(p, physics.bunches) for p in points))


def _measure(
    name: str, label: str, scores: Mapping[str, Scores], sample: Events, physics: Physics, threshold: int | None
) -> tuple[ScoreResult, dict[str, roc.Auc]]:
    sources = np.asarray(sample.source)
    background = Background.of(scores["background"], sources)
    points = _points(background, physics, sample.gives_rates, threshold)
    signals = {process: s for process, s in scores.items() if process != "background"}
    aucs = {process: roc.auc(scores["background"], s, sources) for process, s in signals.items()}
    measures = {
        process: SignalMeasures(
            aucs[process].estimate(),
            {p.name: roc.tpr(s, background, p) for p in points},
            None if sample.gives_rates else tagging(scores["background"], s),
        )
        for process, s in signals.items()
    }
    return ScoreResult(name, label, points, measures, _curve(background, signals)), aucs


def _curve(background: Background, signals: Mapping[str, Scores]) -> Curve:
    wanted = np.unique(np.geomspace(1, background.events, 72).astype(int))
    thresholds = [background.threshold(int(k)) for k in wanted]
    counts, first = np.unique([background.count(t) for t in thresholds], return_index=True)
    kept = counts > 0
    counts, cuts = counts[kept], np.array(thresholds)[first][kept]
    effective = np.array([effective_count(background.sources[:k]) for k in counts])
    low, high = binomial(effective, background.events * effective / counts)
    tpr, tpr_low, tpr_high = {}, {}, {}
    for process, scores in signals.items():
        passed = len(scores) - np.searchsorted(np.sort(scores), cuts, side="left")
        ends = binomial(passed, len(scores))
        tpr[process] = _floats(passed / len(scores))
        tpr_low[process], tpr_high[process] = _floats(ends[0]), _floats(ends[1])
    return Curve(_floats(counts / background.events), _floats(low), _floats(high), tpr, tpr_low, tpr_high)


def _tpr_shift(
    test_q: Mapping[str, Scores],
    test_f: Mapping[str, Scores],
    sources: NDArray[Any],
    result_q: ScoreResult,
    result_f: ScoreResult,
    resamplings: int,
    seed: int,
) -> dict[str, dict[str, Estimate]]:
    points = {p.name: p.target for p in result_f.points if p.target is not None}
    pairs = [(s["background"], {k: v for k, v in s.items() if k != "background"}) for s in (test_q, test_f)]
    errors = tpr_shifts(pairs[0], pairs[1], sources, list(points.values()), resamplings, seed)
    return {
        process: {
            name: Estimate.symmetric(
                measures.tpr[name].value - result_f.signals[process].tpr[name].value, errors[process][i]
            )
            for i, name in enumerate(points)
        }
        for process, measures in result_q.signals.items()
    }


def _rate_shift(
    test_q: Mapping[str, Scores],
    test_f: Mapping[str, Scores],
    sources: NDArray[Any],
    result_f: ScoreResult,
    point: str,
    score_format: Fixed | None,
    physics: Physics,
) -> Estimate | None:
    if score_format is None:
        return None
    cut = result_f.point(point).threshold
    kept = test_q["background"] >= math.ceil(cut * 2.0**score_format.frac)
    return rate_shift(kept, test_f["background"] >= cut, sources, crossings_khz(physics.bunches))


def _ranks(quantized: ByProcess, floating: ByProcess, processes: tuple[str, ...]) -> dict[str, float]:
    held = all("validation" in scores[p] for scores in (quantized, floating) for p in processes)
    part = "validation" if held else "test"
    q, f = ([np.ravel(scores[p][part]) for p in processes] for scores in (quantized, floating))
    each = {process: spearman(a, b) for process, a, b in zip(processes, q, f, strict=True)}
    return {"all": spearman(np.concatenate(q), np.concatenate(f))} | each


def _quality(scores: Mapping[str, Scores], cut: float, score_format: Fixed | None) -> Quality:
    above = [np.unique(s[s >= cut]) for s in scores.values()]
    of_background = scores["background"][scores["background"] >= cut]
    saturated = {} if score_format is None else {p: float(np.mean(s >= score_format.hi)) for p, s in scores.items()}
    return Quality(len(np.unique(np.concatenate(above))), len(np.unique(of_background)), saturated)


def _histogram(scores: Mapping[str, Scores], cut: float) -> Histogram:
    """About 50 bins a whole number of units wide, from the lowest score to beyond the cut and 99 % of every process."""
    first = int(min(s.min() for s in scores.values()))
    last = int(max(cut * 1.25 - 0.25 * first, *(np.quantile(s, 0.99) for s in scores.values())))
    width = max(math.ceil((last - first + 1) / 50), 1)
    edges = np.arange(first, last + width + 1, width)
    counts, low, high = {}, {}, {}
    for process, s in scores.items():
        place = np.minimum((s - first) // width, len(edges) - 2)
        n = np.bincount(place, minlength=len(edges) - 1)
        ends = poisson(n)
        counts[process] = tuple(int(v) for v in n)
        low[process], high[process] = _floats(ends[0]), _floats(ends[1])
    return Histogram(tuple(int(e) for e in edges), counts, low, high)


def _floats(values: NDArray[Any]) -> tuple[float, ...]:
    return tuple(float(v) for v in values)
