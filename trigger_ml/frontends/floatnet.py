"""Float networks in TensorFlow, weights as plain variables: any layers, or several dense chains side by side."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trigger_ml.families import layers as net
from trigger_ml.families.layers import Dense, Layer

Arrays = dict[str, NDArray[np.float64]]


class Ensemble:
    """``members`` chains of dense layers with their own starting weights (Glorot and Bengio, AISTATS 2010).

    Attributes:
        variables: kernels ``(members, n_in, n_out)`` and biases ``(members, 1, n_out)``, in layer order.
    """

    def __init__(
        self, layers: Sequence[Dense], inputs: int, members: int, seed: int, silent: NDArray[np.bool_] | None = None
    ) -> None:
        """Weights from ``seed`` alone; those of ``silent`` inputs start at zero, to grow only if they help."""
        import tensorflow as tf

        self.layers = tuple(layers)
        self.variables: list[Any] = []
        rng = np.random.default_rng(seed)
        for layer in self.layers:
            reach = np.sqrt(6.0 / (inputs + layer.units))
            kernel = rng.uniform(-reach, reach, (members, inputs, layer.units)).astype(np.float32)
            if silent is not None and layer is self.layers[0]:
                kernel[:, silent] = 0.0
            self.variables += [tf.Variable(kernel), tf.Variable(np.zeros((members, 1, layer.units), np.float32))]
            inputs = layer.units

    def __call__(self, x: Any) -> Any:
        """Outputs ``(members, events, units)`` for inputs ``(events, n_in)`` or ``(members, events, n_in)``."""
        import tensorflow as tf

        for layer, kernel, bias in zip(self.layers, self.variables[::2], self.variables[1::2], strict=True):
            x = tf.matmul(x, kernel) + bias
            x = tf.nn.relu(x) if layer.relu else x
        return x

    def weights(self, member: int) -> Arrays:
        """One member's weights by name, float64."""
        arrays: Arrays = {}
        for layer, kernel, bias in zip(self.layers, self.variables[::2], self.variables[1::2], strict=True):
            arrays[f"{layer.name}.kernel"] = kernel.numpy()[member].astype(np.float64)
            arrays[f"{layer.name}.bias"] = bias.numpy()[member, 0].astype(np.float64)
        return arrays


class Net:
    """One network of any layers, with starting weights by Glorot and Bengio's rule.

    Attributes:
        layers: what it computes.
        variables: kernels and biases, in layer order.
    """

    def __init__(
        self, layers: Sequence[Layer], features: int, seed: int, silent: NDArray[np.bool_] | None = None
    ) -> None:
        """Weights from ``seed`` alone; those of a dense first layer on ``silent`` inputs start at zero."""
        import tensorflow as tf

        self.layers = tuple(layers)
        self.names: list[str] = []
        self.variables: list[Any] = []
        rng = np.random.default_rng(seed)
        for name, shape in net.weight_shapes(layers, features).items():
            window = int(np.prod(shape[:-2]))
            reach = np.sqrt(6.0 / (window * (shape[-2] + shape[-1])))
            kernel = rng.uniform(-reach, reach, shape).astype(np.float32)
            if silent is not None and len(shape) == 2 and shape[0] == len(silent) and not self.names:
                kernel[silent] = 0.0
            self.names.append(name)
            self.variables += [tf.Variable(kernel), tf.Variable(np.zeros(shape[-1], np.float32))]

    def __call__(self, x: Any) -> Any:
        """Outputs ``(events, units)`` of the last layer for inputs ``(events, features)``."""
        found, read = {net.INPUT: x}, net.sources(self.layers)
        weights = {
            name: (kernel, bias)
            for name, kernel, bias in zip(self.names, self.variables[::2], self.variables[1::2], strict=True)
        }
        for layer in self.layers:
            found[layer.name] = output(layer, weights.get(layer.name), found[read[layer.name]], found)
        return found[self.layers[-1].name]

    def weights(self) -> Arrays:
        """The weights by name, float64."""
        arrays: Arrays = {}
        for name, kernel, bias in zip(self.names, self.variables[::2], self.variables[1::2], strict=True):
            arrays[f"{name}.kernel"] = kernel.numpy().astype(np.float64)
            arrays[f"{name}.bias"] = bias.numpy().astype(np.float64)
        return arrays


def output(layer: Layer, weights: tuple[Any, Any] | None, z: Any, found: dict[str, Any]) -> Any:
    """What a layer makes of ``z``, in TensorFlow: see :func:`trigger_ml.families.layers.states`.

    Args:
        layer: the layer.
        weights: kernel and bias, quantized or not, of a layer that has them.
        z: the output of the layer that it reads.
        found: outputs of all layers before, and the input, by name.
    """
    import tensorflow as tf

    if weights is not None:
        kernel, bias = weights
        z = (convolved(layer, kernel, z) if isinstance(layer, net.Conv) else tf.matmul(z, kernel)) + bias
        return tf.nn.relu(z) if getattr(layer, "relu", False) else z
    match layer:
        case net.Pool():
            return pooled(layer, z)
        case net.Sum():
            return tf.reduce_sum(z, 1)
        case net.WeightedSum():
            return tf.reduce_sum(z * found[layer.other][:, :, layer.column : layer.column + 1], 1)
        case net.Add():
            return z + found[layer.other]
        case net.Join():
            return tf.concat([found[layer.other], z], 1)
        case net.Reshape():
            return tf.reshape(z, (-1, *layer.shape))
        case net.Permute():
            return tf.transpose(z, (0, *(a + 1 for a in layer.axes)))
        case net.Columns():
            return tf.gather(z, tf.constant(layer.index), axis=-1)
        case _:
            raise TypeError(f"{layer} has weights, but none were given")


def convolved(layer: net.Conv, kernel: Any, z: Any) -> Any:
    """Cross-correlation, channels last, as one product of matrices.

    Not by TensorFlow's convolution: inside a compiled training loop that is nine times slower on a CPU.
    """
    import itertools

    import tensorflow as tf

    z = tf.pad(z, ((0, 0), *net.padding(layer, tuple(z.shape[1:-1])), (0, 0)))
    counts = [(n - k) // s + 1 for n, k, s in zip(z.shape[1:-1], layer.size, layer.strides, strict=True)]
    windows = []
    for offset in itertools.product(*(range(k) for k in layer.size)):
        steps = zip(offset, counts, layer.strides, strict=True)
        windows.append(z[(slice(None), *(slice(o, o + (c - 1) * s + 1, s) for o, c, s in steps))])
    return tf.matmul(tf.concat(windows, -1), tf.reshape(kernel, (-1, kernel.shape[-1])))


def pooled(layer: net.Pool, z: Any) -> Any:
    """Sum or maximum over windows that don't overlap; sums are exact where float32 is."""
    import tensorflow as tf

    counts = [n // k for n, k in zip(z.shape[1:-1], layer.size, strict=True)]
    z = z[(slice(None), *(slice(0, c * k) for c, k in zip(counts, layer.size, strict=True)))]
    z = tf.reshape(z, (-1, *(v for c, k in zip(counts, layer.size, strict=True) for v in (c, k)), z.shape[-1]))
    axes = [2 * i + 2 for i in range(len(counts))]
    return tf.reduce_sum(z, axes) if layer.how == "sum" else tf.reduce_max(z, axes)


def folded(weights: Arrays, layers: Sequence[Layer], scale: NDArray[np.float64]) -> Arrays:
    """Weights on raw inputs that equal ``weights`` on ``x * scale``.

    A layer with weights that reads the input, perhaps rearranged, takes up the factors; they must be the same at every
    position. What else reads the input reads it unscaled: its factors must be one.
    """
    read, found = net.sources(layers), dict(weights)
    factors = {net.INPUT: scale[None]}
    for layer in layers:
        factor = factors.get(read[layer.name])
        if factor is None:
            continue
        if isinstance(layer, net.Dense | net.Conv):
            channel = factor.reshape(-1, factor.shape[-1])
            if not np.all(channel == channel[0]):
                raise ValueError(f"{layer.name} reads inputs whose scale differs between positions")
            found[f"{layer.name}.kernel"] = weights[f"{layer.name}.kernel"] * channel[0][:, None]
        elif isinstance(layer, net.Reshape | net.Permute | net.Columns):
            factors[layer.name] = net.states((dataclasses.replace(layer, source=""),), {}, factor)[layer.name]
    return found
