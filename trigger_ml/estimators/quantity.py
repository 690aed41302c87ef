"""A number of the report, and where it comes from."""

from __future__ import annotations

from collections.abc import Sequence
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
            ``logic_levels``, ``path_ns``, ``hold_slack_ns`` or a count of ``opcount``.
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


HLS_FIRST: tuple[Source, ...] = (
    "vendor post-route", "vendor csynth", "simulated", "open synthesis", "exact", "estimated"
)  # fmt: skip
RTL_FIRST: tuple[Source, ...] = (
    "vendor post-route", "simulated", "open synthesis", "exact", "estimated", "vendor csynth"
)  # fmt: skip
"""Sources, that nearest to hardware first. C synthesis is of the HLS project, the others are of the RTL: where that was
routed, or its longest path is known, the HLS project's figures come last, so that one design is judged and not two."""


def best(found: Sequence[Quantity], name: str) -> Quantity | None:
    """The quantity of a name whose source is nearest to hardware; None if there is none of that name."""
    rtl = any(q.source == "vendor post-route" or (q.name, q.source) == ("path_ns", "open synthesis") for q in found)
    order = RTL_FIRST if rtl else HLS_FIRST
    return min((q for q in found if q.name == name), key=lambda q: order.index(q.source), default=None)
