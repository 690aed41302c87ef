"""A network as data: a short list of layers, their shapes, and what they compute in float64 with numpy alone.

A layer reads the one before it, or the one named by ``source`` (``x`` is the network's input). Only :class:`Dense` and
:class:`Conv` have weights. Every layer can be said in the integer graph.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from trigger_ml.errors import SpecError
from trigger_ml.ir.bounds import pad, windows

Weights = Mapping[str, NDArray[np.floating]]
"""``<layer>.kernel``, of a Dense ``(n_in, n_out)`` and of a Conv ``(*size, n_in, n_out)``, and its ``<layer>.bias``."""

Floats = NDArray[np.float64]
Shape = tuple[int, ...]

INPUT = "x"
BLOCK = 8192
"""Events that :func:`forward` holds in memory at once."""


@dataclass(frozen=True)
class Dense:
    """``x @ kernel + bias`` on the last axis, then ``max(., 0)`` if ``relu``.

    Attributes:
        name: unique in the network.
        units: outputs.
        relu: whether negative outputs become zero.
        source: the layer that is read; empty: the one before.
    """

    name: str
    units: int
    relu: bool
    source: str = ""


@dataclass(frozen=True)
class Conv:
    """Cross-correlation over all axes but the last, in 1-D or 2-D, then ``max(., 0)`` if ``relu``.

    Attributes:
        name: unique in the network.
        filters: outputs at each position.
        size: of the window.
        strides: one for each axis of the window.
        same: whether zeros are added so that only the strides shorten an axis.
        relu: whether negative outputs become zero.
        source: the layer that is read; empty: the one before.
    """

    name: str
    filters: int
    size: Shape
    strides: Shape
    same: bool
    relu: bool
    source: str = ""


@dataclass(frozen=True)
class Pool:
    """Sum or maximum over windows that don't overlap, channels last; what doesn't fill a window is left out."""

    name: str
    how: Literal["sum", "max"]
    size: Shape
    source: str = ""


@dataclass(frozen=True)
class Sum:
    """Sum over the first axis: what a set of particles has in common, in whatever order they come."""

    name: str
    source: str = ""


@dataclass(frozen=True)
class WeightedSum:
    """Sum over particles of the layer before, each times the particle's column ``column`` of an earlier layer."""

    name: str
    other: str
    column: int
    source: str = ""


@dataclass(frozen=True)
class Add:
    """The layer before plus an earlier one of the same shape."""

    name: str
    other: str
    source: str = ""


@dataclass(frozen=True)
class Join:
    """An earlier flat layer, then the one before."""

    name: str
    other: str
    source: str = ""


@dataclass(frozen=True)
class Reshape:
    """The same numbers in another shape, C order."""

    name: str
    shape: Shape
    source: str = ""


@dataclass(frozen=True)
class Permute:
    """Axes in another order."""

    name: str
    axes: Shape
    source: str = ""


@dataclass(frozen=True)
class Columns:
    """Some numbers of the last axis."""

    name: str
    index: tuple[int, ...]
    source: str = ""


Layer = Dense | Conv | Pool | Sum | WeightedSum | Add | Join | Reshape | Permute | Columns
Weighted = Dense | Conv
"""Layers with a kernel and a bias."""


def chain(stem: str, hidden: Sequence[int], last: Dense, source: str = "") -> tuple[Dense, ...]:
    """Hidden layers with ReLU, named ``<stem>0``, ``<stem>1`` ..., and a last one; the first reads ``source``."""
    layers = [*(Dense(f"{stem}{i}", units, True) for i, units in enumerate(hidden)), last]
    first = layers[0]
    return (Dense(first.name, first.units, first.relu, source), *layers[1:])


def quantized(layer: Layer) -> bool:
    """Whether the layer's input has a quantizer of its own: what adds or multiplies; wiring and maxima need none."""
    return isinstance(layer, Dense | Conv | Sum | WeightedSum) or (isinstance(layer, Pool) and layer.how == "sum")


def never_negative(layers: Sequence[Layer], name: str) -> bool:
    """Whether a layer's outputs can't be negative whatever its weights: behind a ReLU, and sums of such."""
    by_name, read = {layer.name: layer for layer in layers}, sources(layers)
    layer = by_name.get(name)
    if layer is None:
        return False
    if isinstance(layer, Dense | Conv):
        return layer.relu
    parts = [read[name], *([layer.other] if isinstance(layer, Add | Join) else [])]
    return all(never_negative(layers, part) for part in parts)


def sources(layers: Sequence[Layer]) -> dict[str, str]:
    """Layer -> the layer that it reads."""
    before, found = INPUT, {}
    for layer in layers:
        found[layer.name] = layer.source or before
        before = layer.name
    return found


def shapes(layers: Sequence[Layer], features: int) -> dict[str, Shape]:
    """Shape of the input and of each layer's output, without the event axis.

    Raises:
        SpecError: if a window or a sum doesn't fit.
    """
    known: dict[str, Shape] = {INPUT: (features,)}
    read = sources(layers)
    for layer in layers:
        known[layer.name] = _shape(layer, known[read[layer.name]])
        if isinstance(layer, Join):
            known[layer.name] = (known[read[layer.name]][0] + known[layer.other][0],)
        if min(known[layer.name], default=1) < 1:
            raise SpecError(
                f"[model] the layer {layer.name} of windows {getattr(layer, 'size', ())} does not fit "
                f"{known[read[layer.name]]}: give smaller kernel, stride or pool"
            )
    return known


def _shape(layer: Layer, shape: Shape) -> Shape:
    match layer:
        case Dense():
            return (*shape[:-1], layer.units)
        case Conv():
            pads = padding(layer, shape)
            grown = (n + a + b for n, (a, b) in zip(shape, pads, strict=False))
            return (
                *((n - k) // s + 1 for n, k, s in zip(grown, layer.size, layer.strides, strict=True)),
                layer.filters,
            )
        case Pool():
            return (*(n // k for n, k in zip(shape, layer.size, strict=False)), shape[-1])
        case Sum() | WeightedSum():
            return shape[1:]
        case Reshape():
            return layer.shape
        case Permute():
            return tuple(shape[a] for a in layer.axes)
        case Columns():
            return (*shape[:-1], len(layer.index))
        case Add() | Join():
            return shape


def padding(layer: Conv, shape: Shape) -> tuple[tuple[int, int], ...]:
    """Zeros before and after on each axis; ``same`` puts the odd one behind, as TensorFlow does."""
    if not layer.same:
        return ((0, 0),) * len(layer.size)
    need = [
        max((math.ceil(n / s) - 1) * s + k - n, 0) for n, k, s in zip(shape, layer.size, layer.strides, strict=False)
    ]
    return tuple((total // 2, total - total // 2) for total in need)


def weight_shapes(layers: Sequence[Layer], features: int) -> dict[str, Shape]:
    """Shape of each kernel, by layer."""
    known, read = shapes(layers, features), sources(layers)
    found: dict[str, Shape] = {}
    for layer in layers:
        n_in = known[read[layer.name]][-1]
        if isinstance(layer, Dense):
            found[layer.name] = (n_in, layer.units)
        elif isinstance(layer, Conv):
            found[layer.name] = (*layer.size, n_in, layer.filters)
    return found


def forward(layers: Sequence[Layer], weights: Weights, x: Floats) -> Floats:
    """Outputs ``(events, *shape)`` of the last layer for inputs ``(events, features)``."""
    parts = [states(layers, weights, x[i : i + BLOCK])[layers[-1].name] for i in range(0, max(len(x), 1), BLOCK)]
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


def states(layers: Sequence[Layer], weights: Weights, x: Floats) -> dict[str, Floats]:
    """Every layer's output, and the input, by name; all events at once."""
    found, read = {INPUT: x}, sources(layers)
    for layer in layers:
        found[layer.name] = _output(layer, weights, found[read[layer.name]], found)
    return found


def _output(layer: Layer, weights: Weights, z: Floats, found: Mapping[str, Floats]) -> Floats:
    match layer:
        case Dense():
            z = z @ weights[f"{layer.name}.kernel"].astype(np.float64) + weights[f"{layer.name}.bias"].astype(
                np.float64
            )
            return np.maximum(z, 0.0) if layer.relu else z
        case Conv():
            seen = windows(pad(z, padding(layer, z.shape[1:])), layer.size, layer.strides)
            kernel = weights[f"{layer.name}.kernel"].astype(np.float64).reshape(-1, layer.filters)
            z = seen.reshape(*seen.shape[:-2], -1) @ kernel + weights[f"{layer.name}.bias"].astype(np.float64)
            return np.maximum(z, 0.0) if layer.relu else z
        case Pool():
            seen = windows(z, layer.size, layer.size)
            return seen.sum(axis=-2) if layer.how == "sum" else seen.max(axis=-2)
        case Sum():
            return z.sum(axis=1)
        case WeightedSum():
            return np.einsum("en,enf->ef", found[layer.other][:, :, layer.column], z)
        case Add():
            return z + found[layer.other]
        case Join():
            return np.concatenate([found[layer.other], z], axis=1)
        case Reshape():
            return z.reshape(len(z), *layer.shape)
        case Permute():
            return z.transpose(0, *(a + 1 for a in layer.axes))
        case Columns():
            return z[..., list(layer.index)]
