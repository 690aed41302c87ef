"""The report as JSON; ``docs/report-schema.md`` and ``report.schema.json`` say what stands where."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from trigger_ml.estimators.quantity import Quantity
from trigger_ml.estimators.sharing import ReuseScan
from trigger_ml.physics.classes import Classes
from trigger_ml.physics.result import PhysicsResult, ScoreResult
from trigger_ml.report.data import BudgetLine, GraphSummary, ReportData

SCHEMA_VERSION = 1

FAST_SIMULATION = (
    "Simulated locally with Pythia 8 and our own fast detector response: not comparable with published results."
)
"""Stands beside every physics number."""

Json = dict[str, Any]


def document(data: ReportData) -> Json:
    """The whole report as JSON values; equal data give equal documents."""
    return {
        "schema_version": SCHEMA_VERSION,
        "model": data.model,
        "verdict": data.verdict,
        "reasons": list(data.reasons),
        "agreement": [asdict(a) for a in data.agreement],
        "skipped": [asdict(s) for s in data.skipped],
        "quantities": [_quantity(q) for q in data.quantities],
        "budget": [_budget(line) for line in data.budget],
        "remarks": list(data.remarks),
        "clock_met": data.clock_met,
        "physics": None if data.physics is None else _physics(data.physics),
        "physics_left_out": data.no_physics,
        "rates": None if data.rates is None else _lists(asdict(data.rates)),
        "scan": None if data.scan is None else _lists(asdict(data.scan)),
        "reuse": None if data.reuse is None else _reuse(data.reuse),
        "graph": _graph(data.graph),
        "provenance": dict(data.provenance),
    }


def _quantity(q: Quantity) -> Json:
    found = {"name": q.name, "value": q.value, "unit": q.unit, "source": q.source, "tool": q.tool}
    return found | {k: v for k, v in (("low", q.low), ("high", q.high)) if v is not None}


def _reuse(scan: ReuseScan) -> Json:
    return {
        "graph": scan.graph,
        "points": [asdict(p) | {"quantities": [_quantity(q) for q in p.quantities]} for p in scan.points],
    }


def _budget(line: BudgetLine) -> Json:
    q = line.quantity
    return {
        "name": line.name,
        "limit": line.limit,
        "value": None if q is None else q.value,
        "unit": line.unit,
        "source": None if q is None else q.source,
        "ok": line.ok,
    }


def _graph(graph: GraphSummary) -> Json:
    layers = []
    for layer in graph.layers:
        fields = asdict(layer)
        for name in ("bits", "weight_bits"):
            fields[name] = dict(zip(("low", "high"), fields[name], strict=True))
        layers.append(fields | {"inputs": list(layer.inputs), "shape": list(layer.shape)})
    return {"digest": graph.digest, "outputs": dict(graph.outputs), "layers": layers}


def _physics(p: PhysicsResult) -> Json:
    return {
        "sample": {
            "name": p.sample,
            "digest": p.sample_digest,
            "notes": p.sample_notes,
            "simulation": FAST_SIMULATION,
            "pileup": p.pileup,
            "gives_rates": p.gives_rates,
            "background_events": p.background_events,
            "independent_sources": p.independent_sources,
        },
        "confidence": p.confidence,
        "bunches": p.bunches,
        "crossings_khz": p.crossings_khz,
        "working_point": p.working_point,
        "points": {s.name: [asdict(point) for point in s.points] for s in _network(p)},
        "signals": {name: _signal(p, name) for name in p.signal_events},
        "rate_shift_khz": None if p.rate_shift_khz is None else asdict(p.rate_shift_khz),
        "rank_correlation": dict(p.rank_correlation),
        "score_quality": asdict(p.quality),
        "baselines": [_baseline(s) for s in p.baselines],
        "curves": {s.name: _lists(asdict(s.curve)) for s in (*_network(p), *p.baselines)},
        "histogram": _lists(asdict(p.histogram)),
        "turn_ons": [_lists(asdict(t)) for t in p.turn_ons],
        "classes": None if p.classes is None else _classes(p.classes),
    }


def _classes(c: Classes) -> Json:
    ours = {"names": list(c.events), "events": dict(c.events), "quantized": asdict(c.quantized)}
    if c.floating is None or c.accuracy_shift is None:
        return ours
    shift = {"auc": c.auc_shift, "against_background": c.background_shift}
    return ours | {
        "float": asdict(c.floating),
        "shift": {
            **{key: {name: asdict(e) for name, e in each.items()} for key, each in shift.items()},
            "accuracy": asdict(c.accuracy_shift),
        },
    }


def _network(p: PhysicsResult) -> tuple[ScoreResult, ...]:
    return (p.quantized,) if p.floating is None else (p.quantized, p.floating)


def _signal(p: PhysicsResult, name: str) -> Json:
    ours = {"events": p.signal_events[name], "quantized": asdict(p.quantized.signals[name])}
    if p.floating is None:
        return ours
    return ours | {
        "float": asdict(p.floating.signals[name]),
        "shift": {
            "auc": asdict(p.auc_shift[name]),
            "tpr": {point: asdict(e) for point, e in p.tpr_shift[name].items()},
        },
    }


def _baseline(score: ScoreResult) -> Json:
    return {
        "name": score.name,
        "label": score.label,
        "points": [asdict(point) for point in score.points],
        "signals": {name: asdict(measures) for name, measures in score.signals.items()},
    }


def _lists(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {k: _lists(v) for k, v in value.items()}
    return [_lists(v) for v in value] if isinstance(value, tuple | list) else value
