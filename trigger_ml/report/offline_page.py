"""Offline models at every precision as one self-contained page of HTML."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from trigger_ml.report import labels, templates
from trigger_ml.report.offline_plots import Curve, histograms, overview

FLOAT, SMALLEST = "none", "all"
SHOWN = 6
"""Histograms of a row."""

SCATTER = "In brackets: standard deviation of {} trainings from seeds of their own. "
NOTE = (
    "Errors: one standard deviation of the test sample. {}Bytes are those of linear weights. Bit operations: products "
    "of weight bits and activation bits for one event, over all steps of a sampler. Times were taken on one machine, "
    "with one thread, side by side."
)
SIMULATION = (
    "Samples are made here, by fast models and Pythia 8: the numbers say what precision costs and are not comparable "
    "with published results."
)


@dataclass(frozen=True)
class RowResult:
    """A row and what was kept of it.

    Attributes:
        name: of its folder.
        title: for people.
        what: network, objective and sample in words.
        results: precision -> what ``trigger-ml offline run`` kept.
    """

    name: str
    title: str
    what: str
    results: Mapping[str, Mapping[str, Any]]


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
        "overview": overview({row.name: _headline(row) for row in rows}),
        "simulation": SIMULATION,
    }
    return templates.render("offline.html.j2", {}, context)


def _row(row: RowResult) -> dict[str, Any]:
    first = next(iter(row.results.values()))
    trainings = max(len(n["values"]) for n in first["metrics"].values())
    return {
        "name": row.name,
        "title": row.title,
        "what": row.what,
        "command": first["command"],
        "date": ", ".join(sorted({c["date"] for c in row.results.values()})),
        "precisions": [label(p) for p in row.results],
        "lines": [*_metrics(row), *_costs(row)],
        "note": NOTE.format(SCATTER.format(trainings) if trainings > 1 else ""),
        "figures": histograms(_curves(row), SHOWN),
    }


def label(precision: str) -> str:
    """A precision in words."""
    return {"none": "float", "no-embedding-no-last": "all but first and last"}.get(precision, precision)


def _metrics(row: RowResult) -> list[dict[str, Any]]:
    names = list(dict.fromkeys(name for c in row.results.values() for name in c["metrics"]))
    return [
        {"kind": "", "name": name, "cells": [_number(c["metrics"].get(name)) for c in row.results.values()]}
        for name in names
    ]


def _number(n: Mapping[str, Any] | None) -> str:
    if n is None:
        return "–"
    digits = _digits(max(n["error"], n["scatter"] or 0))
    text = f"{n['value']:.{digits}f} ± {n['error']:.{digits}f}"
    return text if n["scatter"] is None else f"{text} ({n['scatter']:.{digits}f})"


def _digits(error: float) -> int:
    """Decimals that show two digits of an error."""
    return next((d for d in range(6) if error * 10**d >= 9.5), 6) if error > 0 else 4


def _costs(row: RowResult) -> list[dict[str, Any]]:
    plain = row.results.get(FLOAT, next(iter(row.results.values())))
    whole = plain["kernel_bytes"]["float"]
    lines = [
        ("weights, bytes", [labels.number(_bytes(c)) for c in row.results.values()]),
        ("smaller than float by", [f"{whole / _bytes(c):.3g}" for c in row.results.values()]),
        ("bit operations an event", [f"{c['bit_operations']:.3g}" for c in row.results.values()]),
        ("time over float's", [_time(c, plain) for c in row.results.values()]),
    ]
    if any("truth simulator" in c["micros"] for c in row.results.values()):
        lines.append(("truth simulator's time over it", [_speed(c) for c in row.results.values()]))
    return [{"kind": "soft", "name": name, "cells": cells} for name, cells in lines]


def _bytes(content: Mapping[str, Any]) -> int:
    sizes = content["kernel_bytes"]
    return int(sizes.get("ternary", sizes["int8"]))


def _fastest(content: Mapping[str, Any]) -> float | None:
    times = [v for k, v in content["micros"].items() if k != "truth simulator"]
    return min(times) if times else None


def _time(content: Mapping[str, Any], plain: Mapping[str, Any]) -> str:
    one, other = _fastest(content), plain["micros"].get("float")
    return "–" if one is None or not other else f"{one / other:.2f}"


def _speed(content: Mapping[str, Any]) -> str:
    one, truth = _fastest(content), content["micros"].get("truth simulator")
    return "–" if not one or truth is None else f"{truth / one:.3g}"


def _headline(row: RowResult) -> dict[str, tuple[str, Mapping[str, Any]]]:
    """Precision -> the name and value of the number that sums a row up; empty without a float one."""
    if FLOAT not in row.results:
        return {}
    names = row.results[FLOAT]["metrics"]
    iterations = sorted((n for n in names if n.startswith("iteration")), key=lambda n: int(n.split()[-1]))
    chosen = next((n for n in ("auc", *iterations[-1:], "wasserstein") if n in names), None)
    return {} if chosen is None else {p: (chosen, c["metrics"][chosen]) for p, c in row.results.items()}


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
