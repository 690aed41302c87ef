"""Each layer as ONNX nodes, and a low-bit product in each lowering.

The order of the two multiplications, first ``top`` and then the constant scale, is part of the meaning: a runtime that
folds a constant factor into a product that it sums in pieces, or that takes a bias for a zero point, finds no such
pattern here (see the tests of ONNX Runtime's rewriting).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from trigger_ml.errors import Unsupported
from trigger_ml.ir.bounds import FLOAT32_EXACT, FLOAT64_EXACT
from trigger_ml.offline import edges, layers
from trigger_ml.offline.layers import NORM_EPSILON, SMALLEST, TOP, Linear, Network, Node, Weights
from trigger_ml.offline.onnx.operator import NAME
from trigger_ml.offline.onnx.packing import packed
from trigger_ml.offline.onnx.writer import OPERATOR_DOMAIN, Value, Writer
from trigger_ml.offline.quantize import Codes, quantized
from trigger_ml.offline.spline import LEAST, LEAST_SLOPE, parameters

FLOAT, INT64, DOUBLE = 1, 7, 11


def emit(w: Writer, network: Network, weights: Weights, feed: dict[str, Value]) -> Value:
    """The network's nodes on values that stand for its ports; returns the output's value."""
    values = dict(feed)
    for node in network.nodes:
        values[node.name] = RULES[type(node.op)](w, node, [values[i] for i in node.inputs], _Seen(network, weights))
    return values[network.output]


class _Seen:
    """What a rule may look up."""

    def __init__(self, network: Network, weights: Weights) -> None:
        self.network, self.weights = network, weights

    def part(self, node: Node, part: str) -> Any:
        return self.weights[f"{node.name}.{part}"]

    def shape(self, node: Node) -> tuple[int, ...]:
        return self.network.shapes[node.inputs[0]]


Rule = Callable[[Writer, Node, list[Any], _Seen], Any]


def _linear(w: Writer, node: Node, inputs: list[Any], seen: _Seen) -> Any:
    op: Any = node.op
    kernel, bias = seen.part(node, "kernel"), seen.part(node, "bias")
    if op.mode == "float":
        return w.op("Add", w.op("MatMul", inputs[0], w.kernel(kernel)), w.const(bias))
    codes = quantized(kernel, op.mode)
    if codes.peak >= 1 << 31:
        bits = codes.peak.bit_length()
        raise Unsupported(f"layer {node.name!r}: sums of {bits} bits need more than 32: make it narrower")
    small = op.mode != "int8"
    if w.lowering == "ternary" and small:
        arguments = (w.kernel(packed(codes.codes)), w.const([codes.scale]), w.const(bias))
        made = w.op(NAME, inputs[0], *arguments, domain=OPERATOR_DOMAIN)
        return w.shaped(made, [None, *seen.network.shapes[node.name]])
    top = w.op("Max", w.op("ReduceMax", w.op("Abs", inputs[0]), w.const([-1], np.int64), keepdims=1), w.const(SMALLEST))
    x = w.op("Mul", inputs[0], w.op("Div", w.const(np.float32(TOP)), top))
    whole = _integer(w, x, codes) if w.lowering in ("int8", "ternary") else _floating(w, x, codes, small)
    return w.op("Add", w.op("Mul", w.op("Mul", whole, top), w.const(codes.scale)), w.const(bias))


def _integer(w: Writer, x: Any, codes: Codes) -> Any:
    """Unsigned bytes around 128: runtimes multiply signed by signed bytes many times slower."""
    zero = w.const(128, np.uint8)
    q = w.op("QuantizeLinear", x, w.const(1.0), zero)
    return w.op("Cast", w.op("MatMulInteger", q, w.kernel(codes.codes), zero), to=FLOAT)


def _floating(w: Writer, x: Any, codes: Codes, small: bool) -> Any:
    """Integers in floats, exact by the peak of the sum.

    Two-bit matrices are stored flat: ONNX Runtime makes a product beside its DequantizeLinear into MatMulNBits, which
    rounds the activations again, block by block.
    """
    q, wide = w.op("Round", x), codes.peak >= FLOAT32_EXACT
    if codes.peak >= FLOAT64_EXACT:
        raise Unsupported("a sum may need more than 53 bits: make the layer narrower")
    if w.lowering == "int2":
        flat = w.int2(codes.codes.ravel()) if small else w.kernel(codes.codes.ravel())
        matrix = w.op("Reshape", w.op("DequantizeLinear", flat, w.const(1.0)), w.const(codes.codes.shape, np.int64))
    else:
        matrix = w.kernel(codes.codes.astype(np.float32))
    if not wide:
        return w.op("MatMul", q, matrix)
    product = w.op("MatMul", w.op("Cast", q, to=DOUBLE), w.op("Cast", matrix, to=DOUBLE))
    return w.op("Cast", product, to=FLOAT)


def _activation(w: Writer, node: Node, inputs: list[Any], seen: _Seen) -> Any:
    op: Any = node.op
    kind, (x,) = op.kind, inputs
    if kind == "silu":
        return w.op("Mul", x, w.op("Sigmoid", x))
    return w.op({"relu": "Relu", "tanh": "Tanh", "sigmoid": "Sigmoid"}[kind], x)


def _norm(w: Writer, node: Node, inputs: list[Any], seen: _Seen) -> Any:
    scale, shift = (w.const(seen.part(node, part)) for part in ("scale", "shift"))
    return w.op("LayerNormalization", inputs[0], scale, shift, axis=-1, epsilon=NORM_EPSILON)


def _add(w: Writer, node: Node, inputs: list[Any], seen: _Seen) -> Any:
    total = inputs[0]
    for other in inputs[1:]:
        total = w.op("Add", total, other)
    return total


def _modulate(w: Writer, node: Node, inputs: list[Any], seen: _Seen) -> Any:
    x, a, b = inputs
    return w.op("Add", w.op("Mul", x, w.op("Add", a, w.const(1.0))), b)


def _standardize(w: Writer, node: Node, inputs: list[Any], seen: _Seen) -> Any:
    scaled = w.op("Mul", inputs[0], w.const(seen.part(node, "scale")))
    return w.op("Add", scaled, w.const(seen.part(node, "shift")))


def _scale(w: Writer, node: Node, inputs: list[Any], seen: _Seen) -> Any:
    op: Any = node.op
    return w.op("Mul", inputs[0], w.const(op.factor))


def _take(w: Writer, node: Node, inputs: list[Any], seen: _Seen) -> Any:
    op: Any = node.op
    ends = [w.const([value], np.int64) for value in (op.start, op.stop, -1)]
    return w.op("Slice", inputs[0], *ends)


def _time(w: Writer, node: Node, inputs: list[Any], seen: _Seen) -> Any:
    op: Any = node.op
    angles = w.op("Mul", inputs[0], w.const(op.angles))
    return w.op("Concat", w.op("Cos", angles), w.op("Sin", angles), axis=-1)


def _pool(w: Writer, node: Node, inputs: list[Any], seen: _Seen) -> Any:
    axis = w.const([-2], np.int64)
    if len(inputs) == 1:
        return w.op("ReduceMean", inputs[0], axis, keepdims=0)
    x, mask = inputs
    count = w.op("Max", w.op("ReduceSum", mask, axis, keepdims=0), w.const(1.0))
    return w.op("Div", w.op("ReduceSum", w.op("Mul", x, mask), axis, keepdims=0), count)


def _attention(w: Writer, node: Node, inputs: list[Any], seen: _Seen) -> Any:
    op: Any = node.op
    items, width = seen.shape(node)
    each = width // op.heads
    shape = w.const([-1, items, op.heads, each], np.int64)
    q, k, v = (
        w.op("Transpose", w.op("Reshape", x, shape), perm=perm)
        for x, perm in zip(inputs[:3], ([0, 2, 1, 3], [0, 2, 3, 1], [0, 2, 1, 3]), strict=True)
    )
    scores = w.op("Mul", w.op("MatMul", q, k), w.const(np.float32(1 / np.sqrt(each))))
    if len(inputs) == 4:
        hidden = w.op("Mul", w.op("Sub", w.const(1.0), inputs[3]), w.const(layers.MASKED))
        scores = w.op("Add", scores, w.op("Reshape", hidden, w.const([-1, 1, 1, items], np.int64)))
    mixed = w.op("MatMul", w.op("Softmax", scores, axis=-1), v)
    return w.op("Reshape", w.op("Transpose", mixed, perm=[0, 2, 1, 3]), w.const([-1, items, width], np.int64))


def _channel_attention(w: Writer, node: Node, inputs: list[Any], seen: _Seen) -> Any:
    q, k, v, mask = inputs
    items, _ = seen.shape(node)
    products = w.op("MatMul", w.op("Transpose", q, perm=[0, 2, 1]), w.op("Mul", k, mask))
    shares = w.op("Softmax", w.op("Mul", products, w.const(np.float32(1 / np.sqrt(items)))), axis=-1)
    return w.op("MatMul", v, w.op("Transpose", shares, perm=[0, 2, 1]))


def _edges(w: Writer, node: Node, inputs: list[Any], seen: _Seen) -> Any:
    op: Any = node.op
    x, (items, width) = inputs[0], seen.shape(node)
    index = _nearest(w, op, inputs[1], inputs[2], items)
    own = w.op("Reshape", x, w.const([-1, items, 1, width], np.int64))
    near = w.op("GatherND", x, w.op("Unsqueeze", index, w.const([-1], np.int64)), batch_dims=1)
    spread = w.op("Expand", own, w.const([1, 1, op.count, 1], np.int64))
    return w.op("Concat", spread, w.op("Sub", near, own), axis=-1)


def _nearest(w: Writer, op: Any, place: Any, mask: Any, items: int) -> Any:
    """``edges.nearest``: sorted keys of which no two are equal, each with the index as its remainder."""
    number = np.arange(items)
    steps = w.op("Round", w.op("Mul", place, w.const(edges.in_steps(op.step))))
    whole = w.op("Cast", w.op("Clip", steps, w.const(-edges.REACH), w.const(edges.REACH)), to=INT64)
    apart = w.op("Sub", *(w.op("Unsqueeze", whole, w.const([axis], np.int64)) for axis in (2, 1)))
    squared = w.op("ReduceSum", w.op("Mul", apart, apart), w.const([-1], np.int64), keepdims=0)
    key = w.op("Add", w.op("Mul", squared, w.const(items, np.int64)), w.const(number, np.int64))
    there = w.op("Greater", w.op("Reshape", mask, w.const([-1, 1, items], np.int64)), w.const(0.0))
    able = w.op("And", there, w.const(~np.eye(items, dtype=bool), np.bool_))
    key = w.op("Where", able, key, w.const(edges.FAR + number, np.int64))
    least = w.op("TopK", key, w.const([op.count], np.int64), outputs=2, axis=-1, largest=0, sorted=1)
    found = w.op("Mod", least, w.const(items, np.int64))
    return w.op("Where", w.op("Less", least, w.const(edges.FAR, np.int64)), found, w.const(number[:, None], np.int64))


def _reshape(w: Writer, node: Node, inputs: list[Any], seen: _Seen) -> Any:
    op: Any = node.op
    return w.op("Reshape", inputs[0], w.const([-1, *op.shape], np.int64))


def _cells(w: Writer, node: Node, inputs: list[Any], seen: _Seen) -> Any:
    op: Any = node.op
    x, (items, _), index = inputs[0], seen.shape(node), np.asarray(op.index)
    if index.min() < 0:
        x = w.op("Pad", x, w.const([0, 0, 0, 0, 1, 0], np.int64), w.const(0.0))
    found = w.op("Gather", x, w.const(np.where(index < 0, items, index).ravel(), np.int64), axis=1)
    return w.op("Reshape", found, w.const([-1, *seen.network.shapes[node.name]], np.int64))


def _place(w: Writer, node: Node, inputs: list[Any], seen: _Seen) -> Any:
    return w.op("Add", inputs[0], w.const(seen.part(node, "place")))


def _spline(w: Writer, node: Node, inputs: list[Any], seen: _Seen) -> Any:
    """``spline.moved``: all pieces side by side, the one of each value picked by a sum of which one term is not 0."""
    op: Any = node.op
    (size,), bins, bound = seen.shape(node), op.bins, w.const(op.bound)
    last, low = w.const([-1], np.int64), w.const(-op.bound)
    each = w.op("Reshape", inputs[0], w.const([-1, size, 1], np.int64))
    raw = w.op("Reshape", inputs[1], w.const([-1, size, parameters(bins)], np.int64))
    x = w.op("Min", w.op("Max", each, low), bound)

    def cut(values: Any, start: int, stop: int) -> Any:
        return w.op("Slice", values, *(w.const([v], np.int64) for v in (start, stop, -1)))

    def share(start: int) -> Any:
        part = w.op("Softmax", cut(raw, start, start + bins), axis=-1)
        return w.op("Add", w.op("Mul", part, w.const((1 - bins * LEAST) * 2 * op.bound)), w.const(LEAST * 2 * op.bound))

    sizes = [share(0), share(bins)]
    corners = [w.op("Sub", w.op("CumSum", s, w.const(-1, np.int64), exclusive=1), bound) for s in sizes]
    turned = cut(raw, 2 * bins, 3 * bins - 1)
    slopes = w.op("Add", turned, w.op("Sqrt", w.op("Add", w.op("Mul", turned, turned), w.const(4.0))))
    slopes = w.op("Add", w.op("Mul", slopes, w.const(0.5 * (1 - LEAST_SLOPE))), w.const(LEAST_SLOPE))
    slopes = w.op("Pad", slopes, w.const([0, 0, 1, 0, 0, 1], np.int64), w.const(1.0))
    reached = w.op("Cast", w.op("GreaterOrEqual", x, corners[0]), to=FLOAT)
    number = w.op("ReduceSum", reached, last, keepdims=1)
    here = w.op("Cast", w.op("Equal", number, w.const(np.arange(1, bins + 1))), to=FLOAT)
    ends = [cut(slopes, 0, bins), cut(slopes, 1, bins + 1)]
    picked = [w.op("ReduceSum", w.op("Mul", here, v), last, keepdims=1) for v in (*corners, *sizes, *ends)]
    y = _on_piece(w, x, picked)
    inside = w.op("Less", w.op("Abs", each), bound)
    return w.op("Reshape", w.op("Where", inside, y, each), w.const([-1, size], np.int64))


def _on_piece(w: Writer, x: Any, piece: list[Any]) -> Any:
    """Height of a rational-quadratic piece above its values."""
    left, bottom, width, height, first, second = piece
    share = w.op("Div", w.op("Sub", x, left), width)
    share = w.op("Min", w.op("Max", share, w.const(0.0)), w.const(1.0))
    steep, both = w.op("Div", height, width), w.op("Mul", share, w.op("Sub", w.const(1.0), share))
    over = w.op("Add", w.op("Mul", w.op("Mul", steep, share), share), w.op("Mul", first, both))
    bend = w.op("Sub", w.op("Add", first, second), w.op("Mul", steep, w.const(2.0)))
    under = w.op("Add", steep, w.op("Mul", bend, both))
    return w.op("Add", bottom, w.op("Mul", height, w.op("Div", over, under)))


RULES: dict[type, Rule] = {
    Linear: _linear,
    layers.Activation: _activation,
    layers.Norm: _norm,
    layers.Add: _add,
    layers.Modulate: _modulate,
    layers.Concat: lambda w, node, inputs, seen: w.op("Concat", *inputs, axis=-1),
    layers.Take: _take,
    layers.Scale: _scale,
    layers.Standardize: _standardize,
    layers.TimeEmbedding: _time,
    layers.Pool: _pool,
    layers.Attention: _attention,
    layers.ChannelAttention: _channel_attention,
    layers.Edges: _edges,
    layers.Spline: _spline,
    layers.Reshape: _reshape,
    layers.Cells: _cells,
    layers.Place: _place,
}
