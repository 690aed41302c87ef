"""Offline models at every precision as one self-contained page of HTML."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from trigger_ml.offline.table import SIMULATOR, weight_bytes
from trigger_ml.report import labels, templates
from trigger_ml.report.offline_numbers import (
    FLOAT,
    RowResult,
    headline,
    label,
    number,
    smaller,
    speed,
    time_ratio,
)
from trigger_ml.report.offline_plots import Curve, histograms, overview
from trigger_ml.report.plots import Figure

SMALLEST = "all"
SHOWN = 6
"""Histograms of a row."""

REFERENCES = {" of truth": "other truth", " in truth": "truth", " of prior": "prior", " of GFlash": "GFlash"}
"""What stands in a number's name -> what else than the model it is of."""

SCATTER = "In brackets: standard deviation of {} trainings from seeds of their own. "
NOTE = (
    "Errors: one standard deviation of the test sample. {}Bytes are those of linear weights. Bit operations: products "
    "of weight bits and activation bits for one event, over all steps of a sampler. Times are of one thread, taken "
    "when each precision was run, so their ratios are indicative: trigger-ml bench ternary measures side by side."
)
SIMULATION = (
    "Samples are made here, by fast models and Pythia 8: the numbers say what precision costs and are not comparable "
    "with published results."
)


def render(rows: Sequence[RowResult]) -> str:
    """The page; equal results give equal text.

    Raises:
        ToolMissing: jinja2, matplotlib or mplhep is not installed.
    """
    contents = [(row.name, precision, c) for row in rows for precision, c in row.results.items()]
    context = {
        "rows": [_row(row) for row in rows],
        "compared": sum(c["compared"] for _, _, c in contents),
        "differing": [f"{name}, {p}: {', '.join(c['differing'])}" for name, p, c in contents if c["differing"]],
        "overview": summary(rows),
        "simulation": SIMULATION,
    }
    return templates.render("offline.html.j2", {}, context)


def _row(row: RowResult) -> dict[str, Any]:
    first, references = next(iter(row.results.values())), _references(row)
    trainings = max(len(n["values"]) for n in first["metrics"].values())
    return {
        "name": row.name,
        "title": row.title,
        "what": row.what,
        "command": first["command"],
        "date": ", ".join(sorted({c["date"] for c in row.results.values()})),
        "precisions": [*map(label, row.results), *(REFERENCES[marker] for marker in references)],
        "lines": [*_metrics(row, references), *_costs(row, len(references))],
        "note": NOTE.format(SCATTER.format(trainings) if trainings > 1 else ""),
        "figures": figures(row),
    }


def _metrics(row: RowResult, references: Sequence[str]) -> list[dict[str, Any]]:
    """A line for each number; what it is for something else than the model stands at its end, once."""
    every = row.results.values()
    names = list(dict.fromkeys(name for c in every for name in c["metrics"]))
    ends = {marker: {name.replace(marker, ""): name for name in names if marker in name} for marker in REFERENCES}
    beside = {name for found in ends.values() for base, name in found.items() if base in names}
    first = next(iter(every))["metrics"]
    return [
        {
            "kind": "",
            "name": name,
            "cells": [
                *(number(c["metrics"].get(name)) for c in every),
                *(number(first.get(ends[marker].get(name, ""))) for marker in references),
            ],
        }
        for name in names
        if name not in beside
    ]


def _references(row: RowResult) -> list[str]:
    """The other things that some number of the row is known for."""
    names = {name for c in row.results.values() for name in c["metrics"]}
    return [m for m in REFERENCES if any(m in name and name.replace(m, "") in names for name in names)]


def _costs(row: RowResult, empty: int) -> list[dict[str, Any]]:
    every = row.results.values()
    lines = [
        ("weights, bytes", [labels.number(weight_bytes(c)) for c in every]),
        ("smaller than float by", [f"{smaller(row, c):.3g}" for c in every]),
        ("bit operations an event", [f"{c['bit_operations']:.3g}" for c in every]),
        ("time over float's", [time_ratio(row, c) for c in every]),
    ]
    if any(SIMULATOR in c["micros"] for c in every):
        lines.append(("truth simulator's time over it", [speed(c) for c in every]))
    return [{"kind": "soft", "name": name, "cells": [*cells, *[""] * empty]} for name, cells in lines]


def summary(rows: Sequence[RowResult]) -> tuple[Figure, ...]:
    """What precision costs every row that has a float network.

    Raises:
        ToolMissing: matplotlib or mplhep is not installed.
    """
    chosen = {row.name: (row, headline(row)) for row in rows if FLOAT in row.results}
    return overview(
        {
            name: {p: (head, c["metrics"][head]) for p, c in row.results.items() if head in c["metrics"]}
            for name, (row, head) in chosen.items()
            if head is not None
        }
    )


def figures(row: RowResult) -> tuple[Figure, ...]:
    """A row's histograms.

    Raises:
        ToolMissing: matplotlib or mplhep is not installed.
    """
    return histograms(_curves(row), SHOWN)


def _curves(row: RowResult) -> dict[str, tuple[tuple[float, ...], list[Curve]]]:
    """Observable -> edges and curves: what is to be reached, then the float and the smallest network's."""
    found: dict[str, tuple[tuple[float, ...], list[Curve]]] = {}
    for precision in (FLOAT, SMALLEST):
        for name, figure in row.results.get(precision, {"figures": {}})["figures"].items():
            edges, curves = found.setdefault(name, (tuple(figure["edges"]), []))
            if edges == tuple(figure["edges"]):
                known = {c.label for c in curves}
                for curve, counts in figure["curves"].items():
                    fixed = curve in ("truth", "prior")
                    text = curve if fixed else f"{curve}, {label(precision)}"
                    if text not in known:
                        curves.append(Curve(text, tuple(counts), curve == "truth"))
            else:
                found[f"{name}, {label(precision)}"] = (
                    tuple(figure["edges"]),
                    [Curve(k, tuple(v), k == "truth") for k, v in figure["curves"].items()],
                )
    return found
