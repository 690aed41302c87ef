"""The figures of a scan of precisions: area under the ROC curve against bits, and against EBOPs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from trigger_ml.physics.precision import METHODS, PrecisionScan, Variant
from trigger_ml.report import labels
from trigger_ml.report.plots import COLOURS, Figure, canvas, finish, style

LINES = {"ptq": ("--", "o"), "qat": ("-", "s")}


def scan_figures(scan: PrecisionScan, sample: str) -> tuple[Figure, ...]:
    """Both figures.

    Args:
        scan: what was measured.
        sample: written above the axes.

    Raises:
        ToolMissing: matplotlib or mplhep is not installed.
    """
    with style():
        return (
            _figure(scan, sample, "bits of every weight and activation", lambda v: v.bits, "AUC against bits"),
            _figure(scan, sample, "EBOPs", lambda v: v.ebops, "AUC against EBOPs"),
        )


def _figure(
    scan: PrecisionScan, sample: str, x_label: str, x_of: Callable[[Variant], int | None], title: str
) -> Figure:
    figure, axes = canvas(sample, x_label, "AUC")
    for colour, signal in zip(COLOURS * 3, scan.floating.auc, strict=False):
        for method, (dash, marker) in LINES.items():
            points = [p for p in scan.points if p.method == method and x_of(p)]
            if points:
                _line(axes, points, signal, x_of, {"ls": dash, "marker": marker, "color": colour})
        axes.axhline(scan.floating.auc[signal].value, color=colour, linestyle=":", linewidth=1)
        if scan.own is not None and x_of(scan.own):
            own = [scan.own]
            _line(axes, own, signal, x_of, {"ls": "", "marker": "*", "color": colour, "markersize": 10})
        axes.plot([], [], color=colour, label=labels.process(signal))
    if title.endswith("EBOPs"):
        axes.set_xscale("log")
    axes.set_ylim(bottom=max(axes.get_ylim()[0], 0.5))
    how = "; ".join(f"{'solid' if LINES[m][0] == '-' else 'dashed'}: {text}" for m, text in METHODS.items())
    star = " Star: the model's own widths." if scan.own is not None and x_of(scan.own) else ""
    caption = f"{how}; dotted: float. DeLong errors; below 0.5 nothing is shown.{star}"
    return Figure(title, caption[0].upper() + caption[1:], finish(figure, axes, 2))


def _line(
    axes: Any, points: list[Variant], signal: str, x_of: Callable[[Variant], int | None], look: dict[str, Any]
) -> None:
    values = [p.auc[signal] for p in points]
    errors = [[e.value - e.low for e in values], [e.high - e.value for e in values]]
    shown = {"markersize": 4, "linewidth": 1.3, **look}
    axes.errorbar([x_of(p) for p in points], [e.value for e in values], errors, **shown)
