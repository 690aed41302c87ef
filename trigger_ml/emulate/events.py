"""What a reader gives: a file that was looked at, and its events as hardware integers, block by block."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

BLOCK = 32_768
"""Events held in memory at a time, about."""

IDS = {"run": np.uint32, "luminosityBlock": np.uint32, "event": np.uint64}
"""What names a collision in CMS files, and the types of NanoAOD; carried to the output where a file has all three."""


@dataclass(frozen=True)
class Wanted:
    """What is asked of a file.

    Attributes:
        elements: integers an event that the model reads.
        dataset: which part of the file (a group, dataset, column or prefix of branches, as its reader says); None: all.
    """

    elements: int
    dataset: str | None = None


@dataclass(frozen=True)
class Source:
    """A file whose layout was found right; small, and sent to workers.

    Attributes:
        path: the file.
        reader: module in ``trigger_ml/emulate/readers`` that reads it.
        parts: name and number of events of each part, in the order in which they are read.
        edges: event numbers, from 0 to the last, at which the file is best cut.
        whole: True if cutting between two edges would read all between them again and again.
        ids: True if events have :data:`IDS`.
        details: names that the reader found in the file and reads.
        remark: what a user of the scores should know, one sentence; empty if there is nothing.
    """

    path: Path
    reader: str
    parts: tuple[tuple[str, int], ...]
    edges: tuple[int, ...]
    whole: bool = False
    ids: bool = False
    details: tuple[str, ...] = ()
    remark: str = ""

    @property
    def events(self) -> int:
        """Events of all parts."""
        return sum(count for _, count in self.parts)


@dataclass(frozen=True, eq=False)
class Block:
    """Consecutive events.

    Attributes:
        x: integers ``(events, elements)``, signed.
        ids: arrays by the names of :data:`IDS`; empty where the file has none.
    """

    x: NDArray[np.signedinteger]
    ids: dict[str, NDArray[Any]]


class Reader(Protocol):
    """What a module in ``trigger_ml/emulate/readers`` offers."""

    def survey(self, path: Path, wanted: Wanted) -> Source:
        """Look at the layout of a file, not at its events; raise ``SampleError`` if it is not this reader's."""

    def read(self, source: Source, start: int, stop: int) -> Iterator[Block]:
        """Events ``start`` to ``stop`` in order; raise ``SampleError`` rather than give fewer."""


def thinned(edges: Sequence[int], apart: int = 4096) -> tuple[int, ...]:
    """Some of the edges, the first and the last among them, none but the last closer than ``apart``."""
    kept = [edges[0]]
    for edge in edges[1:]:
        if edge - kept[-1] >= apart:
            kept.append(edge)
    return (*kept, edges[-1]) if edges[-1] > kept[-1] else tuple(kept)


def cuts(edges: Sequence[int], size: int, start: int = 0, stop: int | None = None, whole: bool = False) -> list[int]:
    """Where to cut events ``start`` to ``stop`` into pieces of at most ``size``: at edges where these are close enough.

    Returns:
        Event numbers from ``start`` to ``stop``; one number if there is no event.
    """
    end = edges[-1] if stop is None else stop
    inner = np.array([e for e in edges if start < e < end] + [end] * (end > start), np.int64)
    found = [start]
    while found[-1] < end:
        here = found[-1]
        reach = inner[(inner > here) & (inner <= here + size)]
        if len(reach):
            found.append(int(reach[-1]))
        elif whole:
            found.append(int(inner[inner > here][0]))
        else:
            found.append(here + size)
    return found
