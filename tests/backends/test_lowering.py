"""The lowering to alkaid equals the golden interpreter: each rounding and overflow, exhaustively, and random graphs."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.backends.rtl_graphs import chain, score
from tests.ir.tree_graphs import graph_of, random_inputs, random_trees
from trigger_ml.backends.rtl import lowering
from trigger_ml.backends.rtl.lowering import interpret_alkaid, lower, odd_part
from trigger_ml.backends.rtl.netlist import Cell, Netlist, netlist, wiring
from trigger_ml.backends.rtl.schedule import cell_delay
from trigger_ml.errors import GraphError, Unsupported
from trigger_ml.fixed import Fixed, Formats, Overflow, Rounding
from trigger_ml.fuzz import random_events, random_graph
from trigger_ml.ir import ops
from trigger_ml.ir.build import Builder
from trigger_ml.ir.graph import Graph
from trigger_ml.ir.interpret import interpret
from trigger_ml.ir.trees import Trees

pytestmark = pytest.mark.needs_rtl


def same(graph: Graph, events: object) -> bool:
    golden, found = interpret(graph, events), interpret_alkaid(graph, events)
    return all(np.array_equal(golden[o], found[o]) for o in graph.outputs)


def every_value(signed: bool, width: int) -> np.ndarray:
    low = -(1 << (width - 1)) if signed else 0
    return np.arange(low, low + (1 << width))[:, None]


@given(
    signed=st.booleans(),
    width=st.integers(1, 8),
    frac=st.integers(-3, 6),
    to=st.builds(Fixed, st.booleans(), st.integers(0, 9), st.integers(-5, 9)),
    rounding=st.sampled_from(Rounding),
    overflow=st.sampled_from(Overflow),
    offset=st.integers(-70, 70),
)
@settings(max_examples=400)
def test_requant_is_exact_for_every_value_of_every_format(signed, width, frac, to, rounding, overflow, offset):
    b = Builder()
    x = b.input((1,), Fixed(signed, width, frac))
    shifted = b.affine(x, [[3]], [offset], 0)  # an interval that is not a power of two, on both sides of zero or not
    try:
        graph = b.graph(b.requant(shifted, to, rounding, overflow))
    except GraphError:  # beyond 62 bits
        return
    assert same(graph, every_value(signed, width))


@pytest.mark.parametrize("seed", range(60))
def test_random_graphs(seed):
    assert _same_or_too_wide(seed, 300)


@pytest.mark.slow
def test_two_hundred_and_fifty_random_graphs_and_none_refused_but_wide_ones():
    for seed in range(250):
        assert _same_or_too_wide(seed, 2000), seed


def _same_or_too_wide(seed, events):
    """Whether a random graph is the same; only one with a port that is wide by intent may be refused."""
    graph = random_graph(seed)
    try:
        return same(graph, random_events(graph, events, seed))
    except Unsupported as refused:
        return "node 'wide" in str(refused) and "is exact to 40" in str(refused)


def test_a_maximum_whose_sign_is_known_through_correlation():
    b = Builder()
    x = b.input((4,), Fixed(True, 6, 2))
    low = b.requant(x, Fixed(True, 4, 0), "TRN", "WRAP")
    above = b.add(ops.Add(), low, b.add(ops.Relu(), x))
    assert same(b.graph(b.add(ops.Max(), above, low)), np.random.default_rng(0).integers(-32, 32, (500, 4)))


def test_dead_inputs_and_a_graph_that_is_a_constant():
    b = Builder()
    x = b.input((3,), Formats.of(0, [0, 0, 0], 2))
    graph = b.graph(b.affine(x, [[1], [2], [3]], [-19], 1))
    assert interpret_alkaid(graph, np.zeros((4, 3), int))["affine"].tolist() == [[-19]] * 4


def test_a_constant_wraps_into_an_unsigned_format():
    b = Builder()
    x = b.input((1,), Formats.of(0, [0], 0))
    graph = b.graph(b.requant(b.affine(x, [[0]], [-19], 0), Fixed(False, 3, 0), "TRN", "WRAP"))
    assert same(graph, np.zeros((1, 1), int))


@pytest.mark.parametrize(
    ("graph", "sentence"),
    [
        (
            lambda b, x: b.affine(x, [[(1 << 25) + 1]] * 4, [0], 3, name="wide"),
            "node 'wide' has a constant of more than 24 significant bits",
        ),
        (
            lambda b, x: b.table(b.affine(x, [[127]] * 4, [0], 0), np.arange(-40000, 40000), -40000, 0, name="long"),
            "table 'long' is indexed by more than 14 bits",
        ),
        (
            lambda b, x: b.affine(b.affine(x, [[1 << 24]] * 4, [0], 0), [[1 << 20]], [0], 0, name="deep"),
            "node 'deep' may reach 53 bits",
        ),
    ],
)
def test_what_alkaid_would_round_is_refused(graph, sentence):
    b = Builder()
    x = b.input((4,), Fixed(True, 7, 0))
    g = b.graph(graph(b, x))
    with pytest.raises(Unsupported, match=sentence):
        lowering.check(g)
    with pytest.raises(Unsupported, match=sentence):
        lower(g)


def test_weights_of_24_bits_are_exact():
    b = Builder()
    x = b.input((3,), Fixed(True, 8, 0))
    w = np.array([[(1 << 24) - 1], [-(1 << 23) - 5], [12_345_677]])
    assert same(b.graph(b.affine(x, w, [99], 5)), np.random.default_rng(0).integers(-128, 128, (2000, 3)))


def test_odd_parts():
    assert odd_part(np.array([0, 1 << 40, -6, 7])).tolist() == [0, 1, 3, 7]


@pytest.mark.parametrize("graph", [chain(), score()])
def test_tracing_twice_gives_the_same_cells(graph):
    lower.cache_clear()
    first = netlist(lower(graph))
    lower.cache_clear()
    second = netlist(lower(graph))
    key = [(c.kind, c.to, c.args, c.shifts, c.minus, c.constant, c.frac, c.table) for c in first.cells]
    assert key == [(c.kind, c.to, c.args, c.shifts, c.minus, c.constant, c.frac, c.table) for c in second.cells]
    assert first.outputs == second.outputs


def test_a_narrow_square_needs_no_multiplier():
    kinds = [c.kind for c in netlist(lower(score())).cells]
    assert kinds.count("product") == 2  # by the inverse width; the squares are look-ups


def comparisons() -> Graph:
    """Two trees of seven features each: comparisons, their bits side by side, tables with slots of their own."""
    feature, leaf = np.arange(14).reshape(2, 7), np.arange(16).reshape(2, 8) ** 2
    trees = Trees(ops.integers(feature), ops.integers(feature + 20), ops.integers(leaf), 0, 0)
    return graph_of(trees, Formats.uniform(Fixed(False, 6, 0)), 14)


def test_a_comparison_is_the_sign_of_a_difference_and_bits_side_by_side_take_no_time():
    net = netlist(lower(comparisons()))
    assert not {"relu", "any", "all"} & {cell.kind for cell in net.cells}
    wired = [cell for cell in net.cells if wiring(net, cell) and len(cell.args) + (cell.constant != 0) > 1]
    assert len(wired) >= 2 * 6  # seven bits a tree
    assert {cell_delay(net, cell) for cell in wired} == {0.0}


@pytest.mark.parametrize("depth", [1, 2, 3, 4, 5, 6])
def test_trees_of_every_depth(depth):
    assert same(graph_of(random_trees(9, 2, depth)), random_inputs(1, 500))


def test_operands_with_a_bit_in_common_or_a_sign_are_added():
    narrow, signed = Fixed(False, 2, 0), Fixed(True, 2, 0)

    def wired(shift: int, constant: int = 0, minus: bool = False, of: Fixed = narrow) -> bool:
        cells = (Cell("input", narrow), Cell("input", of, constant=1))
        cell = Cell("sum", Fixed(False, 9, 0), (0, 1), (0, shift), (False, minus), constant=constant)
        return wiring(Netlist((*cells, cell), ((2, 0),), (), 0.0), cell)

    assert [wired(shift) for shift in (-1, 0, 1, 2, 3)] == [False, False, False, True, True]
    assert [wired(2, constant) for constant in (16, 48, 8, 1, -16)] == [True, True, False, False, False]
    assert not wired(2, minus=True)
    assert not wired(2, of=signed)
