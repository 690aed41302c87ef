"""Rows of the offline table: train at every precision, prove the lowerings equal, measure, keep the numbers."""

from __future__ import annotations

import dataclasses
import datetime
import functools
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trigger_ml import artifact
from trigger_ml.errors import Mismatch, SpecError
from trigger_ml.offline import events
from trigger_ml.offline.networks import PRECISIONS, Precision
from trigger_ml.offline.spec import Row, Sample, load
from trigger_ml.offline.table import KIND, VERSION, file_of, kept
from trigger_ml.offline.tasks.measured import Measured
from trigger_ml.offline.tasks.registry import task
from trigger_ml.offline.training import Place, program
from trigger_ml.work import shown, work

if TYPE_CHECKING:
    from rich.console import Console

    from trigger_ml.offline.sources.source import Source

ONE = "offline training"
"""Kind of the file that holds the numbers of one training."""

NUMBERS = "numbers.json"


@dataclass(frozen=True)
class Job:
    """One training of a row at one precision.

    Attributes:
        where: the spec or its folder.
        full: as [full] says.
        file: digest of the row's file of events, if it has one.
        precision: of the networks.
        number: of the training, from 0.
        folder: of the row's models and states.
    """

    where: Path
    full: bool
    file: str | None
    precision: Precision
    number: int
    folder: Path

    @property
    def place(self) -> Path:
        """The folder of this training."""
        return self.folder / self.precision / f"seed{self.row.seed}"

    @property
    def row(self) -> Row:
        """The row with this training's seed."""
        return _row(self.where, self.full).with_seed(self.number)


def run(where: Path, console: Console, out: Path, full: bool = False, workers: int = 1) -> Mapping[str, Any]:
    """Do a row at every precision; numbers go to ``<precision>.json`` beside the spec, models and states to ``out``.

    A training or a precision is not done again while its spec and its file of events, if it has one, are the same.

    Args:
        where: the spec or its folder.
        console: for progress.
        out: a folder of run folders.
        full: longer, as [full] says; the numbers go to ``full/``.
        workers: processes, each with a training of its own.

    Raises:
        SpecError: the spec, or a sample that can't be read.
        ToolMissing: without the extra offline.
        Mismatch: a lowering gives other bits than the golden one; its numbers are kept.
    """
    row, home = _row(where, full), where if where.is_dir() else where.parent
    module = events.module(row.sample.name)
    if row.sample.file and not hasattr(module, "read"):
        raise SpecError(f"[sample] file is set, but the source {row.sample.name} reads no files: take the key out")
    file = artifact.digest_path(home / row.sample.file) if row.sample.file else None
    folder = out / f"offline_{row.name}{'_full' if full else ''}"
    folder = folder if file is None else folder / file[:16]
    paths = {precision: file_of(home, precision, full) for precision in PRECISIONS}
    done = {p: content for p, path in paths.items() if (content := _kept(path, row, file)) is not None}
    jobs = {
        p: [Job(where, full, file, p, i, folder) for i in range(row.trainings)] for p in PRECISIONS if p not in done
    }
    todo = [job for each in jobs.values() for job in each]
    if len(todo) == 1 or workers == 1:
        work(functools.partial(_do, console=console), todo, 0, row.name, None)
    else:
        with shown(console, {row.name: f"{row.name}, trainings"}) as progress:
            work(_do, todo, 0, row.name, progress, workers)
    for precision in PRECISIONS:
        if precision not in done:
            parts = [_finished(job) for job in jobs[precision]]
            done[precision] = _together(row, precision, parts, full) | ({} if file is None else {"events": file})
            artifact.save(paths[precision], KIND, VERSION, done[precision])
        console.print(f"{row.name}, {precision}: {_sentence(done[precision])}", highlight=False)
    wrong = {p: c["differing"] for p, c in done.items() if c["differing"]}
    if wrong:
        raise Mismatch(f"{row.name}: these differ from the golden model: {wrong}")
    return {"row": row.name, "precisions": {p: done[p] for p in PRECISIONS}}


def _do(job: Job, console: Console | None = None) -> None:
    """Train and measure, and leave the numbers in the training's folder; from an earlier run if they are there."""
    from trigger_ml.frontends import session

    row = job.row
    place = Place(row, job.place, job.precision.replace("-", "_"), console)
    with artifact.exclusive(place.folder):
        if _finished(job) is None:
            session.start()
            found = task(row.objective.name)(place, _source(job.where, row.sample, job.file), job.precision)
            artifact.save(job.place / NUMBERS, ONE, VERSION, {"spec": _whole(row), **_plain(found)})


def _finished(job: Job) -> Any:
    """The numbers of a training, if it was done with this spec by this code."""
    path = job.place / NUMBERS
    content = artifact.load(path, ONE, VERSION).content if path.exists() else {"spec": None}
    return content if content["spec"] == _whole(job.row) else None


def _whole(row: Row) -> str:
    """Digest of a training's spec and of the code."""
    return artifact.digest_json([row.digest(), program()])


def _kept(path: Path, row: Row, file: str | None) -> Any:
    """The numbers of a precision, if they are of this spec and file of events."""
    content = kept(path, row)
    return content if content is not None and content.get("events") == file else None


def _row(where: Path, full: bool) -> Row:
    row = load(where)
    return row.longer if full else row


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


@functools.lru_cache(maxsize=1)
def _source(where: Path, sample: Sample, file: str | None) -> Source:
    """The events; ``file``, the digest of theirs, if they have one, tells when to read them again."""
    module, home = events.module(sample.name), where if where.is_dir() else where.parent
    found: Source = module.source() if file is None else module.read(home / sample.file)
    return found


def _sentence(content: Mapping[str, Any]) -> str:
    numbers = ", ".join(f"{k} {n['value']:.4g} +- {n['error']:.2g}" for k, n in content["metrics"].items())
    return f"{numbers}; {'every lowering equal' if not content['differing'] else 'LOWERINGS DIFFER'}"
