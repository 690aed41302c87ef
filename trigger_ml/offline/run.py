"""Rows of the offline table: train at every precision, prove the lowerings equal, measure, keep the numbers."""

from __future__ import annotations

import dataclasses
import datetime
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trigger_ml import artifact
from trigger_ml.errors import Mismatch, SpecError
from trigger_ml.offline import events
from trigger_ml.offline.networks import PRECISIONS, Precision
from trigger_ml.offline.spec import Row, load
from trigger_ml.offline.table import KIND, VERSION, file_of, kept
from trigger_ml.offline.tasks.measured import Measured
from trigger_ml.offline.tasks.registry import task
from trigger_ml.offline.training import Place

if TYPE_CHECKING:
    from rich.console import Console

    from trigger_ml.offline.sources.source import Source

ONE = "offline training"
"""Kind of the file that holds the numbers of one training."""


def run(where: Path, console: Console, out: Path, full: bool = False) -> Mapping[str, Any]:
    """Do a row at every precision; numbers go to ``<precision>.json`` beside the spec, models and states to ``out``.

    A training or a precision is not done again while its spec and its file of events, if it has one, are the same.

    Args:
        where: the spec or its folder.
        console: for progress.
        out: a folder of run folders.
        full: longer, as [full] says; the numbers go to ``full/``.

    Raises:
        SpecError: the spec, or a sample that can't be read.
        ToolMissing: without the extra offline.
        Mismatch: a lowering gives other bits than the golden one; its numbers are kept.
    """
    from trigger_ml.frontends import session

    row, home = load(where), where if where.is_dir() else where.parent
    row = row.longer if full else row
    source = _source(row, home)
    file = artifact.digest_path(home / row.sample.file) if row.sample.file else None
    folder = out / f"offline_{row.name}{'_full' if full else ''}"
    folder = folder if file is None else folder / file[:16]
    done: dict[str, Any] = {}
    for precision in PRECISIONS:
        path = file_of(home, precision, full)
        done[precision] = kept(path, row)
        if done[precision] is None or done[precision].get("events") != file:
            session.start()
            parts = [_training(row, i, precision, source, folder, console) for i in range(row.trainings)]
            done[precision] = _together(row, precision, parts, full) | ({} if file is None else {"events": file})
            artifact.save(path, KIND, VERSION, done[precision])
        console.print(f"{row.name}, {precision}: {_sentence(done[precision])}", highlight=False)
    wrong = {p: c["differing"] for p, c in done.items() if c["differing"]}
    if wrong:
        raise Mismatch(f"{row.name}: these differ from the golden model: {wrong}")
    return {"row": row.name, "precisions": done}


def _training(
    whole: Row, number: int, precision: Precision, source: Source, folder: Path, console: Console
) -> Mapping[str, Any]:
    """The numbers of one training; from an earlier run if it is of this spec."""
    row = whole.with_seed(number)
    place = Place(row, folder / precision / f"seed{row.seed}", precision.replace("-", "_"), console)
    with artifact.exclusive(place.folder):
        path = place.folder / "numbers.json"
        if path.exists():
            content = artifact.load(path, ONE, VERSION).content
            if content["spec"] == row.digest():
                return content
        content = {"spec": row.digest(), **_plain(task(row.objective.name)(place, source, precision))}
        artifact.save(path, ONE, VERSION, content)
    return content


def _plain(measured: Measured) -> dict[str, Any]:
    content = dataclasses.asdict(measured)
    return {**content, "differing": list(measured.differing)}


def _together(row: Row, precision: Precision, trainings: Sequence[Mapping[str, Any]], full: bool) -> dict[str, Any]:
    """Means over trainings, with the error of one and the scatter of all; histograms of the first."""
    first = trainings[0]
    metrics = {}
    for name in first["metrics"]:
        values = [t["metrics"][name]["value"] for t in trainings]
        metrics[name] = {
            "value": statistics.fmean(values),
            "error": statistics.fmean(t["metrics"][name]["error"] for t in trainings),
            "scatter": statistics.stdev(values) if len(values) > 1 else None,
            "values": values,
        }
    return {
        **first,
        "row": row.name,
        "spec": row.digest(),
        "precision": precision,
        "metrics": metrics,
        "differing": sorted({lowering for t in trainings for lowering in t["differing"]}),
        "micros": {k: min(t["micros"][k] for t in trainings) for k in first["micros"]},
        "command": f"trigger-ml offline run models/offline/{row.name}{' --full' if full else ''}",
        "date": datetime.date.today().isoformat(),
    }


def _source(row: Row, home: Path) -> Source:
    module = events.module(row.sample.name)
    if not row.sample.file:
        made: Source = module.source()
        return made
    if not hasattr(module, "read"):
        raise SpecError(f"[sample] file is set, but the source {row.sample.name} reads no files: take the key out")
    read: Source = module.read(home / row.sample.file)
    return read


def _sentence(content: Mapping[str, Any]) -> str:
    numbers = ", ".join(f"{k} {n['value']:.4g} +- {n['error']:.2g}" for k, n in content["metrics"].items())
    return f"{numbers}; {'every lowering equal' if not content['differing'] else 'LOWERINGS DIFFER'}"
