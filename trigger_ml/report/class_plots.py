"""Confusion matrices of taggers of several classes."""

from __future__ import annotations

import numpy as np

from trigger_ml.physics.classes import ClassMeasures
from trigger_ml.physics.result import PhysicsResult
from trigger_ml.report import labels
from trigger_ml.report.plots import Figure, canvas, saved, style

DARK = 0.55
"""Shares above this are written in white."""


def class_figures(physics: PhysicsResult) -> tuple[Figure, ...]:
    """The confusion matrix of the quantized network, and of its float twin where there is one; none for one score.

    Raises:
        ToolMissing: matplotlib or mplhep is not installed.
    """
    if physics.classes is None:
        return ()
    with style():
        made = [_matrix(physics, physics.classes.quantized, "quantized")]
        if physics.classes.floating is not None:
            made.append(_matrix(physics, physics.classes.floating, "float"))
        return tuple(made)


def _matrix(physics: PhysicsResult, measures: ClassMeasures, kind: str) -> Figure:
    """Each row a true class, its shares in per cent with the larger side of the interval."""
    names = list(measures.confusion)
    shares = np.array([[measures.confusion[true][taken].value for taken in names] for true in names])
    sample = physics.sample.rpartition("/")[2].replace("_", " ")
    figure, axes = canvas(f"{sample}, {kind}", "taken for", "true class")
    axes.set_position((0.24, 0.15, 0.73, 0.77))
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    ticks = [labels.process(name) for name in names]
    axes.set_xticks(range(len(names)), ticks)
    axes.set_yticks(range(len(names)), ticks)
    axes.tick_params(which="both", length=0)
    axes.minorticks_off()
    size = min(12.0, 60.0 / len(names))
    for row, true in enumerate(names):
        for column, taken in enumerate(names):
            e = measures.confusion[true][taken].scaled(100)
            colour = "white" if shares[row, column] > DARK else "black"
            error = max(e.high - e.value, e.value - e.low)
            text = f"{e.value:.1f}\n±{error:.1f}"
            axes.text(column, row, text, ha="center", va="center", fontsize=size, color=colour)
    caption = (
        "Share of each true class, in per cent, that has its largest logit in each column; rows add up to 100. "
        "Larger side of the Clopper-Pearson interval, all events independent."
    )
    return Figure(f"Confusion matrix, {kind}", caption, saved(figure))
