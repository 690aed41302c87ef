"""Float networks in TensorFlow: several of one shape side by side, weights as plain variables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trigger_ml.families.dense import Dense

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


def folded(weights: Arrays, first: str, scale: NDArray[np.float64]) -> Arrays:
    """Weights on raw inputs that equal ``weights`` on ``x * scale``."""
    return {**weights, f"{first}.kernel": weights[f"{first}.kernel"] * scale[:, None]}
