"""The report as one self-contained page of HTML."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from trigger_ml.estimators.quantity import Quantity, best
from trigger_ml.estimators.sharing import ReuseScan
from trigger_ml.physics.intervals import Estimate
from trigger_ml.physics.precision import METHODS
from trigger_ml.physics.result import PhysicsResult, ScoreResult
from trigger_ml.physics.roc import Point
from trigger_ml.physics.tagging import rejection
from trigger_ml.report import labels, templates
from trigger_ml.report.class_plots import class_figures
from trigger_ml.report.data import ReportData
from trigger_ml.report.document import FAST_SIMULATION
from trigger_ml.report.drawing import draw, shape, span
from trigger_ml.report.plots import figures
from trigger_ml.report.rate_plots import rate_figures
from trigger_ml.report.reuse_plots import reuse_figures
from trigger_ml.report.scan_plots import scan_figures

MEANING = {
    "exact": "counted from the graph or the netlist",
    "simulated": "measured in simulation",
    "open synthesis": "Yosys; not a vendor's figure",
    "vendor csynth": "the vendor's HLS estimate",
    "vendor post-route": "after place and route",
    "estimated": "a model's prediction",
}


def render(data: ReportData) -> str:
    """The page; equal data give equal text.

    Raises:
        ToolMissing: jinja2, matplotlib or mplhep is not installed.
    """
    filters: dict[str, Callable[..., Any]] = {
        "measured": _errors,
        "rejection": _rejection,
        "process": labels.process,
        "quantity": labels.quantity,
        "point": labels.point,
        "set_on": labels.set_on,
        "taught": labels.taught,
        "few": labels.few,
        "shape": shape,
        "span": span,
    }
    return templates.render("page.html.j2", filters, _context(data))


def _context(data: ReportData) -> dict[str, Any]:
    return {
        "data": data,
        "verdict": data.verdict,
        "events": sum(a.events for a in data.agreement),
        "mismatches": sum(a.mismatches for a in data.agreement),
        "tiles": _tiles(data),
        "by_source": _by_source(data.quantities),
        "meaning": MEANING,
        "network": draw(data.graph),
        "ebops": sum(layer.ebops or 0 for layer in data.graph.layers),
        "physics": data.physics,
        "scores": _scores(data.physics),
        "network_scores": 2 if data.physics is not None and data.physics.floating is not None else 1,
        "points": _points(data.physics),
        "marked": _marked(data.physics),
        "figures": () if data.physics is None else figures(data.physics),
        "classes": None if data.physics is None else data.physics.classes,
        "class_figures": () if data.physics is None else class_figures(data.physics),
        "simulation": FAST_SIMULATION,
        "rates": data.rates,
        "taught_scores": labels.TAUGHT,
        "scan": data.scan,
        "methods": METHODS,
        "scan_figures": () if data.scan is None else scan_figures(data.scan, _sample(data)),
        "reuse": data.reuse,
        "reuse_names": () if data.reuse is None else _columns(data.reuse),
        "reuse_figures": () if data.reuse is None else reuse_figures(data.reuse),
        "rate_figures": () if data.rates is None else rate_figures(data.rates),
    }


def _sample(data: ReportData) -> str:
    return "" if data.physics is None else data.physics.sample


def _tiles(data: ReportData) -> list[dict[str, Any]]:
    """The few numbers that people look for first, each with its source."""
    found: list[dict[str, Any]] = []
    for name in ("lut", "dsp", "latency_cycles", "latency_ns", "initiation_interval"):
        q = best(data.quantities, name)
        if q is not None:
            unmet = ", at a clock that is not shown to be met" if name == "latency_ns" and not data.clock_met else ""
            found.append(
                {
                    "label": labels.quantity(name),
                    "value": labels.number(q.value),
                    "unit": q.unit,
                    "source": f"{q.source}{unmet}",
                }
            )
    if data.physics is not None:
        point = data.physics.quantized.point(data.physics.working_point)
        if point.rate_khz is not None:
            found.append(
                {
                    "label": "trigger rate",
                    "value": _errors(point.rate_khz),
                    "unit": "kHz",
                    "source": f"{point.events} events, threshold set on them",
                }
            )
    return found


def _by_source(quantities: tuple[Quantity, ...]) -> Mapping[str, list[Quantity]]:
    grouped = {source: [q for q in quantities if q.source == source] for source in MEANING}
    return {source: named for source, named in grouped.items() if named}


def _columns(scan: ReuseScan) -> tuple[tuple[str, str], ...]:
    """Name and source of every quantity of a scan: values of different sources never share a column."""
    return tuple(dict.fromkeys((q.name, q.source) for p in scan.points for q in p.quantities))


def _scores(physics: PhysicsResult | None) -> tuple[ScoreResult, ...]:
    if physics is None:
        return ()
    twin = () if physics.floating is None else (physics.floating,)
    return (physics.quantized, *twin, *physics.baselines)


def _points(physics: PhysicsResult | None) -> tuple[Point, ...]:
    return () if physics is None else physics.quantized.points


def _marked(physics: PhysicsResult | None) -> frozenset[str]:
    """Working points with too few background events behind them."""
    return frozenset(p.name for p in _points(physics) if labels.few(p))


def _errors(e: Estimate, scale: float = 1.0, sign: bool = False) -> Any:
    """A value with its errors set small beside it, the upper above the lower."""
    import markupsafe

    value, up, down = labels.rounded(e, scale, sign)
    small = f"<i>±{up}</i>" if up == down else f"<i>+{up}</i><i>−{down}</i>"
    return markupsafe.Markup(f'<span class="m">{value}<span class="e">{small}</span></span>')


def _rejection(background: Estimate) -> Any:
    """One over an efficiency, with its errors where they are finite."""
    e = rejection(background)
    return _errors(e) if math.isfinite(e.high) else f"> {labels.number(round(e.low))}"
