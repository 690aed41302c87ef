"""A graph that grows layer by layer from real-valued constants: exact in each step, or refused.

Every importer draws through this. A :class:`Value` is a tensor of the model with its *logical* axes, as the model
counts them without the event axis; how they stand in the graph's node is kept beside it, so that a model with channels
first costs no permutation between a convolution and the quantizer behind it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from trigger_ml.errors import GraphError, ImportRefused
from trigger_ml.fixed import Fixed, Formats, Overflow, Rounding
from trigger_ml.importers.dyadic import WEIGHT_BITS, exact
from trigger_ml.ir import ops
from trigger_ml.ir.bounds import RULES, Tensor
from trigger_ml.ir.graph import Graph, Node
from trigger_ml.ir.verify import verify

MAX_TABLE = 1 << 16
"""Entries of the largest table: an activation of more bits than 16 is quantized first."""

MAX_DIAGONAL = 1024
"""Channels of the widest elementwise scale: it becomes a diagonal matrix."""


@dataclass(frozen=True)
class Value:
    """A tensor of the model: the node that holds ``logical.transpose(order)``."""

    node: str
    order: tuple[int, ...]


@dataclass(frozen=True)
class Quantizer:
    """What a quantizer does to each element; arrays broadcast against the logical shape.

    Attributes:
        signed: 0 or 1.
        width: bits, the sign among them; 0 gives a constant 0.
        frac: fraction length.
        rounding: the mode.
        overflow: the mode.
    """

    signed: ArrayLike
    width: ArrayLike
    frac: ArrayLike
    rounding: Rounding
    overflow: Overflow


class Draft:
    """Nodes so far, and what is known of each."""

    def __init__(self) -> None:
        """An empty graph."""
        self._nodes: list[Node] = []
        self._known: dict[str, Tensor] = {}

    # -- names, shapes, finishing -------------------------------------------------------------------------------------

    def add(self, op: ops.Op, *inputs: str, name: str = "") -> str:
        """Append an operation under a legal name made of ``name``; returns it.

        Raises:
            ImportRefused: shapes that don't fit, or more than 62 bits.
        """
        label = self._free(_legal(name) or type(op).__name__.lower())
        node = Node(label, op, inputs)
        try:
            known = RULES[type(op)](node, [self._known[i] for i in inputs])
        except GraphError as error:
            raise ImportRefused(str(error)) from None
        except (ValueError, IndexError) as error:
            raise ImportRefused(f"shapes don't fit: {error}") from None
        self._nodes.append(node)
        self._known[label] = known
        return label

    def _free(self, stem: str) -> str:
        name, k = stem, 1
        while name in self._known:
            name, k = f"{stem}_{k}", k + 1
        return name

    def known(self, value: Value) -> Tensor:
        """The node's shape, grid and interval, axes as they stand."""
        return self._known[value.node]

    def shape(self, value: Value) -> tuple[int, ...]:
        """The logical shape."""
        stood = self.known(value).shape
        shape = [0] * len(stood)
        for place, axis in enumerate(value.order):
            shape[axis] = stood[place]
        return tuple(shape)

    def graph(self, outputs: Sequence[tuple[str, Value]], meta: dict[str, str | int | float]) -> Graph:
        """The finished graph; each output gets its name and stands in logical order.

        Raises:
            ImportRefused: what ``verify`` finds wrong.
        """
        names: list[str] = []
        for wanted, value in outputs:
            node = self.arranged(value, tuple(range(len(value.order)))).node
            if isinstance(self._op(node), ops.Input) or node in names:
                node = self.add(ops.Reshape(self._known[node].shape), node, name=wanted)
            names.append(node)
        made = Graph(_needed(self._nodes, names), tuple(names), dict(meta))
        try:
            verify(made)
        except GraphError as error:
            raise ImportRefused(str(error)) from None
        return made

    def _op(self, node: str) -> ops.Op:
        return next(n.op for n in self._nodes if n.name == node)

    # -- operations ---------------------------------------------------------------------------------------------------

    def input(self, shape: Sequence[int], formats: Formats, name: str) -> Value:
        """A port."""
        return _plain(self.add(ops.Input(tuple(shape), formats), name=name), len(shape))

    def arranged(self, value: Value, order: tuple[int, ...]) -> Value:
        """The same tensor with its axes standing in ``order``."""
        if value.order == order:
            return value
        perm = tuple(value.order.index(axis) for axis in order)
        return Value(self.add(ops.Permute(perm), value.node, name=f"{value.node}_axes"), order)

    def with_last(self, value: Value, axis: int) -> Value:
        """The same tensor with logical ``axis`` standing last."""
        if value.order[-1] == axis:
            return value
        rest = tuple(a for a in range(len(value.order)) if a != axis)
        return self.arranged(value, (*rest, axis))

    def channels_last(self, value: Value, axis: int) -> Value:
        """The same tensor with the other axes in their logical order, then ``axis``."""
        axis %= len(value.order)
        return self.arranged(value, (*(a for a in range(len(value.order)) if a != axis), axis))

    def transposed(self, value: Value, perm: Sequence[int]) -> Value:
        """Logical axes in another order: no node."""
        return Value(value.node, tuple(list(perm).index(axis) for axis in value.order))

    def reshaped(self, value: Value, shape: Sequence[int], name: str = "") -> Value:
        """The same elements in the logical C order."""
        flat = self.arranged(value, tuple(range(len(value.order))))
        if math.prod(shape) != math.prod(self.shape(value)):
            raise ImportRefused(f"{self.shape(value)} can't be reshaped to {tuple(shape)}")
        if tuple(shape) == self.shape(value):
            return flat
        return _plain(self.add(ops.Reshape(tuple(shape)), flat.node, name=name), len(shape))

    def affine(self, value: Value, w: ArrayLike, b: ArrayLike | None, name: str = "", axis: int = -1) -> Value:
        """``value @ w + b`` over one logical axis; ``w (n_in, n_out)`` and ``b (n_out,)`` real."""
        stood = self.with_last(value, axis % len(value.order))
        weights, bias, frac = self._constants(stood, w, b, np.shape(w)[-1])
        return Value(self.add(ops.Affine(weights, bias, frac), stood.node, name=name), stood.order)

    def conv(
        self,
        value: Value,
        w: ArrayLike,
        b: ArrayLike | None,
        strides: Sequence[int],
        padding: Sequence[tuple[int, int]],
        channels: int,
        name: str = "",
    ) -> Value:
        """Cross-correlation; ``w (*kernel, c_in, c_out)`` real, ``channels`` the logical axis of the channels."""
        stood = self.channels_last(value, channels)
        weights, bias, frac = self._constants(stood, w, b, np.shape(w)[-1])
        op = ops.Conv(weights, bias, frac, tuple(strides), tuple(padding))
        return Value(self.add(op, stood.node, name=name), stood.order)

    def _constants(
        self, value: Value, w: ArrayLike, b: ArrayLike | None, units: int
    ) -> tuple[ops.IntArray, ops.IntArray, int]:
        """Integers of weights and bias, the weights on a grid fine enough for the bias."""
        weights, frac = exact(w, "weights", WEIGHT_BITS)
        bias, places = exact(np.zeros(units) if b is None else np.broadcast_to(np.asarray(b), (units,)), "biases")
        own = self.known(value).frac
        if not bias.any():
            return weights, bias, frac
        fine = max(frac, places - own)
        return ops.integers(weights << (fine - frac)), ops.integers(bias << (own + fine - places)), fine

    def scaled(self, value: Value, scale: ArrayLike, shift: ArrayLike, name: str = "") -> Value:
        """``value * scale + shift``, real constants that broadcast to the logical shape without changing it."""
        shape = self.shape(value)
        factors, shifts = (spread(z, shape) for z in (scale, shift))
        if np.all(factors == 1) and not shifts.any():
            return value
        axis = _only_axis(factors, shifts, value.order)
        if axis is None:
            count = math.prod(shape)
            _limited(count)
            flat = self.reshaped(value, (count,))
            made = self.affine(flat, np.diag(factors.ravel()), shifts.ravel(), name)
            return self.reshaped(made, shape)
        _limited(shape[axis])
        line = tuple(slice(None) if a == axis else 0 for a in range(len(shape)))
        return self.affine(value, np.diag(factors[line]), shifts[line], name, axis)

    def requant(self, value: Value, to: Quantizer, name: str = "") -> Value:
        """A quantizer in its narrowest formats; nothing where it changes no bit."""
        t = self.known(value)
        formats = narrowed(self._stood(value, to), t, to.rounding, to.overflow)
        if _holds(formats, t, to.overflow):
            return value
        return Value(self.add(ops.Requant(formats, to.rounding, to.overflow), value.node, name=name), value.order)

    def _stood(self, value: Value, to: Quantizer) -> Formats:
        """The quantizer's formats, axes as they stand; one format where all elements share it."""
        shape = self.shape(value)
        parts = [spread(z, shape).transpose(value.order) for z in (to.signed, to.width, to.frac)]
        return Formats.of(*parts)

    def take(self, value: Value, index: Sequence[int], axis: int, name: str = "") -> Value:
        """Some positions along a logical axis; nothing where they are all of them in order."""
        if list(index) == list(range(self.shape(value)[axis])):
            return value
        stood = self.with_last(value, axis)
        return Value(self.add(ops.Take(ops.integers(list(index))), stood.node, name=name), stood.order)

    def table(self, value: Value, entries: NDArray[np.int64], frac: int, name: str = "") -> Value:
        """A function of one integer; ``entries`` belong to the integers of :meth:`domain`."""
        first = int(self.known(value).lo.min())
        return Value(self.add(ops.Table(ops.integers(entries), first, frac), value.node, name=name), value.order)

    def tables(self, value: Value, results: NDArray[np.float64], name: str = "") -> Value:
        """A function of its own for each element; ``results (domain, *logical shape)`` real, as :meth:`domain` counts.

        Elements of equal functions share a table.
        """
        shape = self.shape(value)
        flat = self.reshaped(value, (math.prod(shape),))
        start = int(self.known(value).lo.min())
        columns, which = np.unique(results.reshape(len(results), -1), axis=1, return_inverse=True)
        parts, places = [], []
        for i in range(columns.shape[1]):
            members = np.flatnonzero(which.ravel() == i)
            part = self.take(flat, members.tolist(), 0, f"{name}_part")
            entries, frac = exact(columns[:, i], "results")
            parts.append(self.table(part, entries[int(self.known(part).lo.min()) - start :], frac, name))
            places.append(members)
        made = self.concat(parts, 0, f"{name}_parts")
        back = np.argsort(np.concatenate(places)).tolist()
        return self.reshaped(self.take(made, back, 0, f"{name}_order"), shape)

    def domain(self, value: Value) -> NDArray[np.float64]:
        """The real number of each integer that the tensor may hold, lowest first.

        Raises:
            ImportRefused: more than ``MAX_TABLE`` of them.
        """
        t = self.known(value)
        lo, hi = int(t.lo.min()), int(t.hi.max())
        if hi - lo >= MAX_TABLE:
            raise ImportRefused(
                f"its input has {(hi - lo).bit_length()} bits: a table takes up to 16, quantize its input to fewer"
            )
        return np.ldexp(np.arange(lo, hi + 1, dtype=np.float64), -t.frac)

    def pair(self, op: ops.Op, a: Value, b: Value, name: str = "") -> Value:
        """An elementwise operation on two tensors of one logical shape."""
        if self.shape(a) != self.shape(b):
            raise ImportRefused(f"it reads shapes {self.shape(a)} and {self.shape(b)}: only equal shapes are supported")
        return Value(self.add(op, a.node, self.arranged(b, a.order).node, name=name), a.order)

    def matmul(self, a: Value, b: Value, name: str = "") -> Value:
        """A product of two rank-2 tensors."""
        if len(a.order) != 2 or len(b.order) != 2:
            raise ImportRefused(
                f"it multiplies shapes {self.shape(a)} and {self.shape(b)}: only matrices are supported"
            )
        a, b = self.arranged(a, (0, 1)), self.arranged(b, (0, 1))
        return _plain(self.add(ops.MatMul(), a.node, b.node, name=name), 2)

    def relu(self, value: Value, name: str = "") -> Value:
        """``max(x, 0)``; nothing where the tensor is never negative."""
        if int(self.known(value).lo.min()) >= 0:
            return value
        return Value(self.add(ops.Relu(), value.node, name=name), value.order)

    def pool(
        self, value: Value, how: str, size: Sequence[int], strides: Sequence[int], channels: int, name: str = ""
    ) -> Value:
        """Sum or maximum over windows of all axes but ``channels``."""
        stood = self.channels_last(value, channels)
        if any(s < 1 for s in strides) or any(k < 1 for k in size):
            raise ImportRefused(f"its window {tuple(size)} or its strides {tuple(strides)} are not positive")
        op = ops.Pool("sum" if how == "sum" else "max", tuple(size), tuple(strides))
        return Value(self.add(op, stood.node, name=name), stood.order)

    def reduce(self, value: Value, how: str, axis: int, name: str = "") -> Value:
        """Sum or maximum over one logical axis, which goes."""
        op = ops.Reduce("sum" if how == "sum" else "max", value.order.index(axis))
        node = self.add(op, value.node, name=name)
        if len(value.order) == 1:
            return _plain(node, 1)
        return Value(node, tuple(a - (a > axis) for a in value.order if a != axis))

    def concat(self, values: Sequence[Value], axis: int, name: str = "") -> Value:
        """Tensors side by side along a logical axis."""
        order = values[0].order
        if any(len(v.order) != len(order) for v in values):
            raise ImportRefused("it joins tensors of different ranks")
        if len(values) == 1:
            return values[0]
        parts = [self.arranged(v, order).node for v in values]
        return Value(self.add(ops.Concat(order.index(axis)), *parts, name=name), order)


def narrowed(to: Formats, known: Tensor, rounding: Rounding, mode: Overflow) -> Formats:
    """An equal quantizer of narrower formats: no finer than its input where no bit overflows, dead where it gives 0."""
    signed, width, frac = (np.array(np.broadcast_to(z, known.shape)) for z in (to.signed, to.width, to.frac))
    toward_zero = rounding is not Rounding.TRN
    for at in np.ndindex(known.shape):
        if not width[at]:
            continue
        one = Fixed(bool(signed[at]), int(width[at]), int(frac[at]))
        least = -one.hi if mode is Overflow.SAT_SYM and one.signed else one.lo
        lo, hi, finer = int(known.lo[at]), int(known.hi[at]), one.frac - known.frac
        if finer > 0 and (lo << finer) >= least and (hi << finer) <= one.hi:
            tight = Fixed.holding(lo, hi, known.frac)
            symmetric = mode is Overflow.SAT_SYM and tight.signed and lo == tight.lo
            signed[at], width[at], frac[at] = tight.signed, tight.width + symmetric, known.frac
        elif -finer > max(abs(lo), abs(hi)).bit_length() and toward_zero:
            width[at] = 0
    return Formats.of(signed, width, frac)


def _holds(to: Formats, t: Tensor, mode: Overflow) -> bool:
    """Whether no element is rounded or overflows, so that the quantizer changes nothing."""
    least = np.where((to.signed == 1) & (mode is Overflow.SAT_SYM), -to.hi, to.lo)
    lift = (to.frac - t.frac).astype(object)
    if np.any((to.width > 0) & (lift < 0)):
        return False
    low, high = t.lo * 2 ** np.maximum(lift, 0), t.hi * 2 ** np.maximum(lift, 0)
    dead = (to.width == 0) & ((t.lo != 0) | (t.hi != 0))
    return not bool(np.any(dead | (low < least) | (high > to.hi)))


def spread(values: ArrayLike, shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Constants as the model broadcasts them; an event axis of 1 in front is dropped."""
    real = np.asarray(values)
    while real.ndim > len(shape) and real.shape[0] == 1:
        real = real[0]
    try:
        return np.broadcast_to(real, shape)
    except ValueError:
        raise ImportRefused(f"its constant of shape {np.shape(values)} does not broadcast to {shape}") from None


def _only_axis(scale: NDArray[np.float64], shift: NDArray[np.float64], order: tuple[int, ...]) -> int | None:
    """The one logical axis along which constants differ, the last that stands if none; None if several."""
    differs = [a for a in range(scale.ndim) if any(np.any(z != np.take(z, [0], axis=a)) for z in (scale, shift))]
    return None if len(differs) > 1 else differs[0] if differs else order[-1]


def _limited(count: int) -> None:
    if count > MAX_DIAGONAL:
        raise ImportRefused(f"it scales {count} elements one by one: at most {MAX_DIAGONAL} are supported")


def _legal(name: str) -> str:
    """A legal node name made of a name of the model."""
    plain = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")[:48]
    return plain if not plain or plain[0].isalpha() else f"n_{plain}"


def _plain(node: str, rank: int) -> Value:
    return Value(node, tuple(range(rank)))


def _needed(nodes: Sequence[Node], outputs: Sequence[str]) -> tuple[Node, ...]:
    """The nodes that an output depends on, and every port."""
    needed = set(outputs)
    for node in reversed(nodes):
        if node.name in needed:
            needed.update(node.inputs)
    return tuple(n for n in nodes if n.name in needed or isinstance(n.op, ops.Input))
