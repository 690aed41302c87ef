"""Activations: exact where C++ computes in fixed point, else tables that the project's own C++ fills."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from trigger_ml.importers.hls4ml_project.ap_types import ApType
from trigger_ml.importers.hls4ml_project.layer import Layer, Probe, Rule
from trigger_ml.importers.hls4ml_project.program import Config
from trigger_ml.importers.hls4ml_project.tokens import refused
from trigger_ml.ir import ops


def _size(layer: Layer) -> int:
    return layer.config.number("n_in", layer.array(0).size)


def _linear(layer: Layer) -> str:
    return layer.tensor(0, _size(layer))


def _relu(layer: Layer) -> str:
    return layer.net.relu(layer.tensor(0, _size(layer)))


def _prelu(layer: Layer) -> str:
    """``x`` above zero, ``alpha x`` below, each cast on its own; casts keep zero, so the two can be added."""
    n, to = _size(layer), layer.kind(2)
    x = layer.tensor(0, n)
    alpha, kind = layer.numbers(1, n)
    above = layer.net.relu(x)
    below = layer.net.add(ops.Add(subtract=True), x, above)
    below = layer.net.affine(below, np.diag(alpha), np.zeros(n, dtype=object), kind.frac)
    return layer.net.add(ops.Add(), layer.net.cast(above, to), layer.net.cast(below, to))


def _elementwise(output: int = 1) -> Rule:
    """A function of each element alone: the C++ is run at every integer of the input."""

    def lower(layer: Layer) -> str:
        return layer.table(layer.tensor(0, _size(layer)), layer.kind(0), layer.kind(output).frac)

    def probes(layer: Layer) -> dict[str, Probe]:
        n = _size(layer)
        if not n == layer.array(0).size == layer.array(output).size:
            raise refused(layer.call.at, f"{layer.call.function} maps {n} elements, its arrays have other sizes")
        call = layer.call.with_arguments({0: "x", output: "y"})
        body = (
            f"static {layer.kind(0).cpp} x[{n}]; static {layer.kind(output).cpp} y[{n}];\n"
            f"for (std::size_t i = 0; i < count; i += {n}) {{\n"
            f"for (std::size_t j = 0; j < {n}; j++) put(x[j], in[i + j < count ? i + j : count - 1]);\n"
            f"{call}\n"
            f"for (std::size_t j = 0; j < {n} && i + j < count; j++) out[i + j] = get(y[j]); }}"
        )
        return {"": Probe(body, layer.call.function)}

    return Rule(lower, output, probes)


# -- softmax ----------------------------------------------------------------------------------------------------------


def _softmax(layer: Layer) -> str:
    config = layer.config
    n_in = _size(layer)
    n = config.number("n_slice", n_in)
    outer, inner = config.number("n_outer", 1), config.number("n_inner", 1)
    x = layer.tensor(0, n_in)
    if n < 1 or outer * inner * n != n_in:
        raise refused(layer.call.at, f"{config.name} slices {n_in} elements into {outer} times {n} times {inner}")
    at = np.arange(n_in).reshape(outer, n, inner).transpose(0, 2, 1).reshape(-1, n)
    parts = [_slice(layer, config, layer.net.take(x, row), n) for row in at]
    if len(parts) == 1:
        return parts[0]
    return layer.net.take(layer.net.add(ops.Concat(0), *parts), np.argsort(at.ravel()))


def _slice(layer: Layer, config: Config, x: str, n: int) -> str:
    """Exponentials from a table, their sum, its inverse from a table, products: as ``nnet::softmax`` does."""
    net, index = layer.net, layer.kind(0)
    all_ = np.zeros(n, np.int64)
    if config.word("implementation", "latency") == "stable":
        index = config.type("inp_norm_t")
        top = net.add(ops.Reduce("max", 0), x)
        x = net.cast(net.add(ops.Add(subtract=True), net.take(top, all_), x), index)
    accum, inverse = config.type("accum_t"), config.type("inv_inp_t")
    powers = _looked_up(layer, net.cast(x, index, keep_grid=True), index, "exp")
    powers = net.cast(powers, accum)
    total = net.cast(_tree(layer, powers, accum), inverse, keep_grid=True)
    over = _looked_up(layer, total, inverse, "inv")
    return net.add(ops.Mul(), powers, net.take(over, all_))


def _looked_up(layer: Layer, a: str, index: ApType, key: str) -> str:
    """A table that is indexed by the top bits of a number."""
    size = layer.config.number(f"{key}_table_size")
    bits = (size - 1).bit_length()
    if bits > index.width or size != 1 << bits or size > 1 << 20:
        raise refused(layer.call.at, f"a table of {size} entries is indexed by {index}, which is not understood")
    entries = layer.asked(np.arange(size, dtype=np.int64), key)

    def value(x: NDArray[np.int64]) -> NDArray[np.int64]:
        return entries[(x & ((1 << index.width) - 1)) >> (index.width - bits)]

    return layer.tabulate(a, value, layer.config.type(f"{key}_table_t").frac)


def _tree(layer: Layer, a: str, accum: ApType) -> str:
    """The sum of a row in a balanced tree, cast at each step, as ``nnet::reduce`` adds."""
    net, n = layer.net, layer.net.size(a)
    t = net.known[a]
    lift = 2 ** max(accum.frac - t.frac, 0)
    low, high = np.minimum(t.lo, 0).sum() * lift, np.maximum(t.hi, 0).sum() * lift
    if accum.wraps or (low >= accum.lo and high <= accum.hi):
        return net.cast(net.add(ops.Reduce("sum", 0), a), accum)
    if n == 1:
        return a
    half = 1 << ((n - 1).bit_length() - 1)
    left, right = net.take(a, np.arange(half)), net.take(a, np.arange(half, n))
    return net.cast(net.add(ops.Add(), _tree(layer, left, accum), _tree(layer, right, accum)), accum)


def _softmax_probes(layer: Layer) -> dict[str, Probe]:
    config = layer.config
    how = config.word("implementation", "latency")
    if how not in ("latency", "stable") or "inv_inp_t" not in config.types:
        raise refused(
            layer.call.at, f"softmax as {how} of this version of hls4ml is not understood: latency and stable are"
        )
    name = config.name
    exp = f"nnet::init_exp_table<{layer.kind(0).cpp}, {name}>(t);"
    if how == "stable":
        exp = f"nnet::init_exp_table<typename {name}::inp_norm_t, {name}>(t, true);"
    inverse = f"nnet::init_invert_table<typename {name}::inv_inp_t, {name}>(t);"
    return {
        key: Probe(
            f"static {config.type(f'{key}_table_t').cpp} t[{config.number(f'{key}_table_size')}];\n{fill}\n"
            "for (std::size_t i = 0; i < count; i++) out[i] = get(t[in[i]]);",
            f"softmax's {key} table",
        )
        for key, fill in (("exp", exp.replace("typename ", "")), ("inv", inverse.replace("typename ", "")))
    }


ELEMENTWISE = (
    "relu1", "relu6", "relu_max", "sigmoid", "tanh", "hard_sigmoid", "hard_tanh", "softplus", "softsign", "selu",
    "binary_tanh", "ternary_tanh", "unary_lut",
)  # fmt: skip

ACTIVATIONS: dict[str, Rule] = {
    "linear": Rule(_linear),
    "relu": Rule(_relu),
    "prelu": Rule(_prelu, output=2, cast=False),
    "leaky_relu": _elementwise(2),
    "thresholded_relu": _elementwise(2),
    "elu": _elementwise(2),
    "elu/2": _elementwise(),
    "softmax": Rule(_softmax, probes=_softmax_probes),
    "softmax_multidim": Rule(_softmax, probes=_softmax_probes),
    **{name: _elementwise() for name in ELEMENTWISE},
}
