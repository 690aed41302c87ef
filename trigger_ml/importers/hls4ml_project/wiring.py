"""Layers without weights: merging, pooling, and those that only move elements."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from trigger_ml.fixed import Rounding
from trigger_ml.importers.hls4ml_project.ap_types import ApType
from trigger_ml.importers.hls4ml_project.declarations import MAX_ELEMENTS
from trigger_ml.importers.hls4ml_project.layer import MAX_TABLE, Layer, Probe, Rule
from trigger_ml.importers.hls4ml_project.linear import total
from trigger_ml.importers.hls4ml_project.program import Config
from trigger_ml.importers.hls4ml_project.tokens import refused, text_of
from trigger_ml.ir import ops
from trigger_ml.ir.bounds import pad, windows

# -- merging ----------------------------------------------------------------------------------------------------------


def _pair(layer: Layer) -> tuple[str, str]:
    """Both operands, repeated where they are shorter, as the C++ indexes them modulo their sizes."""
    config = layer.config
    count = config.number("n_elem", layer.net.size(layer.tensor(0)))
    parts = []
    for k in (0, 1):
        size = config.number(f"n_elem{k + 1}", count)
        if not 1 <= size <= count or count > layer.array(2).size:
            raise refused(layer.call.at, f"{config.name} merges {size} of {count} elements")
        parts.append(layer.net.take(layer.tensor(k, size), np.arange(count) % size))
    return parts[0], parts[1]


def _merge(op: ops.Op) -> Rule:
    return Rule(lambda layer: layer.net.add(op, *_pair(layer)), output=2)


def _minimum(layer: Layer) -> str:
    a, b = _pair(layer)
    total = layer.net.add(ops.Add(), a, b)
    return layer.net.add(ops.Add(subtract=True), total, layer.net.add(ops.Max(), a, b))


def _average(layer: Layer) -> str:
    total = layer.net.add(ops.Add(), *_pair(layer))
    n = layer.net.size(total)
    return layer.net.flat(layer.net.affine(layer.net.reshape(total, n, 1), [[1]], [0], 1))


def _dot1d(layer: Layer) -> str:
    config = layer.config
    n, accum = config.number("n_in"), config.type("accum_t")
    if config.alias("product", "mult") != "mult":
        raise refused(layer.call.at, f"the product {config.alias('product', '')} of two inputs is not understood")
    product = layer.net.add(ops.Mul(), layer.tensor(0, n), layer.tensor(1, n))
    return layer.net.flat(total(layer.net, layer.net.cast(product, accum), accum))


def _concatenate(dimensions: int) -> Rule:
    def lower(layer: Layer) -> str:
        config = layer.config
        shapes = [tuple(config.number(f"n_elem{k}_{d}") for d in range(dimensions)) for k in (1, 2)]
        axis = config.number("axis", -1) if dimensions > 1 else 1
        axis = axis - 1 if axis > 0 else axis + dimensions
        parts = [layer.net.reshape(layer.tensor(k, math.prod(s)), *s) for k, s in enumerate(shapes)]
        if not 0 <= axis < dimensions:
            raise refused(layer.call.at, f"{config.name} joins along an axis that is not there")
        return layer.net.flat(layer.net.add(ops.Concat(axis), *parts))

    return Rule(lower, output=2)


# -- moving elements --------------------------------------------------------------------------------------------------


def gather(layer: Layer, x: str, index: NDArray[np.int64], fill: int = 0) -> str:
    """Elements by number; -1 is the constant ``fill`` on the tensor's grid. The result is flat."""
    if index.size and index.min() < 0:
        size = layer.net.size(x)
        constant = layer.net.constant(x, np.array([fill], dtype=object), layer.net.known[x].frac)
        x = layer.net.add(ops.Concat(0), layer.net.flat(x), constant)
        index = np.where(index < 0, size, index)
    return layer.net.take(x, index.ravel())


def _zeropad(dimensions: int) -> Rule:
    def lower(layer: Layer) -> str:
        config = layer.config
        axes = ("height", "width")[2 - dimensions :]
        shape = (*(config.number(f"in_{a}") for a in axes), config.number("n_chan"))
        sides = {"height": ("top", "bottom"), "width": ("left", "right")}
        padding = [(config.number(f"pad_{b}"), config.number(f"pad_{e}")) for b, e in (sides[a] for a in axes)]
        if min(min(p) for p in padding) < 0 or min(shape) < 1:
            raise refused(layer.call.at, f"{config.name} pads {shape} by {padding}")
        x = layer.tensor(0, math.prod(shape))
        padded = [n + sum(p) for n, p in zip(shape, padding, strict=False)]
        if math.prod(padded) * shape[-1] != layer.array(1).size:
            raise refused(layer.call.at, f"{config.name} pads to {padded}, {layer.call.argument(1)} has another size")
        return gather(layer, x, pad(np.arange(1, math.prod(shape) + 1).reshape(shape), padding) - 1)

    return Rule(lower)


def _transpose(layer: Layer) -> str:
    config = layer.config
    names = {m: layer.program.arrays.get(text_of(config.values.get(m, ()))) for m in ("from_shape", "perm")}
    if names["from_shape"] is None or names["perm"] is None:
        raise refused(layer.call.at, f"{config.name} gives no shape and permutation in the way of hls4ml 1.x")
    shape, perm = ([int(v) for v in a.values or ()] for a in names.values() if a is not None)
    if sorted(perm) != list(range(len(shape))) or min(shape, default=0) < 1:
        raise refused(layer.call.at, f"{config.name} permutes {shape} by {perm}")
    x = layer.tensor(0, math.prod(shape))
    return layer.net.flat(layer.net.add(ops.Permute(tuple(perm)), layer.net.reshape(x, *shape)))


# -- pooling ----------------------------------------------------------------------------------------------------------


def _pool_windows(config: Config, dimensions: int, everything: bool) -> NDArray[np.int64]:
    """Numbers of the elements that are pooled, -1 in the padding: ``(positions, window, channels)``."""
    channels = config.number("n_filt")
    if dimensions == 1:
        shape: tuple[int, ...] = (config.number("n_in"), channels)
    else:
        shape = (config.number("in_height"), config.number("in_width"), channels)
    keys = (("height", "top", "bottom"), ("width", "left", "right"))[2 - dimensions :]
    if min(shape) < 1 or math.prod(shape) > MAX_ELEMENTS:
        raise refused(config.at, f"{config.name} pools a tensor of shape {shape}")
    numbers = np.arange(1, math.prod(shape) + 1).reshape(shape)
    if everything:
        return numbers.reshape(1, -1, channels) - 1
    size = [config.number(f"pool_{a}") for a, _, _ in keys]
    strides = [config.number(f"stride_{a}") for a, _, _ in keys]
    padding = [(config.number(f"pad_{b}", 0), config.number(f"pad_{e}", 0)) for _, b, e in keys]
    if min(*size, *strides) < 1 or any(not 0 <= q < k for p, k in zip(padding, size, strict=True) for q in p):
        raise refused(config.at, f"{config.name} has windows {size}, strides {strides}, padding {padding}")
    if any(n + sum(p) < k for n, p, k in zip(shape, padding, size, strict=False)):
        raise refused(config.at, f"{config.name} has windows {size} larger than its input {shape}")
    cut = windows(pad(numbers, padding), size, strides) - 1
    return cut.reshape(-1, *cut.shape[-2:])


def _pool(dimensions: int, everything: bool = False) -> Rule:
    def lower(layer: Layer) -> str:
        config = layer.config
        at = _pool_windows(config, dimensions, everything)
        x = layer.tensor(0)
        if at.max() >= layer.net.size(x) or layer.net.size(x) != _pooled_size(config, dimensions):
            raise refused(
                layer.call.at, f"{config.name} pools other sizes than its input of {layer.net.size(x)} elements"
            )
        if config.word("pool_op", "Max") == "Max":
            kind = layer.kind(0)
            lowest = -(1 << (kind.width - 1)) if kind.signed else 1 << (kind.width - 1)  # as pad_val sets the top bit
            if at.min() < 0:
                x = layer.net.cast(x, kind, keep_grid=True)
            wide = gather(layer, x, at, lowest)
            top = layer.net.flat(layer.net.add(ops.Reduce("max", 1), layer.net.reshape(wide, *at.shape)))
            return layer.net.cast(top, config.type("accum_t")) if "accum_t" in config.types else top
        return _mean(layer, config, x, at)

    return Rule(lower, probes=lambda layer: _mean_probes(layer, dimensions, everything))


def _pooled_size(config: Config, dimensions: int) -> int:
    if dimensions == 1:
        return config.number("n_in") * config.number("n_filt")
    return config.number("in_height") * config.number("in_width") * config.number("n_filt")


def _lengths(config: Config, at: NDArray[np.int64]) -> NDArray[np.int64]:
    """By what each position's sum is divided."""
    inside = (at[:, :, 0] >= 0).sum(axis=1)
    return np.full(len(at), at.shape[1]) if config.number("count_pad", 0) else inside


def _mean(layer: Layer, config: Config, x: str, at: NDArray[np.int64]) -> str:
    """Sums in the accumulator, and the C++'s own division of them as tables."""
    net, accum, kind = layer.net, config.type("accum_t"), layer.kind(1)
    channels = at.shape[-1]
    wide = net.add(ops.Permute((0, 2, 1)), net.reshape(gather(layer, x, at), *at.shape))
    sums = total(net, wide, accum)
    lengths = _lengths(config, at)
    parts, order = [], []
    for length in sorted(set(lengths.tolist())):
        where = np.flatnonzero(lengths == length)
        index = (where[:, None] * channels + np.arange(channels)).ravel()
        parts.append(_divided(layer, net.take(sums, index), accum, kind, int(length)))
        order.append(index)
    if len(parts) == 1:
        return parts[0]
    return net.take(net.add(ops.Concat(0), *parts), np.argsort(np.concatenate(order)))


def _divided(layer: Layer, a: str, accum: ApType, kind: ApType, length: int) -> str:
    """A sum over a count: a table, or beyond its reach, where the count is a power of two, a shift.

    ``ap_fixed`` by an integer keeps the fraction bits and rounds toward zero (``ap_fixed_base.h``, ``operator/``).
    """
    t = layer.net.known[a]
    if max(t.hi.flat) - min(t.lo.flat) < MAX_TABLE or length & (length - 1):
        return layer.table(a, accum, kind.frac, f"mean{length}")
    n = layer.net.size(a)
    quotient = layer.net.flat(layer.net.affine(layer.net.reshape(a, n, 1), [[1]], [0], length.bit_length() - 1))
    return layer.net.cast(quotient, replace(accum, rounding=Rounding.TRN_ZERO))


def _mean_probes(layer: Layer, dimensions: int, everything: bool) -> dict[str, Probe]:
    config = layer.config
    if config.word("pool_op", "Max") == "Max":
        return {}
    lengths = set(_lengths(config, _pool_windows(config, dimensions, everything)).tolist())
    accum, kind = config.type("accum_t").cpp, layer.kind(1).cpp
    return {
        f"mean{n}": Probe(
            f"volatile unsigned length = {n};\n"
            f"for (std::size_t i = 0; i < count; i++) {{ {accum} y = 0; put(y, in[i]); y /= (unsigned)length; "
            f"{kind} r = y; out[i] = get(r); }}",
            f"a mean of {n}",
        )
        for n in lengths
    }


MERGING: dict[str, Rule] = {
    "add": _merge(ops.Add()),
    "subtract": _merge(ops.Add(subtract=True)),
    "multiply": _merge(ops.Mul()),
    "maximum": _merge(ops.Max()),
    "minimum": Rule(_minimum, output=2),
    "average": Rule(_average, output=2),
    "dot1d": Rule(_dot1d, output=2),
    "concatenate1d": _concatenate(1),
    "concatenate2d": _concatenate(2),
    "concatenate3d": _concatenate(3),
    "zeropad1d_cl": _zeropad(1),
    "zeropad2d_cl": _zeropad(2),
    "transpose": Rule(_transpose),
    "pooling1d_cl": _pool(1),
    "pooling2d_cl": _pool(2),
    "global_pooling1d_cl": _pool(1, everything=True),
    "global_pooling2d_cl": _pool(2, everything=True),
}
