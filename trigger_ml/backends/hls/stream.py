"""The hls4ml layer list for io_stream: tensors travel as words, one position's channels each, through FIFOs.

Convolutions and sums over windows are hls4ml's line buffers, products its ``Dense`` and pointwise ``Conv1D``, maxima
over windows its ``MaxPooling``. What acts on each element alone works on a word as it comes. Everything else fills a
buffer with its whole input first: exact, but without the gain of a stream.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trigger_ml.backends.hls import layers as flat
from trigger_ml.backends.hls.layers import Layer, Model, Port
from trigger_ml.errors import Unsupported
from trigger_ml.fixed import Fixed, Formats
from trigger_ml.ir import ops
from trigger_ml.ir.bounds import Tensor, bounds
from trigger_ml.ir.graph import Graph, Node

READERS = 7
"""hls4ml copies a stream at most so often."""

ELEMENTWISE = (ops.Requant, ops.Table, ops.Relu, ops.Mul, ops.Add, ops.Max)

Words = tuple[int, int]
"""How many words of how many channels a tensor is."""


@dataclass(frozen=True)
class _Stage:
    """What is known while one node is lowered: its layer's name, its inputs' layers and words, all tensors."""

    name: str
    node: Node
    inputs: tuple[str, ...]
    words: tuple[Words, ...]
    parts: list[Tensor]
    t: Tensor

    @property
    def out(self) -> Words:
        return words_of(self.t.shape)


def check(graph: Graph) -> None:
    """Refuse what hls4ml's streams can't carry.

    Raises:
        Unsupported: a tensor that more than :data:`READERS` layers read.
    """
    for node in graph.nodes:
        readers = sum(list(n.inputs).count(node.name) for n in graph.nodes) + (node.name in graph.outputs)
        if readers > READERS:
            raise Unsupported(
                f"hls4ml: {readers} layers read node {node.name!r}, but a stream is copied at most {READERS} times: "
                'take [target] io_type = "io_parallel"'
            )


def words_of(shape: tuple[int, ...]) -> Words:
    """A word for each position, channels last; a flat tensor is one word."""
    return (1, shape[0]) if len(shape) < 2 else (math.prod(shape[:-1]), shape[-1])


def lower(graph: Graph) -> Model:
    """The hls4ml model of a graph whose tensors are streams."""
    known = bounds(graph)
    names: dict[str, str] = {}
    words: dict[str, Words] = {}
    layers: list[Layer] = []
    for node in graph.nodes:
        t = known[node.name]
        if isinstance(node.op, ops.Input):
            name, shape = f"{node.name}_in", _port(graph, node)
            made = [
                Layer(name, "InputLayer", (), {"result": t.fixed}, {"input_shape": _listed(words_of(shape), shape)})
            ]
            words[node.name] = words_of(shape)
        elif isinstance(node.op, ops.Reshape) and words[node.inputs[0]] == words_of(t.shape):
            name, made = names[node.inputs[0]], []  # the same words in the same order
            words[node.name] = words_of(t.shape)
        else:
            name = f"{node.name}_node"
            inputs = tuple(names[i] for i in node.inputs)
            stage = _Stage(name, node, inputs, tuple(words[i] for i in node.inputs), [known[i] for i in node.inputs], t)
            made = _stage(stage)
            words[node.name] = stage.out
        names[node.name] = name
        layers += made
    outputs = []
    taken: set[str] = set()
    for node_name in graph.outputs:
        t, layer = known[node_name], names[node_name]
        if graph.consumers(node_name) or layer in taken or layer.endswith("_in"):
            copy = Node(f"{node_name}_out", ops.Reshape(t.shape), (node_name,))
            stage = _Stage(f"{node_name}_out", copy, (layer,), (words[node_name],), [t], t)
            layers.append(_each_word(stage))
            layer = stage.name
        taken.add(layer)
        outputs.append(Port(node_name, layer, math.prod(t.shape), t.fixed, words[node_name][1]))
    ports = [
        Port(n.name, names[n.name], math.prod(known[n.name].shape), known[n.name].fixed, words[n.name][1])
        for n in graph.inputs
    ]
    return Model(tuple(layers), tuple(ports), tuple(outputs))


def _port(graph: Graph, node: Node) -> tuple[int, ...]:
    """The shape in which an input arrives: that of the image it is turned into at once, where that is all it is for."""
    shapes = {n.op.shape if isinstance(n.op, ops.Reshape) else None for n in graph.nodes if node.name in n.inputs}
    op: Any = node.op
    (shape,) = shapes if len(shapes) == 1 else (None,)
    return op.shape if shape is None or node.name in graph.outputs else shape


def _listed(words: Words, shape: tuple[int, ...]) -> list[int]:
    return list(words) if len(shape) > 1 else [words[1]]


def _stage(stage: _Stage) -> list[Layer]:
    op: Any = stage.node.op
    if isinstance(op, ELEMENTWISE) and set(stage.words) == {stage.out}:
        return [_each_word(stage)]
    if isinstance(op, ops.Affine):
        (made,) = flat.RULES[ops.Affine](stage.name, stage.node, stage.inputs, stage.parts, stage.t)
        alone = {"parallelization_factor": 1} if made.kind == "Conv1D" else {}
        return [replace(made, attributes={**made.attributes, **alone})]
    if isinstance(op, ops.Conv) and not _skips_rows(op.w.shape[:-2], op.strides):
        return _convolution(stage, op.w, op.b, op.frac, op.strides, op.padding)
    if isinstance(op, ops.Pool) and op.how == "sum" and not _skips_rows(op.size, op.strides):
        channels = stage.t.shape[-1]
        w = np.broadcast_to(np.eye(channels, dtype=np.int64), (*op.size, channels, channels))
        none = ((0, 0),) * len(op.size)
        return _convolution(stage, w, np.zeros(channels, np.int64), 0, op.strides, none)
    if isinstance(op, ops.Pool) and op.how == "max" and op.size == op.strides:
        return [_maxima(stage, op)]
    return _whole(stage)


def _skips_rows(size: tuple[int, ...], strides: tuple[int, ...]) -> bool:
    """Whether hls4ml's windows of one row would ignore the step between rows."""
    return len(size) == 2 and size[0] == 1 < size[1] and strides[0] > 1


# -- hls4ml's layers --------------------------------------------------------------------------------------------------


def _convolution(
    stage: _Stage,
    w: NDArray[Any],
    b: NDArray[Any],
    frac: int,
    strides: tuple[int, ...],
    padding: tuple[tuple[int, int], ...],
) -> list[Layer]:
    """Windows of ``w (*kernel, c_in, c_out)`` over a line buffer, behind a layer that adds zeros around it."""
    a, t, axes = stage.parts[0], stage.t, _axes(len(strides))
    made, source, space = [], stage.inputs[0], a.shape[:-1]
    if any(n for pair in padding for n in pair):
        grown = tuple(n + sum(pair) for n, pair in zip(space, padding, strict=True))
        shape = _sizes("in", axes, space) | _sizes("out", axes, grown) | _pads(axes, padding)
        source = f"{stage.name}_padded"
        zeros = {**shape, "n_chan": a.shape[-1], "data_format": "channels_last"}
        made.append(Layer(source, f"ZeroPadding{len(axes)}D", stage.inputs, {"result": a.fixed}, zeros))
        space = grown
    types = {
        "result": t.fixed,
        "accum": flat.accumulator(t),
        "weight": Fixed.holding(int(w.min()), int(w.max()), frac),
        "bias": Fixed.holding(int(b.min()), int(b.max()), t.frac),
    }
    shape = _sizes("in", axes, space) | _sizes("out", axes, t.shape[:-1]) | _pads(axes, ((0, 0),) * len(axes))
    shape |= _sizes("filt", axes, w.shape[:-2]) | _sizes("stride", axes, strides)
    channels = {"n_chan": w.shape[-2], "n_filt": w.shape[-1], "data_format": "channels_last"}
    data = {"weight_data": w * 2.0**-frac, "bias_data": b * 2.0**-t.frac}
    return [*made, Layer(stage.name, f"Conv{len(axes)}D", (source,), types, {**shape, **channels, **data})]


def _maxima(stage: _Stage, op: ops.Pool) -> Layer:
    a, t, axes = stage.parts[0], stage.t, _axes(len(op.size))
    if len(axes) == 1:
        shape: dict[str, Any] = {"n_in": a.shape[0], "n_out": t.shape[0]}
    else:
        shape = _sizes("in", axes, a.shape[:-1]) | _sizes("out", axes, t.shape[:-1])
    shape |= _sizes("pool", axes, op.size) | _sizes("stride", axes, op.strides) | _pads(axes, ((0, 0),) * len(axes))
    shape |= {"n_filt": t.shape[-1], "count_pad": False, "data_format": "channels_last"}
    types = {"result": a.fixed, "accum": a.fixed}
    return Layer(stage.name, f"MaxPooling{len(axes)}D", stage.inputs, types, shape)


def _axes(rank: int) -> tuple[str, ...]:
    return ("height", "width")[2 - rank :]


def _sizes(what: str, axes: Sequence[str], values: Sequence[int]) -> dict[str, Any]:
    return {f"{what}_{axis}": int(n) for axis, n in zip(axes, values, strict=True)}


def _pads(axes: Sequence[str], padding: Sequence[tuple[int, int]]) -> dict[str, Any]:
    sides = {"height": ("top", "bottom"), "width": ("left", "right")}
    found: dict[str, Any] = {}
    for axis, pair in zip(axes, padding, strict=True):
        found |= {f"pad_{side}": n for side, n in zip(sides[axis], pair, strict=True)}
    return found


# -- our own layers on streams ----------------------------------------------------------------------------------------


def _each_word(stage: _Stage) -> Layer:
    """An operation on each element alone, word by word; positions of other formats get a loop of their own."""
    count, channels = stage.out
    runs = [list(run) for _, run in groupby(range(count), lambda p: _formats(stage, p))]
    body, code, made = [], "", None
    for k, run in enumerate(runs):
        op, formats = stage.node.op, _formats(stage, run[0])
        if isinstance(op, ops.Requant) and formats is not None:
            op = replace(op, formats=formats)
        if isinstance(op, ops.Reshape):
            op = ops.Reshape((channels,))
        label = stage.name if len(runs) == 1 else f"{stage.name}_{k}"
        parts, t = [_positions(a, run, channels) for a in stage.parts], _positions(stage.t, run, channels)
        (made,) = flat.RULES[type(op)](label, Node(stage.node.name, op, stage.node.inputs), stage.inputs, parts, t)
        code += made.code
        words = {f"a{j}": f"a{j}.data" for j in range(len(stage.inputs))}
        body += [f"for (unsigned p = 0; p < {len(run)}; p++) {{", "    #pragma HLS PIPELINE II=1"]
        body += [f"    a{j}_S a{j} = a{j}_s.read();" for j in range(len(stage.inputs))]
        body += ["    r_S r;", f"    {made.call.format(**words, r='r.data', table='table')}", "    r_s.write(r);", "}"]
    if made is None:
        raise ValueError(f"{stage.name} has no words")
    return _function(made, stage.name, stage.inputs, stage.t.fixed, _listed(stage.out, stage.t.shape), body, code)


def _formats(stage: _Stage, position: int) -> Formats | None:
    """The formats of a Requant at one position; None for other operations, alike at all of them."""
    op = stage.node.op
    if not isinstance(op, ops.Requant) or op.formats.single is not None:
        return op.formats if isinstance(op, ops.Requant) else None
    f = op.formats
    signed, width, frac = (np.broadcast_to(z, stage.t.shape).reshape(stage.out) for z in (f.signed, f.width, f.frac))
    return Formats.of(signed[position], width[position], frac[position])


def _positions(t: Tensor, run: Sequence[int], channels: int) -> Tensor:
    """What is known of a word at some positions of a tensor."""
    lo, hi = (z.reshape(-1, channels)[list(run)] for z in (t.lo, t.hi))
    return Tensor((channels,), t.frac, lo.min(axis=0), hi.max(axis=0), t.peak)


def _whole(stage: _Stage) -> list[Layer]:
    """The layers of io_parallel, those of our own with a buffer before and behind."""
    made, words = [], dict(zip(stage.inputs, stage.words, strict=True))
    for layer in flat.RULES[type(stage.node.op)](stage.name, stage.node, stage.inputs, stage.parts, stage.t):
        if layer.kind != "Exact":
            made.append(replace(layer, attributes={**layer.attributes, "parallelization_factor": 1}))
            continue
        shape = tuple(layer.attributes["shape"])
        out = words[layer.name] = words_of(shape)
        body = []
        for j, source in enumerate(layer.inputs):
            body += [f"typename a{j}_S::value_type a{j}[{math.prod(words[source])}];"]
            body += [f"#pragma HLS ARRAY_PARTITION variable=a{j} complete"]
            body += [f"nnet::exact::gather<{words[source][0]}>(a{j}_s, a{j});"]
        body += [f"typename r_S::value_type r[{math.prod(out)}];", "#pragma HLS ARRAY_PARTITION variable=r complete"]
        letters = {f"a{j}": f"a{j}" for j in range(len(layer.inputs))}
        body += [layer.call.format(**letters, r="r", table="table"), f"nnet::exact::scatter<{out[0]}>(r, r_s);"]
        made.append(_function(layer, layer.name, layer.inputs, layer.types["result"], list(shape), body, layer.code))
    return made


def _function(
    layer: Layer, name: str, inputs: tuple[str, ...], fixed: Fixed, shape: list[int], body: list[str], code: str
) -> Layer:
    """An Exact layer whose call is a function on streams with this body, behind what the body calls."""
    letters = [*(f"a{j}" for j in range(len(inputs))), "r"]
    types, arguments = [f"class {x}_S" for x in letters], [f"hls::stream<{x}_S> &{x}_s" for x in letters]
    values = [f"{{{x}}}" for x in letters]
    if "table" in layer.types:
        types, arguments, values = [*types, "class t_T"], [*arguments, "t_T *table"], [*values, "{table}"]
    text = "\n".join(f"    {line}" for line in body)
    function = f"template <{', '.join(types)}> void stream_{name}({', '.join(arguments)}) {{\n{text}\n}}\n"
    call = f"nnet::stream_{name}({', '.join(values)});"
    attributes = {**layer.attributes, "shape": shape}
    return Layer(name, "Exact", inputs, {**layer.types, "result": fixed}, attributes, call, code + function)
