"""The tables that ``trigger-ml rates`` prints."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trigger_ml.physics.rate_points import FIRMWARE
from trigger_ml.report import labels

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from trigger_ml.physics.rate_table import Elsewhere, OnMenu, Pair, RateTable, Taught


def show(table: RateTable, console: Console) -> None:
    """Print working points, efficiencies, shifts, the menu and other pileup."""
    file = table.file
    console.print(
        f"{table.model} on {file.events:,} zero-bias events of {file.name} ({file.sources:,} independent collisions, "
        f"mean pileup {file.pileup:g}), {table.bunches} bunches, {table.crossings_khz / 1e3:.2f} MHz of crossings",
        highlight=False,
        markup=False,
    )
    parts = [_points(table), _efficiencies(table)]
    parts += [_shifts(table)] if table.shifts else []
    parts += [_menu(table.menu)] if table.menu is not None else []
    parts += [_pair(table.pair)] if table.pair is not None else []
    parts += [_taught(table.taught, table)] if table.taught is not None else []
    for part in (*parts, *(_elsewhere(there, table) for there in table.elsewhere)):
        console.print()
        console.print(part)


def _table(title: str, *columns: str) -> Table:
    """Names are never cut; where the screen is narrow, numbers go on in the next line."""
    from rich.table import Table

    made = Table(title=title, title_justify="left", box=None, pad_edge=False)
    for i, column in enumerate(columns):
        made.add_column(column, justify="right" if i else "left", no_wrap=not i)
    return made


def _points(table: RateTable) -> Table:
    unique = ("unique [kHz]",) if table.menu is not None else ()
    made = _table("Working points", "", "score ≥", "events", "rate [kHz]", *unique)
    for p in table.points:
        rate = "" if p.point.rate_khz is None else labels.measured(p.point.rate_khz)
        added = () if p.unique is None else (labels.measured(p.unique.khz),)
        mark = " †" if labels.few(p.point) else ""
        made.add_row(labels.point(p.point.name) + mark, str(p.point.threshold), f"{p.point.events:,}", rate, *added)
    said = ["set on these events, so never above a target rate"]
    said += ["the firmware threshold: set on others"] if any(p.point.name == FIRMWARE for p in table.points) else []
    said += ["† fewer than 10 events stand behind it"] if any(labels.few(p.point) for p in table.points) else []
    made.caption = "\n".join(said)
    return made


def _efficiencies(table: RateTable) -> Table:
    made = _table("Efficiency [%]", "", *(labels.process(name) for name in table.signal_events))
    if table.menu is not None:
        made.add_row("menu", *(labels.measured(table.menu.tpr[name], 100) for name in table.signal_events))
    for p in table.points:
        made.add_row(labels.point(p.point.name), *(labels.measured(p.tpr[name], 100) for name in table.signal_events))
        if p.gain is not None:
            gains = (labels.measured(p.gain[name], 100) for name in table.signal_events)
            made.add_row("  not in the menu", *gains, style="dim")
    if table.menu is not None:
        made.caption = "menu: its seeds without prescale"
    return made


def _shifts(table: RateTable) -> Table:
    signals = [f"{labels.process(name)} [%]" for name in table.signal_events]
    made = _table("What quantization changed", "", "rate [kHz]", *signals)
    for s in table.shifts:
        tpr = [labels.measured(s.tpr[name], 100, True) for name in table.signal_events]
        made.add_row(labels.point(s.point), labels.measured(s.rate_khz, 1, True), *tpr)
    return made


def _menu(menu: OnMenu) -> Table:
    made = _table(f"Menu {menu.name} [kHz]", "seed", "prescale", "total", "pure", "added")
    for s in menu.rates.seeds:
        cells = (labels.measured(r.khz) for r in (s.total, s.pure, s.unique))
        made.add_row(s.name, f"{s.prescale:,}", *cells)
    made.add_row("all", "", labels.measured(menu.rates.menu.khz), "", "")
    made.caption = "pure: no other seed keeps the event; added: no seed above keeps it"
    return made


def _pair(pair: Pair) -> Table:
    found = pair.correlation
    title = f"Two scores: dCor² {labels.measured(found.unbiased)} on {found.events:,} events"
    made = _table(title, "both above", "A", "B", "C", "D", "A predicted", "closure")
    rows = [(labels.point(name), e) for name, e in pair.points.items()]
    rows += [
        (f"share {s.target:g}{kind}", e) for s in pair.scan for kind, e in ((", float", s.floating), ("", s.quantized))
    ]
    for label, e in rows:
        estimates = ("" if v is None else labels.measured(v) for v in (e.predicted, e.closure))
        made.add_row(label, *(f"{n:,}" for n in e.counts), *estimates)
    made.caption = "closure: A D / (B C), 1 for independent scores"
    return made


def _taught(found: Taught, table: RateTable) -> Table:
    signals = list(table.signal_events)
    made = _table("Teacher and students", "", *(labels.process(name) for name in signals))
    for who in labels.TAUGHT:
        made.add_row(f"AUC, {labels.taught(who)}", *(labels.measured(found.auc[who][name]) for name in signals))
    for who in labels.TAUGHT[1:]:
        cells = (labels.measured(found.auc_shift[who][name], 1, True) for name in signals)
        made.add_row(f"  {labels.taught(who)} − teacher", *cells, style="dim")
    for point in (p.point.name for p in table.points if p.point.name in found.tpr["teacher"]):
        for who in labels.TAUGHT:
            cells = (labels.measured(found.tpr[who][point][name], 100) for name in signals)
            made.add_row(f"{labels.point(point)}, {labels.taught(who)} [%]", *cells)
        for who in labels.TAUGHT[1:]:
            cells = (labels.measured(found.tpr_shift[who][point][name], 100, True) for name in signals)
            made.add_row(f"  {labels.taught(who)} − teacher [%]", *cells, style="dim")
    made.caption = "each at its own threshold; differences are paired"
    return made


def _elsewhere(there: Elsewhere, table: RateTable) -> Table:
    title = (
        f"The same thresholds on {there.file.events:,} events of {there.file.name}, mean pileup {there.file.pileup:g}"
    )
    known = [n for n in table.signal_events if all(n in tpr for tpr in there.tpr.values())]
    made = _table(title, "", "rate [kHz]", *(f"{labels.process(name)} [%]" for name in known))
    for p in table.points:
        name = p.point.name
        tpr = (labels.measured(there.tpr[name][signal], 100) for signal in known)
        made.add_row(labels.point(name), labels.measured(there.rate_khz[name]), *tpr)
    return made
