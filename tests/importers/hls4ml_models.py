"""Random networks as hls4ml writes them: layer lists with random types, written through hls4ml itself."""

from __future__ import annotations

import contextlib
import io
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from trigger_ml.fixed import Overflow, Rounding

ROUNDINGS = [f"AP_{r}" for r in Rounding]
OVERFLOWS = [f"AP_{o}" for o in Overflow]

KINDS = ("mlp", "residual", "conv1d", "conv2d", "tables", "wide", "dot", "wiring")


class Draw:
    """A random layer list.

    Args:
        seed: one seed, one network.
        kind: of :data:`KINDS`.
        saturate: how often an accumulator saturates instead of wrapping.
    """

    def __init__(self, seed: int, kind: str, saturate: float = 0.1) -> None:
        self.rng = np.random.default_rng([seed, KINDS.index(kind)])
        self.kind, self.saturate = kind, saturate
        self.layers: list[dict[str, Any]] = []
        self.settings: dict[str, dict[str, Any]] = {}
        self.shapes: dict[str, tuple[int, ...]] = {}
        self.inputs: list[str] = []
        getattr(self, f"_{kind}")()

    # -- numbers ------------------------------------------------------------------------------------------------------

    def _int(self, low: int, high: int) -> int:
        return int(self.rng.integers(low, high, endpoint=True))

    def _chance(self, p: float) -> bool:
        return bool(self.rng.random() < p)

    def _pick(self, choices: Any) -> Any:
        return choices[int(self.rng.integers(len(choices)))]

    def _type(self, widest: int = 12, modes: float = 0.6) -> str:
        """Mostly wide enough that something arrives at the output."""
        width = self._int(6, widest) if self._chance(0.85) else self._int(2, widest)
        integer = self._int(3, 6) if self._chance(0.85) else self._int(-1, width + 1)
        text = f"{self._pick(['fixed', 'fixed', 'fixed', 'ufixed'])}<{width},{integer}"
        if self._chance(modes):
            text += f",{self._pick(ROUNDINGS)[3:]},{self._pick(OVERFLOWS)[3:]}"
        return text + ">"

    def _accum(self) -> str:
        width = self._int(8, 24)
        integer = self._int(3, min(width, 14))
        modes = f",{self._pick(ROUNDINGS)[3:]},{self._pick(OVERFLOWS)[3:]}" if self._chance(self.saturate) else ""
        return f"fixed<{width},{integer}{modes}>"

    def _weights(self, *shape: int) -> np.ndarray:
        w = self.rng.integers(-16, 17, shape) / 8.0
        return w * (self.rng.random(shape) < 0.7)

    # -- layers -------------------------------------------------------------------------------------------------------

    def add(self, kind: str, inputs: list[str], shape: tuple[int, ...], **attributes: Any) -> str:
        name = f"l{len(self.layers)}_{kind.lower()}"
        self.layers.append({"class_name": kind, "name": name, "inputs": inputs, **attributes})
        precision = {"result": self._type(), "accum": self._accum(), "weight": self._type(8, 0.3)}
        precision |= {"bias": self._type(8, 0.3), "scale": self._type(8, 0.3), "table": self._type(12, 0.3)}
        self.settings[name] = {"Precision": precision, "Strategy": "latency", "ReuseFactor": 1}
        self.shapes[name] = shape
        return name

    def _input(self, *shape: int) -> str:
        name = self.add("InputLayer", [], shape, input_shape=list(shape))
        self.inputs.append(name)
        return name

    def _size(self, a: str) -> int:
        return int(np.prod(self.shapes[a]))

    def _dense(self, a: str, n_out: int) -> str:
        (n_in,) = self.shapes[a]
        data = {"weight_data": self._weights(n_in, n_out), "bias_data": self._weights(n_out)}
        name = self.add("Dense", [a], (n_out,), n_in=n_in, n_out=n_out, **data)
        if self._chance(0.4):
            divisors = [d for d in range(1, n_in + 1) if n_in % d == 0] + [n_in * n_out]
            self.settings[name] |= {"Strategy": "resource", "ReuseFactor": int(self._pick(divisors))}
        return name

    def _activation(self, a: str, name: str = "relu") -> str:
        n = self._size(a)
        if name in ("LeakyReLU", "ThresholdedReLU", "ELU"):
            made = self.add(name, [a], self.shapes[a], n_in=n, activation=name.lower(), activ_param=self._int(1, 9) / 8)
            self.settings[made]["Precision"]["param"] = "fixed<8,4>"
            return made
        if name in ("hard_sigmoid", "hard_tanh"):
            from hls4ml.model.types import FixedPrecisionType

            kind = FixedPrecisionType(8, 2, True)
            data = {"slope": 0.25, "shift": 0.5, "slope_prec": kind, "shift_prec": kind}
            return self.add("HardActivation", [a], self.shapes[a], n_in=n, activation=name, **data)
        if name == "softmax":
            made = self.add("Softmax", [a], self.shapes[a], n_in=n, activation="softmax", axis=-1, n_outer=1, n_inner=1)
            self.layers[-1] |= {"implementation": self._pick(["stable", "latency"])}
            types = {"exp_table": "ufixed<10,2>", "inv_table": "ufixed<12,2>", "inv_inp": "ufixed<12,5>"}
            self.settings[made]["Precision"] |= {**types, "accum": "ufixed<14,5>", "inp_norm": "ufixed<9,4>"}
            sizes = {"TableSize": 128, "ExpTableSize": 128, "InvTableSize": 256}
            self.settings[made] |= sizes
            self.layers[-1] |= {"exp_table_size": 128, "inv_table_size": 256}
            return made
        if name == "PReLU":
            return self.add("PReLU", [a], self.shapes[a], n_in=n, activation="prelu", param_data=self._weights(n))
        made = self.add("Activation", [a], self.shapes[a], n_in=n, activation=name)
        self.settings[made]["TableSize"] = 256
        return made

    def _norm(self, a: str) -> str:
        shape = self.shapes[a]
        n = shape[-1]
        data = {"scale_data": self._weights(n), "bias_data": self._weights(n)}
        filters = n if len(shape) > 1 else -1
        return self.add("BatchNormalization", [a], shape, n_in=self._size(a), n_filt=filters, **data)

    def _merge(self, op: str, a: str, b: str) -> str:
        return self.add("Merge", [a, b], self.shapes[a], op=op)

    def _flatten(self, a: str) -> str:
        return self.add("Reshape", [a], (self._size(a),), target_shape=[self._size(a)])

    def _spatial(self, a: str) -> list[tuple[str, str, str, int]]:
        axes = [("height", "top", "bottom"), ("width", "left", "right")][3 - len(self.shapes[a]) :]
        return [(*axis, n) for axis, n in zip(axes, self.shapes[a][:-1], strict=True)]

    def _conv(self, a: str, depthwise: bool = False) -> str:
        axes, channels = self._spatial(a), self.shapes[a][-1]
        filters = channels if depthwise else self._int(1, 3)
        attributes: dict[str, Any] = {"data_format": "channels_last", "n_chan": channels, "n_filt": filters}
        shape, kernel = [], []
        for axis, before, after, n in axes:
            k, stride, pads = self._int(1, min(3, n)), self._int(1, 2), (self._int(0, 1), self._int(0, 1))
            out = (n + sum(pads) - k) // stride + 1
            attributes |= {f"in_{axis}": n, f"out_{axis}": out, f"filt_{axis}": k, f"stride_{axis}": stride}
            attributes |= {f"pad_{before}": pads[0], f"pad_{after}": pads[1]}
            shape.append(out)
            kernel.append(k)
        kind = f"{'Depthwise' if depthwise else ''}Conv{len(axes)}D"
        w = self._weights(*kernel, channels, 1 if depthwise else filters)
        data = {"depthwise_data" if depthwise else "weight_data": w, "bias_data": self._weights(filters)}
        name = self.add(kind, [a], (*shape, filters), **attributes, **data)
        if not depthwise and self._chance(0.4):
            n_in = int(np.prod(kernel)) * channels
            divisors = [d for d in range(1, n_in + 1) if n_in % d == 0]
            self.settings[name] |= {"Strategy": "resource", "ReuseFactor": int(self._pick(divisors))}
        return name

    def _pool(self, a: str, how: str) -> str:
        axes, filters = self._spatial(a), self.shapes[a][-1]
        attributes: dict[str, Any] = {"data_format": "channels_last", "n_filt": filters}
        shape = []
        for axis, before, after, n in axes:
            k = self._int(1, min(3, n))
            pads = (self._int(0, 1), self._int(0, 1)) if self._chance(0.3) and k > 1 else (0, 0)
            stride = k if self._chance(0.5) else self._int(1, 2)
            out = (n + sum(pads) - k) // stride + 1
            names = ("n_in", "n_out") if len(axes) == 1 else (f"in_{axis}", f"out_{axis}")
            attributes |= {names[0]: n, names[1]: out, f"pool_{axis}": k, f"stride_{axis}": stride}
            attributes |= {f"pad_{before}": pads[0], f"pad_{after}": pads[1]}
            shape.append(out)
        count = bool(self._chance(0.5))
        name = self.add(f"{how}Pooling{len(axes)}D", [a], (*shape, filters), count_pad=count, **attributes)
        self.settings[name]["Precision"]["accum"] = "fixed<22,12>"
        return name

    def _global_pool(self, a: str, how: str) -> str:
        axes, filters = self._spatial(a), self.shapes[a][-1]
        attributes: dict[str, Any] = {"data_format": "channels_last", "n_filt": filters}
        for axis, before, after, n in axes:
            attributes |= {"n_in" if len(axes) == 1 else f"in_{axis}": n, f"pool_{axis}": n, f"stride_{axis}": n}
            attributes |= {f"pad_{before}": 0, f"pad_{after}": 0}
        name = self.add(f"Global{how}Pooling{len(axes)}D", [a], (filters,), **attributes)
        self.settings[name]["Precision"]["accum"] = "fixed<22,12>"
        return name

    # -- networks -----------------------------------------------------------------------------------------------------

    def _mlp(self) -> None:
        a = self._input(self._int(2, 6))
        for _ in range(self._int(1, 3)):
            a = self._dense(a, self._int(1, 5))
            a = self._norm(a) if self._chance(0.3) else a
            a = self._activation(a, self._pick(["relu", "relu", "linear"]))

    def _residual(self) -> None:
        x, n = self._input(4), self._int(2, 4)
        a = self._activation(self._dense(x, n))
        b = self._dense(a, n)
        for op in self.rng.permutation(["add", "subtract", "multiply", "maximum", "minimum", "average"])[:2]:
            b = self._merge(str(op), b, a)
        c = self.add("Concatenate", [a, b], (2 * n,), axis=-1, op="concatenate1d")
        self._dense(c, 2)

    def _conv1d(self) -> None:
        a = self._conv(self._input(self._int(4, 7), self._int(1, 3)), depthwise=self._chance(0.2))
        a = self._activation(a)
        a = self._pool(a, self._pick(["Max", "Average"]))
        a = self._norm(a) if self._chance(0.5) else a
        a = self._global_pool(a, self._pick(["Max", "Average"])) if self._chance(0.5) else self._flatten(a)
        self._dense(a, 2)

    def _conv2d(self) -> None:
        a = self._input(self._int(3, 5), self._int(3, 5), self._int(1, 2))
        a = self._conv(a, depthwise=self._chance(0.2))
        if self._chance(0.4):
            h, w, c = self.shapes[a]
            a = self.add("Transpose", [a], (w, h, c), perm=[1, 0, 2])
        a = self._activation(a)
        a = self._pool(a, self._pick(["Max", "Average"]))
        self._dense(self._flatten(a) if self._chance(0.7) else self._global_pool(a, "Max"), 2)

    def _tables(self) -> None:
        a = self._dense(self._input(4), 3)
        names = ["tanh", "sigmoid", "softplus", "softsign", "selu", "LeakyReLU", "ThresholdedReLU", "hard_sigmoid"]
        for name in self.rng.permutation([*names, "hard_tanh", "softmax", "PReLU", "ELU"])[:3]:
            a = self._activation(a, str(name))

    def _pad(self, a: str) -> str:
        shape, attributes = [], {"data_format": "channels_last", "n_chan": self.shapes[a][-1]}
        for axis, before, after, n in self._spatial(a):
            pads = (self._int(0, 2), self._int(0, 2))
            attributes |= {
                f"in_{axis}": n,
                f"out_{axis}": n + sum(pads),
                f"pad_{before}": pads[0],
                f"pad_{after}": pads[1],
            }
            shape.append(n + sum(pads))
        return self.add(f"ZeroPadding{len(shape)}D", [a], (*shape, self.shapes[a][-1]), **attributes)

    def _join(self, a: str, b: str) -> str:
        shape, axis = list(self.shapes[a]), self._int(1, len(self.shapes[a]))
        shape[axis - 1] *= 2
        op = f"concatenate{len(shape)}d"
        return self.add("Concatenate", [a, b], tuple(shape), axis=axis - len(shape) - 1, op=op)

    def _wiring(self) -> None:
        """Padding, joining and transposition, in one dimension and in two."""
        a = self._input(*(self._int(2, 4) for _ in range(self._int(2, 3))))
        b = self._activation(a)
        a = self._pad(self._join(b, self._activation(a)))
        perm = [int(i) for i in self.rng.permutation(len(self.shapes[a]))]
        a = self.add("Transpose", [a], tuple(self.shapes[a][i] for i in perm), perm=perm)
        self._activation(a)

    def _wide(self) -> None:
        """Activations of numbers that have too many values for a table."""
        a = self._input(3)
        self.settings[a]["Precision"]["result"] = "fixed<24,7>"
        names = ["tanh", "sigmoid", "softplus", "softsign", "LeakyReLU", "ELU", "PReLU", "softmax"]
        for name in self.rng.permutation(names)[:2]:
            a = self._dense(a, 3)
            self.settings[a]["Precision"] |= {"result": "fixed<30,8>", "accum": "fixed<34,12>"}
            a = self._activation(a, str(name))

    def _dot(self) -> None:
        x = self._input(5)
        a = self._activation(self._dense(x, 3))
        d = self._merge("subtract", self._dense(a, 3), a)
        self.add("Dot", [d, d], (1,), axes=1, op="dot1d", axis=1)


def write(draw: Draw, folder: Path, backend: str = "Vitis", **options: Any) -> Path:
    """The network as an hls4ml project in a folder."""
    with (
        warnings.catch_warnings(),
        contextlib.redirect_stdout(io.StringIO()),
        contextlib.redirect_stderr(io.StringIO()),
    ):
        warnings.simplefilter("ignore")
        from hls4ml.model.graph import ModelGraph
        from hls4ml.utils.config import create_config

        config = create_config(str(folder), project_name="net", backend=backend, io_type="io_parallel", **options)
        default = {"Precision": "fixed<12,5>", "ReuseFactor": 1, "Strategy": "latency", "BitExact": False}
        config["HLSConfig"] = {"Model": default, "LayerName": draw.settings}
        model = ModelGraph.from_layer_list(config, draw.layers, draw.inputs, [draw.layers[-1]["name"]])
        model.write()
    return folder


def write_keras(folder: Path, granularity: str, precision: str) -> Path:
    """A Keras model of convolution, normalization, mean, two activations, a sum and softmax, converted by hls4ml."""
    with (
        warnings.catch_warnings(),
        contextlib.redirect_stdout(io.StringIO()),
        contextlib.redirect_stderr(io.StringIO()),
    ):
        warnings.simplefilter("ignore")
        import hls4ml
        import keras

        keras.utils.set_random_seed(1)
        layers = keras.layers
        image = keras.Input((8, 6, 1))
        x = layers.Conv2D(3, 3, strides=2, padding="same", activation="relu")(image)
        x = layers.Flatten()(layers.AveragePooling2D(2)(layers.BatchNormalization()(x)))
        x = layers.Dense(6, activation="tanh")(x)
        x = layers.Add()([x, layers.Dense(6, activation="elu")(x)])
        model = keras.Model(image, layers.Dense(3, activation="softmax")(x))
        config = hls4ml.utils.config_from_keras_model(
            model, granularity=granularity, backend="Vitis", default_precision=precision
        )
        hls4ml.converters.convert_from_keras_model(
            model, hls_config=config, output_dir=str(folder), backend="Vitis", io_type="io_parallel"
        ).write()
    return folder
