"""The numbers of offline rows in a page of the documentation, and the pictures that it shows."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from trigger_ml.artifact import atomic_write
from trigger_ml.offline.table import costs
from trigger_ml.report.card import put
from trigger_ml.report.offline_numbers import FLOAT, RowResult, headline, label, number, time_ratio
from trigger_ml.report.offline_page import figures, summary
from trigger_ml.report.plots import Figure

DRAWN = ("gc01", "gc02", "tg01_sets", "un01", "un06")
"""Rows whose first histogram is shown: one of each kind."""


def write(rows: Sequence[RowResult], page: Path, images: Path) -> None:
    """Put the table between the marks of a page and write its pictures.

    Raises:
        ToolMissing: matplotlib or mplhep is not installed.
        ArtifactError: the page has no marks.
    """
    over = {f"all_{i}": figure for i, figure in enumerate(summary(rows))}
    each = {row.name: found[0] for row in rows if row.name in DRAWN and (found := figures(row))}
    for name, figure in (over | each).items():
        atomic_write(images / f"offline_{name}.svg", figure.svg.encode())
    shown = [f"{_picture(name, f)}\n\n{f.caption}" for name, f in over.items()]
    shown += [f"`{name}`, {f.title}:\n\n{_picture(name, f)}" for name, f in each.items()]
    put(page, "\n\n".join([table(rows), *shown]) + "\n")


def _picture(name: str, figure: Figure) -> str:
    return f"![{figure.title}](images/offline_{name}.svg)"


def table(rows: Sequence[RowResult]) -> str:
    """The number that sums each row up at every precision, with size and time of the last one."""
    precisions = list(dict.fromkeys(p for row in rows for p in row.results))
    heads = ["row", "number", *map(label, precisions), "smaller by", "fewer bit operations", "time", "run"]
    lines = [f"| {' | '.join(heads)} |", "|" + "---|" * len(heads)]
    for row in rows:
        chosen = headline(row)
        if chosen is None:
            continue
        cells = [number(row.results[p]["metrics"].get(chosen)) if p in row.results else "" for p in precisions]
        last = list(row.results.values())[-1]
        taken = costs(last, row.results.get(FLOAT))
        ends = [f"{taken.smaller:.3g}", f"{taken.fewer:.3g}", time_ratio(row, last), last["date"]]
        lines.append(f"| {' | '.join([f'`{row.name}`', chosen, *cells, *ends])} |")
    return "\n".join(lines)
