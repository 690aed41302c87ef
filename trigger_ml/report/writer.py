"""Writes ``report.html`` and ``report.json``."""

from __future__ import annotations

from pathlib import Path

from trigger_ml.artifact import atomic_write, write_json
from trigger_ml.report.data import ReportData
from trigger_ml.report.document import document
from trigger_ml.report.page import render


def write(folder: Path, data: ReportData) -> None:
    """Write both files, each whole or not at all; equal data give equal bytes.

    Args:
        folder: made if it isn't there.
        data: what to report.

    Raises:
        ToolMissing: jinja2, matplotlib or mplhep is not installed.
    """
    page = render(data)
    write_json(folder / "report.json", document(data))
    atomic_write(folder / "report.html", page)
