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
    """One training of a row at one precision; all that it is made from is fixed when the run starts.

    Attributes:
        row: the spec, with this training's seed.
        home: folder of the spec.
        file: digest of the row's files of events, if it has any.
        code: digest of the program.
        precision: of the networks.
        folder: for models, states and numbers.
    """

    row: Row
    home: Path
    file: str | None
    code: str
    precision: Precision
    folder: Path

    @property
    def made_from(self) -> str:
        """Digest of spec and program."""
        return artifact.digest_json([self.row.digest(), self.code])

    def numbers(self) -> Any:
        """What was measured, if it was done before from the same; else None."""
        path = self.folder / NUMBERS
        content = artifact.load(path, ONE, VERSION).content if path.exists() else {"spec": None}
        return content if content["spec"] == self.made_from else None


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
    row, home = load(where), where if where.is_dir() else where.parent
    row = row.longer if full else row
    file = _digest(row, home)
    folder = out / f"offline_{row.name}{'_full' if full else ''}"
    folder = folder if file is None else folder / file[:16]
    paths = {precision: file_of(home, precision, full) for precision in PRECISIONS}
    done = {p: content for p, path in paths.items() if (content := _kept(path, row, file)) is not None}
    seeds, code = [row.with_seed(i) for i in range(row.trainings)], program()
    jobs = {
        p: [Job(each, home, file, code, p, folder / p / f"seed{each.seed}") for each in seeds]
        for p in PRECISIONS
        if p not in done
    }
    _work([job for each in jobs.values() for job in each], row.name, console, workers)
    for precision in PRECISIONS:
        if precision not in done:
            parts = [job.numbers() for job in jobs[precision]]
            done[precision] = _together(row, precision, parts, f"{where}{' --full' if full else ''}")
            done[precision] |= {} if file is None else {"events": file}
            artifact.save(paths[precision], KIND, VERSION, done[precision])
        console.print(f"{row.name}, {precision}: {_sentence(done[precision])}", highlight=False)
    wrong = {p: c["differing"] for p, c in done.items() if c["differing"]}
    if wrong:
        raise Mismatch(f"{row.name}: these differ from the golden model: {wrong}")
    return {"row": row.name, "precisions": {p: done[p] for p in PRECISIONS}}


def _work(todo: Sequence[Job], name: str, console: Console, workers: int) -> None:
    if len(todo) < 2 or workers == 1:
        work(functools.partial(_do, console=console), todo, 0, name, None)
        return
    with shown(console, {name: f"{name}, trainings"}) as progress:
        work(_do, todo, 0, name, progress, workers)


def _do(job: Job, console: Console | None = None) -> None:
    """Train and measure, and leave the numbers in the training's folder; from an earlier run if they are there.

    Raises:
        SpecError: the program is another one than when the run started.
    """
    from trigger_ml.frontends import session

    if program() != job.code:
        raise SpecError("the program was changed while this row ran: run it again, it does the rest with the new one")
    place = Place(job.row, job.folder, job.precision.replace("-", "_"), console)
    with artifact.exclusive(place.folder):
        if job.numbers() is None:
            session.start()
            found = task(job.row.objective.name)(place, _source(job.home, job.row.sample, job.file), job.precision)
            artifact.save(job.folder / NUMBERS, ONE, VERSION, {"spec": job.made_from, **_plain(found)})


def _kept(path: Path, row: Row, file: str | None) -> Any:
    """The numbers of a precision, if they are of this spec and these events, and nothing differed."""
    content = kept(path, row)
    return content if content and content.get("events") == file and not content["differing"] else None


def _digest(row: Row, home: Path) -> str | None:
    """Digest of the row's file of events and of what the source reads beside it; None if it has none.

    Raises:
        SpecError: the source reads no files.
    """
    module = events.module(row.sample.name)
    if not row.sample.file:
        return None
    if not hasattr(module, "read"):
        raise SpecError(f"[sample] file is set, but the source {row.sample.name} reads no files: take the key out")
    file = home / row.sample.file
    files = [file, *(path for path in getattr(module, "beside", lambda path: ())(file) if path.exists())]
    return artifact.digest_json([artifact.digest_path(path) for path in files])


def _plain(measured: Measured) -> dict[str, Any]:
    content = dataclasses.asdict(measured)
    return {**content, "differing": list(measured.differing)}


def _together(row: Row, precision: Precision, trainings: Sequence[Mapping[str, Any]], asked: str) -> dict[str, Any]:
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
        "command": f"trigger-ml offline run {asked}",
        "date": datetime.date.today().isoformat(),
    }


@functools.lru_cache(maxsize=1)
def _source(home: Path, sample: Sample, file: str | None) -> Source:
    """The events; ``file``, the digest of theirs, if they have one, tells when to read them again."""
    module = events.module(sample.name)
    found: Source = module.source() if file is None else module.read(home / sample.file)
    return found


def _sentence(content: Mapping[str, Any]) -> str:
    numbers = ", ".join(f"{k} {n['value']:.4g} +- {n['error']:.2g}" for k, n in content["metrics"].items())
    return f"{numbers}; {'every lowering equal' if not content['differing'] else 'LOWERINGS DIFFER'}"
