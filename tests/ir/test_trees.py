"""Trees as nodes: the graph is the trees, whatever they are, and the trees are read back from it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.ir.tree_graphs import PORTS, UNIFORM, forests, graph_of, random_inputs, random_trees, walked
from trigger_ml.errors import GraphError
from trigger_ml.fixed import Formats
from trigger_ml.ir import io, ops
from trigger_ml.ir.bounds import bounds
from trigger_ml.ir.build import Builder
from trigger_ml.ir.graph import Graph, Node
from trigger_ml.ir.interpret import interpret
from trigger_ml.ir.ops import integers
from trigger_ml.ir.trees import NODES, Trees, add_trees, read_trees
from trigger_ml.ir.verify import normal_form


@given(forests, st.integers(0, 10**6))
@settings(max_examples=60)
def test_the_graph_is_the_trees(trees: Trees, seed: int) -> None:
    x = random_inputs(seed, 40)
    expected = [walked(trees, event) for event in x]
    assert trees.score(x).tolist() == expected
    assert interpret(graph_of(trees), x)["score"][:, 0].tolist() == expected


@given(forests)
@settings(max_examples=60)
def test_the_trees_are_read_back(trees: Trees) -> None:
    found = read_trees(graph_of(trees))
    for name in ("feature", "threshold", "leaf"):
        assert np.array_equal(getattr(found, name), getattr(trees, name)), name
    assert (found.base, found.frac) == (trees.base, trees.frac)


@given(forests)
@settings(max_examples=30)
def test_every_requant_is_in_normal_form_and_every_place_has_its_own_slots(trees: Trees) -> None:
    graph = graph_of(trees)
    assert normal_form(graph) == []
    slot = bounds(graph)["slot"]
    assert (slot.hi[:-1] < slot.lo[1:]).all()


def test_a_threshold_is_exact_on_both_of_its_sides() -> None:
    trees = Trees(integers([[0]]), integers([[7]]), integers([[-1, 1]]), 0, 0)
    x = np.zeros((4, 5), np.int64)
    x[:, 0] = [6, 7, 8, 63]
    assert interpret(graph_of(trees), x)["score"][:, 0].tolist() == [-1, -1, 1, 1]


def test_a_comparison_that_occurs_twice_is_made_once() -> None:
    trees = Trees(integers([[0, 1, 1]] * 3), integers([[7, 2, 2]] * 3), integers([[1, 2, 3, 4]] * 3), 0, 0)
    assert bounds(graph_of(trees))["compare"].shape == (2,)


def test_inputs_may_have_a_fraction() -> None:
    trees = Trees(integers([[0]]), integers([[7]]), integers([[-1, 1]]), 0, 3)
    b = Builder()
    graph = b.graph(add_trees(b, b.input((1,), UNIFORM, name="x"), trees))
    assert interpret(graph, np.array([[7], [8]]))["score"].tolist() == [[-1], [1]]
    assert read_trees(graph).threshold.tolist() == [[7]]


def test_a_graph_and_its_file_hold_the_same_trees(tmp_path) -> None:
    trees = random_trees(3, 4, 4)
    io.save(graph_of(trees), tmp_path)
    assert np.array_equal(read_trees(io.load(tmp_path)).leaf, trees.leaf)


@pytest.mark.parametrize(
    ("feature", "threshold", "leaf", "sentence"),
    [
        ([[0, 0]], [[1, 1]], [[1, 2, 3]], "a tree of depth d has 2\\*\\*d - 1 of the former"),
        ([[0]], [[1, 1]], [[1, 2]], "a tree of depth d"),
        ([[0]], [[1]], [[1, 2, 3, 4]], "a tree of depth d"),
        ([[0] * 127], [[0] * 127], [[0] * 128], "the trees have depth 7: it may be 1 to 6"),
    ],
)
def test_what_is_no_tree_is_refused(feature, threshold, leaf, sentence) -> None:
    with pytest.raises(GraphError, match=sentence):
        Trees(integers(feature), integers(threshold), integers(leaf), 0, 0)


def test_trees_without_a_comparison_are_refused() -> None:
    with pytest.raises(GraphError, match="no tree compares anything"):
        graph_of(Trees(integers([[-1]]), integers([[0]]), integers([[1, 2]]), 0, 0))


def changed(graph: Graph, name: str, op: ops.Op) -> Graph:
    nodes = tuple(Node(n.name, op, n.inputs) if n.name == name else n for n in graph.nodes)
    return replace(graph, nodes=nodes)


@pytest.mark.parametrize("name", [n for n in NODES if n != "slot"])
def test_a_node_that_trees_would_not_give_is_refused(name: str) -> None:
    """Unless other trees give it: a threshold or a leaf may be any."""
    graph = graph_of(random_trees(1, 3, 4))
    op = graph.by_name[name].op
    match op:
        case ops.Affine():
            w = op.w.copy()
            w[0, 0] += 2
            op = replace(op, w=integers(w))
        case ops.Table():
            op = replace(op, values=integers(np.where(np.arange(len(op.values)) == 0, 1, op.values)))
        case ops.Requant():
            op = replace(op, rounding=op.rounding.RND)
    with pytest.raises(GraphError, match="the graph holds no trees"):
        read_trees(changed(graph, name, op))


def test_another_graph_holds_no_trees() -> None:
    b = Builder()
    x = b.input((5,), Formats.of(PORTS.signed, PORTS.width, 0), name="x")
    graph = b.graph(b.affine(x, np.ones((5, 1), np.int64), [0], 0, name="score"))
    with pytest.raises(GraphError, match="the graph holds no trees"):
        read_trees(graph)
