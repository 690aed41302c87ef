"""The numbers of rows that were run: kept beside the specs, shown beside those of the float network."""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trigger_ml import artifact
from trigger_ml.errors import ArtifactError
from trigger_ml.offline.networks import PRECISIONS
from trigger_ml.offline.spec import FILE, OBJECTIVES, Row, load

KIND, VERSION = "offline result", 2
GOLDEN, SMALLEST = "float", "ternary"

SIMULATOR = "truth simulator"
"""What ``micros`` calls the source's own time."""

TAKEN: dict[str, Callable[[Mapping[str, Any]], str]] = {
    "weights smaller by": lambda line: f"{line['smaller']:.3g}",
    "bit ops fewer by": lambda line: f"{line['fewer']:.3g}",
    "time over float's": lambda line: "" if line["time"] is None else f"{line['time']:.2f}",
    "run": lambda line: str(line["date"]),
}
"""What stands below a row's numbers: name -> text from a line of :func:`table`."""

HEADLINES = ("auc", "auc low level", "triangular", "wasserstein")
"""Numbers of which the first that a row has sums it up."""


def table(models: Path, names: str = "*", full: bool = False) -> list[dict[str, Any]]:
    """Every number of every row that was run: row, precision, metric, value, error, and what the float network gives.

    Args:
        models: folder of rows.
        names: pattern of their names.
        full: those of ``--full``.

    Raises:
        ArtifactError: a file is damaged, or belongs to another spec.
    """
    return [
        _line(row, precision, metric, number, content, found.get("none"))
        for row, found in results(models, names, full)
        for precision, content in found.items()
        for metric, number in content["metrics"].items()
    ]


def results(models: Path, names: str = "*", full: bool = False) -> list[tuple[Row, Mapping[str, Any]]]:
    """Rows that were run, and by precision what was kept.

    Args:
        models: folder of rows.
        names: pattern of their names.
        full: those of ``--full``.

    Raises:
        ArtifactError: a file is damaged, or belongs to another spec.
    """
    found: list[tuple[Row, Mapping[str, Any]]] = []
    for file in sorted(models.glob(f"{names}/{FILE}")):
        row = load(file)
        row = row.longer if full else row
        contents = {p: kept(file_of(file.parent, p, full), row, strict=True) for p in PRECISIONS}
        if any(contents.values()):
            found.append((row, {p: c for p, c in contents.items() if c}))
    return found


def in_words(row: Row) -> str:
    """What a row is made of."""
    n, o, t, tested = row.network, OBJECTIVES[row.objective.name], row.train, row.sample.events
    first = f", {t.leading_epochs} epochs of the first stage" if t.leading_epochs else ""
    return (
        f"{row.objective.name} ({o}) on {row.sample.name}, {t.events or tested:,} events to train, up to {tested:,} "
        f"to test, {t.epochs} epochs{first}; "
        f"{n.kind} network, {n.blocks} blocks of width {n.hidden}, {n.low} weights where low"
    )


@dataclass(frozen=True)
class Costs:
    """What a precision takes, beside the float network.

    Attributes:
        smaller: float's bytes of linear weights over its own, in the smallest lowering.
        fewer: float's bit operations of an event over its own.
        time: its CPU time of an event, in its fastest lowering, over that of the float network; None: not measured.
    """

    smaller: float
    fewer: float
    time: float | None


def costs(content: Mapping[str, Any], plain: Mapping[str, Any] | None) -> Costs:
    """Of one precision; without numbers of the float network beside itself."""
    base = plain or content
    took, whole = fastest(content), base["micros"].get(GOLDEN)
    took = whole if base is content else took
    return Costs(
        base["kernel_bytes"][GOLDEN] / weight_bytes(content),
        base["bit_operations"] / content["bit_operations"],
        took / whole if took and whole else None,
    )


def weight_bytes(content: Mapping[str, Any]) -> int:
    """Bytes of linear weights in the smallest lowering."""
    sizes = content["kernel_bytes"]
    return int(sizes.get(SMALLEST, sizes["int8"]))


def fastest(content: Mapping[str, Any]) -> float | None:
    """CPU time of an event in the fastest lowering, in microseconds."""
    return min((v for k, v in content["micros"].items() if k != SIMULATOR), default=None)


def _line(row: Row, precision: str, metric: str, number: Any, content: Any, plain: Any) -> dict[str, Any]:
    return {
        "row": row.name,
        "title": row.title,
        "precision": precision,
        "metric": metric,
        "value": number["value"],
        "error": number["error"],
        "scatter": number["scatter"],
        "trainings": len(number["values"]),
        "float": plain["metrics"][metric]["value"] if plain else None,
        **dataclasses.asdict(costs(content, plain)),
        "exact": not content["differing"],
        "compared": content["compared"],
        "bit_operations": content["bit_operations"],
        "micros": content["micros"],
        "command": content["command"],
        "date": content["date"],
    }


def headline(names: Iterable[str]) -> str | None:
    """The number that sums a row up, of all that it has."""
    return next((name for name in HEADLINES if name in set(names)), None)


def beside(lines: list[dict[str, Any]], every: bool = True) -> list[dict[str, Any]]:
    """The lines of :func:`table` side by side: a line for each row and metric, then what it takes.

    Args:
        lines: of all rows.
        every: every number of a row, not just the one that sums it up.
    """
    if not every:
        names: dict[str, set[str]] = defaultdict(set)
        for line in lines:
            names[line["row"]].add(line["metric"])
        lines = [line for line in lines if line["metric"] == headline(names[line["row"]])]
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for line in lines:
        for metric, text in ((line["metric"], _number(line)), *((name, say(line)) for name, say in TAKEN.items())):
            empty: dict[str, Any] = {"row": line["row"], "metric": metric, **dict.fromkeys(PRECISIONS, "")}
            found.setdefault((line["row"], metric), empty)[line["precision"]] = text
    order = {name: i for i, name in enumerate(TAKEN, 1)}
    return sorted(found.values(), key=lambda each: (each["row"], order.get(each["metric"], 0)))


def _number(line: dict[str, Any]) -> str:
    scatter = "" if line["scatter"] is None else f" ({line['scatter']:.1g})"
    return f"{line['value']:.4g} +- {line['error']:.1g}{scatter}"


def file_of(home: Path, precision: str, full: bool = False) -> Path:
    """Where the numbers of a row in the folder ``home`` are."""
    return (home / "full" if full else home) / f"{precision}.json"


def kept(path: Path, row: Row, strict: bool = False) -> Any:
    """What an earlier run left for this spec, or None."""
    if not path.exists():
        return None
    content = artifact.load(path, KIND, VERSION).content
    if content["spec"] == row.digest():
        return content
    if strict:
        raise ArtifactError(f"{path} belongs to another spec than {row.name}'s: run trigger-ml offline run again")
    return None
