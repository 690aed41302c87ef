"""The golden model: what a graph computes, on numpy integers.

Matrix products run in float64 where ``bounds`` proves that exact (peak below 2**53), in int64 otherwise. Everything
else is int64, proved below 2**62. Nothing here rounds but ``Requant``, through ``fixed.requantize``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trigger_ml.errors import GraphError
from trigger_ml.fixed import requantize
from trigger_ml.ir import ops
from trigger_ml.ir.bounds import FLOAT64_EXACT, Tensor, bounds, pad, windows
from trigger_ml.ir.graph import Graph, Node

Array = NDArray[np.int64]
BLOCK = 8192


def interpret(graph: Graph, inputs: NDArray[Any] | Mapping[str, NDArray[Any]], block: int = BLOCK) -> dict[str, Array]:
    """The graph's outputs.

    Args:
        graph: a verified graph.
        inputs: integers ``(events, *shape)`` of the only input, or one array for each input name.
        block: events computed at a time; bounds the memory, not the result.

    Returns:
        Integers ``(events, *shape)``, int64, for each output name.

    Raises:
        GraphError: an input that is missing, of a wrong shape, not an integer, or outside the port's range.
    """
    feed = check_inputs(graph, inputs)
    count = len(next(iter(feed.values())))
    known = bounds(graph)
    out = {o: np.empty((count, *known[o].shape), np.int64) for o in graph.outputs}
    for start in range(0, count, block):
        values = evaluate(graph, {k: v[start : start + block] for k, v in feed.items()})
        for o in graph.outputs:
            out[o][start : start + block] = values[o]
    return out


def evaluate(graph: Graph, feed: Mapping[str, Array]) -> dict[str, Array]:
    """The integers of every node for already checked inputs: to find the first node at which an engine differs."""
    known = bounds(graph)
    values: dict[str, Array] = {}
    for node in graph.nodes:
        if isinstance(node.op, ops.Input):
            values[node.name] = feed[node.name]
        else:
            parts = [known[i] for i in node.inputs]
            values[node.name] = RULES[type(node.op)](node, [values[i] for i in node.inputs], parts, known[node.name])
    return values


def check_inputs(graph: Graph, inputs: NDArray[Any] | Mapping[str, NDArray[Any]]) -> dict[str, Array]:
    """Inputs as int64 by name, shapes and ranges checked."""
    ports = graph.inputs
    if not isinstance(inputs, Mapping):
        if len(ports) != 1:
            raise GraphError(f"the graph has {len(ports)} inputs: give one array for each of {[p.name for p in ports]}")
        inputs = {ports[0].name: inputs}
    feed: dict[str, Array] = {}
    for port in ports:
        if port.name not in inputs:
            raise GraphError(f"no array for input {port.name!r}: the graph reads {[p.name for p in ports]}")
        x, t = np.asarray(inputs[port.name]), bounds(graph)[port.name]
        if x.ndim != len(t.shape) + 1 or x.shape[1:] != t.shape:
            raise GraphError(f"input {port.name!r} has shape {x.shape}: give (events, {', '.join(map(str, t.shape))})")
        if x.dtype.kind not in "iu":
            raise GraphError(f"input {port.name!r} has dtype {x.dtype}: give hardware integers")
        if x.dtype == np.uint64 and x.size and x.max() >= 1 << 63:
            raise GraphError(f"input {port.name!r} holds {x.max()}, beyond int64")
        x = x.astype(np.int64, copy=False)
        bad = (x < t.lo.astype(np.int64)) | (x > t.hi.astype(np.int64))
        if bad.any():
            at = tuple(int(i) for i in np.argwhere(bad)[0])
            raise GraphError(
                f"input {port.name!r}, event {at[0]}, element {at[1:]}: {x[at]} is outside "
                f"{t.lo[at[1:]]}...{t.hi[at[1:]]}"
            )
        feed[port.name] = x
    if len({len(x) for x in feed.values()}) > 1:
        raise GraphError(f"inputs have different numbers of events: { ({k: len(v) for k, v in feed.items()}) }")
    return feed


def _dot(x: Array, w: Array, t: Tensor) -> Array:
    if t.peak < FLOAT64_EXACT:
        return (x.astype(np.float64) @ w.astype(np.float64)).astype(np.int64)
    result: Array = x @ w
    return result


def _aligned(a: Sequence[Array], parts: Sequence[Tensor], t: Tensor) -> list[Array]:
    return [z << (t.frac - p.frac) for z, p in zip(a, parts, strict=True)]


def _conv(node: Node, a: list[Array], parts: list[Tensor], t: Tensor) -> Array:
    op: Any = node.op
    z = windows(pad(a[0], op.padding), op.w.shape[: op.w.ndim - 2], op.strides)
    result: Array = _dot(z.reshape(*z.shape[:-2], -1), op.w.reshape(-1, op.w.shape[-1]), t) + op.b
    return result


def _reduce(node: Node, a: list[Array], parts: list[Tensor], t: Tensor) -> Array:
    op: Any = node.op
    f = np.sum if op.how == "sum" else np.max
    return np.asarray(f(a[0], axis=op.axis + 1)).reshape(len(a[0]), *t.shape)


def _pool(node: Node, a: list[Array], parts: list[Tensor], t: Tensor) -> Array:
    op: Any = node.op
    f: Any = np.sum if op.how == "sum" else np.max
    return np.asarray(f(windows(a[0], op.size, op.strides), axis=-2))


Rule = Callable[[Any, list[Any], list[Tensor], Tensor], Array]

RULES: dict[type, Rule] = {
    ops.Requant: lambda n, a, p, t: requantize(a[0], p[0].frac, n.op.formats, n.op.rounding, n.op.overflow),
    ops.Table: lambda n, a, p, t: n.op.values[a[0] - n.op.first],
    ops.Affine: lambda n, a, p, t: _dot(a[0], n.op.w, t) + n.op.b,
    ops.Conv: _conv,
    ops.MatMul: lambda n, a, p, t: _dot(a[0], a[1], t),
    ops.Mul: lambda n, a, p, t: a[0] * a[1],
    ops.Add: lambda n, a, p, t: np.subtract(*_aligned(a, p, t)) if n.op.subtract else np.add(*_aligned(a, p, t)),
    ops.Max: lambda n, a, p, t: np.maximum(*_aligned(a, p, t)),
    ops.Relu: lambda n, a, p, t: np.maximum(a[0], 0),
    ops.Reduce: _reduce,
    ops.Pool: _pool,
    ops.Concat: lambda n, a, p, t: np.concatenate(_aligned(a, p, t), axis=n.op.axis + 1),
    ops.Reshape: lambda n, a, p, t: a[0].reshape(len(a[0]), *n.op.shape),
    ops.Permute: lambda n, a, p, t: a[0].transpose(0, *[i + 1 for i in n.op.perm]),
    ops.Take: lambda n, a, p, t: a[0][..., n.op.index],
}
