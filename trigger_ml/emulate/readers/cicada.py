"""CICADA's files of calorimeter regions, read by ``samples/cicada.py``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from trigger_ml.emulate.events import Block, Source, Wanted, cuts
from trigger_ml.emulate.readers.hdf5 import described, opened
from trigger_ml.errors import SampleError
from trigger_ml.samples import cicada

BLOCK = 16_384


def survey(path: Path, wanted: Wanted) -> Source:
    """The dataset ``CaloRegions``, which is all there is."""
    if wanted.elements != cicada.COLUMNS:
        raise SampleError(f"{path} holds events of {cicada.COLUMNS} integers, the model reads {wanted.elements}")
    if wanted.dataset not in (None, cicada.KEY):
        raise SampleError(f"{path} is a file of CICADA, which has no {wanted.dataset!r}: leave --dataset out")
    with opened(path) as file:
        return described(path, "cicada", [(cicada.KEY, cicada.regions(file, path))])


def read(source: Source, start: int, stop: int) -> Iterator[Block]:
    """Events in hardware integers."""
    at = cuts(source.edges, BLOCK, start, stop)
    for a, b in zip(at, at[1:], strict=False):
        x = cicada.read(source.path, a, b)
        if len(x) != b - a:
            raise SampleError(f"{source.path} has become shorter than {source.events} events: get the file again")
        yield Block(x, {})
