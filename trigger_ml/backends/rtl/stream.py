"""What every RTL simulator is fed, clock by clock, and what is measured on what comes out.

First a few events alone among idle clocks: the clock at which the output leaves its idle value is the latency, and it
must come back after one clock. Then all events back to back, one a clock: the answers are read at that same latency, so
that they agree with the golden model only if the initiation interval is 1.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trigger_ml.backends.rtl.ports import Port, pack, unpack
from trigger_ml.errors import Mismatch

Bytes = NDArray[np.uint8]
ALONE = 16
"""Events sent alone; those that the network answers as it answers an idle clock tell nothing."""

QUIET = 96
"""Idle clocks around each of them: more than any latency that is accepted."""


@dataclass(frozen=True, eq=False)
class Measured:
    """A simulation.

    Attributes:
        outputs: integers ``(events, *shape)`` for each output, on the graph's grid.
        latency_cycles: clock edges from the one that takes an event in to the one that gives its result out, both
            included; None if no event sent alone changed the output.
        initiation_interval: clocks between events in the stream from which ``outputs`` were read.
    """

    outputs: dict[str, NDArray[np.int64]]
    latency_cycles: int | None
    initiation_interval: int = 1


def records(port: Port, events: NDArray[np.int64]) -> Bytes:
    """Packed words of one input port, one a clock."""
    alone = spread(len(events))
    lead = np.zeros((QUIET * (len(alone) + 1) + len(alone), *events.shape[1:]), np.int64)
    lead[_places(len(alone))] = events[alone]
    tail = np.zeros((QUIET, *events.shape[1:]), np.int64)
    return pack(port, np.concatenate([lead, events, tail]))


def spread(count: int) -> NDArray[np.int64]:
    """Which events are sent alone: evenly spread ones."""
    return np.unique(np.linspace(0, count - 1, min(ALONE, count)).astype(np.int64))


def _places(count: int) -> NDArray[np.int64]:
    return QUIET + np.arange(count) * (QUIET + 1)


def read(ports: Sequence[Port], words: Mapping[str, Bytes], count: int, expected: int, engine: str) -> Measured:
    """Events' answers and the measured latency from the recorded output words.

    Args:
        ports: the output ports.
        words: for each, packed words after every clock edge.
        count: events in the stream.
        expected: latency in cycles at which to read if no event sent alone changes the output.
        engine: name for the errors.

    Raises:
        Mismatch: an event sent alone is answered in more than one clock, or at different latencies.
    """
    alone = len(spread(count))
    stacked = np.concatenate([words[p.name] for p in ports], axis=1)
    seen = set()
    for place in _places(alone):
        window = stacked[place : place + QUIET]
        changed = np.flatnonzero((window != stacked[place - 1]).any(axis=1))
        if len(changed):
            seen.add(tuple(int(c) + 1 for c in changed))
    if len(seen) > 1 or any(len(clocks) > 1 for clocks in seen):
        raise Mismatch(
            f"{engine}: events sent alone are answered after {sorted(seen)} clocks: every output must answer once, "
            "after the same number of clocks; a pipeline register is missing or superfluous"
        )
    latency = next(iter(seen))[0] if seen else None
    start = QUIET * (alone + 1) + alone + (latency or expected) - 1
    outputs = {p.node: unpack(p, words[p.name][start : start + count]) for p in ports}
    return Measured(outputs, latency)


def events_of(feed: Mapping[str, NDArray[Any]]) -> int:
    """Events in a checked feed."""
    return len(next(iter(feed.values())))
