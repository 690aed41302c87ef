"""How the command line says what it found: results on standard output, progress and tables for people."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from rich.console import Console

WIDE = 400
"""Columns of a line that no terminal shows."""


def console() -> Console:
    """Progress and tables go to standard error, so that standard output holds results only."""
    from rich.console import Console

    return Console(stderr=True)


def _output() -> Console:
    """Standard output; where it is no terminal lines are as long as they are, for who reads them next."""
    from rich.console import Console

    found = Console()
    return found if found.is_terminal or "COLUMNS" in os.environ else Console(width=WIDE)


def give(result: Mapping[str, Any] | list[Any], as_json: bool) -> None:
    """Print a result as JSON on standard output, if that was asked for."""
    if as_json:
        typer.echo(json.dumps(result, indent=1, sort_keys=True, allow_nan=False))


def _row(finding: Any) -> tuple[str, ...]:
    version = "missing" if finding.version is None else finding.version or "found"
    other = finding.version and finding.tested not in (None, finding.version)
    return finding.name, f"{version} (tested: {finding.tested})" if other else version, finding.enables, finding.get


def engines_table(rows: list[dict[str, Any]]) -> None:
    """The speed of every engine on every model."""
    from rich.table import Table

    table = Table(
        "model", "engine", "events/s", "x hls4ml", "equal", "build", "of the roofline", box=None, pad_edge=False
    )
    for row in rows:
        build = "" if row["build_s"] is None else f"{row['build_s']:.1f} s"
        share = "" if row["roofline"] is None else f"{row['roofline']:.0%}"
        cells = (f"{row['events_per_s']:,.0f}", f"{row['ratio_to_hls4ml']:,.1f}", "yes" if row["equal"] else "NO")
        table.add_row(row["model"], row["engine"], *cells, build, share)
    _output().print(table)


def plain_table(rows: list[dict[str, Any]]) -> None:
    """Rows with the same keys, these as heads."""
    from rich.table import Table

    table = Table(*(key.replace("_", " ") for key in rows[0]), box=None, pad_edge=False)
    for row in rows:
        table.add_row(*(_cell(value) for value in row.values()))
    _output().print(table)


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "NO"
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def findings_table(findings: Iterable[Any]) -> None:
    """Tools and packages, their versions, and how to get what is missing."""
    from rich.markup import escape
    from rich.table import Table

    table = Table("tool", "version", "enables", "how to get it", box=None, pad_edge=False)
    for row in map(_row, findings):
        table.add_row(*(escape(cell) for cell in row), style="dim" if row[1] == "missing" else None)
    _output().print(table)
