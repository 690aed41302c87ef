"""Coupling flows (L. Dinh et al., arXiv:1605.08803): invertible, with a density in closed form.

From noise to data each coupling keeps one half of the elements and moves the other (``moves.py``), by numbers from a
small network of the kept half and the condition. The logarithm of the determinant is the sum of those of the slopes.
That direction is a plain layer list; the other is needed in training alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from trigger_ml.errors import GraphError
from trigger_ml.offline.framework import Trained
from trigger_ml.offline.layers import Activation, Add, Concat, Linear, Mode, Network, Node, Op, Port, Standardize, Take
from trigger_ml.offline.moves import AffineMove, Move
from trigger_ml.offline.networks import Precision, Role, mode_of


@dataclass(frozen=True)
class Coupling:
    """One coupling: the network of the kept half, and which elements that is.

    Attributes:
        subnet: ports ``kept`` and ``condition`` -> raw numbers of the move.
        low_kept: whether the elements below the middle are the kept ones.
    """

    subnet: Network
    low_kept: bool


@dataclass(frozen=True)
class CouplingFlow:
    """A whole flow.

    Attributes:
        network: from noise ``x`` and ``condition`` to data; it holds the weights of all subnets under their names.
        couplings: in the order from noise to data.
        size: dimensions.
        move: what each coupling does to the half that it moves.
    """

    network: Network
    couplings: tuple[Coupling, ...]
    size: int
    move: Move


def coupling_flow(
    size: int,
    hidden: int,
    count: int,
    precision: Precision = "none",
    low: Mode = "ternary",
    condition: int = 0,
    move: Move | None = None,
) -> CouplingFlow:
    """``count`` couplings that keep the halves in turn; outer for the switch of precisions are the first and the last.

    Raises:
        GraphError: for fewer than two dimensions.
    """
    if size < 2:
        raise GraphError(f"a coupling flow keeps one part and moves another: it needs two dimensions, not {size}")
    middle, move = size // 2, move or AffineMove()
    nodes, couplings, x = [], [], "x"
    for i in range(count):
        kept, moved = ((0, middle), (middle, size))[:: 1 if i % 2 == 0 else -1]
        role: Role = "central" if 0 < i < count - 1 else "outer"
        many = moved[1] - moved[0]
        inside = _subnet(f"c{i}", hidden, move.outputs(many), precision, low, role, condition > 0)
        ports = [Port(f"c{i}_kept", (kept[1] - kept[0],))] + ([Port("condition", (condition,))] if condition else [])
        couplings.append(Coupling(Network(tuple(ports), tuple(inside)), i % 2 == 0))
        nodes += [Node(f"c{i}_kept", Take(*kept), (x,)), Node(f"c{i}_moved", Take(*moved), (x,)), *inside]
        nodes += move.nodes(f"c{i}", many)
        halves = (f"c{i}_kept", f"c{i}_new")[:: 1 if i % 2 == 0 else -1]
        nodes.append(Node(x := f"c{i}_all", Concat(), halves))
    ports = [Port("x", (size,))] + ([Port("condition", (condition,))] if condition else [])
    return CouplingFlow(Network(tuple(ports), tuple(nodes)), tuple(couplings), size, move)


def _subnet(
    name: str, hidden: int, outputs: int, precision: Precision, low: Mode, role: Role, conditional: bool
) -> list[Node]:
    def node(part: str, op: Op, *inputs: str) -> Node:
        return Node(f"{name}_{part}", op, tuple(i if i == "condition" else f"{name}_{i}" for i in inputs))

    def linear(units: int, of: Role) -> Linear:
        return Linear(units, mode_of(precision, of, low))

    found = [node("in", linear(hidden, "embedding"), "kept")]
    if conditional:
        found += [node("scaled", Standardize(), "condition"), node("given", linear(hidden, "embedding"), "scaled")]
        found += [node("sum", Add(), "in", "given")]
    found += [
        node("act0", Activation("silu"), "sum" if conditional else "in"),
        node("mid", linear(hidden, role), "act0"),
    ]
    return [*found, node("act1", Activation("silu"), "mid"), node("out", linear(outputs, "last"), "act1")]


def to_noise(net: Trained, flow: CouplingFlow, y: Any, condition: Any | None = None) -> tuple[Any, Any]:
    """The way back: noise for data ``(events, size)``, and log |d noise / d data| of each event."""
    from keras import ops

    middle, total = flow.size // 2, 0.0
    for i, coupling in reversed(list(enumerate(flow.couplings))):
        low, high = y[:, :middle], y[:, middle:]
        kept, moved = (low, high) if coupling.low_kept else (high, low)
        feed = {f"c{i}_kept": kept} | ({} if condition is None else {"condition": condition})
        moved, slope = flow.move.back(moved, net.on(coupling.subnet, feed))
        total = total + ops.sum(slope, axis=-1)
        y = ops.concatenate([kept, moved] if coupling.low_kept else [moved, kept], axis=-1)
    return y, total
