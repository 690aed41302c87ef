"""What pileup does to objects and regions: the tables of docs/samples.md, and docs/images/pileup.png.

Generates seeded collisions with Pythia (extras ``datagen`` and ``report``), overlays the same ones with mean pileup 0,
20 and 50, with and without subtraction, and compares with truth. 500 crossings of each take a few minutes.
"""

from __future__ import annotations

import argparse
import math
import sys
from pathlib import Path
from typing import Any

from rich.console import Console

from trigger_ml.physics.intervals import Estimate
from trigger_ml.samples import closure
from trigger_ml.samples.closure import POINTS, PROCESSES, Bin, Point, Study
from trigger_ml.samples.processes import BACKGROUND

MEANS = {
    "met": ("MET", 1, 1),
    "eg": ("e/gamma", 2, 1),
    "mu": ("muons", 3, 1),
    "jet": ("jets", 2, 1),
    "ht": ("HT", 1, 1),
    "region": ("region in GeV", 3, 1),
    "occupancy": ("regions above 0 in %", 1, 100),
}
"""Quantity -> heading, digits, factor."""

COLOURS = {0.0: "#717581", 20.0: "#3f90da", 50.0: "#bd1f01"}


def shown(value: Estimate, digits: int, factor: float = 1) -> str:
    """Value and symmetric error."""
    error = factor * (value.high - value.low) / 2
    return f"{factor * value.value:.{digits}f} +- {error:.{digits}f}"


def condition(point: Point) -> str:
    """For people."""
    return f"{point.mean:g}" if point.subtract else f"{point.mean:g}, not subtracted"


def means(found: Study) -> str:
    """Markdown table of means."""
    lines = [
        "| | mean pileup | " + " | ".join(name for name, *_ in MEANS.values()) + " |",
        "|---" * (len(MEANS) + 2) + "|",
    ]
    for process in PROCESSES:
        name = "zero bias" if process == BACKGROUND else f"`{process}`"
        for point in POINTS[process == BACKGROUND :]:  # without pileup a zero-bias crossing is empty
            row = found.means[process, point]
            cells = [shown(row[key], digits, factor) for key, (_, digits, factor) in MEANS.items()]
            lines.append("| " + " | ".join([name, condition(point), *cells]) + " |")
            name = ""
    return "\n".join(lines)


def bins(rows: dict[Point, tuple[Bin, ...]], response: bool) -> str:
    """Markdown table of shares found, and of responses where asked for."""
    lines = ["| true pT in GeV | " + " | ".join(condition(p) for p in POINTS) + " |", "|---" * (len(POINTS) + 1) + "|"]
    for i, bin_ in enumerate(rows[POINTS[0]]):
        cells = []
        for point in POINTS:
            b = rows[point][i]
            share = f"{100 * b.found.value:.0f} ({100 * b.found.low:.0f}...{100 * b.found.high:.0f}) %"
            known = response and not math.isnan(b.response.value)
            cells.append(f"{shown(b.response, 3)}; {shown(b.width, 3)}; {share}" if known else share)
        lines.append(f"| {bin_.low:g}-{bin_.high:g} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def draw(found: Study, path: Path) -> None:
    """Jet response and e/gamma efficiency against true pT."""
    import matplotlib as mpl
    import mplhep
    from matplotlib.figure import Figure

    with mpl.rc_context(mplhep.style.ROOT | {"font.size": 12, "legend.fontsize": 10.5}):
        canvas = Figure(figsize=(10.4, 4.8))
        left, right = canvas.subplots(1, 2)
        canvas.subplots_adjust(0.07, 0.12, 0.985, 0.84, 0.2)
        for point in POINTS:
            look = _look(point)
            _points(left, found.jets[point], "response", look)
            _points(right, found.electrons[point], "found", look)
        left.axhline(1, color="#9c9ca1", linewidth=0.8, zorder=0)
        left.set(xlabel="true jet pT [GeV]", ylabel="found pT / true pT, median", ylim=(0.8, None))
        right.set(xlabel="true electron pT [GeV]", ylabel="share with an e/gamma", ylim=(0, 1.02))
        handles, labels = left.get_legend_handles_labels()
        canvas.legend(handles, labels, loc="upper left", bbox_to_anchor=(0.06, 0.93), ncols=5)
        canvas.text(0.07, 0.955, "Fast simulation", weight="bold", size=12.5)
        what = f"{closure.JETS} (jets), {closure.ELECTRONS} (electrons), {found.events} crossings each"
        canvas.text(0.985, 0.955, what, ha="right", size=11)
        path.parent.mkdir(parents=True, exist_ok=True)
        canvas.savefig(path, dpi=110, metadata={"Software": None})


def _look(point: Point) -> dict[str, Any]:
    name = f"pileup {point.mean:g}" + ("" if point.subtract else ", not subtracted")
    filled = {} if point.subtract else {"markerfacecolor": "white", "linestyle": "--"}
    return {"color": COLOURS[point.mean], "label": name, "marker": "o", "markersize": 5, "linewidth": 1.2} | filled


def _points(axes: Any, rows: tuple[Bin, ...], what: str, look: dict[str, Any]) -> None:
    values = [getattr(b, what) for b in rows]
    errors = [[v.value - v.low for v in values], [v.high - v.value for v in values]]
    axes.errorbar([(b.low + b.high) / 2 for b in rows], [v.value for v in values], errors, **look)


def main() -> int:
    """Print the tables and draw the plot."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=500)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--image", type=Path, default=Path("docs/images/pileup.png"))
    asked = parser.parse_args()
    console = Console(stderr=True)
    with console.status("pool ...") as status:
        found = closure.study(asked.events, asked.seed, told=lambda name: status.update(f"{name} done"))
    print(means(found), bins(dict(found.jets), True), bins(dict(found.electrons), False), sep="\n\n")
    draw(found, asked.image)
    return 0


if __name__ == "__main__":
    sys.exit(main())
