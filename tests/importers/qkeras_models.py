"""Random small QKeras models."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np


class Dice:
    """Draws models."""

    def __init__(self, seed: int) -> None:
        import keras

        from trigger_ml.frontends.qkeras import package

        keras.backend.clear_session()
        keras.utils.set_random_seed(seed)
        self.rng = np.random.default_rng([seed, 79])
        self.qkeras: Any = package.load()

    def pick(self, options: Any) -> Any:
        return options[int(self.rng.integers(len(options)))]

    def activation(self) -> Any:
        q, bits, integer = self.qkeras, int(self.rng.integers(2, 7)), int(self.rng.integers(0, 4))
        return self.pick(
            [q.quantized_bits(bits, integer, self.pick([0, 1]), alpha=1.0), q.quantized_relu(bits, integer),
             q.quantized_bits(bits, integer, keep_negative=False, alpha=1.0)]
        )  # fmt: skip

    def weights(self) -> dict[str, Any]:
        q, bits = self.qkeras, int(self.rng.integers(2, 7))
        kernel = self.pick(
            [q.quantized_bits(bits, self.pick([0, 1]), 1, alpha=1.0), q.quantized_bits(bits, 0, alpha="auto_po2"),
             q.ternary(alpha=1.0), q.binary(alpha=1.0)]
        )  # fmt: skip
        return {"kernel_quantizer": kernel, "bias_quantizer": q.quantized_bits(6, 2, alpha=1.0)}

    def scatter(self, model: Any) -> Any:
        for v in model.trainable_variables:
            v.assign(self.rng.normal(0, 1.2, v.shape))
        return model

    def dense(self) -> Any:
        import keras

        q = self.qkeras
        n = int(self.rng.integers(2, 6))
        x = first = keras.Input((n,), name="x")
        integers = self.rng.integers(0, 3, n).astype(np.float32) if self.rng.random() < 0.3 else 2
        x = q.QActivation(q.quantized_bits(6, integers, alpha=1.0), name="start")(x)
        for i in range(int(self.rng.integers(1, 4))):
            inside = self.activation() if self.rng.random() < 0.3 else self.pick([None, "relu"])
            x = q.QDense(int(self.rng.integers(1, 5)), activation=inside, name=f"dense{i}", **self.weights())(x)
            x = q.QActivation(self.activation(), name=f"act{i}")(x)
            kind = self.rng.random()
            if kind < 0.25:
                table = self.pick([q.quantized_tanh(4), q.quantized_sigmoid(5), q.binary(alpha=1.0)])
                x = q.QActivation(table, name=f"table{i}")(x)
            elif kind < 0.5:
                y = q.QActivation(self.activation(), name=f"other{i}")(x)
                x = self.pick([keras.layers.Add, keras.layers.Concatenate, keras.layers.Multiply])()([x, y])
        return self.scatter(keras.Model(first, x))

    def image(self) -> Any:
        import keras

        q = self.qkeras
        space = int(self.rng.integers(1, 3))
        shape = (*(int(n) for n in self.rng.integers(4, 7, space)), int(self.rng.integers(1, 3)))
        first = keras.Input(shape, name="x")
        x = q.QActivation(q.quantized_bits(5, 2, alpha=1.0), name="start")(first)
        how = {"padding": self.pick(["valid", "same"]), "strides": int(self.rng.integers(1, 3))}
        if space == 2 and self.rng.random() < 0.3:
            x = q.QDepthwiseConv2D(
                2, depthwise_quantizer=q.quantized_bits(4, 0, 1, alpha=1.0), name="conv",
                bias_quantizer=q.quantized_bits(6, 2, alpha=1.0), **how,
            )(x)  # fmt: skip
        else:
            conv = q.QConv1D if space == 1 else q.QConv2D
            filters, size = (int(n) for n in self.rng.integers(1, 4, 2))
            x = conv(filters, size, name="conv", **how, **self.weights())(x)
        x = q.QActivation(self.activation(), name="act")(x)
        if min(x.shape[1:-1]) >= 2:
            x = getattr(keras.layers, f"{self.pick(['Max', 'Average'])}Pooling{space}D")(2)(x)
            x = q.QActivation(self.activation(), name="pooled")(x)
        x = keras.layers.Flatten()(x)
        x = q.QDense(2, name="last", **self.weights())(x)
        return self.scatter(keras.Model(first, x))


def saved(model: Any, path: Path) -> Path:
    model.save(path)
    return path
