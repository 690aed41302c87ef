"""CMS's public Level-1 data in Parquet, decoded by ``samples/l1_parquet.py``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from trigger_ml.emulate.events import IDS, Block, Source, Wanted, thinned
from trigger_ml.errors import SampleError
from trigger_ml.samples import l1_parquet
from trigger_ml.samples.features import FEATURES

THEIRS = {"run": "run", "luminosityBlock": "lumi", "event": "event"}
"""What the data calls the names of :data:`IDS`."""


def survey(path: Path, wanted: Wanted) -> Source:
    """All events; there is nothing to choose."""
    if wanted.elements != len(FEATURES):
        raise SampleError(f"{path} gives events of {len(FEATURES)} integers, the model reads {wanted.elements}")
    if wanted.dataset is not None:
        raise SampleError(f"{path} is of CMS's public data, which has no {wanted.dataset!r}: leave --dataset out")
    edges = l1_parquet.look(path, tuple(THEIRS.values()))
    return Source(path, "l1_parquet", (("rows", edges[-1]),), thinned(edges), whole=True, ids=True)


def read(source: Source, start: int, stop: int) -> Iterator[Block]:
    """Events in hardware integers; see ``samples/l1_parquet.py``."""
    for x, rest in l1_parquet.blocks(source.path, start, stop, tuple(THEIRS.values())):
        yield Block(x, {name: rest[theirs].astype(IDS[name]) for name, theirs in THEIRS.items()})
