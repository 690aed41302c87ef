"""The functions of ``nnet_exact.h``, which this project's own hls4ml engine calls: its projects can be read back."""

from __future__ import annotations

from trigger_ml.importers.hls4ml_project.ap_types import ApType
from trigger_ml.importers.hls4ml_project.layer import Layer, Rule
from trigger_ml.importers.hls4ml_project.linear import total
from trigger_ml.importers.hls4ml_project.tokens import refused, text_of
from trigger_ml.ir import ops

NAMESPACE = "nnet::exact"


def _sizes(layer: Layer, first: int, count: int) -> list[int]:
    """Template arguments that are sizes."""
    given = layer.call.template[first : first + count]
    sizes = [layer.program.read_value(list(t)) for t in given]
    if len(sizes) < count or not all(isinstance(n, int) and n > 0 for n in sizes):
        raise refused(layer.call.at, f"{layer.call.function} has sizes {', '.join(text_of(t) for t in given)}")
    return [int(n) for n in sizes]


def _type(layer: Layer, k: int) -> ApType:
    if k >= len(layer.call.template):
        raise refused(layer.call.at, f"{layer.call.function} has too few template arguments")
    return layer.program.type_of(layer.call.template[k], layer.call.at)


def _requantize(layer: Layer) -> str:
    (n,) = _sizes(layer, 2, 1)
    wide = layer.net.cast(layer.tensor(0, n), _type(layer, 1))
    return layer.net.cast(wide, _type(layer, 0))


def _lookup(layer: Layer) -> str:
    (n,) = _sizes(layer, 0, 1)
    kind = layer.kind(0)
    if kind.width > 20:
        raise refused(layer.call.at, f"{layer.call.function} is indexed by {kind}, 20 bits at most")
    entries, to = layer.numbers(2, 1 << kind.width)
    values = layer.net.integers(entries)
    x = layer.net.cast(layer.tensor(0, n), kind, keep_grid=True)
    return layer.tabulate(x, lambda v: values[v & ((1 << kind.width) - 1)], to.frac)


def _pair(op: ops.Op) -> Rule:
    def lower(layer: Layer) -> str:
        (n,) = _sizes(layer, 0, 1)
        return layer.net.add(op, layer.tensor(0, n), layer.tensor(1, n))

    return Rule(lower, output=2)


def _relu(layer: Layer) -> str:
    (n,) = _sizes(layer, 0, 1)
    return layer.net.relu(layer.tensor(0, n))


def _sum(layer: Layer) -> str:
    outer, n, inner = _sizes(layer, 1, 3)
    x = layer.net.reshape(layer.tensor(0, outer * n * inner), outer, n, inner)
    return layer.net.flat(total(layer.net, layer.net.add(ops.Permute((0, 2, 1)), x), _type(layer, 0)))


def _largest(layer: Layer) -> str:
    outer, n, inner = _sizes(layer, 0, 3)
    x = layer.net.reshape(layer.tensor(0, outer * n * inner), outer, n, inner)
    return layer.net.add(ops.Reduce("max", 1), x)


def _matmul(layer: Layer) -> str:
    n, k, m = _sizes(layer, 1, 3)
    accum = _type(layer, 0)
    a, b = layer.net.reshape(layer.tensor(0, n * k), n, k), layer.net.reshape(layer.tensor(1, k * m), k, m)
    exact = layer.net.add(ops.MatMul(), a, b)
    if layer.net.known[exact].frac > accum.frac or not accum.wraps:
        raise refused(layer.call.at, f"{layer.call.function}: the accumulator {accum} rounds or saturates")
    return layer.net.cast(exact, accum)


EXACT: dict[str, Rule] = {
    "requantize": Rule(_requantize),
    "lookup": Rule(_lookup),
    "add": _pair(ops.Add()),
    "subtract": _pair(ops.Add(subtract=True)),
    "multiply": _pair(ops.Mul()),
    "maximum": _pair(ops.Max()),
    "relu": Rule(_relu),
    "sum": Rule(_sum),
    "largest": Rule(_largest),
    "matmul": Rule(_matmul, output=2),
}
