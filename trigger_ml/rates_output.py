"""The tables that ``trigger-ml rates`` prints."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trigger_ml.report import labels

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from trigger_ml.physics.rate_table import OnMenu, RateTable


def show(table: RateTable, console: Console) -> None:
    """Print working points, shifts, the menu and other pileup."""
    file = table.file
    console.print(
        f"{table.model} on {file.events:,} zero-bias events of {file.name} ({file.sources:,} independent collisions, "
        f"mean pileup {file.pileup:g}), {table.bunches} bunches, {table.crossings_khz / 1e3:.2f} MHz of crossings",
        highlight=False,
        markup=False,
    )
    console.print(_points(table))
    if table.shifts:
        console.print(_shifts(table))
    if table.menu is not None:
        console.print(_menu(table.menu))
    if table.elsewhere:
        console.print(_elsewhere(table))


def _table(title: str, *columns: str) -> Table:
    from rich.table import Table

    made = Table(title=title, title_justify="left", box=None, pad_edge=False)
    for i, column in enumerate(columns):
        made.add_column(column, justify="right" if i else "left", no_wrap=True)
    return made


def _points(table: RateTable) -> Table:
    unique = ("unique [kHz]",) if table.menu is not None else ()
    signals = [f"{labels.process(name)} [%]" for name in table.signal_events]
    made = _table("Working points", "", "score ≥", "events", "rate [kHz]", *unique, *signals)
    for p in table.points:
        rate = "" if p.point.rate_khz is None else labels.measured(p.point.rate_khz)
        added = () if p.unique is None else (labels.measured(p.unique.khz),)
        tpr = [labels.measured(p.tpr[name], 100) for name in table.signal_events]
        mark = " †" if labels.few(p.point) else ""
        name = labels.point(p.point.name) + mark
        made.add_row(name, str(p.point.threshold), f"{p.point.events:,}", rate, *added, *tpr)
    if any(labels.few(p.point) for p in table.points):
        made.caption = "† fewer than 10 events stand behind it"
    return made


def _shifts(table: RateTable) -> Table:
    signals = [f"{labels.process(name)} [%]" for name in table.signal_events]
    made = _table("What quantization changed", "", "rate [kHz]", *signals)
    for s in table.shifts:
        tpr = [labels.measured(s.tpr[name], 100, True) for name in table.signal_events]
        made.add_row(labels.point(s.point), labels.measured(s.rate_khz, 1, True), *tpr)
    return made


def _menu(menu: OnMenu) -> Table:
    made = _table(
        f"Menu {menu.name}", "seed", "prescale", "events", "total [kHz]", "pure [kHz]", "added to those above [kHz]"
    )
    for s in menu.rates.seeds:
        cells = (labels.measured(r.khz) for r in (s.total, s.pure, s.unique))
        made.add_row(s.name, f"{s.prescale:,}", f"{s.total.events:,}", *cells)
    made.add_row("all", "", f"{menu.rates.menu.events:,}", labels.measured(menu.rates.menu.khz), "", "")
    shares = ", ".join(f"{labels.process(n)} {labels.measured(e, 100)} %" for n, e in menu.tpr.items())
    made.caption = f"Kept by the seeds without prescale: {shares}"
    return made


def _elsewhere(table: RateTable) -> Table:
    made = _table(
        "The same thresholds elsewhere", "events", "mean pileup", *(labels.point(p.point.name) for p in table.points)
    )
    for e in table.elsewhere:
        cells = (f"{labels.measured(e.rate_khz[p.point.name])} kHz" for p in table.points)
        made.add_row(f"{e.file.events:,} of {e.file.name}", f"{e.file.pileup:g}", *cells)
        for name in table.signal_events:
            if all(name in e.tpr.get(p.point.name, {}) for p in table.points):
                shares = (f"{labels.measured(e.tpr[p.point.name][name], 100)} %" for p in table.points)
                made.add_row(f"  {labels.process(name)}", "", *shares)
    return made
