"""Random QONNX files, written with onnx's own helper: chains, branches, images, every quantizer and rounding mode."""

from __future__ import annotations

from typing import Any

import numpy as np

Q = "qonnx.custom_op.general"
MODES = ("ROUND", "CEIL", "FLOOR", "UP", "DOWN", "HALF_UP", "HALF_DOWN", "HALF_EVEN")


class File:
    """A file that grows node by node; each method returns the name of the new tensor."""

    def __init__(self, shape: tuple[int, ...], batch: int | str | None = 1) -> None:
        from onnx import TensorProto, helper

        self.helper: Any = helper
        self.nodes: list[Any] = []
        self.constants: list[Any] = []
        self.inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, [batch, *shape])]
        self.outputs: dict[str, tuple[int, ...]] = {}
        self.versions = {"": 17, Q: 1}
        self.annotations: dict[str, str] = {}

    def constant(self, values: Any, dtype: Any = np.float32) -> str:
        from onnx import numpy_helper

        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(values, dtype), name))
        return name

    def node(self, op: str, *inputs: str, domain: str = "", **attributes: Any) -> str:
        name = f"{op}_{len(self.nodes)}"
        self.nodes.append(
            self.helper.make_node(op, list(inputs), [f"{name}_out"], name=name, domain=domain, **attributes)
        )
        return f"{name}_out"

    def quant(
        self, x: str, bits: int, exponent: Any, signed: int = 1, narrow: int = 0, mode: str = "ROUND", scale: Any = None
    ) -> str:
        scale = np.exp2(np.asarray(exponent, np.float64)) if scale is None else scale
        parts = [self.constant(z) for z in (scale, 0.0, float(bits))]
        return self.node("Quant", x, *parts, domain=Q, signed=signed, narrow=narrow, rounding_mode=mode)

    def proto(self) -> Any:
        from onnx import StringStringEntryProto, TensorAnnotation, TensorProto

        ends = [self.helper.make_tensor_value_info(o, TensorProto.FLOAT, [None, *s]) for o, s in self.outputs.items()]
        graph = self.helper.make_graph(self.nodes, "test", self.inputs, ends, initializer=self.constants)
        for tensor, datatype in self.annotations.items():
            pair = StringStringEntryProto(key="finn_datatype", value=datatype)
            graph.quantization_annotation.append(
                TensorAnnotation(tensor_name=tensor, quant_parameter_tensor_names=[pair])
            )
        opsets = [self.helper.make_opsetid(domain, version) for domain, version in self.versions.items()]
        return self.helper.make_model(graph, opset_imports=opsets, ir_version=8)

    def content(self) -> bytes:
        made: bytes = self.proto().SerializeToString()
        return made


class Dice:
    """Draws a file."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng([seed, 77])

    def pick(self, options: Any) -> Any:
        return options[int(self.rng.integers(len(options)))]

    def weights(self, file: File, shape: tuple[int, ...]) -> str:
        """Float weights with a Quant, or integers on a grid."""
        if self.rng.random() < 0.5:
            per = (1, shape[1]) if len(shape) == 2 else (shape[0], *(1,) * (len(shape) - 1))
            exponent = self.rng.integers(-4, -1, per if self.rng.random() < 0.5 else ())
            raw = file.constant(self.rng.normal(size=shape))
            return file.quant(raw, int(self.rng.integers(2, 6)), exponent, 1, self.pick([0, 1]), self.pick(MODES))
        return file.constant(self.rng.integers(-7, 8, shape) * 2.0 ** int(self.rng.integers(-4, 2)))

    def activation(self, file: File, x: str, channels: int, rank: int) -> str:
        kind = self.rng.random()
        if kind < 0.15:
            return file.node("BipolarQuant", x, file.constant(2.0 ** int(self.rng.integers(-2, 2))), domain=Q)
        if kind < 0.35:
            x = file.node("Relu", x)
        signed, narrow, bits = self.pick([0, 1]), self.pick([0, 1]), int(self.rng.integers(2, 8))
        exponent: Any = int(self.rng.integers(-4, 2))
        if self.rng.random() < 0.3 and (signed or not narrow):
            exponent = self.rng.integers(-4, 2, (1, channels, *(1,) * (rank - 1)))
        made = file.quant(x, bits, exponent, signed, narrow, self.pick(MODES))
        if kind > 0.8 and np.ndim(exponent) == 0:
            made = file.node(self.pick(["Sigmoid", "Tanh", "Exp", "Softplus"]), made)
            made = file.quant(made, int(self.rng.integers(2, 8)), int(self.rng.integers(-6, 0)), self.pick([0, 1]))
        return made

    def dense(self) -> File:
        """Dense layers with a branch."""
        n = int(self.rng.integers(2, 7))
        file = File((n,), self.pick([1, "N", None]))
        x = file.quant(
            "x", int(self.rng.integers(2, 9)), self._exponents((1, n)), self.pick([0, 1]), 0, self.pick(MODES)
        )
        for _ in range(int(self.rng.integers(1, 4))):
            m = int(self.rng.integers(1, 7))
            if self.rng.random() < 0.5:
                x = file.node("Gemm", x, self.weights(file, (n, m)), file.constant(self._grid((m,))))
            else:
                x = file.node("MatMul", x, self.weights(file, (n, m)))
                if self.rng.random() < 0.6:
                    x = file.node("Add", x, file.constant(self._grid((m,))))
            if self.rng.random() < 0.3:
                x = file.node("Mul", x, file.constant(self._grid((1, m))))
            if self.rng.random() < 0.2:
                x = file.node("Sub", file.constant(self._grid((1,))), x)
            if self.rng.random() < 0.2:
                variance = file.constant(np.exp2(2 * self.rng.integers(-1, 2, m)))
                x = file.node(
                    "BatchNormalization", x, *(file.constant(self._grid((m,))) for _ in range(3)), variance, epsilon=0.0
                )
            x, n = self.activation(file, x, m, 1), m
            if self.rng.random() < 0.4:
                x, n = self._branch(file, x, n)
        file.outputs = {x: (n,)}
        return file

    def _exponents(self, shape: tuple[int, ...]) -> Any:
        return self.rng.integers(-4, 3, shape) if self.rng.random() < 0.3 else int(self.rng.integers(-4, 3))

    def _grid(self, shape: tuple[int, ...]) -> Any:
        return self.rng.integers(-9, 10, shape) * 2.0 ** int(self.rng.integers(-4, 2))

    def _branch(self, file: File, x: str, n: int) -> tuple[str, int]:
        y = self.activation(file, x, n, 1)
        op = self.pick(["Add", "Sub", "Mul", "Concat"])
        if op == "Concat":
            return file.quant(file.node("Concat", x, y, axis=self.pick([1, -1])), 6, -2), 2 * n
        return self.activation(file, file.node(op, x, y), n, 1), n

    def image(self) -> File:
        """Convolutions, one- or two-dimensional, channels first, pooling and a dense layer."""
        space = int(self.rng.integers(1, 3))
        shape = (int(self.rng.integers(1, 4)), *(int(n) for n in self.rng.integers(5, 8, space)))
        file = File(shape, self.pick([1, "batch"]))
        x = file.quant("x", int(self.rng.integers(1, 7)), int(self.rng.integers(-3, 2)), self.pick([0, 1]))
        x, shape = self._conv(file, x, shape)
        x = self.activation(file, x, shape[0], len(shape))
        x, shape = self._pooled(file, x, shape)
        how = self.rng.random()
        if how < 0.3:
            x = file.node("GlobalAveragePool", x)
            x = file.quant(x, 7, -3, 1, 0, self.pick(MODES))
            shape = (shape[0], *(1,) * space)
        elif how < 0.6:
            perm = self.rng.permutation(len(shape))
            x = file.node("Transpose", x, perm=[0, *(int(p) + 1 for p in perm)])
            shape = tuple(shape[p] for p in perm)
        count = int(np.prod(shape))
        if self.rng.random() < 0.5:
            x = file.node("Flatten", x)
        else:
            x = file.node("Reshape", x, file.constant(self.pick([[1, count], [-1, count], [0, -1], [1, -1]]), np.int64))
        x = file.node("MatMul", x, self.weights(file, (count, 3)))
        file.outputs = {self.activation(file, x, 3, 1): (3,), x: (3,)}
        return file

    def _conv(self, file: File, x: str, shape: tuple[int, ...]) -> tuple[str, tuple[int, ...]]:
        depthwise = self.rng.random() < 0.4
        space, channels = len(shape) - 1, shape[0]
        out = channels * int(self.rng.integers(1, 3)) if depthwise else int(self.rng.integers(1, 4))
        kernel = tuple(int(k) for k in self.rng.integers(1, 4, space))
        strides = [int(s) for s in self.rng.integers(1, 3, space)]
        more: dict[str, Any] = self.pick(
            [{}, {"pads": [int(p) for p in self.rng.integers(0, 2, 2 * space)]}, {"auto_pad": "SAME_UPPER"},
             {"auto_pad": "SAME_LOWER"}, {"auto_pad": "VALID"}]
        )  # fmt: skip
        w = self.weights(file, (out, 1 if depthwise else channels, *kernel))
        bias = [file.constant(self._grid((out,)))] if self.rng.random() < 0.5 else []
        x = file.node("Conv", x, w, *bias, strides=strides, group=channels if depthwise else 1, **more)
        if "pads" in more:
            sizes = [n + more["pads"][i] + more["pads"][i + space] for i, n in enumerate(shape[1:])]
            sizes = [(n - k) // s + 1 for n, k, s in zip(sizes, kernel, strides, strict=True)]
        elif more.get("auto_pad", "VALID") == "VALID":
            sizes = [(n - k) // s + 1 for n, k, s in zip(shape[1:], kernel, strides, strict=True)]
        else:
            sizes = [-(-n // s) for n, s in zip(shape[1:], strides, strict=True)]
        return x, (out, *sizes)

    def _pooled(self, file: File, x: str, shape: tuple[int, ...]) -> tuple[str, tuple[int, ...]]:
        size = [int(self.rng.integers(1, min(3, n) + 1)) for n in shape[1:]]
        strides = [int(s) for s in self.rng.integers(1, 3, len(size))]
        op = self.pick(["MaxPool", "AveragePool"])
        x = file.node(op, x, kernel_shape=size, strides=strides)
        if op == "AveragePool":
            x = file.quant(x, 8, -3, 1, 0, self.pick(MODES))
        return x, (shape[0], *((n - k) // s + 1 for n, k, s in zip(shape[1:], size, strides, strict=True)))
