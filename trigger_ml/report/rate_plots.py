"""The figure of a table of rates: rate against threshold, with its band and the working points."""

from __future__ import annotations

from trigger_ml.physics.rate_table import RateTable
from trigger_ml.physics.result import FEWEST
from trigger_ml.report import labels
from trigger_ml.report.plots import COLOURS, FEW, GREY, Figure, canvas, finish, style


def rate_figures(table: RateTable) -> tuple[Figure, ...]:
    """Rate against threshold.

    Raises:
        ToolMissing: matplotlib or mplhep is not installed.
    """
    with style():
        return (_against_threshold(table),)


def _against_threshold(table: RateTable) -> Figure:
    file, curve = table.file, table.curve
    figure, axes = canvas(f"{file.events:,} events, ⟨PU⟩ = {file.pileup:g}", "threshold [integer units]", "rate [kHz]")
    axes.fill_between(curve.threshold, curve.low, curve.high, color=COLOURS[0], alpha=0.3, linewidth=0)
    axes.plot(curve.threshold, curve.khz, color=COLOURS[0], linewidth=1.4, label="total rate")
    for group, colour, marker in (("rate_", COLOURS[2], "o"), ("unique_", COLOURS[3], "s"), ("firmware", "black", "D")):
        chosen = [p for p in table.points if p.point.name.startswith(group)]
        pairs = [
            (p.point.threshold, p.unique.khz if group == "unique_" and p.unique else p.point.rate_khz) for p in chosen
        ]
        shown = [(x, y) for x, y in pairs if y is not None and y.value > 0]
        if shown:
            label = {"rate_": "at target rates", "unique_": "unique on the menu", "firmware": "built in"}[group]
            errors = [[y.value - y.low for _, y in shown], [y.high - y.value for _, y in shown]]
            look = {"fmt": marker, "color": colour, "markersize": 4.5, "linewidth": 1.2, "zorder": 4}
            axes.errorbar([x for x, _ in shown], [y.value for _, y in shown], errors, label=label, **look)
    if table.menu is not None:
        axes.axhline(table.menu.rates.menu.khz.value, color=GREY, linestyle="--", linewidth=1, label="menu")
    one = table.crossings_khz / file.events
    axes.axhspan(0.5 * one, FEWEST * one, **FEW)
    axes.set_yscale("log")
    axes.set_ylim(0.5 * one, 2 * table.crossings_khz)
    caption = (
        f"Total rate before prescale, {table.bunches} bunches; band: Clopper-Pearson for the independent events. "
        f"Grey: fewer than {FEWEST} events. Points: {', '.join(labels.point(p.point.name) for p in table.points)}."
    )
    return Figure("Rate against threshold", caption, finish(figure, axes, 3))
