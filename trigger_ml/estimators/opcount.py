"""Exact counts of what a graph computes: nothing synthesized, nothing estimated.

An element whose interval is one number is a constant and costs nothing, nor does what only constants meet.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from functools import reduce
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trigger_ml import __version__
from trigger_ml.estimators.quantity import Quantity
from trigger_ml.fixed import Fixed
from trigger_ml.ir import ops
from trigger_ml.ir.bounds import Tensor, bounds, pad, windows
from trigger_ml.ir.graph import Graph, Node

Counts = NDArray[np.int64]

MEANING = {
    "multiplications": "by a weight that is neither zero nor a power of two",
    "products": "of two variables",
    "additions": "and subtractions, biases among them",
    "ebops": "effective bit operations: sum over all multiplications of the product of the operands' bits",
    "table_bits": "bits of the look-ups, each element with its own copy of the entries that it can reach",
    "parameters": "weights and biases",
    "nonzero_parameters": "weights and biases that are not zero",
}
"""The counts and what they count."""


def estimate(graph: Graph) -> tuple[Quantity, ...]:
    """The counts of :data:`MEANING`, in that order.

    EBOPs follow arXiv:2405.00645 (HGQ), equation for constant weights and for products: a weight counts the bits
    between its highest and its lowest set bit, both included, a variable the bits of the narrowest format, sign
    included, that holds its proved interval on its own grid. Adding a bias counts nothing.
    """
    total: Counter[str] = Counter()
    for counts in by_node(graph).values():
        total.update(counts)
    tool = f"trigger_ml {__version__}"
    return tuple(Quantity(name, total[name], "bit" if name == "table_bits" else "", "exact", tool) for name in MEANING)


def by_node(graph: Graph) -> dict[str, Counter[str]]:
    """The counts of each node that computes something."""
    widths = element_bits(graph)
    return {
        node.name: RULES[type(node.op)](node, [widths[i] for i in node.inputs], graph)
        for node in graph.nodes
        if type(node.op) in RULES
    }


def element_bits(graph: Graph) -> dict[str, Counts]:
    """Bits of each element of each tensor on the element's own grid; 0 for a constant."""
    known, own = bounds(graph), _own_frac(graph)
    return {name: _bits(t, own[name]) for name, t in known.items()}


def _bits(t: Tensor, own: Counts) -> Counts:
    made = [
        0 if lo == hi else Fixed.holding(int(lo) >> int(t.frac - f), int(hi) >> int(t.frac - f), int(f)).width
        for lo, hi, f in zip(t.lo.flat, t.hi.flat, np.broadcast_to(own, t.shape).flat, strict=True)
    ]
    return np.array(made, np.int64).reshape(t.shape)


def _own_frac(graph: Graph) -> dict[str, Counts]:
    """Each element's own fraction length: a Requant's formats, carried through the wiring that follows it."""
    known = bounds(graph)
    own: dict[str, Counts] = {}
    for node in graph.nodes:
        op: Any = node.op
        parts = [own[i] for i in node.inputs]
        f = np.full(known[node.name].shape, known[node.name].frac, np.int64)
        match op:
            case ops.Requant():
                f = np.minimum(f, np.broadcast_to(op.formats.frac, f.shape))
            case ops.Relu():
                f = parts[0]
            case ops.Reshape():
                f = parts[0].reshape(op.shape)
            case ops.Permute():
                f = parts[0].transpose(op.perm)
            case ops.Take():
                f = parts[0][..., op.index]
            case ops.Concat():
                f = np.concatenate(parts, axis=op.axis)
            case ops.Max():
                f = reduce(np.maximum, parts)
        own[node.name] = f
    return own


def span(values: NDArray[np.int64]) -> Counts:
    """Bits between the highest and the lowest set bit of each magnitude, both included; 0 for zero.

    >>> span(np.array([0, 1, -12, 5])).tolist()
    [0, 1, 2, 3]
    """
    return np.array([(abs(v) // (v & -v)).bit_length() if v else 0 for v in map(int, values.flat)], np.int64).reshape(
        values.shape
    )


def _linear(a: Counts, w: NDArray[np.int64], b: NDArray[np.int64]) -> Counter[str]:
    """Rows of variables ``a (rows, n_in)`` times ``w`` plus ``b``."""
    live = (a > 0).astype(np.int64)
    terms = live @ (w != 0).astype(np.int64)
    biased = terms + (b != 0)
    return Counter(
        multiplications=int((live @ (span(w) > 1).astype(np.int64)).sum()),
        additions=int(np.where(terms > 0, biased - 1, 0).sum()),
        ebops=int((a @ span(w)).sum()),
        parameters=int(w.size + b.size),
        nonzero_parameters=int(np.count_nonzero(w) + np.count_nonzero(b)),
    )


def _affine(node: Node, parts: list[Counts], graph: Graph) -> Counter[str]:
    op: Any = node.op
    return _linear(parts[0].reshape(-1, op.w.shape[0]), op.w, op.b)


def _conv(node: Node, parts: list[Counts], graph: Graph) -> Counter[str]:
    op: Any = node.op
    z = windows(pad(parts[0], op.padding), op.w.shape[: op.w.ndim - 2], op.strides)
    w = op.w.reshape(-1, op.w.shape[-1])
    return _linear(z.reshape(-1, w.shape[0]), w, op.b)


def _products(a: Counts, b: Counts) -> Counter[str]:
    both = (a > 0) & (b > 0)
    return Counter(products=int(both.sum()), ebops=int((a * b)[both].sum()))


def _mul(node: Node, parts: list[Counts], graph: Graph) -> Counter[str]:
    return _products(*parts)


def _matmul(node: Node, parts: list[Counts], graph: Graph) -> Counter[str]:
    a, b = np.broadcast_arrays(parts[0][:, :, None], parts[1][None, :, :])
    return _products(a, b) + Counter(additions=_fewer(np.moveaxis((a > 0) | (b > 0), 1, 0)))


def _fewer(live: NDArray[np.bool_]) -> int:
    """Additions that fold axis 0: one less than the variables."""
    return int(np.maximum(live.sum(axis=0) - 1, 0).sum())


def _add(node: Node, parts: list[Counts], graph: Graph) -> Counter[str]:
    return Counter(additions=int(((parts[0] > 0) | (parts[1] > 0)).sum()))


def _reduce(node: Node, parts: list[Counts], graph: Graph) -> Counter[str]:
    op: Any = node.op
    if op.how != "sum":
        return Counter()
    z = parts[0] if isinstance(op, ops.Reduce) else windows(parts[0], op.size, op.strides)
    return Counter(additions=_fewer(np.moveaxis(z > 0, op.axis if isinstance(op, ops.Reduce) else -2, 0)))


def _table(node: Node, parts: list[Counts], graph: Graph) -> Counter[str]:
    t, made = bounds(graph)[node.inputs[0]], bounds(graph)[node.name]
    entries = np.array([int(hi) - int(lo) + 1 for lo, hi in zip(t.lo.flat, t.hi.flat, strict=True)], np.int64)
    widths = np.array([f.width for f in made.element_formats()], np.int64)
    return Counter(table_bits=int((entries * widths)[entries > 1].sum()))


Rule = Callable[[Node, list[Counts], Graph], "Counter[str]"]

RULES: dict[type, Rule] = {
    ops.Affine: _affine,
    ops.Conv: _conv,
    ops.MatMul: _matmul,
    ops.Mul: _mul,
    ops.Add: _add,
    ops.Reduce: _reduce,
    ops.Pool: _reduce,
    ops.Table: _table,
}
