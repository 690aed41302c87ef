"""Parquet files of hardware integers: one column of lists, or one integer column for each input.

Columns with the 57 feature names (``met_pt`` ... ``jet9_phi``) are taken by name; else there must be exactly as many
integer columns as the model has inputs, and they are taken as they stand. ``--dataset`` names the column of lists.
``run``, ``luminosityBlock`` and ``event`` are carried along and never taken for inputs.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trigger_ml import tools
from trigger_ml.emulate.events import BLOCK, IDS, Block, Source, Wanted, thinned
from trigger_ml.emulate.readers.hdf5 import signed
from trigger_ml.errors import SampleError
from trigger_ml.samples.features import FEATURES

ADVICE = "get the file again, or correct the program that wrote it"


def survey(path: Path, wanted: Wanted) -> Source:
    """The columns to read; see the module."""
    with _opened(path) as file:
        schema, meta = file.schema_arrow, file.metadata
        names = _columns(schema, path, wanted)
        ids = all(name in schema.names and _integer(schema.field(name).type) for name in IDS)
        ends = list(accumulate(meta.row_group(i).num_rows for i in range(meta.num_row_groups)))
        count = int(meta.num_rows)
    if (ends[-1] if ends else 0) != count:
        raise SampleError(f"{path}: the row groups don't hold the {count} events that the file claims: {ADVICE}")
    edges = thinned(sorted({0, *ends}))
    return Source(path, "parquet", (("rows", count),), edges, whole=True, ids=ids, details=names)


def read(source: Source, start: int, stop: int) -> Iterator[Block]:
    """Events as they stand in the file, in batches; never a whole row group at once."""
    names, path = source.details, source.path
    wanted = [*names, *(IDS if source.ids else ())]
    with _opened(path) as file:
        ends = list(accumulate(file.metadata.row_group(i).num_rows for i in range(file.metadata.num_row_groups)))
        groups = [i for i, end in enumerate(ends) if start < end and end - file.metadata.row_group(i).num_rows < stop]
        here = ends[groups[0]] - file.metadata.row_group(groups[0]).num_rows if groups else start
        for batch in file.iter_batches(BLOCK, row_groups=groups, columns=wanted, use_threads=False):
            a, b = max(start - here, 0), min(stop - here, batch.num_rows)
            here += batch.num_rows
            if a < b:
                part = batch.slice(a, b - a)
                x = _integers(part, names, path)
                yield Block(
                    x,
                    {n: _numbers(part.column(n), n, path).astype(kind) for n, kind in IDS.items()}
                    if source.ids
                    else {},
                )
    if here < stop:
        raise SampleError(f"{path} ended at event {here} of {stop}: {ADVICE}")


def columns(path: Path) -> list[str]:
    """Names of the columns of a file.

    Raises:
        SampleError: the file is truncated or damaged.
    """
    with _opened(path) as file:
        return list(file.schema_arrow.names)


def _columns(schema: Any, path: Path, wanted: Wanted) -> tuple[str, ...]:
    """One name, of a column of lists, or as many as the model has inputs."""
    types = {field.name: field.type for field in schema}
    if len(types) < len(schema):
        raise SampleError(f"{path} has two columns of one name: {ADVICE}")
    if wanted.dataset is not None:
        if wanted.dataset not in types:
            raise SampleError(f"{path} has no column {wanted.dataset!r}: correct --dataset")
        types = {wanted.dataset: types[wanted.dataset]}
    lists = [name for name, kind in types.items() if _list_of(kind, wanted.elements)]
    features = tuple(feature.name for feature in FEATURES)
    whole = tuple(name for name, kind in types.items() if _integer(kind) and name not in IDS)
    if wanted.elements == len(features) and set(features) <= set(whole):
        return features
    if len(lists) == 1:
        return (lists[0],)
    if not lists and len(whole) == wanted.elements:
        return whole
    shown = ", ".join(f"{name} {kind}" for name, kind in list(types.items())[:5]) or "nothing"
    raise SampleError(
        f"{path} should have one column of lists of {wanted.elements} integers, or {wanted.elements} integer columns; "
        f"it has {len(types)} columns: {shown}; give such a file, or --dataset"
    )


def _list_of(kind: Any, elements: int) -> bool:
    from pyarrow import types

    fixed = types.is_fixed_size_list(kind)
    is_list = fixed or types.is_list(kind) or types.is_large_list(kind)
    return is_list and _integer(kind.value_type) and (not fixed or kind.list_size == elements)


def _integer(kind: Any) -> bool:
    from pyarrow import types

    return types.is_integer(kind)


def _integers(batch: Any, names: tuple[str, ...], path: Path) -> NDArray[np.signedinteger]:
    if len(names) > 1:
        columns = [signed(_numbers(batch.column(name), name, path), f"{path}: {name}") for name in names]
        return np.stack(columns, axis=1)
    column = batch.column(names[0])
    if column.null_count:
        raise SampleError(f"{path}: column {names[0]} has empty cells: {ADVICE}")
    flat = signed(_numbers(column.flatten(), names[0], path), f"{path}: {names[0]}")
    lengths = column.value_lengths().to_numpy(zero_copy_only=False)
    if len(lengths) and (lengths != lengths[0]).any():
        raise SampleError(f"{path}: the lists in {names[0]} have different lengths: {ADVICE}")
    return flat.reshape(len(column), int(lengths[0]) if len(lengths) else 0)


def _numbers(column: Any, name: str, path: Path) -> NDArray[Any]:
    if column.null_count:
        raise SampleError(f"{path}: column {name} has empty cells: {ADVICE}")
    return column.to_numpy(zero_copy_only=False)


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """The file, open for reading; what pyarrow can't do with it becomes one sentence."""
    arrow, parquet = tools.package("pyarrow"), tools.package("pyarrow.parquet")
    options = {"page_checksum_verification": True, "pre_buffer": False, "memory_map": False, "buffer_size": 1 << 20}
    try:
        with parquet.ParquetFile(path, **options) as file:
            yield file
    except (arrow.ArrowException, OSError, ValueError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise SampleError(f"{path} is not a whole Parquet file ({reason[:120].rstrip('.:')}): {ADVICE}") from None
