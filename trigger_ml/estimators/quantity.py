"""A number of the report, and where it comes from."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, get_args

from trigger_ml.errors import SpecError

Source = Literal[
    "exact", "simulated", "open synthesis", "vendor csynth", "vendor post-route", "estimated"
]  # fmt: skip
"""``exact``: counted from the graph; ``simulated``: measured in a simulation of the RTL; ``open synthesis``: Yosys;
``vendor ...``: read from a report of Vitis or Vivado; ``estimated``: a model."""


@dataclass(frozen=True)
class Quantity:
    """A value with its source; values of different sources never share a column.

    Attributes:
        name: ``lut``, ``ff``, ``dsp``, ``bram``, ``carry8``, ``latency_cycles``, ``latency_ns``,
        ``initiation_interval``,
            ``logic_levels``, ``path_ns`` or a count of ``opcount``.
        value: the number; an int where it is a count.
        unit: ``""`` for a count.
        source: what kind of knowledge it is.
        tool: what produced it, with its version.
        low: lower end of its interval, where it has one.
        high: upper end.

    Raises:
        SpecError: an unknown source.
    """

    name: str
    value: int | float
    unit: str
    source: Source
    tool: str
    low: float | None = None
    high: float | None = None

    def __post_init__(self) -> None:
        """Check the source."""
        if self.source not in get_args(Source):
            raise SpecError(f'"{self.source}" is no source of a number: choose from {", ".join(get_args(Source))}')


NEAREST: tuple[Source, ...] = (
    "vendor post-route", "vendor csynth", "simulated", "open synthesis", "exact", "estimated"
)  # fmt: skip
"""Sources, that nearest to hardware first."""


def best(found: Iterable[Quantity], name: str) -> Quantity | None:
    """The quantity of a name whose source is nearest to hardware; None if there is none of that name."""
    return min((q for q in found if q.name == name), key=lambda q: NEAREST.index(q.source), default=None)
