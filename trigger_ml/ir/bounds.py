"""What is true of every tensor for every possible input: shape, grid, interval, and the size of its intermediates.

All of it is derived from the graph and never stored, so that it can't go stale. Intervals are exact Python integers.
``peak`` bounds every operand, partial sum and intermediate of the node in whatever order they are added, so
``peak < 2**24`` proves that float32 arithmetic is exact for it, ``2**53`` float64 and ``2**62`` int64.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trigger_ml.errors import GraphError
from trigger_ml.fixed import MAX_FRAC, Fixed, Overflow, requantize
from trigger_ml.ir import ops
from trigger_ml.ir.graph import Graph, Node

FLOAT32_EXACT = 1 << 24
FLOAT64_EXACT = 1 << 53
INT64_EXACT = 1 << 62

Exact = NDArray[Any]
"""An array of Python ints (dtype object)."""


@dataclass(frozen=True, eq=False)
class Tensor:
    """What is known of one tensor.

    Attributes:
        shape: without the event axis.
        frac: value = integer * 2**-frac.
        lo: smallest integer of each element, Python ints.
        hi: largest integer of each element.
        peak: bound on the magnitude of every operand, partial sum and intermediate that made it.
    """

    shape: tuple[int, ...]
    frac: int
    lo: Exact
    hi: Exact
    peak: int

    @property
    def fixed(self) -> Fixed:
        """The narrowest single format that holds every element."""
        return Fixed.holding(int(self.lo.min()), int(self.hi.max()), self.frac)

    def element_formats(self) -> Iterator[Fixed]:
        """The narrowest format of each element, in C order; width 0 where it is always zero."""
        for lo, hi in zip(self.lo.flat, self.hi.flat, strict=True):
            yield Fixed(False, 0, self.frac) if lo == hi == 0 else Fixed.holding(lo, hi, self.frac)


def windows(x: NDArray[Any], size: Sequence[int], strides: Sequence[int]) -> NDArray[Any]:
    """Windows of the spatial axes of ``(..., *space, channels)`` -> ``(..., *positions, prod(size), channels)``."""
    n = len(size)
    first = x.ndim - 1 - n
    outer = (slice(None),) * first
    spans = [(x.shape[first + i] - size[i]) // strides[i] + 1 for i in range(n)]
    cut = []
    for offset in np.ndindex(*size):
        ranges = tuple(
            slice(o, o + (count - 1) * step + 1, step) for o, count, step in zip(offset, spans, strides, strict=True)
        )
        cut.append(x[(*outer, *ranges, slice(None))])
    return np.stack(cut, axis=-2)


def pad(x: NDArray[Any], padding: Sequence[tuple[int, int]]) -> NDArray[Any]:
    """Zeros around the spatial axes of ``(..., *space, channels)``."""
    before = x.ndim - 1 - len(padding)
    return np.pad(x, [(0, 0)] * before + list(padding) + [(0, 0)])


@lru_cache(maxsize=64)
def bounds(graph: Graph) -> dict[str, Tensor]:
    """Every tensor's shape, grid, interval and peak, by node name.

    Raises:
        GraphError: shapes that don't fit, a tensor without elements, a fraction length outside -62...62, a table that
            doesn't cover its input, or a number beyond 62 bits.
    """
    known: dict[str, Tensor] = {}
    for node in graph.nodes:
        try:
            t = RULES[type(node.op)](node, [known[i] for i in node.inputs])
        except (ValueError, IndexError) as e:
            raise GraphError(f"node {node.name!r} ({type(node.op).__name__}): shapes don't fit: {e}") from e
        _legal(node, t)
        known[node.name] = t
    return known


def _legal(node: Node, t: Tensor) -> None:
    what = f"node {node.name!r} ({type(node.op).__name__})"
    if not t.lo.size:
        raise GraphError(f"{what} makes a tensor of shape {t.shape}, without elements: leave it out")
    if abs(t.frac) > MAX_FRAC:
        raise GraphError(
            f"{what} has fraction length {t.frac}, outside -{MAX_FRAC}...{MAX_FRAC}: rescale or requantize its inputs"
        )
    if t.peak >= INT64_EXACT:
        raise GraphError(
            f"{what} may reach {t.peak.bit_length()} bits, more than the 62 that int64 arithmetic is proved for: "
            "requantize its inputs to fewer bits"
        )


def _top(*arrays: Exact) -> int:
    return max((int(max(abs(v) for v in a.flat)) for a in arrays if a.size), default=0)


def _made(lo: Exact, hi: Exact, frac: int, peak: int) -> Tensor:
    lo, hi = np.asarray(lo, dtype=object), np.asarray(hi, dtype=object)
    return Tensor(lo.shape, frac, lo, hi, max(peak, _top(lo, hi)))


def _aligned(parts: Sequence[Tensor]) -> tuple[int, list[tuple[Exact, Exact]]]:
    frac = max(t.frac for t in parts)
    return frac, [(t.lo * 2 ** (frac - t.frac), t.hi * 2 ** (frac - t.frac)) for t in parts]


def _same_shape(node: Node, parts: Sequence[Tensor]) -> None:
    if parts[0].shape != parts[1].shape:
        raise GraphError(
            f"node {node.name!r} ({type(node.op).__name__}) reads shapes {parts[0].shape} and "
            f"{parts[1].shape}: make them equal"
        )


def _input(node: Node, parts: list[Tensor]) -> Tensor:
    op: Any = node.op
    lo = np.broadcast_to(op.formats.lo.astype(object), op.shape)
    hi = np.broadcast_to(op.formats.hi.astype(object), op.shape)
    return _made(lo, hi, op.formats.step, 0)


def _requant(node: Node, parts: list[Tensor]) -> Tensor:
    op: Any = node.op
    (a,) = parts
    np.broadcast_to(op.formats.width, a.shape)
    lift = np.maximum(op.formats.frac - a.frac, 0).astype(object)
    drop = int(np.max(a.frac - op.formats.frac))
    peak = max(
        _top(a.lo * 2**lift, a.hi * 2**lift), _top(a.lo, a.hi) + (1 << min(max(drop, 0), 60)) // 2 if drop > 0 else 0
    )
    step = (op.formats.step - op.formats.frac).astype(object) * (op.formats.width > 0)
    lo = np.broadcast_to(op.formats.lo.astype(object) * 2**step, a.shape)
    hi = np.broadcast_to(op.formats.hi.astype(object) * 2**step, a.shape)
    # Rounding is monotone, and so is saturation; wrapping keeps the order only where nothing wraps.
    ends = [requantize(z, a.frac, op.formats, op.rounding, Overflow.SAT) for z in (a.lo, a.hi)]
    if op.overflow in (Overflow.SAT, Overflow.SAT_SYM):
        lo, hi = (requantize(z, a.frac, op.formats, op.rounding, op.overflow) for z in (a.lo, a.hi))
    else:
        wide = [requantize(z, a.frac, op.formats, op.rounding, op.overflow) for z in (a.lo, a.hi)]
        fits = np.array([w == e for w, e in zip(wide, ends, strict=True)]).all(axis=0)
        fits &= _inside(a, op)
        lo, hi = np.where(fits, ends[0], lo), np.where(fits, ends[1], hi)
    return _made(lo, hi, op.formats.step, peak)


def _inside(a: Tensor, op: ops.Requant) -> NDArray[np.bool_]:
    """Elements whose rounded interval lies inside the target's range, so that no overflow can act."""
    from trigger_ml.fixed import round_shift

    ok = np.ones(a.shape, bool)
    for z in (a.lo, a.hi):
        r = round_shift(z, a.frac - op.formats.frac, op.rounding)
        ok &= ((r >= op.formats.lo) & (r <= op.formats.hi)).astype(bool)
    return ok


def _table(node: Node, parts: list[Tensor]) -> Tensor:
    op: Any = node.op
    (a,) = parts
    lo, hi = int(a.lo.min()), int(a.hi.max())
    if op.values.ndim != 1 or lo < op.first or hi >= op.first + len(op.values):
        raise GraphError(
            f"table {node.name!r} has entries for {op.first}...{op.first + len(op.values) - 1}, "
            f"its input spans {lo}...{hi}: add entries or requantize the input"
        )
    ends = np.empty((2, *a.shape), dtype=object)
    for at in np.ndindex(a.shape):
        part = op.values[int(a.lo[at]) - op.first : int(a.hi[at]) - op.first + 1]
        ends[0][at], ends[1][at] = int(part.min()), int(part.max())
    return _made(ends[0], ends[1], op.frac, _top(a.lo, a.hi))


def _linear(lo: Exact, hi: Exact, w: Exact, b: Exact) -> tuple[Exact, Exact, int]:
    up, down = np.maximum(w, 0), np.minimum(w, 0)
    size = np.maximum(np.abs(lo), np.abs(hi))
    reach = size @ np.abs(w) + np.abs(b)
    return lo @ up + hi @ down + b, hi @ up + lo @ down + b, max(_top(reach), _top(w), _top(size))


def _affine(node: Node, parts: list[Tensor]) -> Tensor:
    op: Any = node.op
    (a,) = parts
    if op.w.ndim != 2 or op.b.shape != (op.w.shape[1],) or a.shape[-1:] != op.w.shape[:1]:
        raise GraphError(
            f"node {node.name!r} (Affine) has weights {op.w.shape} and bias {op.b.shape} on an input of shape "
            f"{a.shape}: weights are (n_in, n_out), bias (n_out,), n_in the input's last axis"
        )
    lo, hi, peak = _linear(a.lo, a.hi, op.w.astype(object), op.b.astype(object))
    return _made(lo, hi, a.frac + op.frac, peak)


def _conv(node: Node, parts: list[Tensor]) -> Tensor:
    op: Any = node.op
    (a,) = parts
    space = op.w.ndim - 2
    if (
        space not in (1, 2)
        or len(a.shape) != space + 1
        or a.shape[-1] != op.w.shape[-2]
        or op.b.shape != op.w.shape[-1:]
        or len(op.strides) != space
        or len(op.padding) != space
    ):
        raise GraphError(
            f"node {node.name!r} (Conv) has weights {op.w.shape}, strides {op.strides}, padding {op.padding} "
            f"on an input of shape {a.shape}: weights are (*kernel, c_in, c_out), "
            "one stride and one pair of paddings a spatial axis"
        )
    kernel = op.w.shape[:space]
    lo, hi = (windows(pad(z, op.padding), kernel, op.strides) for z in (a.lo, a.hi))
    lo, hi = (z.reshape(*z.shape[:-2], -1) for z in (lo, hi))
    lo, hi, peak = _linear(lo, hi, op.w.reshape(-1, op.w.shape[-1]).astype(object), op.b.astype(object))
    return _made(lo, hi, a.frac + op.frac, peak)


def _corners(a: Tensor, b: Tensor, product: Callable[[Exact, Exact], Exact]) -> tuple[Exact, Exact]:
    c = np.stack([product(x, y) for x in (a.lo, a.hi) for y in (b.lo, b.hi)])
    return c.min(0), c.max(0)


def _mul(node: Node, parts: list[Tensor]) -> Tensor:
    a, b = parts
    _same_shape(node, parts)
    lo, hi = _corners(a, b, lambda x, y: x * y)
    return _made(lo, hi, a.frac + b.frac, _top(a.lo, a.hi, b.lo, b.hi))


def _matmul(node: Node, parts: list[Tensor]) -> Tensor:
    a, b = parts
    if len(a.shape) != 2 or len(b.shape) != 2 or a.shape[1] != b.shape[0]:
        raise GraphError(
            f"node {node.name!r} (MatMul) reads shapes {a.shape} and {b.shape}: it takes (n, k) and (k, m)"
        )
    terms = [x[:, :, None] * y[None, :, :] for x in (a.lo, a.hi) for y in (b.lo, b.hi)]
    c = np.stack(terms)
    size = np.abs(c).max(0).sum(axis=1)
    return _made(c.min(0).sum(axis=1), c.max(0).sum(axis=1), a.frac + b.frac, _top(size, a.lo, a.hi, b.lo, b.hi))


def _add(node: Node, parts: list[Tensor]) -> Tensor:
    op: Any = node.op
    _same_shape(node, parts)
    frac, ((l0, h0), (l1, h1)) = _aligned(parts)
    lo, hi = (l0 - h1, h0 - l1) if op.subtract else (l0 + l1, h0 + h1)
    return _made(lo, hi, frac, _top(l0, h0, l1, h1))


def _max(node: Node, parts: list[Tensor]) -> Tensor:
    _same_shape(node, parts)
    frac, ((l0, h0), (l1, h1)) = _aligned(parts)
    return _made(np.maximum(l0, l1), np.maximum(h0, h1), frac, _top(l0, h0, l1, h1))


def _relu(node: Node, parts: list[Tensor]) -> Tensor:
    (a,) = parts
    return _made(np.maximum(a.lo, 0), np.maximum(a.hi, 0), a.frac, _top(a.lo, a.hi))


def _reduce(node: Node, parts: list[Tensor]) -> Tensor:
    op: Any = node.op
    (a,) = parts
    if not 0 <= op.axis < len(a.shape):
        raise GraphError(
            f"node {node.name!r} (Reduce) has axis {op.axis}, its input's shape is {a.shape}: "
            "count axes from 0, events apart"
        )
    f = np.sum if op.how == "sum" else np.max
    lo, hi = (np.atleast_1d(f(z, axis=op.axis)) for z in (a.lo, a.hi))
    reach = np.sum(np.maximum(np.abs(a.lo), np.abs(a.hi)), axis=op.axis) if op.how == "sum" else a.hi
    return _made(lo, hi, a.frac, _top(np.atleast_1d(reach), a.lo))


def _pool(node: Node, parts: list[Tensor]) -> Tensor:
    op: Any = node.op
    (a,) = parts
    if len(op.size) != len(op.strides) or len(a.shape) != len(op.size) + 1:
        raise GraphError(
            f"node {node.name!r} (Pool) has size {op.size} and strides {op.strides} on an input of shape {a.shape}"
        )
    f = np.sum if op.how == "sum" else np.max
    lo, hi = (f(windows(z, op.size, op.strides), axis=-2) for z in (a.lo, a.hi))
    return _made(lo, hi, a.frac, _top(a.lo, a.hi) * (math.prod(op.size) if op.how == "sum" else 1))


def _concat(node: Node, parts: list[Tensor]) -> Tensor:
    op: Any = node.op
    frac, ends = _aligned(parts)
    lo, hi = (np.concatenate([e[i] for e in ends], axis=op.axis) for i in (0, 1))
    return _made(lo, hi, frac, 0)


def _wiring(f: Callable[[Any, Exact], Exact]) -> Callable[[Node, list[Tensor]], Tensor]:
    return lambda node, parts: _made(f(node.op, parts[0].lo), f(node.op, parts[0].hi), parts[0].frac, 0)


RULES: dict[type, Callable[[Node, list[Tensor]], Tensor]] = {
    ops.Input: _input,
    ops.Requant: _requant,
    ops.Table: _table,
    ops.Affine: _affine,
    ops.Conv: _conv,
    ops.MatMul: _matmul,
    ops.Mul: _mul,
    ops.Add: _add,
    ops.Max: _max,
    ops.Relu: _relu,
    ops.Reduce: _reduce,
    ops.Pool: _pool,
    ops.Concat: _concat,
    ops.Reshape: _wiring(lambda op, z: z.reshape(op.shape)),
    ops.Permute: _wiring(lambda op, z: z.transpose(op.perm)),
    ops.Take: _wiring(lambda op, z: z[..., op.index]),
}
