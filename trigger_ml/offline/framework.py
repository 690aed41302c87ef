"""The layer list in Keras on TensorFlow, in two forms: the one that is trained, and the one that is deployed.

The trained form rounds weights and activations on the way forward and lets gradients pass as if it had not
(straight-through, arXiv:1308.3432). The deploy form holds the integer codes; it is what the ONNX models equal.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trigger_ml.ir.bounds import FLOAT32_EXACT
from trigger_ml.offline import edges, layers, spline
from trigger_ml.offline.layers import NORM_EPSILON, SMALLEST, TOP, Linear, Mode, Network, Node, Weights
from trigger_ml.offline.quantize import INT8_TOP, LEAST_SCALE, quantized


def start_weights(network: Network, seed: int) -> dict[str, NDArray[np.float32]]:
    """Glorot's uniform weights (AISTATS 2010) from ``seed`` alone; biases 0, scales 1."""
    rng, found = np.random.default_rng(seed), {}
    for name, shape in network.parts.items():
        part = name.rpartition(".")[2]
        if part in ("kernel", "place"):
            reach = np.sqrt(6 / sum(shape))
            found[name] = rng.uniform(-reach, reach, shape).astype(np.float32)
        else:
            found[name] = np.full(shape, float(part == "scale"), np.float32)
    return found


class Trained:
    """The trained form.

    Attributes:
        network: its layers.
        variables: the weights that gradients move, by name.
        fixed: those that none moves.
    """

    def __init__(self, network: Network, weights: Weights) -> None:
        import tensorflow as tf

        network.check(weights)
        self.network = network
        still = {n.name for n in network.nodes if isinstance(n.op, layers.Standardize)}
        parts = {name: weights[name] for name in network.parts}
        self.fixed = {k: np.asarray(v) for k, v in parts.items() if k.rpartition(".")[0] in still}
        self.variables = {k: tf.Variable(v) for k, v in parts.items() if k not in self.fixed}

    def __call__(self, feed: Mapping[str, Any]) -> Any:
        """The output for tensors by port."""
        return self.on(self.network, feed)

    def on(self, network: Network, feed: Mapping[str, Any], held: bool = False) -> Any:
        """The output of another network that has its weights here, by name; ``held``: no gradient moves them."""
        import tensorflow as tf

        still = tf.stop_gradient if held else tf.identity
        weights = {**self.fixed, **{k: still(v.value()) for k, v in self.variables.items()}}
        return _evaluate(network, weights, feed, _straight_through)

    def weights(self) -> dict[str, NDArray[np.float32]]:
        """The float weights as they are now."""
        return {**self.fixed, **{k: v.numpy() for k, v in self.variables.items()}}


def deployed(network: Network, weights: Weights, feed: Mapping[str, NDArray[np.float32]]) -> NDArray[np.float32]:
    """The output of the deploy form for arrays by port, one operation at a time (nothing is compiled or fused)."""
    import tensorflow as tf

    network.check(weights)
    tensors = {k: tf.constant(v) for k, v in feed.items()}
    return np.asarray(_evaluate(network, weights, tensors, _codes).numpy())


Product = Callable[[Any, Any, Mode], Any]
"""A low-bit product: input, kernel, mode -> product without bias."""


def _evaluate(network: Network, weights: Mapping[str, Any], feed: Mapping[str, Any], product: Product) -> Any:
    from keras import ops

    values = dict(feed)
    for node in network.nodes:
        inputs = [values[i] for i in node.inputs]
        if isinstance(node.op, Linear):
            kernel, bias = weights[f"{node.name}.kernel"], weights[f"{node.name}.bias"]
            low = node.op.mode != "float"
            x = product(inputs[0], kernel, node.op.mode) if low else ops.matmul(inputs[0], kernel)
            values[node.name] = x + bias
        else:
            values[node.name] = _other(node, inputs, weights)
    return values[network.output]


def _straight_through(x: Any, kernel: Any, mode: Mode) -> Any:
    from keras import ops

    mean = ops.maximum(ops.mean(ops.abs(kernel)), LEAST_SCALE)
    if mode == "ternary":
        w = ops.clip(ops.round(kernel / mean), -1, 1) * mean
    elif mode == "binary":
        w = ops.where(kernel >= ops.mean(kernel), mean, -mean)
    else:
        step = ops.maximum(ops.max(ops.abs(kernel)), LEAST_SCALE) / INT8_TOP
        w = ops.round(kernel / step) * step
    top = ops.maximum(ops.max(ops.abs(x), axis=-1, keepdims=True), SMALLEST)
    near = ops.round(x * (TOP / top)) * (top / TOP)
    return ops.matmul(x + ops.stop_gradient(near - x), kernel + ops.stop_gradient(w - kernel))


def _codes(x: Any, kernel: Any, mode: Mode) -> Any:
    from keras import ops

    codes = quantized(np.asarray(kernel), mode)
    kind = "float32" if codes.peak < FLOAT32_EXACT else "float64"
    top = ops.maximum(ops.max(ops.abs(x), axis=-1, keepdims=True), SMALLEST)
    q = ops.round(x * (np.float32(TOP) / top))
    whole = ops.matmul(ops.cast(q, kind), ops.convert_to_tensor(codes.codes.astype(kind)))
    return ops.cast(whole, "float32") * top * codes.scale


def _other(node: Node, inputs: list[Any], weights: Mapping[str, Any]) -> Any:
    from keras import ops

    x = inputs[0]
    match node.op:
        case layers.Activation(kind=kind):
            return x * ops.sigmoid(x) if kind == "silu" else getattr(ops, kind)(x)
        case layers.Norm():
            centred = x - ops.mean(x, axis=-1, keepdims=True)
            spread = ops.sqrt(ops.mean(centred * centred, axis=-1, keepdims=True) + NORM_EPSILON)
            return centred / spread * weights[f"{node.name}.scale"] + weights[f"{node.name}.shift"]
        case layers.Add():
            return sum(inputs[1:], x)
        case layers.Modulate():
            return x * (1 + inputs[1]) + inputs[2]
        case layers.Concat():
            return ops.concatenate(inputs, axis=-1)
        case layers.Take(start=start, stop=stop):
            return x[..., start:stop]
        case layers.Scale(factor=factor):
            return x * np.float32(factor)
        case layers.Standardize():
            return x * weights[f"{node.name}.scale"] + weights[f"{node.name}.shift"]
        case layers.TimeEmbedding():
            angles = x * node.op.angles
            return ops.concatenate([ops.cos(angles), ops.sin(angles)], axis=-1)
        case _:
            return _of_items(node, inputs, weights)


def _of_items(node: Node, inputs: list[Any], weights: Mapping[str, Any]) -> Any:
    """What treats elements or items by their number, or looks at several."""
    from keras import ops

    x = inputs[0]
    match node.op:
        case layers.Reshape(shape=shape):
            return ops.reshape(x, (-1, *shape))
        case layers.Cells():
            return _cells(node.op, x)
        case layers.Place():
            return x + weights[f"{node.name}.place"]
        case layers.Pool():
            if len(inputs) == 1:
                return ops.mean(x, axis=-2)
            count = ops.maximum(ops.sum(inputs[1], axis=-2), 1.0)
            return ops.sum(x * inputs[1], axis=-2) / count
        case layers.Spline(bins=bins, bound=bound):
            return spline.moved(x, inputs[1], bins, bound)[0]
        case layers.Edges(count=count, step=step):
            return edges.edges(x, edges.nearest(inputs[1], inputs[2], count, step))
        case layers.ChannelAttention():
            return _channel_attention(*inputs)
        case _:
            return _attention(node, inputs)


def _attention(node: Node, inputs: list[Any]) -> Any:
    from keras import ops

    heads: int = node.op.heads  # type: ignore[union-attr]
    items, width = inputs[0].shape[-2:]
    each = width // heads
    q, k, v = (ops.transpose(ops.reshape(x, (-1, items, heads, each)), (0, 2, 1, 3)) for x in inputs[:3])
    scores = ops.matmul(q, ops.transpose(k, (0, 1, 3, 2))) * (1 / np.sqrt(each))
    if len(inputs) == 4:
        scores = scores + ops.reshape((1.0 - inputs[3]) * layers.MASKED, (-1, 1, 1, items))
    mixed = ops.matmul(ops.softmax(scores, axis=-1), v)
    return ops.reshape(ops.transpose(mixed, (0, 2, 1, 3)), (-1, items, width))


def _channel_attention(q: Any, k: Any, v: Any, mask: Any) -> Any:
    from keras import ops

    scores = ops.matmul(ops.transpose(q, (0, 2, 1)), k * mask) * (1 / np.sqrt(q.shape[-2]))
    return ops.matmul(v, ops.transpose(ops.softmax(scores, axis=-1), (0, 2, 1)))


def _cells(op: layers.Cells, x: Any) -> Any:
    from keras import ops

    index = np.asarray(op.index, np.int32)
    if index.min() < 0:
        x = ops.pad(x, ((0, 0), (0, 1), (0, 0)))
        index = np.where(index < 0, x.shape[1] - 1, index)
    return ops.reshape(ops.take(x, index.ravel(), axis=1), (-1, len(index), index.shape[1] * x.shape[2]))
