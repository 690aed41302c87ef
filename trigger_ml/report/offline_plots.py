"""The figures of offline models: what precision costs each row, and histograms with their ratio to the truth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from trigger_ml.report.plots import COLOURS, GREY, Figure, finish, style

AREAS = ("auc", "auc low level")
"""Headlines that are areas under the ROC curve: of a tagger, better when larger, or of one that knows what was made."""

MARKERS = "osD^vP*X<>hdps"


@dataclass(frozen=True)
class Curve:
    """One histogram.

    Attributes:
        label: in the legend.
        counts: events in each cell.
        wanted: whether it is what the others should be.
    """

    label: str
    counts: tuple[float, ...]
    wanted: bool


def overview(headlines: Mapping[str, Mapping[str, tuple[str, Mapping[str, Any]]]]) -> tuple[Figure, ...]:
    """Distances over those of the float network, and AUC lost, for rows whose headline is that.

    Args:
        headlines: row -> precision -> name and number.

    Raises:
        ToolMissing: matplotlib or mplhep is not installed.
    """
    kinds = {row: next(iter(points.values()))[0] for row, points in headlines.items() if points}
    far = {row: headlines[row] for row, kind in kinds.items() if kind not in AREAS}
    near = {row: headlines[row] for row, kind in kinds.items() if kind in AREAS}
    found = []
    with style():
        if far:
            caption = (
                "Wasserstein distance to the truth, or the triangular discriminator after the last iteration, over "
                "that of the float network. Errors: test sample and scatter of trainings, also those of the float one."
            )
            found.append(_by_precision(far, "distance over float's", True, "Distance to the truth", caption))
        if near:
            caption = (
                "Area under the ROC curve minus that of the float network: below 0 a tagger has lost, above 0 showers "
                "are told from simulated ones more easily. Errors of both in quadrature: both are of the same "
                "events, so differences are known better than drawn."
            )
            found.append(_by_precision(near, "AUC minus float's", False, "Area under the ROC curve", caption))
    return tuple(found)


def _by_precision(
    rows: Mapping[str, Mapping[str, tuple[str, Mapping[str, Any]]]], y: str, ratio: bool, title: str, caption: str
) -> Figure:
    figure, axes = _canvas(wide=True)
    precisions = list(dict.fromkeys(p for points in rows.values() for p in points if p != "none"))
    for i, (row, points) in enumerate(rows.items()):
        plain, error = points["none"][1], _error(points["none"][1])
        shown = [(j, points[p][1]) for j, p in enumerate(precisions) if p in points]
        x = np.array([j for j, _ in shown]) + (i - 0.5 * (len(rows) - 1)) * 0.6 / max(len(rows), 1)
        value = np.array([n["value"] for _, n in shown])
        errors = np.array([_error(n) for _, n in shown])
        if ratio:
            base = max(plain["value"], 1e-12)
            height = value / base
            errors = height * np.hypot(errors / np.maximum(value, 1e-12), error / base)
        else:
            height, errors = value - plain["value"], np.hypot(errors, error)
        look = {"fmt": MARKERS[i % len(MARKERS)], "color": COLOURS[i % len(COLOURS)], "markersize": 4.5, "lw": 1.2}
        axes.errorbar(x, height, errors, label=row, **look)
    axes.axhline(1 if ratio else 0, color=GREY, linestyle=":", linewidth=1)
    names = [p.replace("no-embedding-no-last", "all but first, last") for p in precisions]
    axes.set_xticks(range(len(precisions)), names)
    axes.tick_params(axis="x", which="minor", bottom=False, top=False)
    axes.set_xlim(-0.5, len(precisions) - 0.5)
    axes.set_ylabel(y)
    if ratio:
        axes.set_yscale("log")
    return Figure(title, caption, finish(figure, axes, 9))


def _error(number: Mapping[str, Any]) -> float:
    return float(np.hypot(number["error"], number["scatter"] or 0))


def histograms(observables: Mapping[str, tuple[tuple[float, ...], Sequence[Curve]]], most: int) -> tuple[Figure, ...]:
    """One figure each of the first ``most`` observables.

    Raises:
        ToolMissing: matplotlib or mplhep is not installed.
    """
    with style():
        return tuple(_histogram(name, *observables[name]) for name in list(observables)[:most])


def _histogram(name: str, edges: tuple[float, ...], curves: Sequence[Curve]) -> Figure:
    wanted = next((c for c in curves if c.wanted), None)
    figure, axes = _canvas(below=wanted is not None)
    others = [c for c in curves if not c.wanted]
    if wanted is not None:
        axes.stairs(wanted.counts, edges, fill=True, color=GREY, alpha=0.35, label=wanted.label)
    for curve, colour in zip(others, COLOURS * 3, strict=False):
        axes.stairs(curve.counts, edges, color=colour, linestyle=_dash(curve), linewidth=1.4, label=curve.label)
    axes.set_ylabel("events per cell")
    axes.set_xlim(edges[0], edges[-1])
    axes.set_ylim(bottom=0)
    last = axes
    if wanted is not None:
        last = figure.axes[1]
        _ratio(last, edges, wanted, others)
    last.set_xlabel(name)
    caption = "Ends hold what is beyond them; scaled to as many events as the truth."
    if wanted is not None:
        caption += " Below: ratio to the truth; band: its statistical error; without cells below 10 events."
    return Figure(name, caption, finish(figure, axes, 2))


def _ratio(axes: Any, edges: tuple[float, ...], wanted: Curve, others: Sequence[Curve]) -> None:
    truth = np.array(wanted.counts)
    enough = truth >= 10
    relative = np.where(enough, 1 / np.sqrt(np.maximum(truth, 1)), np.nan)
    axes.stairs(1 + relative, edges, baseline=1 - relative, fill=True, color=GREY, alpha=0.35, linewidth=0)
    for curve, colour in zip(others, COLOURS * 3, strict=False):
        height = np.where(enough, np.array(curve.counts) / np.maximum(truth, 1), np.nan)
        axes.stairs(height, edges, baseline=None, color=colour, linestyle=_dash(curve), linewidth=1.3)
    axes.axhline(1, color=GREY, linestyle=":", linewidth=1)
    axes.set_ylim(0.5, 1.5)
    axes.set_xlim(edges[0], edges[-1])
    axes.set_ylabel("ratio")


def _dash(curve: Curve) -> str:
    return "--" if curve.label == "prior" else "-"


def _canvas(below: bool = False, wide: bool = False) -> tuple[Any, Any]:
    """An empty figure and its axes; with ``below`` a second pair under the first, for a ratio."""
    from matplotlib.figure import Figure as Canvas

    made = Canvas(figsize=(11.0, 4.8) if wide else (5.4, 4.8))
    left, width = (0.075, 0.915) if wide else (0.145, 0.825)
    axes = made.add_axes((left, 0.36, width, 0.49) if below else (left, 0.1, width, 0.76))
    if below:
        made.add_axes((left, 0.12, width, 0.215))
        axes.tick_params(labelbottom=False)
    return made, axes
