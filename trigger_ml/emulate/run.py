"""``trigger-ml emulate``: a bundle's scores and decisions for files of events, exact, in constant memory, resumable.

Every file is looked at first, then cut into chunks; each chunk's results are a part on disk, named by digests of the
model and the file, so that a second call goes on where the first was stopped. The output is put together from the parts
in the order of the files, whoever made them and whenever.
"""

from __future__ import annotations

import hashlib
import shutil
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from trigger_ml import artifact, scheduling
from trigger_ml.emulate import output, readers
from trigger_ml.emulate.chunks import Chunk, Outcome, finished
from trigger_ml.emulate.chunks import run as run_chunk
from trigger_ml.emulate.engine import Model, prepare
from trigger_ml.emulate.events import IDS, Source, Wanted, cuts
from trigger_ml.errors import SampleError, SpecError
from trigger_ml.passes.decision import NAME as DECISION

if TYPE_CHECKING:
    from rich.console import Console

FAIL, SKIP = "fail", "skip"
CHUNK = 250_000
VERSION = 1
"""Of the output and of the parts."""


@dataclass(frozen=True)
class Asked:
    """How to run.

    Attributes:
        dataset: which part of each file; None: all.
        on_error: ``fail``, or ``skip`` files that can't be read, which the result then lists.
        workers: processes here.
        scheduler: address of a Dask scheduler instead.
        chunk: events in a part, about; nothing but the speed depends on it.
    """

    dataset: str | None = None
    on_error: str = FAIL
    workers: int = 1
    scheduler: str | None = None
    chunk: int = CHUNK


@dataclass(frozen=True)
class File:
    """One of the files given: what it is, or why it is left out.

    Attributes:
        path: as given.
        size: bytes; -1 if it can't be read.
        digest: sha256 of its size and of 64 KiB at each of up to 16 places, the first and the last among them.
        source: its layout.
        reason: why it is left out.
    """

    path: Path
    size: int
    digest: str
    source: Source | None
    reason: str | None = None


def emulate(
    bundle: Path, paths: Sequence[Path], console: Console, to: Path | None = None, asked: Asked | None = None
) -> Mapping[str, Any]:
    """Score all events of ``paths``.

    Args:
        bundle: what `trigger-ml bundle` wrote.
        paths: HDF5, ROOT or Parquet files; see ``emulate/readers``.
        console: for progress.
        to: the output, ``.parquet`` or ``.root``; by default ``<bundle>_scores.parquet`` in the current folder.
        asked: how.

    Returns:
        Events, accepted events, files with the events of each, skipped files with the reason, seconds, events a second.

    Raises:
        SpecError: what is asked for makes no sense.
        SampleError: a file can't be read, and is not to be skipped; or all were skipped.
        ArtifactError: the bundle is damaged, or another process writes the same output.
        ToolMissing, ToolFailed: the compiler, a reader's package, the scheduler.
    """
    asked = asked or Asked()
    to = to or Path(f"{bundle.stem}_scores.parquet")
    _check(asked, paths, to)
    model, said = prepare(bundle)
    console.print(said, highlight=False, markup=False)
    files = [_looked_at(path, Wanted(model.elements, asked.dataset)) for path in paths]
    key = artifact.digest_json(
        {"version": VERSION, "graph": model.digest, "dataset": asked.dataset, "files": [_known(f) for f in files]}
    )
    _stop_or_say(files, asked, console)
    for remark in sorted({file.source.remark for file in files if file.source is not None and file.source.remark}):
        console.print(f"note: {remark}", style="yellow", highlight=False, markup=False)
    done = output.read_about(to) if to.exists() else None
    if to.exists() and (done is None or "key" not in done):
        raise SpecError(f"{to} exists and was not written by emulate: give --to another name, or remove it")
    if done is not None and done["key"] == key:
        left_out = next((file for file in done["files"] if "skipped" in file), None)
        if left_out is not None and asked.on_error == FAIL:
            raise SampleError(
                f"{to} was made without {left_out['name']} ({left_out['skipped']}): mend it, or skip it again"
            )
        said = f"{to} is there already, of the same files and model: nothing to do"
        console.print(said, highlight=False, markup=False)
        return _summary(to, done, model, {"parts_found": 0, "seconds": 0.0, "events_per_s": None}, {})
    parts = to.with_name(f"{to.name}.parts")
    with artifact.exclusive(parts):
        about, cost, reasons = _all(model, files, console, asked, parts, to, key)
        shutil.rmtree(parts)
    summary = _summary(to, about, model, cost, reasons)
    _say(summary, console)
    return summary


def _check(asked: Asked, paths: Sequence[Path], to: Path) -> None:
    output.check_format(to)
    places = [path.resolve() for path in paths]
    twice = next((path for path, place in zip(paths, places, strict=True) if places.count(place) > 1), None)
    if twice is not None:
        raise SpecError(f"{twice} is given twice: its events would count twice")
    if to.resolve() in places:
        raise SpecError(f"{to} is one of the files to read: give --to another name")
    if asked.on_error not in (FAIL, SKIP):
        raise SpecError(f"--on-error {asked.on_error!r} is unknown: give {FAIL} or {SKIP}")
    if asked.scheduler is not None and asked.workers > 1:
        raise SpecError("--workers starts workers here and --scheduler uses those elsewhere: give one of them")
    if not paths:
        raise SpecError("no file is given: name the files of events")


def _looked_at(path: Path, wanted: Wanted) -> File:
    size, digest = -1, ""
    try:
        source = replace(readers.survey(path, wanted), path=path.resolve())
        size, digest = identity(path)
    except SampleError as error:
        return File(path, size, digest, None, str(error))
    return File(path, size, digest, source)


def identity(path: Path, step: int = 1 << 16, places: int = 16) -> tuple[int, str]:
    """Size of a file, and a digest of it and of ``places`` stretches of ``step`` bytes: cheap on files of any size."""
    size = path.stat().st_size
    total = hashlib.sha256(str(size).encode())
    with path.open("rb") as file:
        for start in sorted({max(size - step, 0) * i // (places - 1) for i in range(places)}):
            file.seek(start)
            total.update(file.read(step))
    return size, total.hexdigest()


def _known(file: File) -> dict[str, Any]:
    parts = [list(p) for p in file.source.parts] if file.source else []
    return {"name": file.path.name, "size": file.size, "digest": file.digest, "parts": parts}


def _stop_or_say(files: Sequence[File], asked: Asked, console: Console) -> None:
    for file in files:
        if file.reason is not None:
            if asked.on_error == FAIL:
                raise SampleError(file.reason)
            console.print(f"skipped: {file.reason}", style="yellow", highlight=False, markup=False)
    if all(file.reason is not None for file in files):
        raise SampleError(f"none of the {len(files)} files can be read; the first: {files[0].reason}")


# -- the work ---------------------------------------------------------------------------------------------------------


def _all(
    model: Model, files: list[File], console: Console, asked: Asked, parts: Path, to: Path, key: str
) -> tuple[dict[str, Any], dict[str, Any], dict[int, str]]:
    """Do what is missing and write the output; returns what it is about, what it cost, and why files were left out."""
    begin = time.monotonic()
    chunks = [c for i, file in enumerate(files) for c in _chunks(i, file, model, asked.chunk, parts)]
    had = [outcome for outcome in map(finished, chunks) if outcome is not None]
    known = {(outcome.file, outcome.start) for outcome in had}
    missing = [chunk for chunk in chunks if (chunk.file, chunk.start) not in known]
    found = had + list(_watched(missing, had, console, asked))
    _unchanged(files)
    files = _without_broken(files, found, asked, console)
    whole = [chunk for chunk in chunks if files[chunk.file].source is not None]
    about = _about(model, files, found, key)
    with console.status("writing the output ..."):
        output.write(to, _batches(whole, files, model), about)
    seconds = time.monotonic() - begin
    now = sum(outcome.events for outcome in found if not outcome.again)
    cost = {"parts_found": len(had), "seconds": seconds, "events_per_s": now / seconds if now else None}
    return about, cost, {i: file.reason for i, file in enumerate(files) if file.reason is not None}


def _chunks(number: int, file: File, model: Model, size: int, parts: Path) -> Iterator[Chunk]:
    source = file.source
    if source is None:
        return
    layout = {name: value for name, value in asdict(source).items() if name != "path"}
    what = {"version": VERSION, "graph": model.digest, "digest": file.digest, "layout": layout}
    folder = parts / artifact.digest_json(what)[:32]
    at = cuts(source.edges, size, whole=source.whole)
    for start, stop in zip(at, at[1:], strict=False):
        inner = (start, *(e for e in source.edges if start < e < stop), stop)
        yield Chunk(number, replace(source, edges=inner), start, stop, model, folder / f"{start}-{stop}.npz")


def _watched(chunks: list[Chunk], had: list[Outcome], console: Console, asked: Asked) -> Iterator[Outcome]:
    """The outcomes of ``chunks``, with a bar of events done and their rate."""
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    before = sum(outcome.events for outcome in had)
    total = before + sum(chunk.stop - chunk.start for chunk in chunks)
    if had:
        console.print(f"going on: {before:,} of {total:,} events are there", highlight=False)
    columns = (
        BarColumn(),
        TextColumn("{task.completed:,.0f} of {task.total:,.0f} events"),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
    )
    begin, now = time.monotonic(), 0
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("", total=total, completed=before, rate="")
        for outcome in scheduling.results(run_chunk, chunks, _named, asked.workers, asked.scheduler):
            now += outcome.events
            rate = now / max(time.monotonic() - begin, 1e-9)
            bar.update(task, completed=before + now, rate=f"{rate:,.0f} events/s")
            if outcome.reason is not None and asked.on_error == FAIL:
                raise SampleError(outcome.reason)
            yield outcome


def _unchanged(files: Iterable[File]) -> None:
    for file in files:
        if file.source is not None and (not file.path.exists() or identity(file.path) != (file.size, file.digest)):
            raise SampleError(f"{file.path} has changed while it was read: start again when it is finished")


def _without_broken(files: list[File], found: Iterable[Outcome], asked: Asked, console: Console) -> list[File]:
    """The files, those left out of which some chunk could not be read: a file counts whole or not at all."""
    reasons: dict[int, tuple[int, str]] = {}
    for outcome in found:
        if outcome.reason is not None:
            here = (outcome.start, outcome.reason)
            reasons[outcome.file] = min(here, reasons.get(outcome.file, here))
    broken = [
        replace(file, source=None, reason=reasons[i][1]) if i in reasons else file for i, file in enumerate(files)
    ]
    _stop_or_say([file for i, file in enumerate(broken) if i in reasons or file.reason is None], asked, console)
    return broken


def _about(model: Model, files: list[File], found: Iterable[Outcome], key: str) -> dict[str, Any]:
    """What the output was made of: names without folders, so that it does not depend on the place."""
    events = dict.fromkeys(range(len(files)), 0)
    accepted = dict.fromkeys(range(len(files)), 0)
    for outcome in found:
        events[outcome.file] += outcome.events
        accepted[outcome.file] += outcome.accepted or 0
    listed = []
    for i, file in enumerate(files):
        entry: dict[str, Any] = {"name": file.path.name, "size": file.size, "digest": file.digest}
        if file.source is None:
            listed.append({**entry, "skipped": _reason_anywhere(file)})
            continue
        took = accepted[i] if model.decides else None
        parts = [{"name": name, "events": count} for name, count in file.source.parts]
        entry |= {"reader": file.source.reader, "parts": parts, "events": events[i], "accepted": took}
        listed.append(entry | ({"remark": file.source.remark} if file.source.remark else {}))
    about = {"version": VERSION, "key": key, "graph_digest": model.digest, "bundle": model.name, "files": listed}
    return about | ({"columns": {name: list(names) for name, names in model.columns}} if model.columns else {})


def _reason_anywhere(file: File) -> str:
    """Why a file is left out, in words that depend neither on its place nor on how it was cut."""
    if file.size >= 0:
        return "it is damaged: not all of its events can be read"
    reason = str(file.reason)
    for place in (str(file.path.resolve()), str(file.path)):
        reason = reason.replace(place, file.path.name)
    return reason


def _batches(chunks: Iterable[Chunk], files: list[File], model: Model) -> Iterator[dict[str, Any]]:
    """Columns of the output, some events at a time, in order."""
    ids = any(file.source is not None and file.source.ids for file in files)
    yield _columns(0, 0, {name: np.empty((0, size), np.int64) for name, size in model.outputs}, 0, ids)
    for chunk in chunks:
        arrays, count = artifact.read_npz(chunk.part), chunk.stop - chunk.start
        for i in range(0, count, output.ROWS):  # a chunk is as long as its row group, however long that is
            some = {name: values[i : i + output.ROWS] for name, values in arrays.items()}
            yield _columns(chunk.file, chunk.start + i, some, min(output.ROWS, count - i), ids)


def _columns(file: int, start: int, arrays: Mapping[str, Any], count: int, ids: bool) -> dict[str, Any]:
    columns = {"file": np.full(count, file, np.int32), "index": np.arange(start, start + count, dtype=np.int64)}
    for name, values in arrays.items():
        if name == DECISION and values.shape[1] == 1:
            columns[name] = values[:, 0].astype(bool)
        elif not name.startswith("id."):
            stem = f"output_{name}" if name in ("file", "index", output.VALID, *IDS) else name
            each = [stem] if values.shape[1] == 1 else [f"{stem}_{i}" for i in range(values.shape[1])]
            twice = next((column for column in each if column in columns), None)
            if twice is not None:
                raise SpecError(f"two outputs of the model would be the column {twice}: give one of them another name")
            columns |= dict(zip(each, values.T.astype(np.int64), strict=True))
    if ids:
        for name, kind in IDS.items():
            columns[name] = arrays.get(f"id.{name}", np.zeros(count)).astype(kind)
        columns[output.VALID] = np.full(count, f"id.{next(iter(IDS))}" in arrays)
    return columns


def _summary(
    to: Path, about: Mapping[str, Any], model: Model, cost: Mapping[str, Any], reasons: Mapping[int, str]
) -> dict[str, Any]:
    skipped = [
        {"name": file["name"], "reason": reasons.get(i, file["skipped"])}
        for i, file in enumerate(about["files"])
        if "skipped" in file
    ]
    read = [file for file in about["files"] if "skipped" not in file]
    accepted = sum(file["accepted"] for file in read) if model.decides else None
    return {
        "output": str(to),
        "bundle": about["bundle"],
        "graph_digest": about["graph_digest"],
        "engine": model.engine,
        "events": sum(file["events"] for file in read),
        "accepted": accepted,
        "files": read,
        "skipped": skipped,
        **cost,
    }


def _say(summary: Mapping[str, Any], console: Console) -> None:
    accepted = "" if summary["accepted"] is None else f", {summary['accepted']:,} accepted"
    rate = "" if summary["events_per_s"] is None else f", {summary['events_per_s']:,.0f} events/s"
    skipped = f", {len(summary['skipped'])} files skipped" if summary["skipped"] else ""
    read = f"{summary['events']:,} events of {len(summary['files'])} files"
    console.print(f"{summary['output']}: {read}{accepted}{skipped}{rate}", highlight=False, markup=False)


def _named(chunk: Chunk) -> str:
    return f"{chunk.source.path}: the work on events {chunk.start} to {chunk.stop}"
