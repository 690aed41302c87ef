"""CMS's public Level-1 data, one row an event: Zenodo 10.5281/zenodo.21787779 as mirrored on Hugging Face.

``data/<data set>/<split>-NNNNN-of-NNNNN.parquet`` has a list column for each ``<collection>_<branch>``: hardware
integers of the objects of the crossing itself, calorimeter objects in falling order of pT, muons in the order of the
readout. MET is a list of one. A muon's pT counts from 1, so 1 is subtracted; all other scales are those of
``features.py``. Layout and scales are from the program that wrote the data, ``publish/huggingface.py`` and
``publish/card.py`` of github.com/bb511/adl1t_datamaker at 1487a27 and 8f29bb3.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trigger_ml import tools
from trigger_ml.errors import SampleError
from trigger_ml.samples.slots import ADVICE, KIND, Objects, rows

COLUMNS = {
    "met": ("MET_Et", "", "MET_phi"),
    "eg": ("egammas_egIEt", "egammas_egIEta", "egammas_egIPhi"),
    "mu": ("muons_muonIEt", "muons_muonIEtaAtVtx", "muons_muonIPhiAtVtx"),
    "jet": ("jets_jetIEt", "jets_jetIEta", "jets_jetIPhi"),
}
"""Columns of pT, eta and phi by kind of object; MET has no eta."""

NAMES = tuple(name for columns in COLUMNS.values() for name in columns if name)
"""All of them."""

BLOCK = 32_768
"""Events decoded at a time."""


def read(path: Path, stop: int | None = None) -> NDArray[np.int16]:
    """The events of a file, or the first ``stop`` of them, as hardware integers (events, 57).

    Raises:
        SampleError: it is missing, damaged, of another layout, without events, or holds impossible objects.
        ToolMissing: pyarrow is not installed.
    """
    edges = look(path)
    end = edges[-1] if stop is None else min(stop, edges[-1])
    if end == 0:
        raise SampleError(f"{path} holds no event: {ADVICE}")
    return np.concatenate([x for x, _ in blocks(path, 0, end)])


def look(path: Path, others: Sequence[str] = ()) -> list[int]:
    """Event numbers, from 0 to the last, at which a row group begins; the layout is checked, not the events.

    Raises:
        SampleError: it is missing, damaged, or has another layout; or a column of ``others`` is missing.
        ToolMissing: pyarrow is not installed.
    """
    with _opened(path) as file:
        known = {field.name: field.type for field in file.schema_arrow}
        for name in (*NAMES, *others):
            if name not in known:
                raise SampleError(f"{path} has no column {name}: give a file of CMS's public Level-1 data")
            if name in NAMES and not _integers(known[name]):
                raise SampleError(f"{path}: column {name} is {known[name]}, not lists of integers: {ADVICE}")
        sizes = [file.metadata.row_group(i).num_rows for i in range(file.metadata.num_row_groups)]
    return [0, *accumulate(size for size in sizes if size)]


def blocks(
    path: Path, start: int, stop: int, others: Sequence[str] = ()
) -> Iterator[tuple[NDArray[np.int16], dict[str, NDArray[Any]]]]:
    """Events ``start`` to ``stop`` as hardware integers, with other columns; never a whole row group at once.

    Raises:
        SampleError: the file is damaged, or holds impossible objects.
    """
    with _opened(path) as file:
        ends = list(accumulate(file.metadata.row_group(i).num_rows for i in range(file.metadata.num_row_groups)))
        begins = [0, *ends[:-1]]
        groups = [i for i, end in enumerate(ends) if start < end and begins[i] < stop]
        here = begins[groups[0]] if groups else start
        for batch in file.iter_batches(BLOCK, row_groups=groups, columns=[*NAMES, *others], use_threads=False):
            a, b = max(start - here, 0), min(stop - here, batch.num_rows)
            if a < b:
                part = batch.slice(a, b - a)
                rest = {name: part.column(name).to_numpy(zero_copy_only=False) for name in others}
                yield _events(part, path, here + a), rest
            here += batch.num_rows
    if here < stop:
        raise SampleError(f"{path} ended at event {here} of {stop}: {ADVICE}")


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[Any]:
    arrow, parquet = tools.package("pyarrow"), tools.package("pyarrow.parquet")
    if not path.is_file():
        raise SampleError(f"{path} is missing: download it, or correct the path")
    options = {"page_checksum_verification": True, "pre_buffer": False, "memory_map": False, "buffer_size": 1 << 20}
    try:
        with parquet.ParquetFile(path, **options) as file:
            yield file
    except (arrow.ArrowException, OSError, ValueError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise SampleError(f"{path} is not a whole Parquet file ({reason[:120].rstrip('.:')}): {ADVICE}") from None


def _integers(kind: Any) -> bool:
    types = tools.package("pyarrow.types")
    return (types.is_list(kind) or types.is_large_list(kind)) and types.is_integer(kind.value_type)


def _events(batch: Any, path: Path, first: int) -> NDArray[np.int16]:
    found = []
    for name, columns in COLUMNS.items():
        parts = {column: _flat(batch.column(column), f"{path}: column {column}") for column in columns if column}
        counts = parts[columns[0]][0]
        for column, (lengths, _) in parts.items():
            if not np.array_equal(lengths, counts):
                raise SampleError(f"{path}: {column} and {columns[0]} have different numbers of objects: {ADVICE}")
        if name == "met" and counts.max(initial=0) > 1:
            event = first + int(np.argmax(counts > 1))
            raise SampleError(f"{path}: event {event} has more than one {columns[0]}: {ADVICE}")
        zero = np.zeros(int(counts.sum()), np.int64)
        values = np.stack([parts[column][1] if column else zero for column in columns], -1)
        objects = Objects(KIND[name], np.repeat(np.arange(len(counts)), counts), values, True)
        objects.check(columns[0], path, first)
        if name == "mu":
            values[:, 0] -= 1
        found.append(objects)
    return rows(found, batch.num_rows)


def _flat(column: Any, where: str) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Number of objects in each event, and the values of all of them."""
    flat = column.flatten()
    if column.null_count or flat.null_count:
        raise SampleError(f"{where} has empty cells: {ADVICE}")
    lengths = column.value_lengths().to_numpy(zero_copy_only=False)
    return lengths.astype(np.int64), flat.to_numpy(zero_copy_only=False).astype(np.int64)
