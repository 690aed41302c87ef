"""Affine coupling flows (L. Dinh et al., arXiv:1605.08803): invertible, with a density in closed form.

From noise to data each coupling keeps one half of the elements and moves the other, ``y * (1 + a) + b``, with
``a = 0.9 tanh(raw)`` and b from a small network of the kept half and the condition. So no element is turned over, and
the logarithm of the determinant is the sum of ``log(1 + a)``. That direction is a plain layer list; the other is
needed in training alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from trigger_ml.errors import GraphError
from trigger_ml.offline.framework import Trained
from trigger_ml.offline.layers import (
    Activation,
    Add,
    Concat,
    Linear,
    Mode,
    Modulate,
    Network,
    Node,
    Op,
    Port,
    Scale,
    Standardize,
    Take,
)
from trigger_ml.offline.networks import Precision, Role, mode_of

REACH = 0.9
"""Largest |a|."""


@dataclass(frozen=True)
class Coupling:
    """One coupling: the network of the kept half, and which elements that is.

    Attributes:
        subnet: ports ``kept`` and ``condition`` -> raw and b side by side.
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
    """

    network: Network
    couplings: tuple[Coupling, ...]
    size: int


def coupling_flow(
    size: int, hidden: int, count: int, precision: Precision = "none", low: Mode = "ternary", condition: int = 0
) -> CouplingFlow:
    """``count`` couplings that keep the halves in turn; outer for the switch of precisions are the first and the last.

    Raises:
        GraphError: for fewer than two dimensions.
    """
    if size < 2:
        raise GraphError(f"a coupling flow keeps one part and moves another: it needs two dimensions, not {size}")
    middle = size // 2
    nodes, couplings, x = [], [], "x"
    for i in range(count):
        kept, moved = ((0, middle), (middle, size))[:: 1 if i % 2 == 0 else -1]
        role: Role = "central" if 0 < i < count - 1 else "outer"
        inside = _subnet(f"c{i}", hidden, 2 * (moved[1] - moved[0]), precision, low, role, condition > 0)
        ports = [Port(f"c{i}_kept", (kept[1] - kept[0],))] + ([Port("condition", (condition,))] if condition else [])
        couplings.append(Coupling(Network(tuple(ports), tuple(inside)), i % 2 == 0))
        nodes += [Node(f"c{i}_kept", Take(*kept), (x,)), Node(f"c{i}_moved", Take(*moved), (x,)), *inside]
        x = _moved(nodes, f"c{i}", moved[1] - moved[0], i % 2 == 0)
    ports = [Port("x", (size,))] + ([Port("condition", (condition,))] if condition else [])
    return CouplingFlow(Network(tuple(ports), tuple(nodes)), tuple(couplings), size)


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


def _moved(nodes: list[Node], name: str, size: int, low_kept: bool) -> str:
    """The nodes behind a subnet; the name of the whole state after the coupling."""
    nodes += [
        Node(f"{name}_raw", Take(0, size), (f"{name}_out",)),
        Node(f"{name}_tanh", Activation("tanh"), (f"{name}_raw",)),
        Node(f"{name}_a", Scale(REACH), (f"{name}_tanh",)),
        Node(f"{name}_b", Take(size, 2 * size), (f"{name}_out",)),
        Node(f"{name}_new", Modulate(), (f"{name}_moved", f"{name}_a", f"{name}_b")),
    ]
    halves = (f"{name}_kept", f"{name}_new") if low_kept else (f"{name}_new", f"{name}_kept")
    nodes.append(Node(f"{name}_all", Concat(), halves))
    return f"{name}_all"


def to_noise(net: Trained, flow: CouplingFlow, y: Any, condition: Any | None = None) -> tuple[Any, Any]:
    """The way back: noise for data ``(events, size)``, and log |d noise / d data| of each event."""
    from keras import ops

    middle, total = flow.size // 2, 0.0
    for i, coupling in reversed(list(enumerate(flow.couplings))):
        low, high = y[:, :middle], y[:, middle:]
        kept, moved = (low, high) if coupling.low_kept else (high, low)
        feed = {f"c{i}_kept": kept} | ({} if condition is None else {"condition": condition})
        out = net.on(coupling.subnet, feed)
        size = out.shape[-1] // 2
        stretch = 1 + REACH * ops.tanh(out[:, :size])
        moved = (moved - out[:, size:]) / stretch
        total = total - ops.sum(ops.log(stretch), axis=-1)
        y = ops.concatenate([kept, moved] if coupling.low_kept else [moved, kept], axis=-1)
    return y, total
