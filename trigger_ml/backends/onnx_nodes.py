"""Each operation of the integer graph as ONNX nodes on integer-valued floats."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from trigger_ml.errors import ToolMissing
from trigger_ml.fixed import Formats, Overflow, Rounding, round_shift
from trigger_ml.ir import ops
from trigger_ml.ir.bounds import FLOAT32_EXACT, Tensor, bounds, pad, windows
from trigger_ml.ir.graph import Graph, Node
from trigger_ml.ir.io import digest

OPSET = 18
IR_VERSION = 8


def reach(graph: Graph, node: Node) -> int:
    """The largest magnitude that the node's float arithmetic meets: its peak, and a wrap's span beside the value."""
    known = bounds(graph)
    most = known[node.name].peak
    if isinstance(node.op, ops.Requant) and node.op.overflow is Overflow.WRAP:
        most += 1 << (int(node.op.formats.width.max()) + 1)
    return most


@dataclass
class Writer:
    """Writes one model; holds the growing list of ONNX nodes and constants."""

    graph: Graph
    integer_input: bool
    nodes: list[Any] = field(default_factory=list)
    constants: dict[str, Any] = field(default_factory=dict)

    def model(self) -> bytes:
        """The serialised model, checked by onnx's own checker.

        Raises:
            ToolMissing: without the ``onnx`` package.
        """
        try:
            from onnx import checker, helper, numpy_helper
        except ImportError as e:
            raise ToolMissing("onnx is not installed: pip install 'trigger_ml[onnx]'") from e
        known = bounds(self.graph)
        ports = []
        for node in self.graph.nodes:
            t = known[node.name]
            if isinstance(node.op, ops.Input):
                ports.append(
                    helper.make_tensor_value_info(node.name, onnx_type(self.port(node.name)), ["events", *t.shape])
                )
            else:
                RULES[type(node.op)](self, node, [known[i] for i in node.inputs], t)
        results = []
        for o in self.graph.outputs:
            self.put("Identity", [self.read(o, self.carrier(o))], o, {})
            results.append(helper.make_tensor_value_info(o, onnx_type(self.carrier(o)), ["events", *known[o].shape]))
        tensors = [numpy_helper.from_array(v, k) for k, v in sorted(self.constants.items())]
        made = helper.make_graph(self.nodes, "trigger_ml", ports, results, tensors)
        model = helper.make_model(made, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
        model.producer_name = "trigger_ml"
        entries = {"graph_digest": digest(self.graph)}
        entries |= {
            f"frac.{n}": str(known[n].frac) for n in [*self.graph.outputs, *(p.name for p in self.graph.inputs)]
        }
        helper.set_model_props(model, entries)
        checker.check_model(model, full_check=True)
        content: bytes = model.SerializeToString(deterministic=True)
        return content

    def carrier(self, name: str) -> type:
        """float32 or float64: the type in which a node's tensor is computed and stored."""
        return np.float32 if reach(self.graph, self.graph.by_name[name]) < FLOAT32_EXACT else np.float64

    def port(self, name: str) -> type:
        """The type in which a port is fed."""
        if not self.integer_input:
            return self.carrier(name)
        return np.int32 if bounds(self.graph)[name].peak < 1 << 31 else np.int64

    def read(self, name: str, kind: type) -> str:
        """The ONNX name of a tensor, converted to ``kind`` where it is stored as another."""
        is_port = isinstance(self.graph.by_name[name].op, ops.Input)
        stored = self.port(name) if is_port else self.carrier(name)
        source = name if is_port else f"{name}.v"
        if stored == kind:
            return source
        cast = f"{name}.{np.dtype(kind).name}"
        if not any(cast in n.output for n in self.nodes):
            self.put("Cast", [source], cast, {"to": onnx_type(kind)})
        return cast

    def put(self, kind: str, inputs: list[str], output: str, attributes: Mapping[str, Any]) -> str:
        """Append one ONNX node; returns its output's name."""
        from onnx import helper

        self.nodes.append(helper.make_node(kind, inputs, [output], name=f"{kind}:{output}", **attributes))
        return output

    def op(self, kind: str, inputs: list[str], **attributes: Any) -> str:
        """An intermediate under a fresh name."""
        return self.put(kind, inputs, f"t{len(self.nodes)}", attributes)

    def const(self, value: ArrayLike, kind: type) -> str:
        """The name of a constant, equal ones stored once."""
        array: NDArray[Any] = np.asarray(value).astype(kind)
        for name, known in self.constants.items():
            if known.dtype == array.dtype and known.shape == array.shape and np.array_equal(known, array):
                return name
        self.constants[f"c{len(self.constants)}"] = array
        return f"c{len(self.constants) - 1}"

    def finish(self, node: Node, made: str) -> None:
        """Name a node's result."""
        self.put("Identity", [made], f"{node.name}.v", {})

    def scaled(self, name: str, by: NDArray[Any] | int, kind: type) -> str:
        """A tensor times ``2**by``."""
        return self.times(self.read(name, kind), by, kind)

    def times(self, x: str, by: NDArray[Any] | int, kind: type) -> str:
        """An ONNX value times ``2**by``."""
        if not np.any(by):
            return x
        return self.op("Mul", [x, self.const(np.exp2(np.asarray(by, np.float64)), kind)])


def onnx_type(kind: type) -> int:
    """ONNX's number for a numpy type."""
    from onnx import helper

    return int(helper.np_dtype_to_tensor_dtype(np.dtype(kind)))


def _requant(w: Writer, node: Node, parts: list[Tensor], t: Tensor) -> None:
    op: Any = node.op
    f: Formats = op.formats
    k = w.carrier(node.name)
    if not np.any(f.width > 0):
        w.finish(node, w.op("Mul", [w.read(node.inputs[0], k), w.const(0, k)]))
        return
    (a,) = parts
    y = _rounded(
        w, w.times(w.read(node.inputs[0], k), f.frac - a.frac, k), op.rounding, k, bool(np.any(a.frac > f.frac))
    )
    ends = [round_shift(z, a.frac - f.frac, op.rounding) for z in (a.lo, a.hi)]
    low, high = f.lo.astype(object), f.hi.astype(object)
    if op.overflow is Overflow.SAT_SYM:
        low = np.where(f.signed == 1, -high, low)
    if np.any((ends[0] < low) | (ends[1] > high)):
        y = _overflowed(w, y, op.overflow, np.asarray(low, np.float64), np.asarray(high, np.float64), k)
    lift = np.where(f.width > 0, np.exp2((f.step - f.frac).astype(np.float64)), 0.0)
    if np.any(lift != 1):
        y = w.op("Mul", [y, w.const(lift, k)])
    w.finish(node, y)


def _rounded(w: Writer, x: str, mode: Rounding, k: type, needed: bool) -> str:
    if not needed:
        return x
    simple = {Rounding.TRN: "Floor", Rounding.RND_CONV: "Round"}
    if mode in simple:
        return w.op(simple[mode], [x])
    if mode is Rounding.TRN_ZERO:
        return w.op("Mul", [w.op("Sign", [x]), w.op("Floor", [w.op("Abs", [x])])])
    half = w.const(0.5, k)
    if mode is Rounding.RND:
        return w.op("Floor", [w.op("Add", [x, half])])
    if mode is Rounding.RND_MIN_INF:
        return w.op("Ceil", [w.op("Sub", [x, half])])
    size = w.op("Abs", [x])
    if mode is Rounding.RND_ZERO:
        size = w.op("Ceil", [w.op("Sub", [size, half])])
    else:
        size = w.op("Floor", [w.op("Add", [size, half])])
    return w.op("Mul", [w.op("Sign", [x]), size])


def _overflowed(w: Writer, y: str, mode: Overflow, low: NDArray[Any], high: NDArray[Any], k: type) -> str:
    lo = w.const(low, k)
    if mode is Overflow.WRAP:
        span = high - low + 1
        turns = w.op("Floor", [w.op("Mul", [w.op("Sub", [y, lo]), w.const(1 / span, k)])])
        return w.op("Sub", [y, w.op("Mul", [turns, w.const(span, k)])])
    hi = w.const(high, k)
    clipped = w.op("Clip", [y, lo, hi]) if low.ndim == 0 else w.op("Min", [w.op("Max", [y, lo]), hi])
    if mode is Overflow.SAT_ZERO:
        return w.op("Where", [w.op("Equal", [clipped, y]), y, w.const(0, k)])
    return clipped


def _table(w: Writer, node: Node, parts: list[Tensor], t: Tensor) -> None:
    op: Any = node.op
    k = w.carrier(node.inputs[0])
    index = w.op("Sub", [w.read(node.inputs[0], k), w.const(op.first, k)])
    index = w.op("Cast", [index], to=onnx_type(np.int32))
    w.finish(node, w.op("Gather", [w.const(op.values, w.carrier(node.name)), index], axis=0))


def _affine(w: Writer, node: Node, parts: list[Tensor], t: Tensor) -> None:
    op: Any = node.op
    k = w.carrier(node.name)
    w.finish(node, _linear(w, w.read(node.inputs[0], k), op.w, op.b, k, len(t.shape) == 1))


def _linear(w: Writer, x: str, weights: NDArray[Any], bias: NDArray[Any], k: type, flat: bool) -> str:
    if flat:
        return w.op("Gemm", [x, w.const(weights, k), w.const(bias, k)])
    return w.op("Add", [w.op("MatMul", [x, w.const(weights, k)]), w.const(bias, k)])


def _windows(w: Writer, x: str, shape: tuple[int, ...], size: tuple[int, ...], node_op: Any, k: type) -> str:
    """``(events, *positions, prod(size), channels)`` by one Gather; padding reads a zero appended behind the tensor."""
    padding = getattr(node_op, "padding", ((0, 0),) * len(size))
    flat = int(np.prod(shape))
    x = w.op("Reshape", [x, w.const([-1, flat], np.int64)])
    if any(p != (0, 0) for p in padding):
        x = w.op("Pad", [x, w.const([0, 0, 0, 1], np.int64)])
    index = pad(np.arange(1, flat + 1).reshape(shape), padding) - 1
    index = np.where(index < 0, flat, index)
    return w.op("Gather", [x, w.const(windows(index, size, node_op.strides), np.int64)], axis=1)


def _conv(w: Writer, node: Node, parts: list[Tensor], t: Tensor) -> None:
    op: Any = node.op
    k = w.carrier(node.name)
    z = _windows(w, w.read(node.inputs[0], k), parts[0].shape, op.w.shape[:-2], op, k)
    z = w.op("Reshape", [z, w.const([-1, *t.shape[:-1], int(np.prod(op.w.shape[:-1]))], np.int64)])
    w.finish(node, _linear(w, z, op.w.reshape(-1, op.w.shape[-1]), op.b, k, False))


def _pool(w: Writer, node: Node, parts: list[Tensor], t: Tensor) -> None:
    op: Any = node.op
    k = w.carrier(node.name)
    z = _windows(w, w.read(node.inputs[0], k), parts[0].shape, op.size, op, k)
    w.finish(node, _reduced(w, z, op.how, len(t.shape)))


def _reduced(w: Writer, x: str, how: str, axis: int) -> str:
    kind = "ReduceSum" if how == "sum" else "ReduceMax"
    return w.op(kind, [x, w.const([axis], np.int64)], keepdims=0)


def _reduce(w: Writer, node: Node, parts: list[Tensor], t: Tensor) -> None:
    op: Any = node.op
    made = _reduced(w, w.read(node.inputs[0], w.carrier(node.name)), op.how, op.axis + 1)
    w.finish(node, w.op("Reshape", [made, w.const([-1, *t.shape], np.int64)]))


def _aligned(kind: Callable[[Any], str]) -> Callable[[Writer, Node, list[Tensor], Tensor], None]:
    def rule(w: Writer, node: Node, parts: list[Tensor], t: Tensor) -> None:
        k = w.carrier(node.name)
        inputs = [w.scaled(i, t.frac - p.frac, k) for i, p in zip(node.inputs, parts, strict=True)]
        if isinstance(node.op, ops.Concat):
            w.finish(node, w.op("Concat", inputs, axis=node.op.axis + 1))
        else:
            w.finish(node, w.op(kind(node.op), inputs))

    return rule


def _plain(kind: str) -> Callable[[Writer, Node, list[Tensor], Tensor], None]:
    return lambda w, node, parts, t: w.finish(node, w.op(kind, [w.read(i, w.carrier(node.name)) for i in node.inputs]))


def _reshape(w: Writer, node: Node, parts: list[Tensor], t: Tensor) -> None:
    x = w.read(node.inputs[0], w.carrier(node.name))
    w.finish(node, w.op("Reshape", [x, w.const([-1, *t.shape], np.int64)]))


def _permute(w: Writer, node: Node, parts: list[Tensor], t: Tensor) -> None:
    op: Any = node.op
    x = w.read(node.inputs[0], w.carrier(node.name))
    w.finish(node, w.op("Transpose", [x], perm=[0, *[i + 1 for i in op.perm]]))


def _take(w: Writer, node: Node, parts: list[Tensor], t: Tensor) -> None:
    op: Any = node.op
    x = w.read(node.inputs[0], w.carrier(node.name))
    w.finish(node, w.op("Gather", [x, w.const(op.index, np.int64)], axis=len(t.shape)))


RULES: dict[type, Callable[[Writer, Node, list[Tensor], Tensor], None]] = {
    ops.Requant: _requant,
    ops.Table: _table,
    ops.Affine: _affine,
    ops.Conv: _conv,
    ops.MatMul: _plain("MatMul"),
    ops.Mul: _plain("Mul"),
    ops.Add: _aligned(lambda op: "Sub" if op.subtract else "Add"),
    ops.Max: _aligned(lambda op: "Max"),
    ops.Relu: _plain("Relu"),
    ops.Reduce: _reduce,
    ops.Pool: _pool,
    ops.Concat: _aligned(lambda op: "Concat"),
    ops.Reshape: _reshape,
    ops.Permute: _permute,
    ops.Take: _take,
}
