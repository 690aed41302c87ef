"""Layers with weights, and pooling."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from trigger_ml.errors import ImportRefused
from trigger_ml.importers.draft import Value
from trigger_ml.importers.dyadic import folded_scale
from trigger_ml.importers.qonnx_file.lowering import Curve, Lowering, Tensor, integer, number, only, sizes, text
from trigger_ml.importers.qonnx_file.reading import Layer

Padding = list[tuple[int, int]]

MAX_KERNEL = 1 << 22
"""Weights of a grouped convolution written out as a full one."""


def matmul(state: Lowering, layer: Layer) -> Tensor:
    """MatMul with constant weights on the right, or of two tensors."""
    a = state.value(layer)
    if not state.is_constant(layer, 1):
        return state.draft.matmul(a, state.value(layer, 1), layer.name)
    w = state.constant(layer, 1, "weights")
    _matrix(w, state.draft.shape(a)[-1])
    return state.draft.affine(a, w, None, layer.name)


def gemm(state: Lowering, layer: Layer) -> Tensor:
    """Gemm as a dense layer."""
    for name in ("alpha", "beta"):
        only(layer, name, number(layer, name, 1.0), 1.0)
    only(layer, "transA", integer(layer, "transA", 0), 0)
    a, w = state.value(layer), state.constant(layer, 1, "weights")
    if len(a.order) != 1:
        raise ImportRefused(f"its input has the shape {state.draft.shape(a)}: flatten it first")
    if integer(layer, "transB", 0):
        w = w.T
    _matrix(w, state.draft.shape(a)[0])
    return state.draft.affine(a, w, _bias(state, layer, 2, w.shape[1]), layer.name)


def _matrix(w: NDArray[np.float64], rows: int) -> None:
    if w.ndim != 2 or w.shape[0] != rows:
        raise ImportRefused(f"its weights have the shape {w.shape} on an input of {rows}: give ({rows}, n)")


def _bias(state: Lowering, layer: Layer, i: int, units: int) -> NDArray[np.float64] | None:
    b = state.optional(layer, i, "bias")
    if b is None:
        return None
    if b.size not in (1, units) or b.shape[-1:] not in ((), (1,), (units,)):
        raise ImportRefused(f"its bias has the shape {b.shape}: give ({units},)")
    return b.ravel()


def conv(state: Lowering, layer: Layer) -> Tensor:
    """Conv, 1-D or 2-D; groups are written out with zeros, which cost nothing in firmware."""
    x, w = state.value(layer), state.constant(layer, 1, "weights")
    shape, space = state.draft.shape(x), w.ndim - 2
    if space not in (1, 2) or len(shape) != space + 1:
        raise ImportRefused(f"its weights {w.shape} and its input {shape} are not those of a 1-D or 2-D convolution")
    group, kernel = integer(layer, "group", 1), w.shape[2:]
    only(layer, "kernel_shape", sizes(layer, "kernel_shape", kernel), kernel)
    only(layer, "dilations", sizes(layer, "dilations", (1,) * space), (1,) * space)
    strides = _strides(layer, space)
    if group < 1 or w.shape[0] % group or w.shape[1] * group != shape[0]:
        raise ImportRefused(f"its weights {w.shape} with group {group} don't fit {shape[0]} channels")
    padding = _padding(layer, shape[1:], kernel, strides)
    full = _ungrouped(w, group)
    return state.draft.conv(
        x, np.moveaxis(full, (0, 1), (-1, -2)), _bias(state, layer, 2, w.shape[0]), strides, padding, 0, layer.name
    )


def _ungrouped(w: NDArray[np.float64], group: int) -> NDArray[np.float64]:
    """``(out, in / group, *kernel)`` as ``(out, in, *kernel)``."""
    if group == 1:
        return w
    if w.size * group > MAX_KERNEL:
        raise ImportRefused(f"its {group} groups written out have {w.size * group} weights: too many")
    per, inputs = w.shape[0] // group, w.shape[1]
    full = np.zeros((w.shape[0], inputs * group, *w.shape[2:]))
    for g in range(group):
        full[g * per : (g + 1) * per, g * inputs : (g + 1) * inputs] = w[g * per : (g + 1) * per]
    return full


def _strides(layer: Layer, space: int) -> tuple[int, ...]:
    strides = sizes(layer, "strides", (1,) * space)
    if min(strides) < 1:
        raise ImportRefused(f"its strides are {list(strides)}: each must be at least 1")
    return strides


def _padding(layer: Layer, shape: tuple[int, ...], kernel: tuple[int, ...], strides: tuple[int, ...]) -> Padding:
    """Zeros before and after each spatial axis."""
    how, space = text(layer, "auto_pad", "NOTSET"), len(shape)
    if how == "NOTSET":
        pads = sizes(layer, "pads", (0,) * 2 * space)
        if min(pads) < 0:
            raise ImportRefused(f"its pads are {list(pads)}: none may be negative")
        return list(zip(pads[:space], pads[space:], strict=True))
    if how == "VALID":
        return [(0, 0)] * space
    if how not in ("SAME_UPPER", "SAME_LOWER"):
        raise ImportRefused(f"its attribute auto_pad is {how!r}: known are NOTSET, VALID, SAME_UPPER, SAME_LOWER")
    made = []
    for n, k, s in zip(shape, kernel, strides, strict=True):
        total = max((math.ceil(n / s) - 1) * s + k - n, 0)
        small, large = total // 2, total - total // 2
        made.append((small, large) if how == "SAME_UPPER" else (large, small))
    return made


def batch_normalization(state: Lowering, layer: Layer) -> Tensor:
    """BatchNormalization where ``gamma / sqrt(variance + epsilon)`` is exact in float32 and in fixed point."""
    only(layer, "training_mode", integer(layer, "training_mode", 0), 0)
    gamma, beta, mean, variance = (
        state.constant(layer, i, what).astype(np.float32)
        for i, what in enumerate(("scale", "bias", "mean", "variance"), 1)
    )
    x = state.value(layer)
    channels = state.draft.shape(x)[0]
    if any(z.shape != (channels,) for z in (gamma, beta, mean, variance)):
        raise ImportRefused(f"its constants don't have the shape ({channels},)")
    scale = folded_scale(gamma, variance, number(layer, "epsilon", 1e-5))
    shift = beta.astype(np.float64) - mean.astype(np.float64) * scale
    column = (channels, *(1,) * (len(x.order) - 1))
    return state.draft.scaled(x, scale.reshape(column), shift.reshape(column), layer.name)


def max_pool(state: Lowering, layer: Layer) -> Tensor:
    """MaxPool without padding."""
    size, strides = _windows(state, layer)
    only(layer, "storage_order", integer(layer, "storage_order", 0), 0)
    return state.draft.pool(state.value(layer), "max", size, strides, 0, layer.name)


def average_pool(state: Lowering, layer: Layer) -> Tensor:
    """AveragePool without padding: exact for a power of two, else with a Quant behind it."""
    size, strides = _windows(state, layer)
    total = state.draft.pool(state.value(layer), "sum", size, strides, 0, f"{layer.name}_sum")
    return average(state, total, math.prod(size), layer)


def global_average_pool(state: Lowering, layer: Layer) -> Tensor:
    """GlobalAveragePool: each channel's mean; the spatial axes stay, of size 1."""
    x = state.value(layer)
    shape = state.draft.shape(x)
    if len(shape) not in (2, 3):
        raise ImportRefused(f"its input has the shape {shape}: channels and one or two spatial axes are needed")
    total = state.draft.pool(x, "sum", shape[1:], (1,) * (len(shape) - 1), 0, f"{layer.name}_sum")
    return average(state, total, math.prod(shape[1:]), layer)


def average(state: Lowering, total: Value, count: int, layer: Layer) -> Tensor:
    """A sum over ``count``."""
    if count & (count - 1) == 0:
        return state.draft.scaled(total, 1.0 / count, 0.0, layer.name)
    return Curve(total, lambda x: x / np.float32(count), layer.label)


def _windows(state: Lowering, layer: Layer) -> tuple[tuple[int, ...], tuple[int, ...]]:
    shape = state.draft.shape(state.value(layer))
    space = len(shape) - 1
    if space not in (1, 2):
        raise ImportRefused(f"its input has the shape {shape}: channels and one or two spatial axes are needed")
    if "kernel_shape" not in layer.attributes:
        raise ImportRefused("it has no kernel_shape")
    size = sizes(layer, "kernel_shape", (1,) * space)
    strides = _strides(layer, space)
    only(layer, "dilations", sizes(layer, "dilations", (1,) * space), (1,) * space)
    only(layer, "ceil_mode", integer(layer, "ceil_mode", 0), 0)
    if any(any(pair) for pair in _padding(layer, shape[1:], size, strides)):
        raise ImportRefused("it pads: pooling is supported without padding")
    if any(k < 1 or k > n for k, n in zip(size, shape[1:], strict=True)):
        raise ImportRefused(f"its window {list(size)} does not fit {list(shape[1:])}")
    return size, strides
