"""A number of a report, which always says where it comes from."""

from __future__ import annotations

from dataclasses import dataclass

from trigger_ml.errors import SpecError

SOURCES = ("exact", "simulated", "open synthesis", "vendor csynth", "vendor post-route", "estimated")
"""Where a number can come from; numbers of two sources never stand in one column."""


@dataclass(frozen=True)
class Quantity:
    """One number.

    Attributes:
        name: e.g. ``lut``, ``latency_cycles``.
        value: in ``unit``.
        unit: e.g. ``ns``, ``cycles``; empty for a count.
        source: one of :data:`SOURCES`.
        tool: what produced it, with its version.
        low: lower end of its interval, None where there is none.
        high: upper end.

    Raises:
        SpecError: an unknown source.
    """

    name: str
    value: int | float
    unit: str
    source: str
    tool: str
    low: float | None = None
    high: float | None = None

    def __post_init__(self) -> None:
        """Check the source."""
        if self.source not in SOURCES:
            raise SpecError(f"quantity {self.name} has the source {self.source!r}: name one of {', '.join(SOURCES)}")
