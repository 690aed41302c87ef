"""Each operation of the integer graph as ONNX nodes on tensors with their events last."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trigger_ml.backends.onnx_graph.requant import absorbed, by_channel, requant
from trigger_ml.backends.onnx_graph.writer import Held, Writer, onnx_type
from trigger_ml.ir import ops
from trigger_ml.ir.bounds import Tensor, pad, windows
from trigger_ml.ir.graph import Node

Rule = Callable[[Writer, Node, list[Tensor], Tensor], None]


def _affine(w: Writer, node: Node, parts: list[Tensor], t: Tensor) -> None:
    op: Any = node.op
    k, (a,) = w.carrier(node.name), parts
    scale = by_channel(w.holding(node.inputs[0]).scale, a.shape)
    x, weights = _source(w, node, k, scale, op.w)
    _product(w, node, x, weights, len(t.shape) == 1, t)


def _source(
    w: Writer, node: Node, k: type, scale: NDArray[np.int64] | None, weights: NDArray[Any]
) -> tuple[str, NDArray[np.float64]]:
    """What a product reads, and its weights with the scale of what it reads: ``(..., n_in, n_out)``."""
    if scale is None or w.holding(node.inputs[0]).offset:
        return w.read(node.inputs[0], k), weights.astype(np.float64)
    return w.raw(node.inputs[0], k), weights * np.exp2(-scale.astype(np.float64))[:, None]


def _product(w: Writer, node: Node, x: str, weights: NDArray[np.float64], flat: bool, t: Tensor) -> None:
    """``weights (n_in, n_out)`` times ``x (..., n_in, events)``, on the grid that suits what follows."""
    op: Any = node.op
    k, held = w.carrier(node.name), absorbed(w, node, t)
    fold = np.exp2(held.scale.astype(np.float64))
    matrix = w.const((weights * fold).T, k)
    bias = w.rows(op.b * fold + held.offset, k)
    if flat:
        w.finish(node, w.op("Gemm", [matrix, x, bias]), held)
    else:
        w.finish(node, w.op("Add", [w.op("MatMul", [matrix, x]), bias]), _everywhere(held, t.shape))


def _everywhere(held: Held, shape: tuple[int, ...]) -> Held:
    return Held(np.broadcast_to(held.scale, shape) if held.scale.any() else np.zeros((), np.int64), held.offset)


def _conv(w: Writer, node: Node, parts: list[Tensor], t: Tensor) -> None:
    op: Any = node.op
    k, (a,) = w.carrier(node.name), parts
    scale = by_channel(w.holding(node.inputs[0]).scale, a.shape)
    size = op.w.shape[:-2]
    every = None if scale is None else np.tile(scale, int(np.prod(size)))
    x, weights = _source(w, node, k, every, op.w.reshape(-1, op.w.shape[-1]))
    z = _windows(w, x, a.shape, size, op.strides, op.padding)
    z = w.op("Reshape", [z, w.const([*t.shape[:-1], len(weights), -1], np.int64)])
    _product(w, node, z, weights, False, t)


def _windows(
    w: Writer,
    x: str,
    shape: tuple[int, ...],
    size: tuple[int, ...],
    strides: tuple[int, ...],
    padding: tuple[tuple[int, int], ...],
) -> str:
    """``(*positions, prod(size), channels, events)`` by one Gather of rows; padding reads a row of zeros at the end."""
    flat = int(np.prod(shape))
    x = w.op("Reshape", [x, w.const([flat, -1], np.int64)])
    if any(p != (0, 0) for p in padding):
        x = w.op("Pad", [x, w.const([0, 0, 1, 0], np.int64)])
    index = pad(np.arange(1, flat + 1).reshape(shape), padding) - 1
    index = np.where(index < 0, flat, index)
    return w.op("Gather", [x, w.const(windows(index, size, strides), np.int64)], axis=0)


def _pool(w: Writer, node: Node, parts: list[Tensor], t: Tensor) -> None:
    op: Any = node.op
    x = w.read(node.inputs[0], w.carrier(node.name))
    z = _windows(w, x, parts[0].shape, op.size, op.strides, ((0, 0),) * len(op.size))
    w.finish(node, _reduced(w, z, op.how, len(t.shape) - 1))


def _reduced(w: Writer, x: str, how: str, axis: int) -> str:
    kind = "ReduceSum" if how == "sum" else "ReduceMax"
    return w.op(kind, [x, w.const([axis], np.int64)], keepdims=0)


def _reduce(w: Writer, node: Node, parts: list[Tensor], t: Tensor) -> None:
    op: Any = node.op
    k, (a,) = w.carrier(node.name), parts
    x = w.read(node.inputs[0], k)
    if op.how == "sum" and len(a.shape) == 1:  # a product with ones: several times faster than ReduceSum on few rows
        w.finish(node, w.op("MatMul", [w.const(np.ones((1, *a.shape)), k), x]))
        return
    made = _reduced(w, x, op.how, op.axis)
    w.finish(node, w.op("Reshape", [made, w.const([*t.shape, -1], np.int64)]))


def _table(w: Writer, node: Node, parts: list[Tensor], t: Tensor) -> None:
    """Entries for negative numbers stand last, where ONNX looks for them; so the number itself is the index."""
    op: Any = node.op
    k, kind = w.carrier(node.inputs[0]), w.carrier(node.name)
    values, x = op.values, w.read(node.inputs[0], k)
    last = op.first + len(values) - 1
    if op.first <= 0 <= last + 1:
        values = np.roll(values, op.first)
    else:
        x = w.op("Sub", [x, w.const(op.first, k)])
    index = w.op("Reshape", [w.op("Cast", [x], to=onnx_type(np.int32)), w.const([-1], np.int64)])
    found = w.op("GatherElements", [w.const(values, kind), index])
    w.finish(node, w.op("Reshape", [found, w.const([*t.shape, -1], np.int64)]))


def _matmul(w: Writer, node: Node, parts: list[Tensor], t: Tensor) -> None:
    k = w.carrier(node.name)
    factors = [w.op("Transpose", [w.read(i, k)], perm=[2, 0, 1]) for i in node.inputs]
    w.finish(node, w.op("Transpose", [w.op("MatMul", factors)], perm=[1, 2, 0]))


def _aligned(kind: Callable[[Any], str]) -> Rule:
    def rule(w: Writer, node: Node, parts: list[Tensor], t: Tensor) -> None:
        k = w.carrier(node.name)
        inputs = [w.times(w.read(i, k), t.frac - p.frac, k) for i, p in zip(node.inputs, parts, strict=True)]
        if isinstance(node.op, ops.Concat):
            w.finish(node, w.op("Concat", inputs, axis=node.op.axis))
        else:
            w.finish(node, w.op(kind(node.op), inputs))

    return rule


def _plain(kind: str) -> Rule:
    return lambda w, node, parts, t: w.finish(node, w.op(kind, [w.read(i, w.carrier(node.name)) for i in node.inputs]))


def _reshape(w: Writer, node: Node, parts: list[Tensor], t: Tensor) -> None:
    x = w.read(node.inputs[0], w.carrier(node.name))
    w.finish(node, w.op("Reshape", [x, w.const([*t.shape, -1], np.int64)]))


def _permute(w: Writer, node: Node, parts: list[Tensor], t: Tensor) -> None:
    op: Any = node.op
    x = w.read(node.inputs[0], w.carrier(node.name))
    w.finish(node, w.op("Transpose", [x], perm=[*op.perm, len(op.perm)]))


def _take(w: Writer, node: Node, parts: list[Tensor], t: Tensor) -> None:
    op: Any = node.op
    x = w.read(node.inputs[0], w.carrier(node.name))
    w.finish(node, w.op("Gather", [x, w.const(op.index, np.int64)], axis=len(t.shape) - 1))


RULES: dict[type, Rule] = {
    ops.Requant: requant,
    ops.Table: _table,
    ops.Affine: _affine,
    ops.Conv: _conv,
    ops.MatMul: _matmul,
    ops.Mul: _plain("Mul"),
    ops.Add: _aligned(lambda op: "Sub" if op.subtract else "Add"),
    ops.Max: _aligned(lambda op: "Max"),
    ops.Relu: _plain("Relu"),
    ops.Reduce: _reduce,
    ops.Pool: _pool,
    ops.Concat: _aligned(lambda op: "Concat"),
    ops.Reshape: _reshape,
    ops.Permute: _permute,
    ops.Take: _take,
}
