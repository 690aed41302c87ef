"""The figures of the page, as SVG texts that depend on nothing but the data."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from trigger_ml.errors import ToolMissing
from trigger_ml.physics.efficiency import AXES, TurnOn
from trigger_ml.physics.result import FEWEST, PhysicsResult, ScoreResult
from trigger_ml.report import labels

COLOURS = ("#5790fc", "#f89c20", "#e42536", "#964a8b", "#7a21dd", "#86c8dd")
"""A colour-blind safe cycle (M. Petroff, arXiv:2107.02270)."""

GREY = "#717581"

FEW = {"color": "#717581", "alpha": 0.10, "linewidth": 0, "zorder": 0}
"""Look of the range where fewer than ``FEWEST`` background events set the threshold."""

SHOWN_BASELINES = {
    "objects_ht": ("#f89c20", (0, (5, 1.5))),
    "leptons_pt": ("#964a8b", (0, (3, 1, 1, 1))),
    "ht": ("#9c9ca1", (0, (1, 1))),
    "met": ("#7a21dd", (0, (1, 2.5))),
    "total": ("#f89c20", (0, (5, 1.5))),
    "occupied": ("#964a8b", (0, (3, 1, 1, 1))),
    "hardest": ("#9c9ca1", (0, (1, 1))),
    "particles": ("#f89c20", (0, (5, 1.5))),
    "width": ("#964a8b", (0, (3, 1, 1, 1))),
    "mass": ("#f89c20", (0, (5, 1.5))),
    "mass_mmdt": ("#f89c20", (0, (5, 1.5))),
    "multiplicity": ("#964a8b", (0, (3, 1, 1, 1))),
}
"""Baseline -> colour and dashes; no sample has two that look alike."""

STYLE = {
    "font.family": ["TeX Gyre Heros", "DejaVu Sans"],
    "font.size": 12,
    "axes.linewidth": 1.0,
    "axes.unicode_minus": True,
    "lines.linewidth": 1.6,
    "legend.fontsize": 10.5,
    "legend.handlelength": 1.7,
    "legend.columnspacing": 1.0,
    "legend.borderpad": 0.1,
    "xtick.major.size": 6,
    "xtick.minor.size": 3,
    "ytick.major.size": 6,
    "ytick.minor.size": 3,
    "svg.hashsalt": "trigger_ml",
    "svg.fonttype": "path",
}


@dataclass(frozen=True)
class Figure:
    """One figure.

    Attributes:
        title: for people.
        caption: what is drawn, and what the errors are.
        svg: the picture.
    """

    title: str
    caption: str
    svg: str


def figures(physics: PhysicsResult) -> tuple[Figure, ...]:
    """ROC, rate against efficiency for each signal, score distribution, turn-ons.

    Raises:
        ToolMissing: matplotlib or mplhep is not installed.
    """
    with style():
        curves = tuple(_against_rate(physics, name) for name in physics.signal_events)
        seen = {t.variable for t in physics.turn_ons}
        turn_ons = tuple(_turn_on(physics, variable) for variable in AXES if variable in seen)
        return (_roc(physics), _distribution(physics), *curves, *turn_ons)


@contextmanager
def style() -> Iterator[None]:
    """The look of every figure.

    Raises:
        ToolMissing: matplotlib or mplhep is not installed.
    """
    try:
        import matplotlib as mpl
        import mplhep
    except ImportError as error:
        raise ToolMissing(f'the figures need {error.name}: pip install "trigger_ml[report]"') from None
    parameters: Any = mplhep.style.ROOT | STYLE
    with mpl.rc_context(parameters):
        yield


def _axes(physics: PhysicsResult, x: str, y: str) -> tuple[Any, Any]:
    sample = physics.sample.rpartition("/")[2].replace("_", " ")
    return canvas(f"{sample}, ⟨PU⟩ = {physics.pileup:g}", x, y)


def canvas(heading: str, x: str, y: str, origin: str = "Fast simulation") -> tuple[Any, Any]:
    """An empty figure and its axes, with where the events are from, a heading at the right and labels of both axes."""
    from matplotlib.figure import Figure as Canvas

    made = Canvas(figsize=(5.4, 4.8))
    axes = made.add_axes((0.145, 0.12, 0.825, 0.71))
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    made.text(0.145, 0.96, origin, weight="bold", size=12.5)
    made.text(0.97, 0.96, heading, ha="right", size=11)
    return made, axes


def finish(canvas: Any, axes: Any, columns: int) -> str:
    """The figure with its legend, as SVG text."""
    axes.legend(loc="lower left", bbox_to_anchor=(-0.01, 1.005), ncols=columns, borderaxespad=0.1)
    return saved(canvas)


def saved(canvas: Any) -> str:
    """The figure as SVG text."""
    text = io.StringIO()
    canvas.savefig(text, format="svg", metadata={"Date": None, "Creator": None})
    return text.getvalue()


def _line(axes: Any, score: ScoreResult, signal: str, factor: float, band: bool, **look: Any) -> None:
    c = score.curve
    x = np.array(c.fpr) * factor
    if band:
        axes.fill_between(x, c.tpr_low[signal], c.tpr_high[signal], color=look["color"], alpha=0.25, linewidth=0)
    axes.plot(x, c.tpr[signal], **look)


def _limits(axes: Any, physics: PhysicsResult, factor: float) -> None:
    lowest = min(min((t for t in values if t > 0), default=1e-2) for values in physics.quantized.curve.tpr.values())
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlim(factor / physics.background_events, factor)
    axes.set_ylim(max(lowest, 1e-4) * 0.8, 1.15)
    axes.axvspan(0.5 * factor / physics.background_events, FEWEST * factor / physics.background_events, **FEW)


def _roc(physics: PhysicsResult) -> Figure:
    figure, axes = _axes(physics, "false positive rate", "true positive rate")
    for colour, signal in zip(COLOURS * 3, physics.signal_events, strict=False):
        auc = physics.quantized.signals[signal].auc.value
        _line(axes, physics.quantized, signal, 1, True, color=colour, label=f"{labels.process(signal)}  {auc:.3f}")
        if physics.floating is not None:
            _line(axes, physics.floating, signal, 1, False, color=colour, linestyle="--", linewidth=1.0)
    x = np.geomspace(1 / physics.background_events, 1, 50)
    axes.plot(x, x, color=GREY, linestyle=":", linewidth=1)
    _limits(axes, physics, 1)
    twin = "" if physics.floating is None else " and float twin (dashed)"
    caption = (
        f"Quantized (solid, binomial band){twin}; dotted: random choice. "
        "Beside the signals: AUC of the quantized score. Grey: fewer than 10 background events set the threshold."
    )
    return Figure("ROC curves", caption, finish(figure, axes, 2))


def _against_rate(physics: PhysicsResult, signal: str) -> Figure:
    factor = physics.crossings_khz if physics.gives_rates else 1.0
    x = "trigger rate [kHz]" if physics.gives_rates else "false positive rate"
    figure, axes = _axes(physics, x, f"efficiency for {labels.process(signal)}")
    _line(axes, physics.quantized, signal, factor, True, color=COLOURS[0], linewidth=2, zorder=3, label="network")
    if physics.floating is not None:
        _line(axes, physics.floating, signal, factor, False, color="black", ls="--", lw=1, zorder=4, label="float twin")
    for score in physics.baselines:
        if score.name in SHOWN_BASELINES:
            colour, dashes = SHOWN_BASELINES[score.name]
            _line(axes, score, signal, factor, False, color=colour, ls=dashes, lw=1.3, label=score.label)
    _mark(axes, physics, signal, factor)
    _limits(axes, physics, factor)
    rates = f"Total rate before prescale, {physics.bunches} bunches. " if physics.gives_rates else ""
    point = labels.point(physics.working_point)
    caption = f"{rates}Band: binomial. Red: {point}, with its whole error. Grey: fewer than {FEWEST} events."
    title = f"{'Rate' if physics.gives_rates else 'FPR'} and efficiency, {labels.process(signal)}"
    return Figure(title, caption, finish(figure, axes, 3))


def _mark(axes: Any, physics: PhysicsResult, signal: str, factor: float) -> None:
    """The working point, with the errors of rate and efficiency."""
    point = physics.quantized.point(physics.working_point)
    x, y = point.fpr.scaled(factor), physics.quantized.signals[signal].tpr[physics.working_point]
    if x.value and y.value:
        errors = [[[e.value - e.low], [e.high - e.value]] for e in (x, y)]
        look = {"color": "#e42536", "markersize": 4.5, "linewidth": 1.3, "zorder": 5}
        axes.errorbar([x.value], [y.value], xerr=errors[0], yerr=errors[1], fmt="o", **look)


def _distribution(physics: PhysicsResult) -> Figure:
    figure, axes = _axes(physics, "score [integer units]", "share of events per bin")
    h = physics.histogram
    edges = np.array(h.edges, float)
    for colour, name in zip(("#717581", *COLOURS * 3), h.counts, strict=False):
        n = max(sum(h.counts[name]), 1)
        counts = np.array(h.counts[name]) / n
        look = {"fill": True, "alpha": 0.25, "linewidth": 0} if name == "background" else {}
        axes.stairs(counts, edges, color=colour, label=labels.process(name), **({"linewidth": 1.6} | look))
        seen = counts > 0
        low, high = np.array(h.low[name]) / n, np.array(h.high[name]) / n
        middle = (edges[:-1] + edges[1:]) / 2
        axes.vlines(middle[seen], low[seen], high[seen], color=colour, linewidth=1.0)
    cut = physics.quantized.point(physics.working_point).threshold
    axes.axvline(
        cut,
        color="black",
        linestyle="--",
        linewidth=1,
        label=f"threshold {cut} ({labels.point(physics.working_point)})",
    )
    axes.set_yscale("log")
    axes.set_xlim(edges[0], edges[-1])
    axes.set_ylim(0.5 / max(physics.background_events, 1), 1.0)
    caption = "Quantized score, each process normalised to one; Poisson errors; the last bin holds everything above it."
    return Figure("Score", caption, finish(figure, axes, 3))


def _turn_on(physics: PhysicsResult, variable: str) -> Figure:
    name, unit = AXES[variable]
    figure, axes = _axes(physics, f"{name} [{unit}]" if unit else name, "efficiency")
    curves = [t for t in physics.turn_ons if t.variable == variable]
    for i, (colour, curve) in enumerate(zip(COLOURS * 3, curves, strict=False)):
        _points(axes, curve, colour, (i - (len(curves) - 1) / 2) * 0.12 - (0 if unit else 0.5))
    axes.set_xlim(np.array(curves[0].edges)[[0, -1]] - (0 if unit else 0.5))
    top = max((h for c in curves for h, n in zip(c.high, c.total, strict=True) if n >= 20), default=1.0)
    axes.set_ylim(0, min(1.15 * top, 1.05))
    caption = (
        f"At {labels.point(physics.working_point)}; Clopper-Pearson errors. The last bin holds everything above it; "
        "bins of fewer than 20 events are left out."
    )
    return Figure(f"Turn-on in {name}", caption, finish(figure, axes, 2))


def _points(axes: Any, curve: TurnOn, colour: str, offset: float) -> None:
    edges, total = np.array(curve.edges), np.array(curve.total)
    seen = total >= 20
    y = np.array(curve.passed) / np.maximum(total, 1)
    width = np.diff(edges)
    x = (edges[:-1] + width / 2 + offset * width)[seen]
    errors = np.maximum([(y - curve.low)[seen], (curve.high - y)[seen]], 0)
    label = labels.process(curve.process)
    axes.errorbar(x, y[seen], errors, fmt="o", markersize=3.5, linewidth=1.2, color=colour, label=label)
    axes.plot(x, y[seen], color=colour, linewidth=0.8, alpha=0.5)
