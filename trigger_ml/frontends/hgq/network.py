"""The network as HGQ2 layers: built from float weights, trained, read back as exact numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from trigger_ml.families import inputs
from trigger_ml.fixed import Fixed
from trigger_ml.frontends.plan import Loss, Plan

START_BITS = 8
"""Width of every weight and activation where the ramp starts."""

BIAS_INTEGER, BIAS_FRAC = 5, 6
"""Biases are ``ap_fixed<12,6>``: they cost one constant in an adder tree, so their bits are not trained."""


class Network:
    """A chain of ``QDense``.

    Attributes:
        weights: kernels and biases.
        trainable: weights and bit widths.
        state: all variables.
    """

    def __init__(self, plan: Plan, seed: int) -> None:
        """Layers that start as the plan's float weights in ``START_BITS`` bits."""
        import keras
        from hgq.layers import QDense

        keras.utils.set_random_seed(seed)
        x = first = keras.Input((plan.x.shape[1],), name="x")
        for i, layer in enumerate(plan.layers):
            last = i == len(plan.layers) - 1
            x = QDense(
                layer.units,
                activation="relu" if layer.relu else None,
                name=layer.name,
                iq_conf=_activation(i == 0),
                kq_conf=_kernel(plan.start[f"{layer.name}.kernel"]),
                bq_conf=_bias(),
                enable_oq=last,
                oq_conf=_output() if last else None,
                enable_ebops=True,
                beta0=0.0,
            )(x)
        self.model = keras.Model(first, x)
        self.layers = [self.model.get_layer(layer.name) for layer in plan.layers]
        for layer, (signed, reach) in zip(self.layers, plan.ranges(), strict=True):
            layer._kernel.assign(plan.start[f"{layer.name}.kernel"])
            layer.bias.assign(plan.start[f"{layer.name}.bias"])
            _set_activation(layer.iq.quantizer, signed, reach)
        _set_output(self.layers[-1].oq.quantizer, plan)
        frozen = {id(v) for v in self.layers[-1].oq.quantizer.variables}
        self.trainable = [v for v in self.model.trainable_variables if id(v) not in frozen]
        self.weights = [v for layer in self.layers for v in (layer._kernel, layer.bias)]
        self.state = self.model.variables

    def loss(self, distance: Loss, x: Any, y: Any) -> Any:
        """Distance from the targets plus the price of EBOPs."""
        import tensorflow as tf

        prediction = self.model(x, training=True)
        return distance(x, y, prediction) + tf.add_n(self.model.losses)

    def price(self, beta: float) -> None:
        """Set the weight of EBOPs in the loss."""
        for layer in self.layers:
            layer._beta.assign(beta)

    def ebops(self) -> float:
        """Effective bit operations: the sum over multiplications of the product of their operands' widths."""
        return float(sum(int(layer.ebops) for layer in self.layers))

    def freeze_bits(self) -> None:
        """No quantizer finer than what it reads: with the widths frozen such bits would be dead, and cost."""
        frac = inputs.INPUT_FRAC
        for layer in self.layers:
            quantizer = layer.iq.quantizer
            quantizer._f.assign(np.minimum(np.round(np.asarray(quantizer._f)), frac))
            kernel = np.asarray(layer.kq.quantizer.f)[np.asarray(layer.qkernel) != 0]
            own = np.asarray(quantizer.f)[np.asarray(quantizer.bits) > 0]
            frac = int(own.max(initial=0)) + int(kernel.max(initial=0))

    def predict(self, x: NDArray[np.float32]) -> NDArray[np.float32]:
        """The framework's own float32 forward, ``(events, outputs)``."""
        return np.concatenate([np.asarray(self.model(x[i : i + 4096], training=False)) for i in range(0, len(x), 4096)])

    def arrays(self) -> dict[str, NDArray[Any]]:
        """The quantized layers as :mod:`trigger_ml.frontends.freezing` reads them."""
        arrays: dict[str, NDArray[Any]] = {"layers": np.array([layer.name for layer in self.layers])}
        for layer in self.layers:
            arrays[f"{layer.name}.kernel"] = np.asarray(layer.qkernel, np.float64)
            arrays[f"{layer.name}.bias"] = np.asarray(layer.qbias, np.float64)
            for part, value in zip(("signed", "integer", "frac"), layer.iq.quantizer.kif, strict=True):
                arrays[f"{layer.name}.{part}"] = np.asarray(value)[0].astype(np.int64)
        return arrays


def _bits(reach: NDArray[np.float64]) -> NDArray[np.float64]:
    """Integer bits, the sign apart, that hold this reach."""
    return np.ceil(np.log2(np.maximum(reach, 2.0**-6)))


def _activation(first: bool) -> Any:
    from hgq.config import QuantizerConfig
    from hgq.constraints import MinMax

    finest = inputs.INPUT_FRAC if first else 12
    return QuantizerConfig(
        "kif", "datalane", k0=False, i0=4, f0=4, fc=MinMax(-12, finest), round_mode="RND", overflow_mode="SAT"
    )


def _kernel(kernel: NDArray[np.float64]) -> Any:
    from hgq.config import QuantizerConfig

    integer = float(_bits(np.abs(kernel).max()))
    return QuantizerConfig(
        "kbi", "weight", k0=True, b0=START_BITS - 1, i0=integer, round_mode="RND", overflow_mode="SAT_SYM"
    )


def _bias() -> Any:
    from hgq.config import QuantizerConfig

    return QuantizerConfig(
        "kif",
        "bias",
        k0=True,
        i0=BIAS_INTEGER,
        f0=BIAS_FRAC,
        round_mode="RND",
        overflow_mode="SAT_SYM",
        trainable=False,
    )


def _output() -> Any:
    from hgq.config import QuantizerConfig

    return QuantizerConfig(
        "kif", "datalane", k0=True, i0=4, f0=4, round_mode="RND", overflow_mode="SAT", trainable=False
    )


def _set_activation(quantizer: Any, signed: NDArray[np.bool_], reach: NDArray[np.float64]) -> None:
    integer, signs = _bits(reach), signed.astype(np.uint8)
    quantizer._k.assign(signs[None])
    quantizer._i.assign(integer[None])
    quantizer._f.assign(np.clip(START_BITS - integer - signs, -12, 12)[None])
    if quantizer.f_constraint is not None:
        quantizer._f.assign(quantizer.f_constraint(quantizer._f))


def _set_output(quantizer: Any, plan: Plan) -> None:
    """Each head's format, one element each; never trained."""
    each: list[Fixed] = [head.fixed for head in plan.heads for _ in range(head.start, head.stop)]
    quantizer._k.assign(np.array([[z.signed for z in each]], np.uint8))
    quantizer._i.assign(np.array([[z.integer - z.signed for z in each]], np.float32))
    quantizer._f.assign(np.array([[z.frac for z in each]], np.float32))
