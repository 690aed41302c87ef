"""What an importer gives: the graph, and the proof that it is the model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from trigger_ml.ir.graph import Graph


@dataclass(frozen=True, eq=False)
class Imported:
    """A model that was read, and compared with what ran it before.

    Attributes:
        graph: the integers.
        origin: what it was read from, e.g. ``hls4ml project, Vitis, 14 layers``: versions and counts, no path.
        oracle: the independent program that it was compared with, e.g. ``the project's own C++, g++ 12.2``.
        events: input vectors of that comparison, all equal bit by bit.
        remarks: what a user should know, a sentence each.
        target: keys of the spec's ``[target]`` that the model says: part, clock.
    """

    graph: Graph
    origin: str
    oracle: str
    events: int
    remarks: tuple[str, ...] = ()
    target: Mapping[str, Any] = field(default_factory=dict)


class Importer(Protocol):
    """A module of this package."""

    def recognises(self, path: Path) -> bool:
        """Whether the file or folder looks like this kind; reads little, raises nothing."""

    def read(self, path: Path, events: int, seed: int) -> Imported:
        """Read a model and compare it with its own program on ``events`` random and corner inputs.

        Raises:
            ImportRefused: the model is malformed, or holds something that can't be read exactly; the sentence names it.
            Mismatch: the graph and the model's own program differ; nothing is accepted.
            ToolMissing: the model's own program can't be run here.
        """
