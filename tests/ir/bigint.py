"""A second definition of the integer graph: one event, one element at a time, in Python integers of any size.

Written from ``docs/ir.md`` alone; shares no arithmetic with ``trigger_ml.ir.interpret``.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np

from tests.test_fixed import by_hand
from trigger_ml.ir import ops
from trigger_ml.ir.graph import Graph, Node

Tensor = tuple[np.ndarray, int]
"""Python integers (dtype object) and their fraction length."""


def run(graph: Graph, event: dict[str, np.ndarray]) -> dict[str, Tensor]:
    """Every node's integers for one event."""
    values: dict[str, Tensor] = {}
    for node in graph.nodes:
        if isinstance(node.op, ops.Input):
            values[node.name] = (_ints(event[node.name]), node.op.formats.step)
        else:
            values[node.name] = _RULES[type(node.op)](node, *[values[i] for i in node.inputs])
    return values


def _ints(a: Any) -> np.ndarray:
    a = np.asarray(a)
    out = np.empty(a.shape, dtype=object)
    for at in np.ndindex(a.shape):
        out[at] = int(a[at])
    return out


def _each(shape: tuple[int, ...], f: Callable[[tuple[int, ...]], int]) -> np.ndarray:
    out = np.empty(shape, dtype=object)
    for at in np.ndindex(shape):
        out[at] = f(at)
    return out


def _requant(node: Node, a: Tensor) -> Tensor:
    op: Any = node.op
    x, frac = a
    fixed = list(op.formats) if op.formats.width.ndim else [op.formats.single] * x.size
    grid = np.empty(np.broadcast_shapes(op.formats.width.shape, x.shape), dtype=object)
    per = np.empty(op.formats.width.shape or x.shape, dtype=object)
    for at, f in zip(np.ndindex(per.shape), fixed, strict=True):
        per[at] = f
    per = np.broadcast_to(per, grid.shape)
    step = max(f.frac for f in per.flat if f.width) if any(f.width for f in per.flat) else op.formats.step
    return _each(
        x.shape,
        lambda at: (
            by_hand(x[at], frac, per[at], op.rounding, op.overflow) * 2 ** (step - per[at].frac if per[at].width else 0)
        ),
    ), step


def _align(*tensors: Tensor) -> tuple[list[np.ndarray], int]:
    frac = max(f for _, f in tensors)
    return [_each(x.shape, lambda at, x=x, f=f: x[at] * 2 ** (frac - f)) for x, f in tensors], frac


def _pair(g: Callable[[int, int], int]) -> Callable[[Node, Tensor, Tensor], Tensor]:
    def rule(node: Node, a: Tensor, b: Tensor) -> Tensor:
        (x, y), frac = _align(a, b)
        return _each(x.shape, lambda at: g(x[at], y[at])), frac

    return rule


def _affine(node: Node, a: Tensor) -> Tensor:
    op: Any = node.op
    x, frac = a
    n, m = op.w.shape
    return _each(
        (*x.shape[:-1], m),
        lambda at: sum(x[(*at[:-1], i)] * int(op.w[i, at[-1]]) for i in range(n)) + int(op.b[at[-1]]),
    ), frac + op.frac


def _conv(node: Node, a: Tensor) -> Tensor:
    op: Any = node.op
    x, frac = a
    kernel, (cin, cout) = op.w.shape[:-2], op.w.shape[-2:]
    space = x.shape[:-1]
    out = tuple(
        (n + p0 + p1 - k) // s + 1 for n, (p0, p1), k, s in zip(space, op.padding, kernel, op.strides, strict=True)
    )

    def at_position(at: tuple[int, ...]) -> int:
        total = int(op.b[at[-1]])
        for offset in itertools.product(*map(range, kernel)):
            where = tuple(
                p * s + o - pad[0] for p, s, o, pad in zip(at[:-1], op.strides, offset, op.padding, strict=True)
            )
            if all(0 <= w < n for w, n in zip(where, space, strict=True)):
                total += sum(x[(*where, c)] * int(op.w[(*offset, c, at[-1])]) for c in range(cin))
        return total

    return _each((*out, cout), at_position), frac + op.frac


def _pool(node: Node, a: Tensor) -> Tensor:
    op: Any = node.op
    x, frac = a
    out = tuple((n - k) // s + 1 for n, k, s in zip(x.shape[:-1], op.size, op.strides, strict=True))
    best = sum if op.how == "sum" else max
    return _each(
        (*out, x.shape[-1]),
        lambda at: best(
            [
                x[(*(p * s + o for p, s, o in zip(at[:-1], op.strides, offset, strict=True)), at[-1])]
                for offset in itertools.product(*map(range, op.size))
            ]
        ),
    ), frac


def _reduce(node: Node, a: Tensor) -> Tensor:
    op: Any = node.op
    x, frac = a
    best = sum if op.how == "sum" else max
    shape = x.shape[: op.axis] + x.shape[op.axis + 1 :]
    out = _each(shape, lambda at: best([x[(*at[: op.axis], i, *at[op.axis :])] for i in range(x.shape[op.axis])]))
    return out.reshape(shape or (1,)), frac


def _table(node: Node, a: Tensor) -> Tensor:
    op: Any = node.op
    return _each(a[0].shape, lambda at: int(op.values[a[0][at] - op.first])), op.frac


def _matmul(node: Node, a: Tensor, b: Tensor) -> Tensor:
    x, y = a[0], b[0]
    return _each((x.shape[0], y.shape[1]), lambda at: sum(x[at[0], k] * y[k, at[1]] for k in range(x.shape[1]))), a[
        1
    ] + b[1]


def _concat(node: Node, *parts: Tensor) -> Tensor:
    op: Any = node.op
    xs, frac = _align(*parts)
    return np.concatenate(xs, axis=op.axis), frac


_RULES: dict[type, Callable[..., Tensor]] = {
    ops.Requant: _requant,
    ops.Table: _table,
    ops.Affine: _affine,
    ops.Conv: _conv,
    ops.MatMul: _matmul,
    ops.Mul: lambda n, a, b: (_each(a[0].shape, lambda at: a[0][at] * b[0][at]), a[1] + b[1]),
    ops.Add: lambda n, a, b: _pair((lambda x, y: x - y) if n.op.subtract else (lambda x, y: x + y))(n, a, b),
    ops.Max: _pair(max),
    ops.Relu: lambda n, a: (_each(a[0].shape, lambda at: max(a[0][at], 0)), a[1]),
    ops.Reduce: _reduce,
    ops.Pool: _pool,
    ops.Concat: _concat,
    ops.Reshape: lambda n, a: (a[0].reshape(n.op.shape), a[1]),
    ops.Permute: lambda n, a: (a[0].transpose(n.op.perm), a[1]),
    ops.Take: lambda n, a: (a[0][..., n.op.index], a[1]),
}
