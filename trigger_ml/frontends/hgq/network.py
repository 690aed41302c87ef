"""The network as HGQ2 layers: built from float weights, trained, read back as exact numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trigger_ml.families import inputs
from trigger_ml.families import layers as net
from trigger_ml.fixed import Fixed
from trigger_ml.frontends import floatnet
from trigger_ml.frontends.losses import Loss
from trigger_ml.frontends.plan import Plan
from trigger_ml.frontends.pruning import Masks
from trigger_ml.spec import Train

START_BITS = 8
"""Width of every weight and activation where the ramp starts."""

WEIGHT_BITS = 12
"""Width of the momenta that weight a sum: they are hardware integers, whose width isn't trained."""

BIAS_INTEGER, BIAS_FRAC = 5, 6
"""Biases are ``ap_fixed<12,6>``: they cost one constant in an adder tree, so their bits are not trained."""


class Network:
    """Layers of HGQ2, and quantizers in front of what adds without weights.

    Attributes:
        weights: kernels and biases.
        trainable: weights and bit widths.
        masks: which weights are kept; None without pruning.
        state: all variables.
    """

    def __init__(self, plan: Plan, seed: int, train: Train, bits: int = START_BITS) -> None:
        """Layers that start as the plan's float weights in ``bits`` bits; ``train`` says whether they are pruned."""
        import keras
        import tensorflow as tf
        from hgq.quantizer import Quantizer

        keras.utils.set_random_seed(seed)
        self.plan, self.bits = plan, bits
        self.beta = tf.Variable(0.0, trainable=False)
        self.quantizers: dict[str, Any] = {}
        self.sums: list[tuple[Any, tuple[int, ...], int]] = []
        first = keras.Input((plan.x.shape[1],), name="x")
        found, read = {net.INPUT: first}, net.sources(plan.layers)
        shapes = net.shapes(plan.layers, plan.x.shape[1])
        for layer in plan.layers:
            z = found[read[layer.name]]
            fine = _from_input(plan.layers, read[layer.name])
            if isinstance(layer, net.Dense | net.Conv):
                found[layer.name] = self._weighted(layer, fine, len(shapes[read[layer.name]]))(z)
            else:
                if net.quantized(layer):
                    z = self._summed(layer, fine, shapes[read[layer.name]])(z)
                found[layer.name] = _wiring(layer, name=layer.name)(z, *_others(layer, found))
        end = found[plan.layers[-1].name]
        outer = None
        if not isinstance(plan.layers[-1], net.Dense | net.Conv):
            outer = Quantizer(_output(), name="outputs")
            end = outer(end)
        self.model = keras.Model(first, end)
        self.layers = [self.model.get_layer(n.name) for n in plan.layers if isinstance(n, net.Dense | net.Conv)]
        for layer in self.layers:
            self.quantizers[layer.name] = layer.iq.quantizer
            layer._kernel.assign(plan.start[f"{layer.name}.kernel"])
            layer.bias.assign(plan.start[f"{layer.name}.bias"])
        for name, (signed, reach) in plan.ranges().items():
            _set_activation(self.quantizers[name], signed, reach, bits)
        final = outer.quantizer if outer is not None else self.layers[-1].oq.quantizer
        _set_output(final, plan)
        frozen = {id(v) for v in final.variables}
        self.trainable = [v for v in self.model.trainable_variables if id(v) not in frozen]
        self.weights = [v for layer in self.layers for v in (layer._kernel, layer.bias)]
        self.masks = Masks(train, [layer._kernel for layer in self.layers]) if train.sparsity else None
        self.state = [*self.model.variables, self.beta] if self.sums else self.model.variables
        if self.masks is not None:
            self.state = [*self.state, *self.masks.variables]

    def _weighted(self, layer: net.Dense | net.Conv, fine: bool, rank: int) -> Any:
        from hgq.layers import QConv1D, QConv2D, QDense

        last = layer is self.plan.layers[-1]
        shared = {
            "activation": "relu" if layer.relu else None,
            "name": layer.name,
            "iq_conf": _activation(fine, rank),
            "kq_conf": _kernel(self.plan.start[f"{layer.name}.kernel"], self.bits),
            "bq_conf": _bias(),
            "enable_oq": last,
            "oq_conf": _output() if last else None,
            "enable_ebops": True,
            "beta0": 0.0,
        }
        if isinstance(layer, net.Dense):
            return QDense(layer.units, **shared)
        kind = QConv1D if len(layer.size) == 1 else QConv2D
        padding = "same" if layer.same else "valid"
        made = kind(layer.filters, layer.size, strides=layer.strides, padding=padding, **shared)
        made.convolution_op = lambda inputs, kernel: floatnet.convolved(layer, kernel, inputs)
        return made

    def _summed(self, layer: net.Layer, fine: bool, shape: tuple[int, ...]) -> Any:
        """The quantizer of a layer that adds; each of its bits is one bit of an adder, times those of a weight."""
        from hgq.quantizer import Quantizer

        made = Quantizer(_activation(fine, len(shape)), name=f"{layer.name}_iq")
        bits = WEIGHT_BITS if isinstance(layer, net.WeightedSum) else 1
        self.quantizers[layer.name] = made.quantizer
        self.sums.append((made, (1, *shape), bits))
        return made

    def loss(self, distance: Loss, x: Any, y: Any) -> Any:
        """Distance from the targets plus the price of EBOPs."""
        import tensorflow as tf

        prediction = self.model(x, training=True)
        return distance(x, y, prediction) + tf.add_n([*self.model.losses, *(self.beta * e for e in self._adders())])

    def _adders(self) -> list[Any]:
        import tensorflow as tf

        return [tf.reduce_sum(made.bits_(shape)) * float(bits) for made, shape, bits in self.sums]

    def price(self, beta: float) -> None:
        """Set the weight of EBOPs in the loss."""
        self.beta.assign(beta)
        for layer in self.layers:
            layer._beta.assign(beta)

    def ebops(self) -> float:
        """Effective bit operations: the sum over multiplications of the product of their operands' widths."""
        return float(sum(int(layer.ebops) for layer in self.layers) + sum(int(e) for e in self._adders()))

    def freeze_bits(self) -> None:
        """No quantizer finer than what it reads: with the widths frozen such bits would be dead, and cost."""
        by_name = {layer.name: layer for layer in self.layers}
        frac, read = {net.INPUT: inputs.INPUT_FRAC}, net.sources(self.plan.layers)
        for layer in self.plan.layers:
            known = [frac[read[layer.name]], *(frac[o] for o in _names(layer))]
            frac[layer.name] = max(known)
            if layer.name not in self.quantizers:
                continue
            quantizer = self.quantizers[layer.name]
            quantizer._f.assign(np.minimum(np.round(np.asarray(quantizer._f)), known[0]))
            own = np.asarray(quantizer.f)[np.asarray(quantizer.bits) > 0]
            frac[layer.name] = int(own.max(initial=0))
            if isinstance(layer, net.WeightedSum):
                frac[layer.name] += inputs.INPUT_FRAC
            if layer.name in by_name:
                made = by_name[layer.name]
                kernel = np.asarray(made.kq.quantizer.f)[np.asarray(made.qkernel) != 0]
                frac[layer.name] += int(kernel.max(initial=0))

    def predict(self, x: NDArray[np.float32]) -> NDArray[np.float32]:
        """The framework's own float32 forward, ``(events, outputs)``."""
        return np.concatenate([np.asarray(self.model(x[i : i + 4096], training=False)) for i in range(0, len(x), 4096)])

    def arrays(self) -> dict[str, NDArray[Any]]:
        """The quantized layers as :mod:`trigger_ml.frontends.freezing` reads them."""
        arrays: dict[str, NDArray[Any]] = {"layers": np.array([layer.name for layer in self.layers])}
        for layer in self.layers:
            arrays[f"{layer.name}.kernel"] = np.asarray(layer.qkernel, np.float64)
            arrays[f"{layer.name}.bias"] = np.asarray(layer.qbias, np.float64)
        for name, quantizer in self.quantizers.items():
            for part, value in zip(("signed", "integer", "frac"), quantizer.kif, strict=True):
                arrays[f"{name}.{part}"] = np.asarray(value).reshape(-1).astype(np.int64)
        return arrays if self.masks is None else arrays | self.masks.arrays([layer.name for layer in self.layers])

    def prune(self, epoch: int) -> None:
        """What the schedule asks for at the start of an epoch of quantized training, if there is one."""
        if self.masks is not None:
            self.masks.before(epoch)


def _names(layer: net.Layer) -> tuple[str, ...]:
    """What a layer reads beside the one before it."""
    return (layer.other,) if isinstance(layer, net.Add | net.Join | net.WeightedSum) else ()


def _others(layer: net.Layer, found: dict[str, Any]) -> list[Any]:
    return [found[name] for name in _names(layer)]


def _from_input(layers: Sequence[net.Layer], source: str) -> bool:
    """Whether a tensor is the input, perhaps rearranged: its grid is that of the hardware integers."""
    by_name, read = {layer.name: layer for layer in layers}, net.sources(layers)
    while isinstance(by_name.get(source), net.Reshape | net.Permute | net.Columns):
        source = read[source]
    return source == net.INPUT


def _wiring(layer: net.Layer, name: str) -> Any:
    """A layer without weights as a Keras layer."""
    import keras

    class Wiring(keras.layers.Layer):
        """Calls :func:`trigger_ml.frontends.floatnet.output`."""

        def call(self, z: Any, *others: Any) -> Any:
            return floatnet.output(layer, None, z, dict(zip(_names(layer), others, strict=True)))

    return Wiring(name=name)


def _bits(reach: NDArray[np.float64]) -> NDArray[np.float64]:
    """Integer bits, the sign apart, that hold this reach."""
    return np.ceil(np.log2(np.maximum(reach, 2.0**-6)))


def _activation(first: bool, rank: int) -> Any:
    """One format an element of a flat tensor, one a channel of another: its windows and particles share weights."""
    from hgq.config import QuantizerConfig
    from hgq.constraints import MinMax

    finest = inputs.INPUT_FRAC if first else 12
    return QuantizerConfig(
        "kif",
        "datalane",
        k0=False,
        i0=4,
        f0=4,
        fc=MinMax(-12, finest),
        round_mode="RND",
        overflow_mode="SAT",
        homogeneous_axis=tuple(range(rank)),
    )


def _kernel(kernel: NDArray[np.float64], bits: int) -> Any:
    from hgq.config import QuantizerConfig

    integer = float(_bits(np.abs(kernel).max()))
    return QuantizerConfig("kbi", "weight", k0=True, b0=bits - 1, i0=integer, round_mode="RND", overflow_mode="SAT_SYM")


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


def _set_activation(quantizer: Any, signed: NDArray[np.bool_], reach: NDArray[np.float64], bits: int) -> None:
    integer, signs = _bits(reach), signed.astype(np.uint8)
    shape = quantizer._k.shape
    quantizer._k.assign(signs.reshape(shape))
    quantizer._i.assign(integer.reshape(shape))
    quantizer._f.assign(np.clip(bits - integer - signs, -12, 12).reshape(shape))
    if quantizer.f_constraint is not None:
        quantizer._f.assign(quantizer.f_constraint(quantizer._f))


def _set_output(quantizer: Any, plan: Plan) -> None:
    """Each head's format, one element each; never trained."""
    each: list[Fixed] = [head.fixed for head in plan.heads for _ in range(head.start, head.stop)]
    quantizer._k.assign(np.array([[z.signed for z in each]], np.uint8))
    quantizer._i.assign(np.array([[z.integer - z.signed for z in each]], np.float32))
    quantizer._f.assign(np.array([[z.frac for z in each]], np.float32))
