"""Our HDF5 files of a background for rates: of any size, read in blocks, with a digest of its own.

It has ``background/all``, int16 (events, features), ``background/source``, int32 (events,), the attributes of a
sample's file (``layout.py``) and ``digest``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from trigger_ml import artifact
from trigger_ml.errors import SampleError
from trigger_ml.samples.contents import EVERY, OBJECTS, Contents
from trigger_ml.samples.layout import (
    ALL,
    REMAKE,
    VERSION,
    check_values,
    creating,
    dataset,
    header,
    leading_muon,
    opened,
    pileup_of,
    sources,
)  # fmt: skip

BLOCK = 2000
"""Events of a background for rates that are stored, and checked, together."""


@dataclass(frozen=True)
class BackgroundFile:
    """A background for rates that was looked at; its events are read in blocks.

    Attributes:
        path: the file.
        contents: what its events are.
        variant: e.g. ``zero_bias``.
        pileup: mean number of overlaid collisions.
        events: how many.
        digest: sha256 of the events and their sources, as the file states it.
        notes: one or two sentences that stand beside every figure made from it.
    """

    path: Path
    contents: Contents
    variant: str
    pileup: float
    events: int
    digest: str
    notes: str

    def blocks(self, size: int = 32 * BLOCK, start: int = 0, stop: int | None = None) -> Iterator[NDArray[np.int16]]:
        """Events ``start`` to ``stop`` in order, (at most ``size``, features) at a time.

        Raises:
            SampleError: if the file is damaged, or holds impossible values.
        """
        end = self.events if stop is None else min(stop, self.events)
        with opened(self.path) as file:
            data = dataset(file, f"background/{ALL}", self.path, self.contents)
            for i in range(start, end, size):
                x = np.asarray(data[i : min(i + size, end)])
                check_values(x, f"{self.path}: background/{ALL}", self.contents, i)
                yield x

    def source(self) -> NDArray[np.int64]:
        """The collision that each event counts for, see :class:`trigger_ml.samples.dataset.Sample`.

        Raises:
            SampleError: if the file is damaged.
        """
        muons = None
        if self.contents.objects:
            muons = np.concatenate([leading_muon(x) for x in self.blocks()])
        return sources(self._stored(), muons)

    def verify(self) -> None:
        """Read everything and compare the digest.

        Raises:
            SampleError: if the file is not what was written.
        """
        running = _Digest(self.events, self.contents)
        for x in self.blocks():
            running.update(x)
        if running.close(self._stored()) != self.digest:
            raise SampleError(f"{self.path} was changed after it was written (the digest differs): {REMAKE}")

    def _stored(self) -> NDArray[np.int32]:
        with opened(self.path) as file:
            return np.asarray(dataset(file, "background/source", self.path, self.contents)[...])


class _Digest:
    """What :func:`artifact.digest_arrays` gives for all events and sources, without all of them in memory."""

    def __init__(self, events: int, contents: Contents) -> None:
        shape = (events, len(contents.features))
        self._sha = hashlib.sha256(f"background/{ALL}\0<i2\0{shape}\0".encode())

    def update(self, x: NDArray[np.int16]) -> None:
        self._sha.update(np.ascontiguousarray(x, "<i2").tobytes())

    def close(self, source: NDArray[np.int32]) -> str:
        self._sha.update(f"background/source\0<i4\0{source.shape}\0".encode())
        self._sha.update(np.ascontiguousarray(source, "<i4").tobytes())
        return self._sha.hexdigest()


def write(
    path: Path,
    variant: str,
    pileup: float,
    events: int,
    blocks: Iterable[tuple[NDArray[np.integer], NDArray[np.integer]]],
    provenance: artifact.Json,
    contents: Contents = OBJECTS,
) -> str:
    """Write a background for rates, whole or not at all, a block at a time; returns its digest.

    Rows are stored together (chunks of :data:`BLOCK` events, each with a checksum).

    Args:
        path: of the file.
        variant: e.g. ``zero_bias``.
        pileup: mean number of overlaid collisions.
        events: of all blocks together.
        blocks: integers (n, features) and the stored source (n,) of each.
        provenance: what it was made of.
        contents: what its events are.

    Raises:
        SampleError: if the blocks hold another number of events, or impossible values.
    """
    running, have = _Digest(events, contents), 0
    columns, stored = len(contents.features), np.full(events, -1, np.int32)
    packed = {"compression": "gzip", "compression_opts": 4, "shuffle": True, "fletcher32": True, "track_times": False}
    with creating(path) as file:
        shape, rows = (events, columns), min(BLOCK, events)
        data = file.create_dataset(f"background/{ALL}", shape, np.int16, chunks=(rows, columns), **packed)
        for x, source in blocks:
            check_values(x, path.name, contents, have)
            if have + len(x) <= events:
                data[have : have + len(x)] = x
                stored[have : have + len(x)] = source
                running.update(x.astype(np.int16))
            have += len(x)
        if have != events:
            raise SampleError(f"{path} was to have {events} events, and {have} were given: make it again")
        file.create_dataset("background/source", data=stored, chunks=(rows,), **packed)
        digest = running.close(stored)
        file.attrs.update({**header(contents, variant, pileup, provenance), "digest": digest})
    return digest


def read(path: Path) -> BackgroundFile:
    """Look at a background for rates, of objects or of regions; its events are read by what is returned.

    Raises:
        SampleError: if the file is missing, truncated, or of another layout.
    """
    with opened(path) as file:
        layout, version = file.attrs.get("layout"), file.attrs.get("version")
        known = {contents.layout: contents for contents in EVERY}
        if layout not in known or version != VERSION:
            raise SampleError(f"{path} has the layout {layout} {version}, not {' or '.join(known)} {VERSION}: {REMAKE}")
        contents, name = known[layout], f"background/{ALL}"
        variant, digest = str(file.attrs["variant"]), str(file.attrs["digest"]) if name in file else ""
        events = len(dataset(file, name, path, contents))
        if len(dataset(file, "background/source", path, contents)) != events:
            raise SampleError(f"{path}: background/source and {name} differ in length: {REMAKE}")
        pileup = pileup_of(file, path)
        notes = contents.note(variant, pileup)
    return BackgroundFile(path, contents, variant, pileup, events, digest, notes)
