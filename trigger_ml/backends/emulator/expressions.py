"""One element of a tensor as a C++ expression over rows: what an operation means in lanes of int32 or int64."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from trigger_ml.fixed import Fixed, Overflow, Rounding, round_shift
from trigger_ml.ir import ops
from trigger_ml.ir.bounds import Tensor, windows
from trigger_ml.ir.graph import Node

INT32 = 1 << 31

Element = tuple[str, int]
"""A node's name and the index of one of its elements in C order."""


@dataclass(frozen=True)
class Expr:
    """C++ text of type ``lanes`` with one ``{}`` for each element that it reads.

    Attributes:
        text: the expression.
        reads: the elements, in the order of the slots.
        lanes: ``V`` (int32) or ``W`` (int64).
    """

    text: str
    reads: tuple[Element, ...]
    lanes: str

    def to(self, lanes: str) -> Expr:
        """The same value in other lanes; the caller knows that it fits."""
        if lanes == self.lanes:
            return self
        return Expr(f"{'wide' if lanes == 'W' else 'narrow'}({self.text})", self.reads, lanes)


def lanes_for(most: int) -> str:
    """The lanes that hold magnitudes up to ``most``."""
    return "V" if most < INT32 else "W"


def constant(value: int, lanes: str) -> str:
    """A vector of equal integers."""
    return f"splat<{lanes}>({value}LL)"


def fitted(text: str, lanes: str, lo: int, hi: int, op: ops.Requant, to: Fixed, frac: int) -> str:
    """C++ that requantizes ``text``, known to lie in ``lo ... hi`` with fraction length ``frac``, into ``to``."""
    if to.width == 0:
        return constant(0, lanes)
    text, lo, hi = rounded(text, lo, hi, frac - to.frac, op.rounding)
    least, most = to.lo, to.hi
    if op.overflow is Overflow.SAT_SYM and to.signed:
        least = -most
    if lo < least or hi > most:
        if op.overflow is Overflow.WRAP:
            text = f"wrap<{to.width}>({text})" if to.signed else f"({text} & {constant(most, lanes)})"
        elif op.overflow is Overflow.SAT_ZERO:
            text = f"zero_outside({text}, {least}LL, {most}LL)"
        else:
            text = f"at_least({text}, {least}LL)" if lo < least else text
            text = f"at_most({text}, {most}LL)" if hi > most else text
    return lifted(text, op.formats.step - to.frac)


@lru_cache(maxsize=256)
def formats(op: ops.Requant, shape: tuple[int, ...]) -> list[Fixed]:
    """The format of each element, in C order."""
    f = op.formats
    parts = (np.broadcast_to(z, shape).reshape(-1).tolist() for z in (f.signed, f.width, f.frac))
    return [Fixed(bool(s), w, q) for s, w, q in zip(*parts, strict=True)]


def rounded(text: str, lo: int, hi: int, drop: int, mode: Rounding) -> tuple[str, int, int]:
    """``text / 2**drop``, rounded, and its interval."""
    if drop <= 0:
        return lifted(text, -drop), lo << -drop, hi << -drop
    ends = round_shift(np.array([lo, hi], dtype=object), drop, mode)
    # Beyond this many bits nothing but the sign is left, whatever the mode: a shorter shift gives the same.
    drop = min(drop, max(abs(lo), abs(hi)).bit_length() + 1)
    return f"{mode.value.lower()}<{drop}>({text})", int(ends[0]), int(ends[1])


def lifted(text: str, bits: int) -> str:
    """``text * 2**bits``."""
    return f"({text} << {bits})" if bits else text


def requant_lanes(node: Node, a: Tensor, t: Tensor) -> str:
    """The lanes in which a Requant is exact."""
    op: Any = node.op
    most = max(t.peak, int(np.max(np.abs(op.formats.lo))), int(op.formats.hi.max()))
    drop = int(np.max(a.frac - op.formats.frac))
    top = max(abs(int(a.lo.min())), abs(int(a.hi.max())))
    if drop > 0:
        most = max(most, top + (1 << (min(drop, top.bit_length() + 1) - 1)))
    return lanes_for(most)


Reader = Callable[[str, int], Expr]
"""From a node's name and an element to the expression that gives it."""


def element(node: Node, j: int, parts: Sequence[Tensor], t: Tensor, lanes: str, read: Reader, table: str = "") -> Expr:
    """Element ``j`` of a node that is computed element by element, ``table`` being the name of its look-up table."""
    op: Any = node.op

    def of(i: int, at: int, shift: int = 0) -> Expr:
        made = read(node.inputs[i], at).to(lanes)
        return Expr(lifted(made.text, shift), made.reads, lanes)

    match op:
        case ops.Requant():
            x = of(0, j)
            to = formats(op, t.shape)[j]
            if to.width == 0:
                return Expr(constant(0, lanes), (), lanes)
            return Expr(fitted(x.text, lanes, *interval(parts[0], op, j), op, to, parts[0].frac), x.reads, lanes)
        case ops.Table():
            x = read(node.inputs[0], j)
            first = f" + {constant(-op.first, x.lanes)}" if op.first else ""
            return Expr(f"look<{lanes}>({table}, {x.text}{first})", x.reads, lanes)
        case ops.Relu():
            x = of(0, j)
            return Expr(f"at_least({x.text}, 0)", x.reads, lanes)
        case ops.Mul():
            return joined(" * ", [of(0, j), of(1, j)])
        case ops.Add() | ops.Max():
            both = [of(i, j, t.frac - p.frac) for i, p in enumerate(parts)]
            if isinstance(op, ops.Max):
                return Expr(f"larger({both[0].text}, {both[1].text})", both[0].reads + both[1].reads, lanes)
            return joined(" - " if op.subtract else " + ", both)
        case ops.Reduce() | ops.Pool():
            where = [of(0, int(at)) for at in gathered(op, parts[0].shape)[j]]
            if op.how == "sum":
                return joined(" + ", where)
            made = where[0]
            for other in where[1:]:
                made = Expr(f"larger({made.text}, {other.text})", made.reads + other.reads, lanes)
            return made
        case ops.MatMul():
            (_, k), m = parts[0].shape, parts[1].shape[1]
            return joined(" + ", [joined(" * ", [of(0, j // m * k + i), of(1, i * m + j % m)]) for i in range(k)])
    raise AssertionError(type(op).__name__)


def interval(a: Tensor, op: ops.Requant, j: int) -> tuple[int, int]:
    """The interval of element ``j``; of all elements together where one format serves many, so that code is shared."""
    if op.formats.single is not None and a.lo.size > 16:
        return int(a.lo.min()), int(a.hi.max())
    return int(a.lo.flat[j]), int(a.hi.flat[j])


def joined(sign: str, parts: Sequence[Expr]) -> Expr:
    """A sum, difference or product."""
    return Expr(f"({sign.join(p.text for p in parts)})", tuple(r for p in parts for r in p.reads), parts[0].lanes)


def gathered(op: ops.Reduce | ops.Pool, shape: tuple[int, ...]) -> Any:
    """For each result the elements that are summed or compared, ``(results, terms)``."""
    index = np.arange(int(np.prod(shape))).reshape(shape)
    if isinstance(op, ops.Reduce):
        return np.moveaxis(index, op.axis, -1).reshape(-1, shape[op.axis])
    return np.moveaxis(windows(index, op.size, op.strides), -2, -1).reshape(-1, int(np.prod(op.size)))


def wired(node: Node, parts: Sequence[Tensor], t: Tensor) -> list[Element] | None:
    """Where each element of a node that only moves elements comes from; None for other nodes."""
    op: Any = node.op
    if isinstance(op, ops.Concat):
        if any(p.frac != t.frac for p in parts):
            return None
        return [origin for origin, _ in concatenated(node, parts, t)]
    if not isinstance(op, (ops.Reshape, ops.Permute, ops.Take)):
        return None
    index = np.arange(parts[0].lo.size).reshape(parts[0].shape)
    if isinstance(op, ops.Permute):
        index = index.transpose(op.perm)
    elif isinstance(op, ops.Take):
        index = index[..., op.index]
    return [(node.inputs[0], int(j)) for j in index.reshape(-1)]


def concatenated(node: Node, parts: Sequence[Tensor], t: Tensor) -> list[tuple[Element, int]]:
    """For a Concat: each element's origin and its shift."""
    op: Any = node.op
    shift = [np.full(p.shape, t.frac - p.frac) for p in parts]
    own = [np.full(p.shape, i) for i, p in enumerate(parts)]
    index = [np.arange(p.lo.size).reshape(p.shape) for p in parts]
    flat = [np.concatenate(z, axis=op.axis).reshape(-1) for z in (own, index, shift)]
    return [((node.inputs[i], int(j)), int(s)) for i, j, s in zip(*flat, strict=True)]
