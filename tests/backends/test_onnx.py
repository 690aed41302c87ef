"""The ONNX engine equals the golden interpreter, bit for bit, in both of its models and at every optimisation level."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from trigger_ml import bench
from trigger_ml.errors import Mismatch, Unsupported
from trigger_ml.fixed import Fixed, Formats, Overflow, Rounding
from trigger_ml.fuzz import random_events, random_graph
from trigger_ml.ir import ops
from trigger_ml.ir.bounds import bounds
from trigger_ml.ir.build import Builder
from trigger_ml.ir.graph import Graph
from trigger_ml.ir.interpret import evaluate, interpret
from trigger_ml.spec import Target

onnx_engine = pytest.importorskip("trigger_ml.backends.onnx")
onnxruntime = pytest.importorskip("onnxruntime")
reach = onnx_engine.reach


def differing(graph: Graph, folder: Path, count: int, seed: int) -> int:
    feed = random_events(graph, count, seed)
    golden = interpret(graph, feed)
    got = onnx_engine.simulate(folder, graph, feed)
    return sum(int((got[o] != golden[o]).sum()) for o in graph.outputs)


@pytest.mark.parametrize("seed", range(60))
def test_random_graphs_have_no_differing_event(seed: int, tmp_path: Path) -> None:
    g = random_graph(seed)
    try:
        onnx_engine.check(g, Target())
    except Unsupported:
        assert max(t.peak for t in bounds(g).values()) >= 1 << 52
        return
    onnx_engine.build(g, tmp_path / "onnx", Target())
    assert differing(g, tmp_path / "onnx", 2000, seed) == 0


@pytest.mark.parametrize("level", ["ORT_DISABLE_ALL", "ORT_ENABLE_BASIC", "ORT_ENABLE_ALL"])
def test_integer_ports_and_optimisation_levels_agree(level: str, tmp_path: Path) -> None:
    for seed in range(8):
        g = random_graph(seed)
        onnx_engine.build(g, tmp_path / str(seed), Target())
        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = getattr(onnxruntime.GraphOptimizationLevel, level)
        path = str(tmp_path / str(seed) / onnx_engine.INT_MODEL)
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        feed = random_events(g, 300, seed)
        kinds = {i.name: np.int32 if "int32" in i.type else np.int64 for i in session.get_inputs()}
        got = session.run(list(g.outputs), {k: v.astype(kinds[k]) for k, v in feed.items()})
        for name, y in zip(g.outputs, got, strict=True):
            assert np.array_equal(y, interpret(g, feed)[name])


@pytest.mark.parametrize("bits", [20, 21, 22, 23])
@pytest.mark.parametrize("mode", list(Rounding))
def test_rounding_next_to_the_end_of_float32(bits: int, mode: Rounding, tmp_path: Path) -> None:
    """Elements that round beside elements that don't: what is added for the first must not cost the second a bit."""
    b = Builder()
    x = b.input((3,), Fixed(True, bits, 4))
    y = b.requant(x, Formats.of(1, [bits, bits - 1, 8], [4, 3, 0]), mode, "SAT", name="plain")
    z = b.requant(b.affine(x, np.eye(3, dtype=int) * [1, 1, 2], [1, 0, 3], 0), Formats.of(1, [bits, 9, 8], [4, 3, 1]),
                  mode, "SAT", name="folded")  # fmt: skip
    g = b.graph(y, z)
    onnx_engine.build(g, tmp_path / "onnx", Target())
    top = 1 << (bits - 1)
    ends = np.concatenate([np.arange(-top, -top + 70), np.arange(-70, 70), np.arange(top - 70, top)])
    feed = {"input": np.stack([ends, ends[::-1], np.roll(ends, 5)], axis=1)}
    golden, got = interpret(g, feed), onnx_engine.simulate(tmp_path / "onnx", g, feed)
    assert all(np.array_equal(got[o], golden[o]) for o in g.outputs)


@pytest.mark.parametrize("bits", [24, 53])
@pytest.mark.parametrize("overflow", list(Overflow))
@pytest.mark.parametrize("mode", list(Rounding))
def test_rounding_beside_whole_numbers_that_have_no_half(
    mode: Rounding, overflow: Overflow, bits: int, tmp_path: Path
) -> None:
    """Beyond 2**23 (float32) or 2**52 (float64) x + 0.5 is no float: elements there that are whole stay so."""
    b = Builder()
    x, more = b.input((2,), Fixed(True, bits, 1)), b.input((2,), Fixed(False, bits - 2, 1))
    width = bits - 4 if overflow is Overflow.WRAP else bits + 1
    formats = Formats.of(1, [width - 1, width], [0, 1])
    y = b.requant(b.add(ops.Add(), x, more), formats, mode, overflow, name="plain")
    z = b.requant(b.affine(x, np.eye(2), [1 << (bits - 2)] * 2, 0), formats, mode, overflow, name="folded")
    g = b.graph(y, z)
    assert [reach(g, g.by_name[name]).bit_length() for name in ("plain", "folded")] == [bits, bits]
    onnx_engine.build(g, tmp_path / "onnx", Target())
    assert differing(g, tmp_path / "onnx", 500, 5) == 0


def test_every_node_can_be_asked_for(tmp_path: Path) -> None:
    """Tensors that the model holds on other grids come out as the graph's integers."""
    for seed in range(8):
        g = random_graph(seed)
        onnx_engine.build(g, tmp_path / str(seed), Target())
        feed = random_events(g, 50, seed)
        want, got = evaluate(g, feed), onnx_engine.probe(tmp_path / str(seed), g, feed)
        assert set(got) == {n.name for n in g.nodes if n not in g.inputs}
        assert all(np.array_equal(got[name], want[name]) for name in got)


@pytest.mark.parametrize("names", [("c0", "t0"), ("c1", "t1"), ("c2", "t2"), ("t3", "c3")])
def test_ports_may_be_named_as_anything_inside(names: tuple[str, str], tmp_path: Path) -> None:
    """A constant of a port's name would be that port's default, silently."""
    b = Builder()
    x, y = (b.input((2,), Fixed(True, 8, 2), name) for name in names)
    z = b.requant(b.affine(b.add(ops.Add(), x, y), [[1, 2], [3, -4]], [5, 6], 0), Fixed(True, 6, 0), "RND", "SAT")
    g = b.graph(z)
    onnx_engine.build(g, tmp_path / "onnx", Target())
    assert differing(g, tmp_path / "onnx", 200, 1) == 0
    for file in (onnx_engine.INT_MODEL, onnx_engine.FLOAT_MODEL):
        session = onnx_engine.open_session(tmp_path / "onnx" / file)
        assert [i.name for i in session.get_inputs()] == list(names)
        assert not session.get_overridable_initializers()


def test_no_constant_is_left_unused() -> None:
    """ONNX Runtime warned of one at every start."""
    from trigger_ml.backends.onnx_graph.model import model as written

    onnx = pytest.importorskip("onnx")
    graphs = [random_graph(seed) for seed in range(20)] + [make() for make in bench.OWN.values()]
    for graph in graphs:
        model = onnx.load_from_string(written(graph, integer_input=False).content)
        used = {name for node in model.graph.node for name in node.input}
        assert {t.name for t in model.graph.initializer} <= used


def test_beyond_float64_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    b = Builder()
    x = b.input((2,), Fixed(True, 40, 0))
    g = b.graph(b.affine(x, [[1 << 14], [1]], [0], 0))
    with pytest.raises(Unsupported, match="'affine' may reach 5"):
        onnx_engine.build(g, tmp_path / "onnx", Target())
    assert not (tmp_path / "onnx").exists()


def test_a_model_of_another_graph_is_refused(tmp_path: Path) -> None:
    onnx_engine.build(random_graph(1), tmp_path / "onnx", Target())
    g = random_graph(2)
    with pytest.raises(Mismatch, match="build it again"):
        onnx_engine.simulate(tmp_path / "onnx", g, random_events(g, 5, 0))


def test_two_builds_give_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        onnx_engine.build(random_graph(5), tmp_path / name, Target())
    for file in (onnx_engine.INT_MODEL, onnx_engine.FLOAT_MODEL):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()
