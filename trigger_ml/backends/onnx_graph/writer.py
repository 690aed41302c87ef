"""The growing list of an ONNX model's nodes: tensors with the events last, held in floats up to a power of two.

Events stand on the last axis inside the model. A number that belongs to one element (a limit of its format, say) then
meets a whole row of events, which every runtime does with vectors; on the last axis it would meet one number a time.

A tensor is *held* as ``integer * 2**scale + offset`` where ``scale`` may differ from element to element. So a
requantized tensor need not be brought to its common grid: the weights of the next product absorb the scale, and those
of the product before it absorb the shift and the half of the rounding. A power of two moves no bit of a float's
fraction, so the proofs of ``ir/bounds.py`` hold for such a tensor as for its integers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from trigger_ml.fixed import Overflow
from trigger_ml.ir import ops
from trigger_ml.ir.bounds import FLOAT32_EXACT, bounds
from trigger_ml.ir.graph import Graph, Node


def reach(graph: Graph, node: Node) -> int:
    """The largest magnitude that the node's float arithmetic meets: its peak, and a wrap's span beside the value."""
    known = bounds(graph)
    most = known[node.name].peak
    if isinstance(node.op, ops.Requant) and node.op.overflow is Overflow.WRAP:
        most += 1 << (int(node.op.formats.width.max()) + 1)
    return most


@dataclass(frozen=True, eq=False)
class Held:
    """How a tensor is held: ``integer * 2**scale + offset``.

    Attributes:
        scale: int64, of the tensor's shape or ``()``.
        offset: the half of a rounding that is still to come, or 0.
    """

    scale: NDArray[np.int64]
    offset: float = 0.0

    @property
    def plain(self) -> bool:
        """Whether it is the integers themselves."""
        return not self.scale.any() and not self.offset


AS_IT_IS = Held(np.zeros((), np.int64))


@dataclass
class Writer:
    """Takes ONNX nodes and constants, one after the other.

    Attributes:
        graph: what is written.
        integer_input: whether the ports take int32 or int64 instead of float.
        held: how each node's tensor is held, by name.
    """

    graph: Graph
    integer_input: bool
    nodes: list[Any] = field(default_factory=list)
    constants: dict[str, Any] = field(default_factory=dict)
    held: dict[str, Held] = field(default_factory=dict)
    _made: dict[tuple[str, type, bool], str] = field(default_factory=dict)

    def carrier(self, name: str) -> type:
        """float32 or float64: the type in which a node's tensor is computed and stored."""
        return np.float32 if reach(self.graph, self.graph.by_name[name]) < FLOAT32_EXACT else np.float64

    def port(self, name: str) -> type:
        """The type in which a port is fed."""
        if not self.integer_input:
            return self.carrier(name)
        return np.int32 if bounds(self.graph)[name].peak < 1 << 31 else np.int64

    def holding(self, name: str) -> Held:
        """How a tensor is held."""
        return self.held.get(name, AS_IT_IS)

    def raw(self, name: str, kind: type) -> str:
        """The ONNX name of a tensor as it is held, ``(*shape, events)``, in floats of the given kind."""
        key = (name, kind, False)
        if key not in self._made:
            if isinstance(self.graph.by_name[name].op, ops.Input):
                stored, source = self.port(name), self._turned(name)
            else:
                stored, source = self.carrier(name), f"{name}.v"
            self._made[key] = source if stored == kind else self.op("Cast", [source], to=onnx_type(kind))
        return self._made[key]

    def read(self, name: str, kind: type) -> str:
        """The ONNX name of a tensor's integers, ``(*shape, events)``."""
        held, key = self.holding(name), (name, kind, True)
        if key not in self._made:
            x = self.raw(name, kind)
            if held.offset:
                x = self.op("Sub", [x, self.const(held.offset, kind)])
            self._made[key] = self.times(x, -held.scale, kind)
        return self._made[key]

    def _turned(self, port: str) -> str:
        """A port with its events last."""
        key = (port, int, False)
        if key not in self._made:
            rank = len(bounds(self.graph)[port].shape)
            self._made[key] = self.op("Transpose", [port], perm=[*range(1, rank + 1), 0])
        return self._made[key]

    def put(self, kind: str, inputs: list[str], output: str, attributes: Mapping[str, Any]) -> str:
        """Append one ONNX node; returns its output's name."""
        from onnx import helper

        self.nodes.append(helper.make_node(kind, inputs, [output], name=f"{kind}:{output}", **attributes))
        return output

    def op(self, kind: str, inputs: list[str], **attributes: Any) -> str:
        """An intermediate under a fresh name, which begins with a point as no node's does."""
        return self.put(kind, inputs, f".t{len(self.nodes)}", attributes)

    def const(self, value: ArrayLike, kind: type) -> str:
        """The name of a constant, equal ones stored once."""
        array: NDArray[Any] = np.asarray(value).astype(kind)
        for name, known in self.constants.items():
            if known.dtype == array.dtype and known.shape == array.shape and np.array_equal(known, array):
                return name
        self.constants[f".c{len(self.constants)}"] = array
        return f".c{len(self.constants) - 1}"

    def rows(self, value: ArrayLike, kind: type) -> str:
        """A constant with a value for each element, or one for all, that meets ``(*shape, events)``."""
        array = np.asarray(value)
        return self.const(array[..., None] if array.ndim else array, kind)

    def finish(self, node: Node, made: str, held: Held = AS_IT_IS) -> None:
        """Name a node's result and say how it is held."""
        if self.nodes and list(self.nodes[-1].output) == [made] and made not in self._made.values():
            self.nodes[-1].output[0] = f"{node.name}.v"
            self.nodes[-1].name = f"{self.nodes[-1].op_type}:{node.name}.v"
        else:
            self.put("Identity", [made], f"{node.name}.v", {})
        self.held[node.name] = held

    def times(self, x: str, by: NDArray[Any] | int, kind: type) -> str:
        """An ONNX value times ``2**by``, one power for each element or one for all."""
        if not np.any(by):
            return x
        return self.op("Mul", [x, self.rows(np.exp2(np.asarray(by, np.float64)), kind)])


def onnx_type(kind: type) -> int:
    """ONNX's number for a numpy type."""
    from onnx import helper

    return int(helper.np_dtype_to_tensor_dtype(np.dtype(kind)))
