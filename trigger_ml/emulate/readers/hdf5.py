"""HDF5 files of hardware integers: two-dimensional integer datasets, one row an event, one column an input.

All datasets of the right width are read in the order of their names, or only the one (or the group) that is asked for.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trigger_ml.emulate.events import Block, Source, Wanted, thinned
from trigger_ml.errors import SampleError

ADVICE = "get the file again, or correct the program that wrote it"
PIECE = 64 << 20
"""Bytes that are read at once: a column of a compressed chunk is unpacked whole whatever part of it is wanted."""


@contextlib.contextmanager
def opened(path: Path) -> Iterator[Any]:
    """The file, open for reading; what h5py can't do with it becomes one sentence.

    Raises:
        SampleError: the file is truncated or damaged.
    """
    import h5py

    try:
        with h5py.File(path, "r") as file:
            yield file
    except (OSError, RuntimeError, KeyError, TypeError, ValueError, UnicodeDecodeError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")
        raise SampleError(f"{path} is not a whole HDF5 file ({reason}): {ADVICE}") from None


def survey(path: Path, wanted: Wanted) -> Source:
    """The datasets to read; see the module."""
    with opened(path) as file:
        names = _names(file, path, wanted)
        return described(path, "hdf5", [(name, file[name]) for name in names])


def read(source: Source, start: int, stop: int) -> Iterator[Block]:
    """Events as they stand in the file."""
    for x in rows(source, start, stop):
        yield Block(x, {})


def described(path: Path, reader: str, datasets: Sequence[tuple[str, Any]]) -> Source:
    """A source of these datasets, best cut at the chunks that they are stored in.

    Raises:
        SampleError: a dataset has holes, which HDF5 would fill with zeros.
    """
    edges, total = [0], 0
    for name, data in datasets:
        if not _stored(data):
            raise SampleError(f"{path}: {name} was never written to its end: {ADVICE}")
        step = data.chunks[0] if data.chunks else max(len(data), 1)
        edges += [total + i for i in range(step, len(data), step)] + [total + len(data)] * bool(len(data))
        total += len(data)
    return Source(path, reader, tuple((name, len(data)) for name, data in datasets), thinned(edges))


def _stored(data: Any) -> bool:
    """True if all of a dataset is in the file."""
    if data.size == 0:
        return True
    if data.chunks is None:
        return int(data.id.get_storage_size()) >= data.size * data.dtype.itemsize
    whole = math.prod(-(-extent // step) for extent, step in zip(data.shape, data.chunks, strict=True))
    return int(data.id.get_num_chunks()) == whole


def rows(source: Source, start: int, stop: int) -> Iterator[NDArray[np.signedinteger]]:
    """Integers of the events ``start`` to ``stop``, counted over all parts, a piece at a time.

    Raises:
        SampleError: the file is damaged, or no longer what it was when it was looked at.
    """
    first = 0
    with opened(source.path) as file:
        for name, count in source.parts:
            a, b = max(start - first, 0), min(stop - first, count)
            first += count
            if a >= b:
                continue
            data = file[name]
            step = max(PIECE // max(data.dtype.itemsize * data.shape[1], 1), 1)
            for i in range(a, b, step):
                j = min(i + step, b)
                x = data[i:j]
                if len(x) != j - i:
                    raise SampleError(f"{source.path}: {name} has become shorter than {count} events: {ADVICE}")
                yield signed(x, f"{source.path}: {name}")


def signed(x: NDArray[Any], where: str) -> NDArray[np.signedinteger]:
    """The same integers in a signed type of the machine's byte order.

    Raises:
        SampleError: an integer of 2**63 or above.
    """
    if x.dtype == np.uint64 and x.size and x.max() > np.iinfo(np.int64).max:
        raise SampleError(f"{where} holds an integer of 64 bits: {ADVICE}")
    kind = np.int64 if x.dtype.itemsize == 8 else np.result_type(x.dtype, np.int16)
    return x.astype(kind, copy=False)


def _names(file: Any, path: Path, wanted: Wanted) -> list[str]:
    import h5py

    found: dict[str, Any] = {}
    file.visititems(lambda name, item: found.update({name: item}) if isinstance(item, h5py.Dataset) else None)
    asked = wanted.dataset
    if asked is not None:
        found = {n: d for n, d in found.items() if n == asked.strip("/") or n.startswith(f"{asked.strip('/')}/")}
        if not found:
            raise SampleError(f"{path} has no dataset or group {asked!r}: correct --dataset")
    right = [n for n, d in found.items() if fits(d, wanted.elements)]
    if not right or (asked is not None and len(right) < len(found)):
        shown = "; ".join(f"{n} {d.dtype} {d.shape}" for n, d in list(found.items())[:5]) or "none"
        raise SampleError(
            f"{path} should hold integer datasets of {wanted.elements} columns, and holds: {shown}; give such a file"
        )
    return sorted(right)


def fits(data: Any, elements: int) -> bool:
    """True for a dataset of integers with so many columns."""
    import h5py

    if not isinstance(data, h5py.Dataset):
        return False
    return data.dtype.kind in "iu" and data.ndim == 2 and data.shape[1] == elements
