"""The figure of a scan of reuse factors: multipliers and the initiation interval."""

from __future__ import annotations

from trigger_ml.estimators.sharing import ReuseScan
from trigger_ml.report import labels
from trigger_ml.report.plots import COLOURS, Figure, canvas, finish, style

SHOWN = {"multipliers": ("-", "o"), "initiation_interval": ("--", "s"), "product_cycles": (":", "^"), "dsp": ("-", "D")}


def reuse_figures(scan: ReuseScan) -> tuple[Figure, ...]:
    """One figure, both axes logarithmic; nothing for a single factor.

    Raises:
        ToolMissing: matplotlib or mplhep is not installed.
    """
    if len(scan.points) < 2:
        return ()
    with style():
        figure, axes = canvas(scan.points[0].io_type, "reuse factor", "multipliers, clock cycles", "")
        for colour, (name, (dash, marker)) in zip(COLOURS, SHOWN.items(), strict=False):
            for source in ("estimated", "vendor csynth"):
                found = [(p.reuse, q.value) for p in scan.points for q in p.named(name) if q.source == source]
                if not found:
                    continue
                ours = source == "estimated"
                x, y = zip(*found, strict=True)
                axes.plot(
                    x,
                    y,
                    dash,
                    marker=marker,
                    color=colour,
                    markersize=5,
                    fillstyle="none" if ours else "full",
                    label=labels.quantity(name) + ("" if ours else ", C synthesis"),
                )
        axes.set_xscale("log", base=2)
        factors = [p.reuse for p in scan.points]
        axes.set_xticks(factors, [str(n) for n in factors])
        axes.set_yscale("log")
        caption = "Open: estimated from hls4ml's pragmas and exact counts; filled: the vendor's C synthesis, where run."
        return (Figure("Sharing multipliers", caption, finish(figure, axes, 2)),)
