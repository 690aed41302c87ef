"""Requant as ONNX nodes, and what of it the product before it takes over."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from trigger_ml.backends.onnx_graph.writer import AS_IT_IS, Held, Writer
from trigger_ml.fixed import Formats, Overflow, Rounding, round_shift
from trigger_ml.ir import ops
from trigger_ml.ir.bounds import FLOAT32_EXACT, FLOAT64_EXACT, Tensor
from trigger_ml.ir.graph import Node


def absorbed(w: Writer, node: Node, t: Tensor) -> Held:
    """How the tensor of a product is best held: on the grid of the Requant that alone reads it.

    The scale is one an output channel. What the rounding adds is added with the bias where the proof leaves room.
    """
    readers = w.graph.consumers(node.name)
    if len(readers) != 1 or node.name in w.graph.outputs:
        return AS_IT_IS
    reader, k = readers[0], w.carrier(node.name)
    if not isinstance(reader.op, ops.Requant) or w.carrier(reader.name) != k:
        return AS_IT_IS
    f = reader.op.formats
    scale = by_channel(f.frac - t.frac, t.shape)
    if scale is None or not np.any(f.width > 0):
        return AS_IT_IS
    rounds = reader.op.rounding is Rounding.RND and np.any(scale < 0)
    return Held(scale, _before_rounding(scale, t.peak, k) if rounds else 0.0)


HALF = 0.5


def _before_rounding(scale: NDArray[np.int64], peak: int, k: type) -> float:
    """What is added to ``n * 2**scale``, ``n`` up to ``peak``, so that one rounding gives ``RND``.

    Half of the finest step and then ties to even: no tie is left, and every former tie goes up. Runtimes have that
    rounding as one instruction. Where the carrier has no room for so small a number: one half and then ``Floor``; 0
    where not even that is exact for every element.
    """
    limit = FLOAT32_EXACT if k is np.float32 else FLOAT64_EXACT
    steps = {int(s) for s in np.unique(scale)}
    for added in (min(steps) - 1, -1):  # as a power of two
        units = [min(s, added) for s in steps]
        if max((peak << (s - u)) + (1 << (added - u)) for s, u in zip(steps, units, strict=True)) < limit:
            return float(2.0**added)
    return 0.0


def by_channel(values: NDArray[np.int64], shape: tuple[int, ...]) -> NDArray[np.int64] | None:
    """Values that are the same at every position of a tensor, one for each index of the last axis; else None."""
    if values.ndim == 0:
        return np.full(shape[-1:], values)
    table = np.broadcast_to(values, shape).reshape(-1, shape[-1])
    return table[0] if np.array_equal(table, np.broadcast_to(table[:1], table.shape)) else None


def requant(w: Writer, node: Node, parts: list[Tensor], t: Tensor) -> None:
    """Shift, round, fit; the result stays on each element's own grid."""
    op: Any = node.op
    f: Formats = op.formats
    k, (a,) = w.carrier(node.name), parts
    if not np.any(f.width > 0):
        w.finish(node, w.op("Mul", [w.raw(node.inputs[0], k), w.const(0, k)]))
        return
    held, scale = w.holding(node.inputs[0]), f.frac - a.frac
    if held.offset and np.any(held.scale - scale):
        x, held = w.read(node.inputs[0], k), AS_IT_IS
    else:
        x = w.raw(node.inputs[0], k)
    x, added = w.times(x, scale - held.scale, k), held.offset
    if op.rounding is Rounding.RND and np.any(scale < 0) and not added:
        top = max(int(np.abs(z).max()) for z in (a.lo, a.hi))
        added = _before_rounding(np.atleast_1d(scale), top, k)
        x = w.op("Add", [x, w.rows(added or np.where(scale < 0, HALF, 0.0), k)])
    halves = _one(np.where(scale < 0, HALF, 0.0))
    y = _rounded(w, x, op.rounding, k, added, halves) if np.any(scale < 0) else x
    ends = [round_shift(z, a.frac - f.frac, op.rounding) for z in (a.lo, a.hi)]
    low, high = f.lo.astype(object), f.hi.astype(object)
    if op.overflow is Overflow.SAT_SYM:
        low = np.where(f.signed == 1, -high, low)
    below, above = bool(np.any(ends[0] < low)), bool(np.any(ends[1] > high))
    if below or above:
        y = _overflowed(w, y, op.overflow, _floats(low), _floats(high), k, (below, above))
    w.finish(node, y, Held(np.where(f.width > 0, f.frac - f.step, 0)))


def _floats(ends: Any) -> NDArray[np.float64]:
    return np.asarray(ends, np.float64)


def _rounded(w: Writer, x: str, mode: Rounding, k: type, added: float, halves: NDArray[np.float64]) -> str:
    """To whole numbers.

    ``added``: what RND has added already. ``halves``: 0 for elements that are whole and may be too large for a half.
    """
    if mode is Rounding.RND:
        return w.op("Floor" if added in (0, HALF) else "Round", [x])
    simple = {Rounding.TRN: "Floor", Rounding.RND_CONV: "Round"}
    if mode in simple:
        return w.op(simple[mode], [x])
    if mode is Rounding.TRN_ZERO:
        return w.op("Mul", [w.op("Sign", [x]), w.op("Floor", [w.op("Abs", [x])])])
    half = w.rows(halves, k)
    if mode is Rounding.RND_MIN_INF:
        return w.op("Ceil", [w.op("Sub", [x, half])])
    size = w.op("Abs", [x])
    if mode is Rounding.RND_ZERO:
        size = w.op("Ceil", [w.op("Sub", [size, half])])
    else:
        size = w.op("Floor", [w.op("Add", [size, half])])
    return w.op("Mul", [w.op("Sign", [x]), size])


def _overflowed(
    w: Writer,
    y: str,
    mode: Overflow,
    low: NDArray[np.float64],
    high: NDArray[np.float64],
    k: type,
    acts: tuple[bool, bool],
) -> str:
    """Fit ``y``; ``acts``: whether it can be below and above its limits at all."""
    if mode is Overflow.WRAP:
        span, lo = high - low + 1, w.rows(low, k)
        turns = w.op("Floor", [w.op("Mul", [w.op("Sub", [y, lo]), w.rows(1 / span, k)])])
        return w.op("Sub", [y, w.op("Mul", [turns, w.rows(span, k)])])
    clipped = y
    if acts == (True, True) and low.ndim == high.ndim == 0:
        clipped = w.op("Clip", [clipped, w.const(low, k), w.const(high, k)])
    else:
        if acts[0]:
            clipped = w.op("Max", [clipped, w.rows(_one(low), k)])
        if acts[1]:
            clipped = w.op("Min", [clipped, w.rows(_one(high), k)])
    if mode is Overflow.SAT_ZERO:
        return w.op("Where", [w.op("Equal", [clipped, y]), y, w.const(0, k)])
    return clipped


def _one(ends: NDArray[np.float64]) -> NDArray[np.float64]:
    """One limit where all are equal."""
    return np.asarray(ends.flat[0]) if np.all(ends == ends.flat[0]) else ends
