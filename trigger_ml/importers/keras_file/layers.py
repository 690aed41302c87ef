"""Plain Keras layers, and what quantized ones have in common with them; channels stand last."""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from trigger_ml.errors import ImportRefused
from trigger_ml.importers.draft import Value
from trigger_ml.importers.dyadic import folded_scale
from trigger_ml.importers.keras_file.walking import Curve, Rule, Tensor, Walk
from trigger_ml.ir import ops

SMOOTH = ("tanh", "sigmoid", "exponential", "softplus", "softsign")
"""Functions that become tables between two quantizers."""


def array(tensor: Any) -> NDArray[np.float64]:
    """A variable or tensor of any backend."""
    import keras

    with warnings.catch_warnings():
        # TensorFlow's variables don't know numpy 2's `copy` yet; Keras converts them all the same.
        warnings.filterwarnings("ignore", "__array__ implementation", DeprecationWarning)
        return np.asarray(keras.ops.convert_to_numpy(tensor), np.float64)


def activated(walk: Walk, value: Tensor, function: Any, layer: Any) -> Tensor:
    """A plain activation function: linear, relu, or one that needs a quantizer behind it."""
    name = getattr(function, "__name__", type(function).__name__)
    if function is None or name == "linear":
        return value
    if name == "relu":
        return walk.draft.relu(walk.exact(value), f"{layer.name}_relu")
    if name in SMOOTH:
        return Curve(walk.exact(value), function, f"{name} of layer {layer.name!r}")
    raise ImportRefused(f"its activation {name!r} is not supported; supported are linear, relu, {', '.join(SMOOTH)}")


def dense(walk: Walk, layer: Any, x: Value, kernel: ArrayLike, bias: ArrayLike | None) -> Value:
    """A product with the last axis."""
    return walk.draft.affine(x, kernel, bias, layer.name)


def conv(walk: Walk, layer: Any, x: Value, kernel: NDArray[np.float64], bias: ArrayLike | None) -> Value:
    """A convolution as Keras pads it."""
    _plain_layout(layer)
    for name in ("dilation_rate", "groups"):
        if any(n != 1 for n in np.atleast_1d(getattr(layer, name, 1))):
            raise ImportRefused(f"its {name} is {getattr(layer, name)}: only 1 is supported")
    space = kernel.ndim - 2
    strides = _pair(layer.strides, space)
    padding = _padding(layer, walk.draft.shape(x)[:-1], kernel.shape[:space], strides)
    return walk.draft.conv(x, kernel, bias, strides, padding, -1, layer.name)


def depthwise(kernel: NDArray[np.float64]) -> NDArray[np.float64]:
    """A depthwise kernel ``(*size, channels, multiplier)`` written out as a full one."""
    *size, channels, multiplier = kernel.shape
    full = np.zeros((*size, channels, channels * multiplier))
    for c in range(channels):
        full[..., c, c * multiplier : (c + 1) * multiplier] = kernel[..., c, :]
    return full


def _padding(
    layer: Any, shape: tuple[int, ...], kernel: tuple[int, ...], strides: tuple[int, ...]
) -> list[tuple[int, int]]:
    if layer.padding == "valid":
        return [(0, 0)] * len(shape)
    if layer.padding != "same":
        raise ImportRefused(f"its padding is {layer.padding!r}: only 'valid' and 'same' are supported")
    made = []
    for n, k, s in zip(shape, kernel, strides, strict=True):
        total = max((math.ceil(n / s) - 1) * s + k - n, 0)
        made.append((total // 2, total - total // 2))
    return made


def _pair(sizes: Any, space: int) -> tuple[int, ...]:
    return (int(sizes),) * space if isinstance(sizes, int) else tuple(int(n) for n in sizes)


def _plain_layout(layer: Any) -> None:
    if getattr(layer, "data_format", "channels_last") != "channels_last":
        raise ImportRefused("its channels stand first: only channels_last is supported")


def pooled(walk: Walk, layer: Any, x: Value, how: str) -> Tensor:
    """Windows without padding; a mean is a sum over a count."""
    _plain_layout(layer)
    if layer.padding != "valid":
        raise ImportRefused(f"its padding is {layer.padding!r}: pooling is supported without padding")
    space = len(x.order) - 1
    size = _pair(layer.pool_size, space)
    made = walk.draft.pool(x, how, size, _pair(layer.strides, space), -1, layer.name)
    return made if how == "max" else mean(walk, layer, made, math.prod(size))


def pooled_globally(walk: Walk, layer: Any, x: Value, how: str) -> Tensor:
    """All positions of each channel."""
    _plain_layout(layer)
    shape = walk.draft.shape(x)
    size = shape[:-1]
    made = walk.draft.pool(x, how, size, (1,) * len(size), -1, layer.name)
    made = walk.draft.reshaped(made, (*(1,) * len(size), shape[-1]) if layer.keepdims else (shape[-1],))
    return made if how == "max" else mean(walk, layer, made, math.prod(size))


def mean(walk: Walk, layer: Any, total: Value, count: int) -> Tensor:
    """A sum over ``count``: exact for a power of two."""
    if count & (count - 1) == 0:
        return walk.draft.scaled(total, 1.0 / count, 0.0, f"{layer.name}_mean")
    return Curve(total, lambda x: x / np.float32(count), f"the mean of {count} of layer {layer.name!r}")


def merged(walk: Walk, layer: Any, values: list[Value], op: ops.Op) -> Value:
    """An elementwise operation along a list of tensors."""
    made = values[0]
    for value in values[1:]:
        made = walk.draft.pair(op, made, value, layer.name)
    return made


def normalized(walk: Walk, layer: Any, x: Value) -> Value:
    """BatchNormalization whose folded scale is exact."""
    channels = int(layer.moving_mean.shape[0])
    gamma = array(layer.gamma) if layer.scale else np.ones(channels)
    beta = array(layer.beta) if layer.center else np.zeros(channels)
    variance = array(layer.moving_variance).astype(np.float32)
    scale = folded_scale(gamma.astype(np.float32), variance, float(layer.epsilon))
    return scaled(walk, layer, x, scale, beta - array(layer.moving_mean) * scale)


def scaled(walk: Walk, layer: Any, x: Value, scale: NDArray[np.float64], shift: NDArray[np.float64]) -> Value:
    """``x * scale + shift`` along the layer's axis."""
    rank = len(x.order)
    axis = int(np.atleast_1d(layer.axis)[0])
    axis = axis % (rank + 1) - 1
    if axis < 0:
        raise ImportRefused("it normalizes along the events")
    column = tuple(-1 if a == axis else 1 for a in range(rank))
    return walk.draft.scaled(x, scale.reshape(column), shift.reshape(column), layer.name)


def joined(walk: Walk, layer: Any, values: list[Value]) -> Value:
    """Tensors side by side."""
    rank = len(values[0].order) + 1
    axis = int(layer.axis) % rank
    if axis == 0:
        raise ImportRefused("it joins events")
    return walk.draft.concat(values, axis - 1, layer.name)


def one(rule: Any) -> Rule:
    """A rule for one exact tensor from ``rule(walk, layer, value)``."""
    return lambda walk, layer, read: rule(walk, layer, walk.exact(read[0]))


def many(rule: Any) -> Rule:
    """The same for several."""
    return lambda walk, layer, read: rule(walk, layer, [walk.exact(t) for t in read])


def passed(walk: Walk, layer: Any, read: list[Tensor]) -> Tensor:
    """A layer that does nothing at inference."""
    return read[0]


def _reshaped(walk: Walk, layer: Any, x: Value) -> Value:
    shape = layer.compute_output_shape((1, *walk.draft.shape(x)))
    return walk.draft.reshaped(x, tuple(shape[1:]), layer.name)


def _relu(walk: Walk, layer: Any, x: Value) -> Value:
    slope, limit, threshold = (float(getattr(layer, n) or 0) for n in ("negative_slope", "max_value", "threshold"))
    if slope or threshold or limit:
        raise ImportRefused("its max_value, negative_slope or threshold is set: only the plain relu is supported")
    return walk.draft.relu(x, layer.name)


PLAIN: dict[str, Rule] = {
    "keras>Activation": lambda walk, layer, read: activated(walk, read[0], layer.activation, layer),
    "keras>ReLU": one(_relu),
    "keras>Flatten": one(lambda w, layer, x: w.draft.reshaped(x, (math.prod(w.draft.shape(x)),), layer.name)),
    "keras>Reshape": one(_reshaped),
    "keras>Permute": one(lambda w, layer, x: w.draft.transposed(x, [int(a) - 1 for a in layer.dims])),
    "keras>Concatenate": many(joined),
    "keras>Add": many(lambda w, layer, values: merged(w, layer, values, ops.Add())),
    "keras>Subtract": many(lambda w, layer, values: merged(w, layer, values, ops.Add(subtract=True))),
    "keras>Multiply": many(lambda w, layer, values: merged(w, layer, values, ops.Mul())),
    "keras>Maximum": many(lambda w, layer, values: merged(w, layer, values, ops.Max())),
    "keras>BatchNormalization": one(normalized),
    **{f"keras>MaxPooling{n}D": one(lambda w, layer, x: pooled(w, layer, x, "max")) for n in (1, 2)},
    **{f"keras>AveragePooling{n}D": one(lambda w, layer, x: pooled(w, layer, x, "sum")) for n in (1, 2)},
    **{f"keras>GlobalMaxPooling{n}D": one(lambda w, layer, x: pooled_globally(w, layer, x, "max")) for n in (1, 2)},
    **{f"keras>GlobalAveragePooling{n}D": one(lambda w, layer, x: pooled_globally(w, layer, x, "sum")) for n in (1, 2)},
    **{f"keras>{name}": passed for name in ("Dropout", "SpatialDropout1D", "SpatialDropout2D", "GaussianNoise")},
}
"""Class -> rule."""
