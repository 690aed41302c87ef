"""One chunk of one file: read, evaluated and written as a part, whole or not at all; what a worker does."""

from __future__ import annotations

import os
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trigger_ml import artifact
from trigger_ml.bundle import open_bundle
from trigger_ml.emulate import readers
from trigger_ml.emulate.engine import Model, evaluator
from trigger_ml.emulate.events import IDS, Block, Source
from trigger_ml.errors import ArtifactError, GraphError, SampleError
from trigger_ml.ir.bounds import bounds
from trigger_ml.passes.decision import NAME as DECISION


@dataclass(frozen=True)
class Chunk:
    """Some consecutive events of a file, small enough to be sent anywhere.

    Attributes:
        file: number of the file among those given.
        source: the file.
        start, stop: its events.
        model: what evaluates them.
        part: the file that gets the results, on a disk that all workers share.
    """

    file: int
    source: Source
    start: int
    stop: int
    model: Model
    part: Path


@dataclass(frozen=True)
class Outcome:
    """What became of a chunk.

    Attributes:
        file: as in the chunk.
        start: as in the chunk.
        events: in the part; 0 if there is none.
        accepted: events whose decision is 1; None if the graph decides nothing.
        reason: why the file can't be read, one sentence; None if it could.
        again: True if the part was there already.
    """

    file: int
    start: int
    events: int
    accepted: int | None
    reason: str | None = None
    again: bool = False


def run(chunk: Chunk) -> Outcome:
    """Evaluate a chunk and write its part; a file that can't be read is an outcome, anything else is raised."""
    try:
        arrays = _results(chunk)
    except SampleError as error:
        return Outcome(chunk.file, chunk.start, 0, None, str(error))
    _write(chunk.part, arrays)
    return _outcome(chunk, arrays, again=False)


def finished(chunk: Chunk) -> Outcome | None:
    """The outcome of a chunk whose part is there, whole and of the right length; else None."""
    try:
        arrays = artifact.read_npz(chunk.part)
    except ArtifactError:
        return None
    count = chunk.stop - chunk.start
    names = {*(name for name, _ in chunk.model.outputs), *(f"id.{name}" for name in IDS if chunk.source.ids)}
    if set(arrays) != names or any(len(values) != count for values in arrays.values()):
        return None
    return _outcome(chunk, arrays, again=True)


def _outcome(chunk: Chunk, arrays: dict[str, NDArray[Any]], again: bool) -> Outcome:
    accepted = int(arrays[DECISION].sum()) if chunk.model.decides else None
    return Outcome(chunk.file, chunk.start, chunk.stop - chunk.start, accepted, again=again)


def _results(chunk: Chunk) -> dict[str, NDArray[Any]]:
    source, evaluate = chunk.source, evaluator(chunk.model)
    found: list[dict[str, NDArray[Any]]] = []
    at = chunk.start
    for block in readers.find(source.reader).read(source, chunk.start, chunk.stop):
        found.append({name: _small(values) for name, values in _evaluated(chunk, block, at, evaluate).items()})
        at += len(block.x)
    if at != chunk.stop:
        raise SampleError(
            f"{source.path} gave {at - chunk.start} events from {chunk.start} to {chunk.stop}: get it again"
        )
    return {name: _small(np.concatenate([part[name] for part in found])) for name in found[0]}


def _small(values: NDArray[Any]) -> NDArray[Any]:
    """The same integers in the smallest type that holds them."""
    lo, hi = int(values.min(initial=0)), int(values.max(initial=0))
    unsigned, signed = (np.uint8, np.uint16, np.uint32, np.uint64), (np.int8, np.int16, np.int32, np.int64)
    return values.astype(
        next(k for k in (signed if lo < 0 else unsigned) if hi <= np.iinfo(k).max and np.iinfo(k).min <= lo)
    )


def _evaluated(chunk: Chunk, block: Block, at: int, evaluate: Any) -> dict[str, NDArray[Any]]:
    path, elements = chunk.source.path, chunk.model.elements
    if block.x.ndim != 2 or block.x.shape[1] != elements:
        raise SampleError(
            f"{path}: event {at} has {block.x.shape[1]} integers, the model reads {elements}: give another"
        )
    try:
        answers = evaluate(block.x)
    except GraphError:
        outside = _outside(chunk, block.x, at)
        if outside is None:
            raise
        raise SampleError(f"{path}: {outside}: get it again, or use another model") from None
    return {**answers, **{f"id.{name}": values for name, values in block.ids.items()}}


def _outside(chunk: Chunk, x: NDArray[np.signedinteger], at: int) -> str | None:
    """The first integer outside the model's input, with its event, column and range; None if all are inside.

    Args:
        chunk: what is read.
        x: ``(events, elements)``.
        at: number of the first event in the file.
    """
    source, port = chunk.source, bounds(open_bundle(chunk.model.bundle).graph)[chunk.model.input]
    lo, hi = (ends.astype(np.int64).ravel() for ends in (port.lo, port.hi))
    wrong = np.argwhere((x < lo) | (x > hi))
    if not len(wrong):
        return None
    i, j = (int(n) for n in wrong[0])
    column = f"column {source.details[j]}" if len(source.details) == x.shape[1] > 1 else f"column {j} (the first is 0)"
    return f"event {at + i} holds {x[i, j]} in {column}, outside the model's input range {lo[j]}...{hi[j]}"


def _write(path: Path, arrays: dict[str, NDArray[Any]]) -> None:
    """As ``artifact.write_npz``, but not compressed, and under a temporary name that no other machine's worker has."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
    try:
        with os.fdopen(handle, "wb") as file, zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
            for key, values in arrays.items():
                with archive.open(f"{key}.npy", "w") as member:
                    np.lib.format.write_array(member, values, allow_pickle=False)
        Path(name).replace(path)
    finally:
        Path(name).unlink(missing_ok=True)
