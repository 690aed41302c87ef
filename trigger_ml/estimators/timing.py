"""The longest register-to-register path of a synthesized netlist: levels of logic, and nanoseconds by assumed delays.

The delays are those of ``backends.rtl.schedule``: assumed, pre-layout, not calibrated against any vendor's tool. A
level is a look-up table, a run of carry cells, or a DSP multiplier; multiplexers F7 to F9 add delay and no level.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from trigger_ml.backends.rtl.schedule import (
    CARRY_BIT_NS,
    CARRY_NS,
    CARRY_OUT_NS,
    CLOCK_TO_Q_NS,
    DSP_NS,
    LUT_NS,
    NET_NS,
    SETUP_NS,
)

MUXF_NS = 0.05
REGISTERED = ("FD", "SRL", "RAM")
CLOCKS = {"FD": "C", "SRL": "CLK", "RAM": "CLK", "DSP": "CLK"}
"""The clock pin of each kind of cell; C of a DSP is an input of data."""

CASCADED = {"ACIN": "A", "BCIN": "B"}
"""Inputs from the neighbouring DSP, in front of the register of another port."""

MULTIPLIED = ("A", "B", "D", "ACIN", "BCIN", "INMODE")
"""Inputs of a DSP in front of the multiplier's register M; the others go to the adder behind it."""

WITHIN = -1
"""A net that stands for the output of a register inside a DSP."""

Arc = tuple[int, float, int]
"""From a net's bit, with nanoseconds (the net in front of the pin included) and levels added."""


@dataclass(frozen=True)
class Path:
    """The longest path: logic levels of the deepest one, and nanoseconds of the slowest."""

    levels: int
    ns: float


def longest_path(cells: Mapping[str, Any]) -> Path:
    """The longest path between registers among the cells of one flat module (the JSON of Yosys)."""
    driver = {bit: c["type"] for c in cells.values() for p, bits in _outputs(c) for bit in bits}
    arcs: dict[int, list[Arc]] = {}
    ends: list[Arc] = []
    for cell in cells.values():
        kind = cell["type"]
        if kind.startswith(REGISTERED):
            ends += [(bit, 0.0 if port == "D" else NET_NS, 0) for port, bits in _inputs(cell) for bit in bits]
        elif kind.startswith("DSP"):
            _dsp(cell, arcs, ends)
        elif kind == "CARRY4":
            _carry(cell, arcs, driver)
        else:
            _logic(cell, arcs)
    arrival = _arrivals(arcs)
    start = (CLOCK_TO_Q_NS, 0)
    slowest = max((arrival.get(bit, start)[0] + ns + SETUP_NS for bit, ns, _ in ends), default=0.0)
    deepest = max((arrival.get(bit, start)[1] + level for bit, _, level in ends), default=0)
    return Path(deepest, round(slowest, 3))


def _ports(cell: Any, direction: str) -> Iterator[tuple[str, list[int]]]:
    clock = next((pin for start, pin in CLOCKS.items() if cell["type"].startswith(start)), None)
    for port, bits in cell["connections"].items():
        if cell["port_directions"][port] == direction and port != clock:
            yield port, [bit for bit in bits if isinstance(bit, int)]


def _outputs(cell: Any) -> Iterator[tuple[str, list[int]]]:
    return _ports(cell, "output")


def _inputs(cell: Any) -> Iterator[tuple[str, list[int]]]:
    return _ports(cell, "input")


def _logic(cell: Any, arcs: dict[int, list[Arc]]) -> None:
    kind = cell["type"]
    ns, level = (
        (NET_NS + LUT_NS, 1) if kind.startswith("LUT") else (MUXF_NS, 0) if kind.startswith("MUXF") else (0.0, 0)
    )
    sources = [(bit, ns, level) for _, bits in _inputs(cell) for bit in bits]
    for _, bits in _outputs(cell):
        for bit in bits:
            arcs[bit] = sources


def _carry(cell: Any, arcs: dict[int, list[Arc]], driver: Mapping[int, str]) -> None:
    """Four bits of a carry chain; a look-up table sits next to its S input, the next chain cell above its CO output."""
    pins = cell["connections"]

    def enter(port: str, at: int) -> list[Arc]:
        bit = pins[port][at] if at < len(pins.get(port, [])) else None
        if not isinstance(bit, int):
            return []
        if port == "CI" and driver.get(bit) == "CARRY4":
            return [(bit, 0.0, 0)]
        near = port == "S" and driver.get(bit, "").startswith("LUT")
        return [(bit, CARRY_NS + (0.0 if near else NET_NS), 0 if near else 1)]

    below = [*enter("CI", 0), *enter("CYINIT", 0)]
    for at in range(4):
        own, data = enter("S", at), enter("DI", at)
        for port, sources, extra in (("O", [*own, *below], CARRY_OUT_NS), ("CO", [*own, *data, *below], 0.0)):
            bit = pins[port][at] if at < len(pins.get(port, [])) else None
            if isinstance(bit, int):
                arcs[bit] = [(b, ns + extra + CARRY_BIT_NS, level) for b, ns, level in sources]
        below = [(b, ns + CARRY_BIT_NS, level) for b, ns, level in [*own, *data, *below]]


def _dsp(cell: Any, arcs: dict[int, list[Arc]], ends: list[Arc]) -> None:
    """A multiplier with whatever registers Yosys moved into it.

    Every input counts by its own register. DSP_NS lies between the inputs, or their registers, and the next register
    or the output; where M divides it, in front of M, and nothing behind. So no figure is below the assumed delay.
    """
    holds = {name for name, value in cell["parameters"].items() if name.endswith("REG") and int(str(value), 2)}
    multiplied: list[Arc] = []
    added: list[Arc] = []
    for port, bits in _inputs(cell):
        to = multiplied if port in MULTIPLIED else added
        if port.startswith(("CE", "RST")):
            ends += [(bit, NET_NS, 0) for bit in bits]
        elif f"{CASCADED.get(port, port)}REG" in holds:
            ends += [(bit, NET_NS, 0) for bit in bits]
            to += [(WITHIN, DSP_NS, 1)] if bits else []
        else:
            to += [(bit, NET_NS + DSP_NS, 1) for bit in bits]
    if "MREG" in holds:
        ends += multiplied
        multiplied = [(WITHIN, 0.0, 0)]
    behind = [*multiplied, *added]
    if "PREG" in holds:
        ends += behind
        return
    for port, bits in _outputs(cell):
        if port not in ("ACOUT", "BCOUT"):
            arcs.update((bit, behind) for bit in bits)


def _arrivals(arcs: Mapping[int, list[Arc]]) -> dict[int, tuple[float, int]]:
    """Nanoseconds and levels at every net that logic drives; other nets come from registers."""
    done: dict[int, tuple[float, int]] = {}
    start = (CLOCK_TO_Q_NS, 0)
    for root in arcs:
        stack = [root]
        while stack:
            bit = stack[-1]
            waiting = [b for b, _, _ in arcs[bit] if b in arcs and b not in done] if bit not in done else []
            if waiting:
                stack += waiting
                continue
            stack.pop()
            if bit not in done:
                from_ = [(done.get(b, start), ns, level) for b, ns, level in arcs[bit]]
                done[bit] = (
                    max((at[0] + ns for at, ns, _ in from_), default=CLOCK_TO_Q_NS),
                    max((at[1] + level for at, _, level in from_), default=0),
                )
    return done
