"""What the physics code asks of a sample: the parts of ``trigger_ml.samples.dataset.Sample`` that it reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from numpy.typing import NDArray


class Column(Protocol):
    """One input of the network; see ``samples.dataset.Feature``."""

    @property
    def name(self) -> str:
        """E.g. ``jet3_pt``."""

    @property
    def kind(self) -> str:
        """``met``, ``eg``, ``mu`` or ``jet``."""

    @property
    def quantity(self) -> str:
        """``pt``, ``eta`` or ``phi``."""

    @property
    def lsb(self) -> float:
        """Physical size of one hardware unit."""


class Parts(Protocol):
    """The parts of one process that are looked at here: all but validation."""

    @property
    def train(self) -> NDArray[Any]:
        """Hardware integers ``(events, features)``."""

    @property
    def test(self) -> NDArray[Any]:
        """Hardware integers ``(events, features)``."""


class Events(Protocol):
    """A sample; see ``samples.dataset.Sample``."""

    @property
    def name(self) -> str:
        """E.g. ``l1_objects``."""

    @property
    def variant(self) -> str:
        """E.g. ``zero_bias``."""

    @property
    def digest(self) -> str:
        """sha256 of the content."""

    @property
    def features(self) -> Sequence[Column]:
        """One entry a column."""

    @property
    def background(self) -> Parts:
        """The background."""

    @property
    def signals(self) -> Mapping[str, Parts]:
        """Process name -> parts."""

    @property
    def gives_rates(self) -> bool:
        """True only where the background is what a trigger sees."""

    @property
    def pileup(self) -> float:
        """Mean number of overlaid collisions."""

    @property
    def source(self) -> NDArray[Any]:
        """Id of the collision that dominates each background test event."""

    @property
    def notes(self) -> str:
        """What must stand beside every figure made from it."""
