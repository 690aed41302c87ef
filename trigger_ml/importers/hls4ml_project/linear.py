"""Sums of products as hls4ml's C++ adds them: every product cast into the accumulator, every sum as well."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trigger_ml.importers.hls4ml_project.ap_types import ApType
from trigger_ml.importers.hls4ml_project.net import Net, rounded
from trigger_ml.importers.hls4ml_project.tokens import refused
from trigger_ml.ir import ops
from trigger_ml.ir.bounds import pad, windows

MAX_PRODUCTS = 200_000
MAX_STEPS = 2048

Ints = NDArray[Any]


@dataclass(frozen=True)
class Window:
    """How a convolution sees its input: kernel, strides, padding, and the input's shape, channels last."""

    shape: tuple[int, ...]
    kernel: tuple[int, ...]
    strides: tuple[int, ...]
    padding: tuple[tuple[int, int], ...]


@dataclass(frozen=True, eq=False)
class Sum:
    """``sum_i x_i * w_ij + b_j`` in the types of a layer.

    Attributes:
        w: integers ``(n_in, n_out)``, dtype object.
        w_frac: their fraction length.
        b: the biases as the accumulator holds them, dtype object.
        accum: the accumulator's type.
        order: in which the inputs are added; None if the order is not known.
        window: of a convolution, whose kernel and channels are ``n_in``; None for a dense layer.
    """

    w: Ints
    w_frac: int
    b: Ints
    accum: ApType
    order: Sequence[int] | None
    window: Window | None = None


def accumulated(net: Net, x: str, s: Sum) -> str:
    """The accumulator at the end, before the cast to the layer's result."""
    w, w_frac = rounded(s.w, s.w_frac, s.accum)
    b, b_frac = rounded(s.b, s.accum.frac, s.accum)
    t = net.known[x]
    if t.frac + w_frac <= s.accum.frac:
        frac = max(t.frac + w_frac, b_frac)
        terms, bias = _terms(net, x, w * 2 ** (frac - t.frac - w_frac), s.window), b * 2 ** (frac - b_frac)
        if s.accum.wraps or _inside(terms, bias, frac, s.accum):
            total = _apply(net, x, w * 2 ** (frac - t.frac - w_frac), bias, frac - t.frac, s.window)
            return net.cast(total, s.accum)
    return _by_products(net, x, s, w, w_frac, (b, b_frac))


def _terms(net: Net, x: str, w: Ints, window: Window | None) -> tuple[Ints, Ints]:
    """Smallest and largest value of each product, ``(n_in, n_out)``."""
    t = net.known[x]
    lo, hi = t.lo.reshape(-1), t.hi.reshape(-1)
    if window is not None:
        cut = [windows(pad(z.reshape(window.shape), window.padding), window.kernel, window.strides) for z in (lo, hi)]
        flat = [z.reshape(-1, z.shape[-2] * z.shape[-1]) for z in cut]
        lo, hi = flat[0].min(axis=0), flat[1].max(axis=0)
    a, b = lo[:, None] * w, hi[:, None] * w
    return np.minimum(a, b), np.maximum(a, b)


def _inside(terms: tuple[Ints, Ints], bias: Ints, frac: int, accum: ApType) -> bool:
    """Whether no partial sum, in any order, leaves the accumulator's range."""
    low = np.minimum(terms[0], 0).sum(axis=0) + np.minimum(bias, 0)
    high = np.maximum(terms[1], 0).sum(axis=0) + np.maximum(bias, 0)
    lift = 2 ** (accum.frac - frac)
    return bool(np.all(low * lift >= accum.lo) and np.all(high * lift <= accum.hi))


def _apply(net: Net, x: str, w: Ints, b: Ints, frac: int, window: Window | None) -> str:
    """An exact product with constants; the result is ``(*positions, n_out)``."""
    if window is None:
        return net.affine(net.flat(x), w, b, frac)
    kernel = w.reshape(*window.kernel, window.shape[-1], -1)
    op = ops.Conv(net.integers(kernel), net.integers(b), frac, window.strides, window.padding)
    return net.add(op, net.reshape(x, *window.shape))


def _by_products(net: Net, x: str, s: Sum, w: Ints, w_frac: int, bias: tuple[Ints, int]) -> str:
    """Each product on its own, cast into the accumulator, then their sum."""
    pairs = sorted({(i, int(w[i, j])) for i, j in zip(*np.nonzero(w), strict=True)})
    number = {pair: k for k, pair in enumerate(pairs)}
    if len(pairs) * len(w) > MAX_PRODUCTS * 8 or len(pairs) > MAX_PRODUCTS:
        raise refused(
            net.at, f"{net.label}: {len(pairs)} products are rounded one by one in {s.accum}, too many to write out"
        )
    if not pairs:
        total = _apply(net, x, w, bias[0], bias[1] - net.known[x].frac, s.window)
        return net.cast(total, s.accum)
    single = np.zeros((len(w), len(pairs)), dtype=object)
    for (i, value), k in number.items():
        single[i, k] = value
    products = _apply(net, x, single, np.zeros(len(pairs), dtype=object), w_frac, s.window)
    products = net.cast(products, s.accum)
    choose = np.zeros((len(pairs), w.shape[1]), dtype=object)
    for i, j in zip(*np.nonzero(w), strict=True):
        choose[number[i, int(w[i, j])], j] = 1
    return summed(net, products, choose, [i for i, _ in pairs], bias, s)


def summed(net: Net, products: str, choose: Ints, source: list[int], bias: tuple[Ints, int], s: Sum) -> str:
    """Terms added in the order of the program; the sum is cast at each step, the terms are as they are.

    Args:
        net: the graph.
        products: tensor whose last axis holds the terms.
        choose: 0 or 1 ``(products, n_out)``.
        source: of each product the input that it belongs to.
        bias: integers and their fraction length.
        s: the accumulator, and the order of the inputs.
    """
    t = net.known[products]
    frac = max(t.frac, bias[1])
    lift, b = 2 ** (frac - t.frac), bias[0] * 2 ** (frac - bias[1])
    lo, hi = (z.reshape(-1, t.shape[-1]) for z in (t.lo, t.hi))
    terms = (lo.min(axis=0)[:, None] * choose * lift, hi.max(axis=0)[:, None] * choose * lift)
    if frac <= s.accum.frac and (s.accum.wraps or _inside(terms, b, frac, s.accum)):
        return net.cast(net.affine(products, choose * lift, b, frac - t.frac), s.accum)
    if s.order is None:
        raise refused(
            net.at, f"{net.label}: the accumulator {s.accum} can saturate, and the order of its sums is not known"
        )
    steps = [i for i in s.order if i in set(source)]
    if len(steps) > MAX_STEPS:
        raise refused(
            net.at, f"{net.label}: the accumulator {s.accum} rounds or saturates in any of {len(steps)} steps, too many"
        )
    total = ""
    for i in steps:
        rows = np.array(source)[:, None] == i
        part = net.affine(products, choose * rows * lift, b if not total else b * 0, frac - t.frac)
        total = net.cast(part if not total else net.add(ops.Add(), total, part), s.accum)
    return total


def latency_order(n: int) -> Sequence[int]:
    """In which the latency strategy adds: one input after the other."""
    return range(n)


def resource_order(n: int, reuse: int) -> Sequence[int] | None:
    """In which the resource strategy adds, where the reuse factor divides the number of inputs."""
    if reuse > n:
        return range(n) if reuse % n == 0 else None
    return sorted(range(n), key=lambda i: (i % reuse, i)) if n % reuse == 0 else None


def total(net: Net, a: str, accum: ApType) -> str:
    """The sum over the last axis, in an accumulator that starts at zero."""
    shape = net.known[a].shape
    if accum.wraps and net.known[a].frac <= accum.frac:
        return net.cast(net.add(ops.Reduce("sum", len(shape) - 1), a), accum)
    n = shape[-1]
    none = np.zeros(1, dtype=object)
    s = Sum(np.zeros((0, 1), dtype=object), 0, none, accum, latency_order(n))
    return summed(net, a, np.ones((n, 1), dtype=object), list(range(n)), (none, 0), s)
