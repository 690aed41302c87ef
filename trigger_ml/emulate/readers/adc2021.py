"""ADC2021 files: physical objects, encoded and put in order by ``samples/adc2021.py``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from trigger_ml.emulate.events import Block, Source, Wanted, cuts
from trigger_ml.emulate.readers.hdf5 import described, opened
from trigger_ml.errors import SampleError
from trigger_ml.samples import adc2021
from trigger_ml.samples.features import FEATURES

BLOCK = 16_384
"""Events are 608 bytes in the file, and several times that while they are put in order."""


def survey(path: Path, wanted: Wanted) -> Source:
    """The dataset ``Particles``, which is all there is."""
    if wanted.elements != len(FEATURES):
        raise SampleError(f"{path} holds events of {len(FEATURES)} integers, the model reads {wanted.elements}")
    if wanted.dataset not in (None, "Particles"):
        raise SampleError(f"{path} is an ADC2021 file, which has no {wanted.dataset!r}: leave --dataset out")
    with opened(path) as file:
        return described(path, "adc2021", [("Particles", adc2021.particles(file, path))])


def read(source: Source, start: int, stop: int) -> Iterator[Block]:
    """Events in hardware integers."""
    at = cuts(source.edges, BLOCK, start, stop)
    for a, b in zip(at, at[1:], strict=False):
        x = adc2021.read(source.path, a, b)
        if len(x) != b - a:
            raise SampleError(f"{source.path} has become shorter than {source.events} events: get the file again")
        yield Block(x, {})
