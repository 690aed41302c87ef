"""A graph laid out: ports, cells and pipeline, ready to be printed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from trigger_ml.backends.rtl.lowering import lower
from trigger_ml.backends.rtl.netlist import Cell, Netlist, netlist
from trigger_ml.backends.rtl.ports import Port, input_ports, legal, output_ports
from trigger_ml.backends.rtl.schedule import Schedule, choose, last_use
from trigger_ml.fixed import Fixed
from trigger_ml.ir.columns import columns
from trigger_ml.ir.graph import Graph
from trigger_ml.ir.io import digest
from trigger_ml.sections import MOST_CYCLES
from trigger_ml.spec import Target


@dataclass(frozen=True, eq=False)
class Design:
    """What both hardware languages print.

    Attributes:
        name: of the module and of the files.
        digest: the graph's.
        clock_ns: clock period.
        part: device, for the vendor's scripts.
        net: the cells.
        schedule: their stages.
        inputs: ports in the order of the graph.
        outputs: ports in the order of the graph.
        columns: port -> names of its elements, where they have names.
    """

    name: str
    digest: str
    clock_ns: float
    part: str
    net: Netlist
    schedule: Schedule
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    columns: Mapping[str, tuple[str, ...]]

    def describe(self) -> dict[str, Any]:
        """The content of ``ports.json``."""
        return {
            "name": self.name,
            "graph_digest": self.digest,
            "clock_ns": self.clock_ns,
            "latency_cycles": self.schedule.cycles,
            "initiation_interval": 1,
            "model_delay_ns": round(self.schedule.delay_ns, 3),
            "inputs": [p.describe() for p in self.inputs],
            "outputs": [p.describe() for p in self.outputs],
            **({"columns": {name: list(names) for name, names in self.columns.items()}} if self.columns else {}),
        }


def design(graph: Graph, target: Target) -> Design:
    """Lower, schedule and name.

    Raises:
        Unsupported: see ``lowering.check``; or a ``cut_ns`` below the slowest operation.
    """
    net = netlist(lower(graph))
    name = legal(str(graph.meta.get("name", "network")), "_network")
    inputs, outputs = input_ports(graph), output_ports(graph)
    schedule = choose(net, target.clock_ns, target.cut_ns, target.most_cycles or MOST_CYCLES)
    return Design(name, digest(graph), target.clock_ns, target.part, net, schedule, inputs, outputs, columns(graph))


def held(cell: Cell) -> int:
    """Bits of the signed vector that holds a cell: an unsigned one gets a zero above its top bit."""
    return max(cell.to.width + (not cell.to.signed), 1)


def alignment(net: Netlist, cell: Cell) -> tuple[tuple[int, ...], int, int]:
    """How a cell's arguments are brought to one grid.

    Returns:
        The left shift of each argument that enters with its value, the left shift of ``constant``, and the number of
        low bits to drop from the result (negative: zeros to append).
    """
    fracs = [net.cells[a].to.frac - s for a, s in zip(cell.args, cell.shifts, strict=True)]
    if cell.kind == "product":
        return (0, 0), 0, sum(fracs) - cell.to.frac
    if cell.kind == "mux":
        fracs = fracs[:2]
    live = [f for f, a in zip(fracs, cell.args, strict=False) if net.cells[a].to.width]
    common = max([*live, *([cell.frac] if cell.constant else [])], default=cell.to.frac)
    common = max(common, cell.to.frac) if cell.kind != "relu" else common
    shifts = tuple(max(common - f, 0) for f in fracs)
    return shifts, common - cell.frac if cell.constant else 0, common - cell.to.frac


def full_width(net: Netlist, cell: Cell) -> int:
    """Bits of a cell's full result: enough for every aligned operand and for the bits that are kept."""
    if cell.kind == "product":
        least = sum(held(net.cells[a]) for a in cell.args)
    else:
        shifts, constant_shift, _ = alignment(net, cell)
        reach = [held(net.cells[a]) + s for a, s in zip(cell.args, shifts, strict=False)]
        least = max(*reach, cell.constant.bit_length() + 1 + constant_shift if cell.constant else 1)
    return max(cell.to.width + max(alignment(net, cell)[2], 0), least)


def input_field(plan: Design, cell: Cell) -> tuple[int, int]:
    """The number of an input cell's port, and its lowest bit there."""
    at = cell.constant
    for number, port in enumerate(plan.inputs):
        if at < len(port.elements):
            return number, port.offsets[at]
        at -= len(port.elements)
    raise IndexError(at)


def received(plan: Design) -> list[tuple[int, list[int]]]:
    """For each stage after the first, the cells whose values it receives through registers."""
    ends, stages = last_use(plan.net, plan.schedule), plan.schedule.stages
    return [(s, [i for i, last in ends.items() if stages[i] < s <= last]) for s in range(1, plan.schedule.count)]


def name_of(plan: Design, index: int, stage: int) -> str:
    """A cell's value in a stage: ``v12`` where it is made, ``v12_s3`` behind the registers of stage 3."""
    own = plan.schedule.stages[index]
    return f"v{index}" if own == stage or plan.net.cells[index].kind == "constant" else f"v{index}_s{stage}"


def dead(cell: Cell) -> bool:
    """Always zero, and without a bit of its own."""
    return cell.to.width == 0


def output_elements(plan: Design) -> list[tuple[int, Fixed, str, Fixed, int]]:
    """For each output element: its port's number, its format, and the value's name, format and left shift."""
    made, at, last = [], 0, plan.schedule.count - 1
    for place, port in enumerate(plan.outputs):
        for element in port.elements:
            index, shift = plan.net.outputs[at]
            cell = plan.net.cells[index]
            made.append((place, element, name_of(plan, index, last), cell.to, element.frac + shift - cell.to.frac))
            at += 1
    return made
