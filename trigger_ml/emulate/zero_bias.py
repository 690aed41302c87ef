"""Zero-bias events for rates: a file of our own layout, read block by block, with the source of each event.

``background/all`` is (events, features), integers of 16 bits, and ``background/source`` is (events,), the number of the
simulated collision that dominates each, negative where that was made for it alone. A sample's file, whose
``background/test`` has the sources, is read too, and so are its signals.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trigger_ml.emulate.events import BLOCK, Source, Wanted
from trigger_ml.emulate.readers.hdf5 import ADVICE, described, fits, opened, rows
from trigger_ml.errors import SampleError
from trigger_ml.samples import layout
from trigger_ml.samples.contents import EVERY, RATES, Contents
from trigger_ml.samples.dataset import Feature

SOURCES = "background/source"
DATASETS = ("background/all", "background/test")


@dataclass(frozen=True)
class ZeroBias:
    """A file that was looked at.

    Attributes:
        path: the file.
        contents: what its events are.
        pileup: mean number of overlaid collisions.
        background: where the zero-bias events are.
        signals: signal -> where its test events are; empty if the file has none.
    """

    path: Path
    contents: Contents
    pileup: float
    background: Source
    signals: dict[str, Source]

    @property
    def events(self) -> int:
        """Zero-bias events."""
        return self.background.events

    @property
    def dataset(self) -> str:
        """The part that is read."""
        return self.background.parts[0][0]


def survey(path: Path, features: Sequence[Feature], wanted: Wanted) -> ZeroBias:
    """Look at a file's layout, not at its events.

    Args:
        path: the file.
        features: the columns of the run's sample; events of another kind are refused.
        wanted: how many integers an event has, and which dataset; None: the first of :data:`DATASETS` that is there.

    Raises:
        SampleError: it is missing, damaged, of another layout, or not zero bias.
    """
    if not path.is_file():
        raise SampleError(f"{path} is no file: give an HDF5 file of zero-bias events")
    with opened(path) as file:
        named, variant = str(file.attrs.get("layout")), str(file.attrs.get("variant"))
        contents = next((c for c in EVERY if c.layout == named and tuple(c.features) == tuple(features)), None)
        if contents is None:
            raise SampleError(f"{path} has the layout {named}, whose events aren't of the run's kind: give such as are")
        if variant != RATES:
            raise SampleError(f"{path} holds the variant {variant}, which gives no rate in kHz: give zero-bias events")
        names = DATASETS if wanted.dataset is None else (wanted.dataset.strip("/"),)
        name = next((n for n in names if n in file), None)
        if name is None:
            raise SampleError(f"{path} has no dataset {' or '.join(names)}: {ADVICE}")
        background = _part(file, path, name, wanted.elements)
        if SOURCES not in file or file[SOURCES].shape != (background.events,) or file[SOURCES].dtype.kind != "i":
            raise SampleError(f"{path}: {SOURCES} is not one integer for each event of {name}: {ADVICE}")
        if not background.events:
            raise SampleError(f"{path}: {name} is empty: {ADVICE}")
        groups = {n: f"signals/{n}/test" for n in sorted(file.get("signals", {}))}
        signals = {n: _part(file, path, where, wanted.elements) for n, where in groups.items() if where in file}
        return ZeroBias(path, contents, float(file.attrs["pileup"]), background, signals)


def _part(file: Any, path: Path, name: str, elements: int) -> Source:
    data = file[name]
    if not fits(data, elements):
        shown = f"{data.dtype} {data.shape}" if hasattr(data, "dtype") else "a group"
        raise SampleError(f"{path}: {name} is {shown}, the model reads integers (events, {elements}): give another")
    return described(path, "zero_bias", [(name, data)])


def blocks(found: ZeroBias, part: Source, size: int = BLOCK) -> Iterator[NDArray[np.signedinteger]]:
    """All events of a part in order, at most ``size`` at a time.

    Raises:
        SampleError: the file is damaged, holds impossible values, or is no longer what it was when it was looked at.
    """
    at = 0
    for piece in rows(part, 0, part.events):
        for start in range(0, len(piece), size):
            x = piece[start : start + size]
            layout.check_values(x, f"{found.path}: {part.parts[0][0]}", found.contents, at)
            yield x
            at += len(x)


def sources(found: ZeroBias, muons: NDArray[np.int64] | None) -> NDArray[np.int64]:
    """The collision that each event counts for, see :class:`trigger_ml.samples.dataset.Sample`.

    Args:
        found: the file.
        muons: ``samples.layout.leading_muon`` of all events; None: they show no muons.

    Raises:
        SampleError: the file is damaged.
    """
    with opened(found.path) as file:
        return layout.sources(np.asarray(file[SOURCES][...]), muons)
