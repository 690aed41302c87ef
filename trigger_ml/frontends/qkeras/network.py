"""The network as QKeras layers of one width: built from float weights, trained, read back as exact numbers.

All quantizers have power-of-two scales (``alpha=1``). What differs between elements is only where the binary point of
an input stands: each feature's range is its own, and the first kernel's rows make up for it, as if every input had been
brought to [-1, 1) by a shift.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from trigger_ml.families import inputs
from trigger_ml.families.layers import Dense
from trigger_ml.fixed import Fixed
from trigger_ml.frontends.losses import Loss
from trigger_ml.frontends.plan import Plan
from trigger_ml.frontends.qkeras import package

BIAS_BITS, BIAS_INTEGER = 12, 5
"""Biases are ``ap_fixed<12,6>``: they cost one constant in an adder tree."""

Floats = NDArray[np.float64]


class Network:
    """A chain of ``QActivation`` and ``QDense``.

    Attributes:
        trainable: kernels and biases.
        state: all variables.
    """

    def __init__(self, plan: Plan, bits: int, seed: int) -> None:
        """Layers that start as the plan's float weights, everything in ``bits`` bits."""
        import keras

        qkeras = package.load()
        keras.utils.set_random_seed(seed)
        self.formats: list[tuple[Any, Any, Any]] = []
        x = first = keras.Input((plan.x.shape[1],), name="x")
        ranges = plan.ranges()
        for layer in plan.layers:
            if not isinstance(layer, Dense):
                raise TypeError(f"{layer} is no dense layer: the front end lets no other through")
            signed, reach = ranges[layer.name]
            kernel = plan.start[f"{layer.name}.kernel"]
            integer, rows = _integer(reach.max()), np.zeros((len(kernel), 1), np.int64)
            if layer is plan.layers[0]:
                integer = np.maximum(_integer(reach), bits - 1 - inputs.INPUT_FRAC)  # no finer than hardware integers
                rows = -integer[:, None]
            quantizer, formats = _activation(qkeras, bits, integer, bool(signed.any()))
            self.formats.append(formats)
            x = qkeras.QActivation(quantizer, name=f"{layer.name}_in")(x)
            x = _dense(qkeras, layer.name, layer.units, bits, rows + _integer(np.abs(kernel * 2.0**-rows).max()))(x)
        parts = [_head(qkeras, head.name, head.fixed)(x[:, head.start : head.stop]) for head in plan.heads]
        self.model = keras.Model(first, keras.ops.concatenate(parts, -1) if len(parts) > 1 else parts[0])
        self.layers = [self.model.get_layer(layer.name) for layer in plan.layers]
        for layer in self.layers:
            layer.set_weights([plan.start[f"{layer.name}.kernel"], plan.start[f"{layer.name}.bias"]])
        self.trainable = self.model.trainable_variables
        self.state = self.model.variables

    def loss(self, distance: Loss, x: Any, y: Any) -> Any:
        """Distance from the targets."""
        return distance(x, y, self.model(x, training=True))

    def predict(self, x: NDArray[np.float32]) -> NDArray[np.float32]:
        """The framework's own float32 forward, ``(events, outputs)``."""
        return np.concatenate([np.asarray(self.model(x[i : i + 4096], training=False)) for i in range(0, len(x), 4096)])

    def arrays(self) -> dict[str, NDArray[Any]]:
        """The quantized layers as :mod:`trigger_ml.frontends.freezing` reads them."""
        arrays: dict[str, NDArray[Any]] = {"layers": np.array([layer.name for layer in self.layers])}
        for layer, formats in zip(self.layers, self.formats, strict=True):
            arrays[f"{layer.name}.kernel"] = np.asarray(layer.kernel_quantizer_internal(layer.kernel), np.float64)
            arrays[f"{layer.name}.bias"] = np.asarray(layer.bias_quantizer_internal(layer.bias), np.float64)
            for part, value in zip(("signed", "integer", "frac"), formats, strict=True):
                arrays[f"{layer.name}.{part}"] = np.asarray(value, np.int64)
        return arrays


def _integer(reach: Any) -> NDArray[np.int64]:
    """Integer bits, the sign apart, that hold this reach."""
    return np.ceil(np.log2(np.maximum(reach, 2.0**-inputs.INPUT_FRAC))).astype(np.int64)


def _activation(qkeras: Any, bits: int, integer: NDArray[np.int64], signed: bool) -> tuple[Any, tuple[Any, Any, Any]]:
    """A quantizer of ``bits`` bits, and its sign, integer bits (without the sign) and fraction bits."""
    if signed:
        return qkeras.quantized_bits(bits, integer.astype(np.float32), alpha=1.0), (1, integer, bits - 1 - integer)
    top = max(0, int(integer))  # quantized_relu takes no negative one
    return qkeras.quantized_relu(bits, top), (0, top, bits - top)


def _dense(qkeras: Any, name: str, units: int, bits: int, reach: NDArray[np.int64]) -> Any:
    """A layer whose kernel rows have ``reach`` integer bits and stay inside their range."""
    import keras

    class Within(keras.constraints.Constraint):
        """Weights beyond the range would get no gradient from the quantizer's true slope, and never come back."""

        def __call__(self, w: Any) -> Any:
            return keras.ops.clip(w, -(2.0**reach), 2.0**reach)

    return qkeras.QDense(
        units,
        kernel_initializer="zeros",
        kernel_quantizer=qkeras.quantized_bits(bits, reach.astype(np.float32), symmetric=1, alpha=1.0),
        bias_quantizer=qkeras.quantized_bits(BIAS_BITS, BIAS_INTEGER, alpha=1.0),
        kernel_constraint=Within(),
        name=name,
    )


def _head(qkeras: Any, name: str, fixed: Fixed) -> Any:
    if fixed.signed:
        quantizer = qkeras.quantized_bits(fixed.width, fixed.integer - 1, alpha=1.0)
    else:
        quantizer = qkeras.quantized_relu(fixed.width, fixed.integer)
    return qkeras.QActivation(quantizer, name=f"{name}_head")
