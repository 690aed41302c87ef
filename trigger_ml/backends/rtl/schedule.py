"""Where the pipeline registers go.

alkaid estimates relu, saturation and constants at no delay, so that its cuts leave such chains whole. Here every cell
has the delay that the timing estimate over the synthesized netlist (``estimators.yosys``) gives its kind, with the
same constants: they are those of no particular device and stand for one another, not for nanoseconds on silicon.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from trigger_ml.backends.rtl.netlist import Cell, Netlist, wiring
from trigger_ml.errors import Unsupported
from trigger_ml.sections import MOST_CYCLES

LUT_NS, NET_NS = 0.08, 0.35
CARRY_NS, CARRY_BIT_NS, CARRY_OUT_NS = 0.20, 0.015, 0.10
DSP_NS = 2.20
CLOCK_TO_Q_NS, SETUP_NS = 0.08, 0.03
"""Delays of a look-up table, a routed net, a carry chain (entry, each bit, exit), a DSP multiplier without registers,
and a flip-flop. Assumed, of the order of a 16 nm device; not calibrated against any vendor's tool."""

SHARE = 0.6
"""Part of the clock period that the model may fill; the rest is for what it doesn't know, routing above all."""


@dataclass(frozen=True, eq=False)
class Schedule:
    """A pipeline: the stage of each cell, 0 behind the input registers.

    Attributes:
        stages: one number a cell.
        count: number of stages; the output register stands behind the last.
        delay_ns: the model's longest path from register to register.
    """

    stages: tuple[int, ...]
    count: int
    delay_ns: float

    @property
    def cycles(self) -> int:
        """Clock cycles from the input port to the output port: every register on the way, input and output included."""
        return self.count + 1


def choose(net: Netlist, clock_ns: float, cut_ns: float | None = None, most_cycles: int = MOST_CYCLES) -> Schedule:
    """The fewest stages whose paths fit a share of the clock period, or the shortest paths that ``most_cycles`` allow.

    Args:
        net: the cells.
        clock_ns: clock period.
        cut_ns: path delay to aim at instead of ``SHARE * clock_ns``, whatever number of cycles it takes.
        most_cycles: bound on the latency, registers at both ports included, where ``cut_ns`` is not given.
    """
    goal = cut_ns if cut_ns is not None else SHARE * clock_ns
    most = len(net.cells) if cut_ns is not None else most_cycles - 1
    least = max(cell_delay(net, cell) for cell in net.cells) + CLOCK_TO_Q_NS + SETUP_NS
    if cut_ns is not None and least > goal:
        raise Unsupported(
            f"rtl: cut_ns is {cut_ns:g}, but the slowest single operation takes {least:.2f} ns: give at least that much"
        )
    found = asap(net, goal) if least <= goal else None
    if found is None or found.count > most:
        found = _shortest(net, most, least)
    late = alap(net, found)
    return min((found, late), key=lambda s: register_bits(net, s))


def _shortest(net: Netlist, count: int, least: float) -> Schedule:
    """The smallest delay that ``count`` stages reach, to a hundredth of a nanosecond."""
    low, high = least, asap(net, math.inf).delay_ns
    while high - low > 0.01:
        middle = (low + high) / 2
        low, high = (low, middle) if asap(net, middle).count <= count else (middle, high)
    return asap(net, high)


def asap(net: Netlist, delay_ns: float) -> Schedule:
    """Every cell as early as paths of ``delay_ns`` allow."""
    room = delay_ns - CLOCK_TO_Q_NS - SETUP_NS + 1e-9
    stages: list[int] = []
    arrival: list[float] = []
    for cell in net.cells:
        stage = max((stages[a] for a in cell.args), default=0)
        start = max((arrival[a] for a in cell.args if stages[a] == stage), default=0.0)
        own = cell_delay(net, cell)
        if start + own > room and start > 0:
            stage, start = stage + 1, 0.0
        stages.append(stage)
        arrival.append(start + own)
    return Schedule(tuple(stages), max(stages) + 1, max(arrival) + CLOCK_TO_Q_NS + SETUP_NS)


def alap(net: Netlist, like: Schedule) -> Schedule:
    """Every cell as late as the stages and the path delay of ``like`` allow."""
    room, last = like.delay_ns - CLOCK_TO_Q_NS - SETUP_NS + 1e-9, like.count - 1
    stages = [last] * len(net.cells)
    tail = [0.0] * len(net.cells)
    users: list[list[int]] = [[] for _ in net.cells]
    for index, cell in enumerate(net.cells):
        for a in cell.args:
            users[a].append(index)
    for index in reversed(range(len(net.cells))):
        cell, own = net.cells[index], cell_delay(net, net.cells[index])
        stage = min((stages[u] for u in users[index]), default=last)
        behind = max((tail[u] for u in users[index] if stages[u] == stage), default=0.0)
        if behind + own > room and behind > 0:
            stage, behind = stage - 1, 0.0
        stages[index] = 0 if cell.kind == "input" else stage
        tail[index] = behind + own
    if min(stages) < 0:
        return like
    return Schedule(tuple(stages), like.count, like.delay_ns)


def register_bits(net: Netlist, schedule: Schedule) -> int:
    """Bits of the registers between stages."""
    return sum(net.cells[i].to.width * (last - schedule.stages[i]) for i, last in last_use(net, schedule).items())


def last_use(net: Netlist, schedule: Schedule) -> dict[int, int]:
    """The last stage in which each cell's value is needed; constants are left out, they need no register."""
    last = {i: schedule.stages[i] for i, cell in enumerate(net.cells) if cell.kind != "constant"}
    for i, cell in enumerate(net.cells):
        for a in cell.args:
            if a in last:
                last[a] = max(last[a], schedule.stages[i])
    for i, _ in net.outputs:
        if i in last:
            last[i] = schedule.count - 1
    return last


def cell_delay(net: Netlist, cell: Cell) -> float:
    """Nanoseconds from a cell's arguments to its result."""
    args = [net.cells[a].to for a in cell.args]
    level = LUT_NS + NET_NS
    match cell.kind:
        case "sum":
            operands = sum(a.width > 0 for a in args) + (cell.constant != 0)
            if wiring(net, cell) or (operands < 2 and not any(cell.minus)):
                return 0.0
            return level * max(operands - 1, 1) + CARRY_NS + CARRY_BIT_NS * cell.to.width + CARRY_OUT_NS
        case "relu":
            return level if args[0].signed else 0.0
        case "mux" | "and" | "or" | "xor":
            return level
        case "any" | "all":
            return level * math.ceil(math.log(max(args[0].width, 1), 6))
        case "table":
            return level * (1 + math.ceil(max(args[0].width - 6, 0) / 2))
        case "product":
            return DSP_NS + NET_NS
        case _:
            return 0.0
