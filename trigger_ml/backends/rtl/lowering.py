"""Graph -> alkaid: the operations of the integer graph on symbolic fixed-point variables, traced into a ``CombLogic``.

alkaid turns constant matrices into shared adders (distributed arithmetic) and removes common subexpressions; its own
interpreter is an engine in its own right (:func:`interpret_alkaid`). What alkaid 0.8.2 can't hold exactly is refused by
:func:`check`: it keeps weights in float32 and table entries and added constants in 32 bits.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trigger_ml.backends.rtl import requant
from trigger_ml.errors import Mismatch, ToolMissing, Unsupported
from trigger_ml.fixed import Fixed
from trigger_ml.ir import ops
from trigger_ml.ir.bounds import bounds, pad, windows
from trigger_ml.ir.graph import Graph, Node
from trigger_ml.ir.interpret import check_inputs

Variables = NDArray[Any]
"""An array (dtype object) of alkaid variables, one an element."""

FLOAT32_ODD = 1 << 24
WIDEST = 40
"""Bits of the widest intermediate: alkaid's intervals are float64, its constants 32 bits."""

TABLE_BITS = 14
"""Index bits of the largest look-up that is laid out as logic for each element."""


def check(graph: Graph) -> None:
    """Refuse what alkaid can't realise exactly.

    Raises:
        Unsupported: naming the node.
    """
    known = bounds(graph)
    for node in graph.nodes:
        reach = known[node.name].peak.bit_length()
        if reach > WIDEST:
            raise Unsupported(
                f"rtl: node {node.name!r} may reach {reach} bits and the lowering is exact to {WIDEST}: "
                "requantize its inputs to fewer bits"
            )
        constants: list[NDArray[np.int64]] = []
        if isinstance(node.op, (ops.Affine, ops.Conv)):
            constants = [node.op.w, node.op.b]
        elif isinstance(node.op, ops.Table):
            constants = [node.op.values]
            first = known[node.inputs[0]]
            if int((first.hi - first.lo).max()).bit_length() > TABLE_BITS:
                raise Unsupported(
                    f"rtl: table {node.name!r} is indexed by more than {TABLE_BITS} bits: "
                    "requantize its input to fewer bits"
                )
        if any(odd_part(c).max(initial=0) >= FLOAT32_ODD for c in constants):
            raise Unsupported(
                f"rtl: node {node.name!r} has a constant of more than 24 significant bits, which alkaid would round: "
                "use fewer bits"
            )


def odd_part(values: NDArray[np.int64]) -> NDArray[np.int64]:
    """Magnitudes without their factors of two; 0 stays 0.

    >>> odd_part(np.array([0, -12, 7])).tolist()
    [0, 3, 7]
    """
    size = np.abs(values)
    return np.where(size > 0, size // np.maximum(size & -size, 1), 0)


SQUARE_BITS = 8
"""Bits of the widest variable whose square is looked up."""


@lru_cache(maxsize=8)
def lower(graph: Graph) -> Any:
    """The graph as an alkaid ``CombLogic``; inputs and outputs flattened in C order, one after the other.

    Raises:
        Unsupported: see :func:`check`.
        ToolMissing: without the ``alkaid`` package.
    """
    check(graph)
    try:
        from alkaid.trace import trace
    except ImportError as error:
        raise ToolMissing("the package alkaid is not installed: pip install 'trigger_ml[rtl]'") from error
    values: dict[str, Variables] = {}
    for node in graph.nodes:
        values[node.name] = RULES[type(node.op)](node, [values[i] for i in node.inputs], graph)
    flat = [
        np.concatenate([values[n].ravel() for n in names]) for names in ([p.name for p in graph.inputs], graph.outputs)
    ]
    return _optimized(trace(*flat, optimize=False))


def _optimized(comb: Any) -> Any:
    """The passes of alkaid in its order, without one part of ``canonicalize``.

    ``canonicalize_msb_wraps`` of 0.8.2 drops the shift of a one-bit truncation whose bit happens to have the weight of
    the source's top bit before the shift, and so reads another bit.
    """
    from alkaid.trace.passes import cse, dce, null_op, order, surrogate
    from alkaid.trace.passes.canon import canonicalize_outputs, const_propagation
    from alkaid.trace.passes.retrace import _retrace

    def once(c: Any) -> Any:
        for f in (
            const_propagation,
            canonicalize_outputs,
            dce.dead_code_elimin,
            cse.common_subexpr_elimin,
            dce.dead_code_elimin,
            null_op.null_quant_elimin,
            dce.dead_code_elimin,
        ):
            c = f(c)
        return order.canonical_sort(c)

    comb = once(comb)
    for _ in range(RETRACES):
        again = once(_retrace(comb))
        if again == comb:
            break
        comb = again
    return order.topo_bandwidth_sort(order.canonical_sort(surrogate.add_surrogate(comb)))


RETRACES = 3
"""Times that the logic is traced again; each may narrow intervals. Two are enough on the networks tried."""


def interpret_alkaid(graph: Graph, inputs: NDArray[Any] | Mapping[str, NDArray[Any]]) -> dict[str, NDArray[np.int64]]:
    """The graph's outputs by alkaid's own interpreter: integers ``(events, *shape)`` for each output.

    Raises:
        Unsupported: see :func:`check`.
        Mismatch: an answer between two steps of an output's grid.
    """
    comb, known, feed = lower(graph), bounds(graph), check_inputs(graph, inputs)
    count = len(next(iter(feed.values())))
    x = np.concatenate([feed[p.name].reshape(count, -1) * 2.0 ** -known[p.name].frac for p in graph.inputs], axis=1)
    y, at, out = np.asarray(comb.predict(x, n_threads=1)), 0, {}
    for name in graph.outputs:
        t = known[name]
        part = y[:, at : at + t.lo.size] * 2.0**t.frac
        at += t.lo.size
        out[name] = part.astype(np.int64).reshape(count, *t.shape)
        if not np.array_equal(part.reshape(out[name].shape), out[name]):
            raise Mismatch(f"alkaid: output {name!r} holds a value that is not a multiple of 2**-{t.frac}")
    return out


def _hardware() -> Any:
    from alkaid.trace import HWConfig

    return HWConfig(1, 1, -1)  # carry chains of any length; (1, -1, -1) breaks products of two variables


HARD_DC = -1
"""alkaid's limit on how much deeper than a balanced tree its adder trees may grow for the sake of sharing; -1: no
limit."""


def _objects(values: Any, shape: tuple[int, ...]) -> Variables:
    out = np.empty(len(values), object)
    out[:] = values
    return out.reshape(shape)


def _input(node: Node, parts: list[Variables], graph: Graph) -> Variables:
    from alkaid.trace.fixed_variable import FVariable

    op: Any = node.op
    size = int(np.prod(op.shape))
    formats = list(op.formats) if op.formats.width.ndim else [op.formats.single] * size
    step = 2.0 ** -bounds(graph)[node.name].frac
    made = [FVariable(f.lo * step, f.hi * step, step, hwconf=_hardware(), latency=0.0) for f in formats]
    return _objects(made, op.shape)


def _requant(node: Node, parts: list[Variables], graph: Graph) -> Variables:
    op: Any = node.op
    (a,) = parts
    each = [np.broadcast_to(z, a.shape).flat for z in (op.formats.signed, op.formats.width, op.formats.frac)]
    to = [Fixed(bool(s), int(w), int(f)) for s, w, f in zip(*each, strict=True)]
    return _objects([requant.fit(x, t, op.rounding, op.overflow) for x, t in zip(a.flat, to, strict=True)], a.shape)


def _table(node: Node, parts: list[Variables], graph: Graph) -> Variables:
    op: Any = node.op
    scale = 2.0 ** bounds(graph)[node.inputs[0]].frac

    def entries(values: NDArray[np.float64]) -> NDArray[np.float64]:
        codes = np.rint(values * scale).astype(np.int64) - op.first  # alkaid's interval may exceed the proved one
        return op.values[np.clip(codes, 0, len(op.values) - 1)] * 2.0**-op.frac

    return _objects([_looked_up(x, entries) for x in parts[0].flat], parts[0].shape)


def _looked_up(x: Any, f: Callable[[NDArray[np.float64]], NDArray[np.float64]]) -> Any:
    """A look-up of ``f`` at every point of the variable's interval."""
    from alkaid.trace.fixed_variable import LookupTable

    count = round((x.high - x.low) / x.step) + 1 if x.low < x.high else 1
    entries = f(x.low + x.step * np.arange(count) if count > 1 else np.array([x.low]))
    if (entries == entries[0]).all():
        return requant.constant(x, float(entries[0]))
    return x.lookup(LookupTable(entries[::-1] if x._factor < 0 else entries))


def _mul(node: Node, parts: list[Variables], graph: Graph) -> Variables:
    """Products; the square of a narrow variable is a look-up, which costs no DSP."""

    def product(x: Any, y: Any) -> Any:
        return _looked_up(x, np.square) if x is y and sum(x.kif) <= SQUARE_BITS else x * y

    return _pairwise(product)(node, parts, graph)


def _dot(a: Variables, w: Any, b: Any, wfrac: int, frac: int) -> Variables:
    """``a @ w + b`` on the last axis; the constants among ``a`` go into the bias."""
    rows = [_row(row, w * 2.0**-wfrac, b * 2.0**-frac) for row in a.reshape(-1, a.shape[-1])]
    return _objects([y for row in rows for y in row], (*a.shape[:-1], w.shape[1]))


def _row(x: Variables, w: NDArray[np.float64], b: NDArray[np.float64]) -> list[Any]:
    from alkaid.cmvm import cmvm_solve
    from alkaid.types import QInterval

    fixed = np.array([v.low == v.high for v in x])
    bias = b + np.array([v.low if f else 0.0 for v, f in zip(x, fixed, strict=True)]) @ w
    rows, columns = ~fixed & w.any(axis=1), w[~fixed].any(axis=0)
    made = [requant.constant(x[0], float(z)) for z in bias]
    if not columns.any():
        return made
    live = x[rows]
    first, second = cmvm_solve(
        np.ascontiguousarray(w[np.ix_(rows, columns)], np.float32),
        qintervals=[QInterval(float(v.low), float(v.high), float(v.step)) for v in live],
        latencies=[float(v.latency) for v in live],
        hard_dc=HARD_DC,
    )
    sums = second(first(live, quantize=False), quantize=False)
    for at, y in zip(np.flatnonzero(columns), sums, strict=True):
        made[at] = y + float(bias[at])
    return made


def _affine(node: Node, parts: list[Variables], graph: Graph) -> Variables:
    op: Any = node.op
    return _dot(parts[0], op.w, op.b, op.frac, bounds(graph)[node.name].frac)


def _zero_padded(a: Variables, padding: Any) -> Variables:
    z = np.asarray(pad(a, padding))
    zero = requant.constant(a.flat[0], 0.0)
    return _objects([v if isinstance(v, type(zero)) else zero for v in z.flat], z.shape)


def _conv(node: Node, parts: list[Variables], graph: Graph) -> Variables:
    op: Any = node.op
    z = windows(_zero_padded(parts[0], op.padding), op.w.shape[: op.w.ndim - 2], op.strides)
    z = z.reshape(*z.shape[:-2], -1)
    return _dot(z, op.w.reshape(-1, op.w.shape[-1]), op.b, op.frac, bounds(graph)[node.name].frac)


def _matmul(node: Node, parts: list[Variables], graph: Graph) -> Variables:
    a, b = parts
    return _tree(a[:, :, None] * b[None, :, :], 1, _add)


def _add(x: Any, y: Any) -> Any:
    return x + y


def _tree(values: Variables, axis: int, f: Callable[[Any, Any], Any]) -> Variables:
    """Fold one axis by a balanced tree."""
    z = np.moveaxis(values, axis, 0)
    while len(z) > 1:
        pairs = _objects(
            [f(x, y) for x, y in zip(z[0:-1:2].flat, z[1::2].flat, strict=True)], (len(z) // 2, *z.shape[1:])
        )
        z = np.concatenate([pairs, z[-1:]]) if len(z) % 2 else pairs
    return z[0]


def _pairwise(f: Callable[[Any, Any], Any]) -> Callable[[Node, list[Variables], Graph], Variables]:
    return lambda node, parts, graph: _objects(
        [f(x, y) for x, y in zip(*(p.flat for p in parts), strict=True)], parts[0].shape
    )


def _sum(node: Node, parts: list[Variables], graph: Graph) -> Variables:
    op: Any = node.op
    f: Callable[[Any, Any], Any] = (lambda x, y: x - y) if op.subtract else _add
    return _pairwise(f)(node, parts, graph)


def _reduce(node: Node, parts: list[Variables], graph: Graph) -> Variables:
    op: Any = node.op
    return np.atleast_1d(_tree(parts[0], op.axis, _add if op.how == "sum" else requant.larger)).reshape(
        bounds(graph)[node.name].shape
    )


def _pool(node: Node, parts: list[Variables], graph: Graph) -> Variables:
    op: Any = node.op
    return _tree(windows(parts[0], op.size, op.strides), -2, _add if op.how == "sum" else requant.larger)


def _relu(node: Node, parts: list[Variables], graph: Graph) -> Variables:
    return _objects([x.relu() if x.high > 0 else requant.constant(x, 0.0) for x in parts[0].flat], parts[0].shape)


Rule = Callable[[Any, list[Variables], Graph], Variables]

RULES: dict[type, Rule] = {
    ops.Input: _input,
    ops.Requant: _requant,
    ops.Table: _table,
    ops.Affine: _affine,
    ops.Conv: _conv,
    ops.MatMul: _matmul,
    ops.Mul: _mul,
    ops.Add: _sum,
    ops.Max: _pairwise(requant.larger),
    ops.Relu: _relu,
    ops.Reduce: _reduce,
    ops.Pool: _pool,
    ops.Concat: lambda n, parts, g: np.concatenate(parts, axis=n.op.axis),
    ops.Reshape: lambda n, parts, g: parts[0].reshape(n.op.shape),
    ops.Permute: lambda n, parts, g: parts[0].transpose(n.op.perm),
    ops.Take: lambda n, parts, g: parts[0][..., n.op.index],
}
