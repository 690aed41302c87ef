"""From the integer graph to hls4ml's layer list, with the type of every number written down.

Products with constants become hls4ml's own ``Dense`` and pointwise ``Conv1D``, so that its strategies apply. Everything
else is one ``Exact`` layer each: a call of a function of ``nnet_exact.h``, or a few lines of generated C++. A tensor is
a flat array in C order, so that windows of a convolution, concatenation, reshape, permutation and take are wiring.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from trigger_ml.backends.hls import adders
from trigger_ml.backends.hls.adders import Kernel
from trigger_ml.fixed import Fixed
from trigger_ml.ir import ops
from trigger_ml.ir.bounds import Tensor, bounds, pad, windows
from trigger_ml.ir.graph import Graph, Node


@dataclass(frozen=True)
class Layer:
    """One layer of the hls4ml model.

    Attributes:
        name: unique in the model.
        kind: hls4ml's class name.
        inputs: names of the layers it reads.
        types: the format of ``result`` and, where there are any, ``accum``, ``weight``, ``bias`` and ``table``.
        attributes: what else hls4ml's class needs.
        call: of an Exact layer: the C++ statement; ``{a}``, ``{b}`` ... are its inputs, ``{r}`` the result.
        code: of an Exact layer: C++ functions of its own.
    """

    name: str
    kind: str
    inputs: tuple[str, ...]
    types: dict[str, Fixed]
    attributes: dict[str, Any] = field(default_factory=dict)
    call: str = ""
    code: str = ""


@dataclass(frozen=True)
class Port:
    """A tensor that enters or leaves.

    Attributes:
        node: of the graph.
        layer: of the model.
        size: number of elements.
        fixed: format of each.
        word: elements that travel together; 0: all of them, as an array and not as a stream.
    """

    node: str
    layer: str
    size: int
    fixed: Fixed
    word: int = 0


@dataclass(frozen=True)
class Model:
    """The layer list with its ports."""

    layers: tuple[Layer, ...]
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]


Strategy = Literal["latency", "distributed_arithmetic"]


def lower(graph: Graph, strategy: Strategy = "latency") -> Model:
    """The hls4ml model of a graph.

    Raises:
        ToolMissing: distributed arithmetic without the package alkaid.
    """
    known = bounds(graph)
    # hls4ml keeps a layer's tensor among its attributes: no suffix, and a node named "table" loses its table.
    names = {n.name: n.name + ("_in" if isinstance(n.op, ops.Input) else "_node") for n in graph.nodes}
    layers: list[Layer] = []
    for node in graph.nodes:
        name, t = names[node.name], known[node.name]
        parts, inputs = [known[i] for i in node.inputs], tuple(names[i] for i in node.inputs)
        if strategy == "distributed_arithmetic" and isinstance(node.op, (ops.Affine, ops.Conv)):
            layers += _adders(name, kernel(graph, node), node, inputs, parts, t)
        else:
            layers += RULES[type(node.op)](name, node, inputs, parts, t)
    outputs = []
    for name in graph.outputs:
        t, layer = known[name], names[name]
        if graph.consumers(name):  # a port is only written: what is read as well gets a copy
            copy = f"{name}_out"
            layers.append(_wire(copy, (layer,), np.arange(math.prod(t.shape)), [t], t.shape, t.fixed))
            layer = copy
        outputs.append(Port(name, layer, math.prod(t.shape), t.fixed))
    inputs_ = [Port(n.name, names[n.name], math.prod(known[n.name].shape), known[n.name].fixed) for n in graph.inputs]
    return Model(tuple(layers), tuple(inputs_), tuple(outputs))


def _flat(shape: tuple[int, ...]) -> list[int]:
    """The shape hls4ml is told: positions times channels is all that its layers look at."""
    return list(shape) if len(shape) < 2 else [math.prod(shape[:-1]), shape[-1]]


def _input(name: str, node: Node, inputs: tuple[str, ...], parts: list[Tensor], t: Tensor) -> list[Layer]:
    return [Layer(name, "InputLayer", (), {"result": t.fixed}, {"input_shape": _flat(t.shape)})]


# -- products with constants: hls4ml's own layers ---------------------------------------------------------------------


def _affine(name: str, node: Node, inputs: tuple[str, ...], parts: list[Tensor], t: Tensor) -> list[Layer]:
    op: Any = node.op
    return [_linear(name, inputs[0], op.w, op.b, op.frac, t)]


def _conv(name: str, node: Node, inputs: tuple[str, ...], parts: list[Tensor], t: Tensor) -> list[Layer]:
    op: Any = node.op
    at = _patches(op, parts[0].shape)
    wide = f"{name}_windows"
    return [
        _wire(wide, inputs, at.ravel(), parts, at.shape, parts[0].fixed),
        _linear(name, wide, op.w.reshape(-1, op.w.shape[-1]), op.b, op.frac, t),
    ]


def _patches(op: ops.Affine | ops.Conv, shape: tuple[int, ...]) -> NDArray[Any]:
    """For each position the numbers of the elements that are multiplied, ``(positions, n_in)``; -1 is padding."""
    at = np.arange(1, math.prod(shape) + 1).reshape(shape)
    if isinstance(op, ops.Conv):
        at = windows(pad(at, op.padding), op.w.shape[: op.w.ndim - 2], op.strides)
        at = at.reshape(*at.shape[:-2], -1)
    return at.reshape(-1, at.shape[-1]) - 1


def _linear(name: str, source: str, w: NDArray[Any], b: NDArray[Any], frac: int, t: Tensor) -> Layer:
    """``x (positions, n_in) @ w + b``."""
    n_in, n_out = w.shape
    positions = math.prod(t.shape) // n_out
    types = {
        "result": t.fixed,
        "accum": accumulator(t),
        "weight": Fixed.holding(int(w.min()), int(w.max()), frac),
        "bias": Fixed.holding(int(b.min()), int(b.max()), t.frac),
    }
    data = {"weight_data": w * 2.0**-frac, "bias_data": b * 2.0**-t.frac}
    if positions == 1:
        return Layer(name, "Dense", (source,), types, {"n_in": n_in, "n_out": n_out, **data})
    data["weight_data"] = data["weight_data"][None]
    shape = {"data_format": "channels_last", "in_width": positions, "out_width": positions, "n_chan": n_in}
    shape |= {"n_filt": n_out, "filt_width": 1, "stride_width": 1, "pad_left": 0, "pad_right": 0}
    return Layer(name, "Conv1D", (source,), types, {**shape, **data, "parallelization_factor": positions})


def accumulator(t: Tensor) -> Fixed:
    """A format for every product and partial sum of a node, in whatever order they are added."""
    low = -t.peak if t.lo.min() < 0 or t.peak > t.hi.max() else 0
    return Fixed.holding(low, t.peak, t.frac)


# -- products with constants: distributed arithmetic ------------------------------------------------------------------


def kernel(graph: Graph, node: Node) -> Kernel:
    """What an Affine or Conv computes at one position, on the union of the positions' intervals."""
    op: Any = node.op
    a = bounds(graph)[node.inputs[0]]
    at = _patches(op, a.shape)
    source = graph.by_name[node.inputs[0]].op
    zeros = np.zeros(a.shape, np.int64)
    if isinstance(source, ops.Requant):
        zeros = np.broadcast_to(source.formats.step - source.formats.frac, a.shape)
    lo, hi, zeros = (np.append(z.ravel(), 0)[at] for z in (a.lo, a.hi, zeros))
    zeros = np.where(at < 0, np.max(zeros), zeros).min(axis=0)
    w = op.w.reshape(-1, op.w.shape[-1])
    return Kernel(node.name, w, op.b, op.frac, lo.min(axis=0), hi.max(axis=0), zeros, a.frac)


def _adders(name: str, k: Kernel, node: Node, inputs: tuple[str, ...], parts: list[Tensor], t: Tensor) -> list[Layer]:
    layers = []
    if isinstance(node.op, ops.Conv):
        at, wide = _patches(node.op, parts[0].shape), f"{name}_windows"
        layers.append(_wire(wide, inputs, at.ravel(), parts, at.shape, parts[0].fixed))
        inputs = (wide,)
    n_in, n_out = k.w.shape
    function = f"adders_{name}"
    calls = [f"nnet::{function}({{a0}} + {p * n_in}, {{r}} + {p * n_out});" for p in range(math.prod(t.shape) // n_out)]
    call, code = "\n    ".join(calls), adders.function(k, function)
    return [*layers, Layer(name, "Exact", inputs, {"result": t.fixed}, {"shape": _flat(t.shape)}, call, code)]


# -- wiring -----------------------------------------------------------------------------------------------------------


def _wire(
    name: str,
    inputs: tuple[str, ...],
    at: NDArray[Any],
    parts: Sequence[Tensor],
    shape: tuple[int, ...],
    fixed: Fixed,
) -> Layer:
    """Elements of the inputs, numbered one input after the other, in another order; -1 is a zero."""
    start = np.cumsum([0, *(math.prod(p.shape) for p in parts)])
    lines = []
    for k, element in enumerate(at.tolist()):
        j = int(np.searchsorted(start, element, "right")) - 1
        lines.append(f"r[{k}] = {f'{_letter(j)}[{element - start[j]}]' if element >= 0 else 0};")
    return _generated(name, "wire", inputs, lines, shape, fixed)


def _generated(
    name: str, verb: str, inputs: tuple[str, ...], lines: list[str], shape: tuple[int, ...], fixed: Fixed
) -> Layer:
    letters = [_letter(j) for j in range(len(inputs))] + ["r"]
    body = "\n".join(f"    {line}" for line in ["#pragma HLS INLINE", *lines])
    types = ", ".join(f"class {x}_T" for x in letters)
    arguments = ", ".join(f"{x}_T *{x}" for x in letters)
    code = f"template <{types}> void {verb}_{name}({arguments}) {{\n{body}\n}}\n"
    call = f"nnet::{verb}_{name}({', '.join(f'{{{x}}}' for x in letters)});"
    return Layer(name, "Exact", inputs, {"result": fixed}, {"shape": _flat(shape)}, call, code)


def _letter(j: int) -> str:
    return f"a{j}"


def _rewire(f: Callable[[Any, list[NDArray[Any]]], NDArray[Any]]) -> Rule:
    """A rule for an operation that only moves elements: what it does to their numbers says how."""

    def rule(name: str, node: Node, inputs: tuple[str, ...], parts: list[Tensor], t: Tensor) -> list[Layer]:
        start = np.cumsum([0, *(math.prod(p.shape) for p in parts)])
        at = [np.arange(start[j], start[j + 1]).reshape(p.shape) for j, p in enumerate(parts)]
        return [_wire(name, inputs, np.ravel(f(node.op, at)), parts, t.shape, t.fixed)]

    return rule


# -- everything else: calls of nnet_exact.h ---------------------------------------------------------------------------


def _exact(name: str, function: str, template: str, inputs: tuple[str, ...], t: Tensor) -> Layer:
    arguments = ", ".join(f"{{{_letter(j)}}}" for j in range(len(inputs)))
    call = f"nnet::exact::{function}<{template}>({arguments}, {{r}});"
    return Layer(name, "Exact", inputs, {"result": t.fixed}, {"shape": _flat(t.shape)}, call)


def _requant(name: str, node: Node, inputs: tuple[str, ...], parts: list[Tensor], t: Tensor) -> list[Layer]:
    op: Any = node.op
    (a,) = parts
    modes = f"{op.rounding.ap},{op.overflow.ap}"
    one, size = op.formats.single, math.prod(t.shape)
    narrow = list(a.element_formats())
    if one is not None and one.width and len(set(narrow)) == 1:
        return [_exact(name, "requantize", f"{cpp(one, modes)}, {cpp(_reaching(a.fixed, one))}, {size}", inputs, t)]
    formats = [one] * size if one is not None else list(op.formats)
    lines = []
    for k, (source, to) in enumerate(zip(narrow, formats, strict=True)):
        value = f"{cpp(to, modes)}({cpp(_reaching(source, to))}(a0[{k}]))" if to.width and source.width else "0"
        lines.append(f"r[{k}] = {value};")
    return [_generated(name, "requantize", inputs, lines, t.shape, t.fixed)]


def _reaching(source: Fixed, to: Fixed) -> Fixed:
    """The source's format with enough high bits to hold ``to``'s last place, which ``ap_fixed`` reads to round."""
    return Fixed(source.signed, max(source.width, source.frac - to.frac + 1 + source.signed), source.frac)


def _table(name: str, node: Node, inputs: tuple[str, ...], parts: list[Tensor], t: Tensor) -> list[Layer]:
    """A table over every bit pattern of the input's format; patterns that can't occur hold the first entry."""
    op: Any = node.op
    (a,) = parts
    code = np.arange(1 << a.fixed.width)
    value = np.where(a.fixed.signed & (code > a.fixed.hi), code - (1 << a.fixed.width), code)
    inside = (value >= int(a.lo.min())) & (value <= int(a.hi.max()))
    entries = np.where(inside, op.values[np.where(inside, value, int(a.lo.min())) - op.first], 0)
    size = math.prod(t.shape)
    call = f"nnet::exact::lookup<{size}>({{a0}}, {{r}}, {{table}});"
    types = {"result": t.fixed, "table": Fixed.holding(int(entries.min()), int(entries.max()), op.frac)}
    return [Layer(name, "Exact", inputs, types, {"shape": _flat(t.shape), "table_data": entries * 2.0**-op.frac}, call)]


def _pair(function: Callable[[Any], str]) -> Rule:
    def rule(name: str, node: Node, inputs: tuple[str, ...], parts: list[Tensor], t: Tensor) -> list[Layer]:
        return [_exact(name, function(node.op), f"{math.prod(t.shape)}", inputs, t)]

    return rule


def _matmul(name: str, node: Node, inputs: tuple[str, ...], parts: list[Tensor], t: Tensor) -> list[Layer]:
    (n, k), (_, m) = parts[0].shape, parts[1].shape
    return [_exact(name, "matmul", f"{cpp(accumulator(t))}, {n}, {k}, {m}", inputs, t)]


def _over(name: str, how: str, shape: tuple[int, int, int], inputs: tuple[str, ...], t: Tensor) -> Layer:
    """Sum or maximum over the middle axis."""
    sizes = ", ".join(map(str, shape))
    if how == "sum":
        return _exact(name, "sum", f"{cpp(accumulator(t))}, {sizes}", inputs, t)
    return _exact(name, "largest", sizes, inputs, t)


def _reduce(name: str, node: Node, inputs: tuple[str, ...], parts: list[Tensor], t: Tensor) -> list[Layer]:
    op: Any = node.op
    shape = parts[0].shape
    split = (math.prod(shape[: op.axis]), shape[op.axis], math.prod(shape[op.axis + 1 :]))
    return [_over(name, op.how, split, inputs, t)]


def _pool(name: str, node: Node, inputs: tuple[str, ...], parts: list[Tensor], t: Tensor) -> list[Layer]:
    op: Any = node.op
    (a,) = parts
    at = windows(np.arange(math.prod(a.shape)).reshape(a.shape), op.size, op.strides)  # (*positions, window, channels)
    wide = f"{name}_windows"
    split = (math.prod(at.shape[:-2]), at.shape[-2], at.shape[-1])
    return [_wire(wide, inputs, at.ravel(), parts, at.shape, a.fixed), _over(name, op.how, split, (wide,), t)]


def cpp(fixed: Fixed, modes: str = "") -> str:
    """The C++ type, with its modes if they are given."""
    return f"{repr(fixed)[:-1]},{modes}>" if modes else repr(fixed)


Rule = Callable[[str, Node, tuple[str, ...], list[Tensor], Tensor], list[Layer]]

RULES: dict[type, Rule] = {
    ops.Input: _input,
    ops.Requant: _requant,
    ops.Table: _table,
    ops.Affine: _affine,
    ops.Conv: _conv,
    ops.MatMul: _matmul,
    ops.Mul: _pair(lambda op: "multiply"),
    ops.Add: _pair(lambda op: "subtract" if op.subtract else "add"),
    ops.Max: _pair(lambda op: "maximum"),
    ops.Relu: _pair(lambda op: "relu"),
    ops.Reduce: _reduce,
    ops.Pool: _pool,
    ops.Concat: _rewire(lambda op, at: np.concatenate(at, axis=op.axis)),
    ops.Reshape: _rewire(lambda op, at: at[0].reshape(op.shape)),
    ops.Permute: _rewire(lambda op, at: at[0].transpose(op.perm)),
    ops.Take: _rewire(lambda op, at: at[0][..., op.index]),
}
