"""The gate finds every fault put into an engine, shrinks the event and names the node."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from trigger_ml.fixed import Fixed, Rounding
from trigger_ml.fuzz import random_graph
from trigger_ml.ir import ops
from trigger_ml.ir.bounds import bounds
from trigger_ml.ir.build import Builder
from trigger_ml.ir.graph import Graph
from trigger_ml.ir.interpret import interpret
from trigger_ml.spec import Target
from trigger_ml.validate import Agreement, Engine, compare, engine, shrink, vectors

onnx = pytest.importorskip("onnx")


def small() -> Graph:
    """A dense layer, a squaring table and a sum: a score of four inputs."""
    rng = np.random.default_rng(5)
    b = Builder()
    x = b.input((4,), Fixed(True, 8, 2), "x")
    h = b.requant(
        b.affine(x, rng.integers(-7, 8, (4, 3)), rng.integers(-9, 9, 3), 3, "dense"),
        Fixed(True, 6, 2),
        "RND",
        "SAT",
        "act",
    )
    return b.graph(b.reduce(b.table(h, np.arange(-32, 32) ** 2, -32, 4, "square"), "sum", 0, "score"))


def test_vectors_hold_corners_data_and_random_events() -> None:
    g = small()
    data = np.full((100, 4), 7)
    feed = vectors(g, data, 1000, 1)["x"]
    assert len(feed) == 1000
    assert (feed == 7).all(axis=1).sum() >= 100
    for corner in (-128, 127, 0):
        assert (feed == corner).all(axis=1).any()
    assert np.array_equal(feed, vectors(g, data, 1000, 1)["x"])
    assert not np.array_equal(feed, vectors(g, data, 1000, 2)["x"])
    assert (vectors(g, data, 50, 1)["x"] != 7).any(axis=1).sum() >= 10


def test_vectors_of_random_graphs_reach_their_corners() -> None:
    for seed in range(10):
        g = random_graph(seed)
        for name, x in vectors(g, None, 400, seed).items():
            t = bounds(g)[name]
            assert (x.min(axis=0) == t.lo).all()
            assert (x.max(axis=0) == t.hi).all()


def test_shrinking_finds_the_one_element_that_matters() -> None:
    g = small()

    def faulty(feed: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        return {"score": interpret(g, feed)["score"] + (feed["x"][:, [2]] > 20)}

    one = {"x": np.array([[100, -77, 93, 5]])}
    assert shrink(g, faulty, one)["x"].tolist() == [[0, 0, 21, 0]]
    found = compare(g, Engine("faulty", faulty), vectors(g, None, 200, 0))
    assert not found.exact
    assert found.difference is not None
    assert found.difference.inputs == {"x": {"2": 21}}


def test_a_fault_between_events_is_called_one() -> None:
    g = small()

    def leaky(feed: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        right = interpret(g, feed)["score"]
        return {"score": np.where(np.arange(len(right))[:, None] > 0, np.roll(right, 1, axis=0), right)}

    found = compare(g, Engine("leaky", leaky), vectors(g, None, 200, 0))
    assert found.difference is not None
    assert "pipeline register" in found.difference.remark


def weight(model: onnx.ModelProto) -> None:
    _change(model, lambda a: a.ndim == 2)


def table_entry(model: onnx.ModelProto) -> None:
    _change(model, lambda a: a.shape == (64,))


def _change(model: onnx.ModelProto, wanted: Callable[[np.ndarray], bool]) -> None:
    for t in model.graph.initializer:
        a = onnx.numpy_helper.to_array(t).copy()
        if wanted(a):
            a.flat[a.size // 2 + 1] += 1
            t.CopyFrom(onnx.numpy_helper.from_array(a, t.name))
            return
    raise LookupError


def rounding(model: onnx.ModelProto) -> None:
    next(n for n in model.graph.node if n.op_type == "Round").op_type = "Floor"


@pytest.mark.parametrize(("fault", "node"), [(weight, "dense"), (table_entry, "square"), (rounding, "act")])
def test_a_fault_in_the_onnx_file_is_found_and_its_node_named(
    fault: Callable[[onnx.ModelProto], None], node: str, tmp_path: Path
) -> None:
    from trigger_ml.backends import onnx as backend

    g = small()
    backend.build(g, tmp_path / "onnx", Target())
    feed = vectors(g, None, 2000, 0)

    def gate() -> Agreement:
        return compare(g, engine("onnx", backend, tmp_path / "onnx", g, Target()), feed)

    assert gate().exact
    path = tmp_path / "onnx" / backend.FLOAT_MODEL
    model = onnx.load(path)
    fault(model)
    path.write_bytes(model.SerializeToString())
    found = gate()
    assert found.mismatches > 0
    assert found.difference is not None
    assert found.difference.node == node


def test_the_first_wrong_node_of_a_wrongly_built_engine_is_named(tmp_path: Path) -> None:
    """An engine that realises TRN as RND: found by building it again with every node as an output."""

    class Wrong:
        @staticmethod
        def check(graph: Graph, target: Target) -> None:
            pass

        @staticmethod
        def build(graph: Graph, folder: Path, target: Target) -> None:
            pass

        @staticmethod
        def simulate(folder: Path, graph: Graph, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
            from dataclasses import replace

            nodes = tuple(
                replace(n, op=replace(n.op, rounding=Rounding.TRN)) if isinstance(n.op, ops.Requant) else n
                for n in graph.nodes
            )
            return interpret(replace(graph, nodes=nodes), inputs)

    g = small()
    found = compare(g, engine("wrong", Wrong(), tmp_path, g, Target()), vectors(g, None, 500, 0))
    assert found.difference is not None
    assert found.difference.node == "act"
