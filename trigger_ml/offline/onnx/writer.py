"""The growing graph of an ONNX model, written with onnx-ir: nodes in order, constants stored once."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from trigger_ml import tools

Lowering = Literal["float", "int8", "int2", "ternary"]
LOWERINGS: tuple[Lowering, ...] = ("float", "int8", "int2", "ternary")

Value = Any
"""A value of the package onnx_ir, which is untyped here."""

OPSET, IR_VERSION = 18, 8
"""Read by ONNX Runtime 1.17 and later. Always set: the onnx package's defaults are newer than what runtimes accept."""

INT2_OPSET, INT2_IR_VERSION = 25, 13
"""The first that have two-bit integers."""

OPERATOR_DOMAIN = "trigger_ml"


@dataclass
class Writer:
    """Takes nodes and constants.

    Attributes:
        lowering: how low-bit products are written.
        nodes: of the graph that is being written; a loop's body has a list of its own.
        constants: by name.
        kernel_bytes: of the stored matrices of linear layers.
    """

    lowering: Lowering
    nodes: list[Any] = field(default_factory=list)
    constants: dict[str, Any] = field(default_factory=dict)
    kernel_bytes: int = 0
    _kept: dict[tuple[Any, ...], Any] = field(default_factory=dict)
    _count: int = 0

    @property
    def ir(self) -> Any:
        """The package onnx_ir.

        Raises:
            ToolMissing: if it is not installed.
        """
        return tools.package("onnx_ir")

    def op(self, kind: str, *inputs: Value, domain: str = "", outputs: int = 1, **attributes: Any) -> Value:
        """A node; its first output. Outputs bear fresh names."""
        made = self.ir.node(kind, inputs, attributes=attributes or None, domain=domain, num_outputs=outputs)
        self.nodes.append(made)
        made.name = f"t{self._count}"
        for output in made.outputs:
            output.name = f"t{self._count}"
            self._count += 1
        return made.outputs[0]

    def const(self, value: ArrayLike, kind: type = np.float32) -> Value:
        """A constant; equal ones are stored once."""
        array: NDArray[Any] = np.asarray(value).astype(kind)
        key = (array.dtype.str, array.shape, array.tobytes())
        if key not in self._kept:
            self._kept[key] = self._store(self.ir.tensor(array))
        return self._kept[key]

    def kernel(self, array: NDArray[Any]) -> Value:
        """A linear layer's matrix, counted."""
        before = len(self.constants)
        value = self.const(array, array.dtype.type)
        self.kernel_bytes += array.nbytes if len(self.constants) > before else 0
        return value

    def int2(self, codes: NDArray[np.int8]) -> Value:
        """A linear layer's matrix of two-bit integers, counted."""
        import ml_dtypes

        key = ("int2", codes.shape, codes.tobytes())
        if key not in self._kept:
            kind = self.ir.DataType.INT2
            self._kept[key] = self._store(self.ir.Tensor(codes.astype(ml_dtypes.int2), dtype=kind))
            self.kernel_bytes += -(-codes.size // 4)
        return self._kept[key]

    def _store(self, tensor: Any) -> Value:
        name = f"c{len(self.constants)}"
        tensor.name = name
        kind = self.ir.TensorType(tensor.dtype)
        self.constants[name] = self.ir.Value(name=name, const_value=tensor, type=kind, shape=tensor.shape)
        return self.constants[name]

    def port(self, name: str, shape: list[int | str | None]) -> Value:
        """A float input of a graph."""
        kind = self.ir.TensorType(self.ir.DataType.FLOAT)
        return self.ir.Value(name=name, type=kind, shape=self.ir.Shape(shape))

    def shaped(self, value: Value, shape: list[int | str | None]) -> Value:
        """A float value whose shape is told, for what follows an operator that runtimes don't know.

        Where a runtime can't infer a rank it rewrites fewer products, and then float layers round otherwise.
        """
        value.type, value.shape = self.ir.TensorType(self.ir.DataType.FLOAT), self.ir.Shape(shape)
        return value

    def named(self, value: Value, name: str, shape: list[int | str | None]) -> Value:
        """A value as a graph's output."""
        out = self.shaped(self.op("Identity", value), shape)
        out.name = name
        return out

    def model(self, ports: list[Value], output: Value, entries: dict[str, str]) -> bytes:
        """The whole model, seen by onnx's checker.

        Args:
            ports: its inputs.
            output: its output.
            entries: metadata.
        """
        from onnx import checker

        int2 = self.lowering == "int2"
        domains = {"": INT2_OPSET if int2 else OPSET}
        if any(n.domain == OPERATOR_DOMAIN for n in _all(self.nodes)):
            domains[OPERATOR_DOMAIN] = 1
        graph = self.ir.Graph(
            ports, [output], nodes=self.nodes, initializers=list(self.constants.values()), name="trigger_ml",
            opset_imports=domains,
        )  # fmt: skip
        made = self.ir.Model(graph, ir_version=INT2_IR_VERSION if int2 else IR_VERSION, producer_name="trigger_ml")
        made.metadata_props.update({**entries, "lowering": self.lowering})
        proto = self.ir.to_proto(made)
        checker.check_model(proto)
        return bytes(proto.SerializeToString(deterministic=True))


def _all(nodes: list[Any]) -> list[Any]:
    found = list(nodes)
    for node in nodes:
        found += [inner for a in node.attributes.values() if a.name == "body" for inner in _all(list(a.value))]
    return found
