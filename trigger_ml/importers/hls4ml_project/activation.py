"""Activations: exact where C++ computes in fixed point, else tables that the project's own C++ fills."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trigger_ml.fixed import Overflow, Rounding
from trigger_ml.importers.hls4ml_project.ap_types import ApType, held
from trigger_ml.importers.hls4ml_project.layer import MAX_TABLE, Layer, Probe, Rule
from trigger_ml.importers.hls4ml_project.program import Config
from trigger_ml.importers.hls4ml_project.tokens import refused
from trigger_ml.ir import ops

MAX_SLOPES = 4096

Wide = Callable[[Layer, str], str]


def _size(layer: Layer) -> int:
    return layer.config.number("n_in", layer.array(0).size)


def _linear(layer: Layer) -> str:
    return layer.tensor(0, _size(layer))


def _relu(layer: Layer) -> str:
    return layer.net.relu(layer.tensor(0, _size(layer)))


def _prelu(layer: Layer) -> str:
    """``x`` above zero, ``alpha x`` below, each cast on its own; casts keep zero, so the two can be added."""
    n = _size(layer)
    alpha, kind = layer.numbers(1, n)
    return _two_slopes(layer, layer.tensor(0, n), alpha, kind)


def _elementwise(output: int = 1) -> Rule:
    """A function of each element alone: the C++ is run at every integer of the input."""

    def lower(layer: Layer) -> str:
        x, name = layer.tensor(0, _size(layer)), layer.call.function.rpartition("::")[2]
        t = layer.net.known[x]
        if max(t.hi.flat) - min(t.lo.flat) >= MAX_TABLE and name in WIDE:
            return WIDE[name](layer, x)
        return layer.table(x, layer.kind(0), layer.kind(output).frac)

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


# -- inputs that are too wide for a table ------------------------------------------------------------------------------


def _index(layer: Layer, a: str, integer: int, bits: int) -> str:
    """What ``table[int(x * size / span)]`` looks at: rounded toward zero, held at the table's ends."""
    size = layer.config.number("table_size")
    t = layer.net.known[a]
    largest = max(-min(t.lo.flat), max(t.hi.flat)) * size
    if size & (size - 1) or size < 16 or largest >> (t.frac + integer) >= 1 << 30:
        raise refused(layer.call.at, f"{layer.call.function} has {size} entries on a span that {layer.kind(0)} exceeds")
    return layer.net.cast(a, ApType(True, bits, integer, Rounding.TRN_ZERO, Overflow.SAT))


def _bounded(integer: int) -> Wide:
    """A function that is constant beyond ``2**(integer-1)`` on either side, and between the steps of its table."""

    def lower(layer: Layer, x: str) -> str:
        bits = layer.config.number("table_size").bit_length() - 1
        return layer.table(_index(layer, x, integer, bits), layer.kind(0), layer.kind(1).frac)

    return lower


def _exponential(layer: Layer, x: str) -> str:
    """``elu``: the number itself above zero, a table of -8...0 below; the cast of a zero is zero."""
    output = len(layer.call.arguments) - 1
    to, above = layer.kind(output), layer.net.relu(x)
    below = layer.net.add(ops.Add(subtract=True), x, above)
    bits = layer.config.number("table_size").bit_length()
    below = layer.table(_index(layer, below, 4, bits), layer.kind(0), to.frac)
    return layer.net.add(ops.Add(), layer.net.cast(above, to), below)


def _leaky(layer: Layer, x: str) -> str:
    """``leaky_relu``: as ``prelu`` with one slope, a literal in the type of the second template argument."""
    program, call = layer.program, layer.call
    kind, slope = program.type_of(call.template[1], call.at), program.read_value(list(call.arguments[1]))
    if isinstance(slope, str):
        raise refused(call.at, f"the slope {slope} of {call.function} is no number")
    alpha = held([Fraction(slope)], kind, call.at)
    return _two_slopes(layer, x, np.resize(alpha, layer.net.size(x)).astype(object), kind)


def _two_slopes(layer: Layer, x: str, alpha: NDArray[Any], kind: ApType) -> str:
    if len(alpha) > MAX_SLOPES:
        raise refused(layer.call.at, f"{layer.call.function} has {len(alpha)} slopes, {MAX_SLOPES} at most")
    to, above = layer.kind(2), layer.net.relu(x)
    below = layer.net.add(ops.Add(subtract=True), x, above)
    below = layer.net.affine(below, np.diag(alpha), np.zeros(len(alpha), dtype=object), kind.frac)
    return layer.net.add(ops.Add(), layer.net.cast(above, to), layer.net.cast(below, to))


WIDE: dict[str, Wide] = {
    "sigmoid": _bounded(4),
    "softplus": _bounded(4),
    "softsign": _bounded(4),
    "tanh": _bounded(3),
    "elu": _exponential,
    "leaky_relu": _leaky,
}
"""How a function is read whose input has more values than a table may have."""


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
    powers = _looked_up(layer, net.cast(x, index), index, "exp")
    powers = net.cast(powers, accum)
    total = net.cast(_tree(layer, powers, accum), inverse)
    over = _looked_up(layer, total, inverse, "inv")
    return net.add(ops.Mul(), powers, net.take(over, all_))


def _looked_up(layer: Layer, a: str, index: ApType, key: str) -> str:
    """A table that is indexed by the top bits of a number."""
    size = layer.config.number(f"{key}_table_size")
    bits = (size - 1).bit_length()
    if bits > index.width or size != 1 << bits or size > 1 << 20:
        raise refused(layer.call.at, f"a table of {size} entries is indexed by {index}, which is not understood")
    entries = layer.asked(np.arange(size, dtype=np.int64), key)

    top = layer.net.cast(a, ApType(index.signed, bits, index.integer))
    grid = layer.net.known[top].frac - (bits - index.integer)  # a cast that does nothing leaves a coarser grid

    def value(x: NDArray[np.int64]) -> NDArray[np.int64]:
        return entries[(x << max(-grid, 0)) & (size - 1)]

    return layer.tabulate(top, value, layer.config.type(f"{key}_table_t").frac)


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
    "prelu": Rule(_prelu, output=2),
    "leaky_relu": _elementwise(2),
    "thresholded_relu": _elementwise(2),
    "elu": _elementwise(2),
    "elu/2": _elementwise(),
    "softmax": Rule(_softmax, probes=_softmax_probes),
    "softmax_multidim": Rule(_softmax, probes=_softmax_probes),
    **{name: _elementwise() for name in ELEMENTWISE},
}
