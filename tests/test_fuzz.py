"""The fuzzer draws legal graphs that reach everything the integer graph can say, and notices a wrong engine."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from trigger_ml import plugins
from trigger_ml.errors import Mismatch, Unsupported
from trigger_ml.fixed import Overflow, Rounding
from trigger_ml.fuzz.__main__ import main
from trigger_ml.fuzz.graphs import Feed, random_events, random_graph, with_wide
from trigger_ml.fuzz.playing import play
from trigger_ml.ir import ops
from trigger_ml.ir.bounds import bounds
from trigger_ml.ir.graph import Graph
from trigger_ml.ir.interpret import interpret
from trigger_ml.ir.io import digest
from trigger_ml.ir.verify import verify
from trigger_ml.spec import Target

GRAPHS = [random_graph(seed) for seed in range(120)]


def nodes(kind: type) -> list[ops.Op]:
    return [n.op for g in GRAPHS for n in g.nodes if isinstance(n.op, kind)]


def test_graphs_are_legal_and_every_node_is_needed() -> None:
    for graph in GRAPHS:
        verify(graph)
        assert all(n.name in graph.outputs or graph.consumers(n.name) for n in graph.nodes)


def test_a_seed_names_one_graph_and_its_events() -> None:
    assert digest(random_graph(7)) == digest(GRAPHS[7]) != digest(GRAPHS[8])
    first, again = (random_events(GRAPHS[7], 50, 3) for _ in range(2))
    assert all(np.array_equal(first[name], again[name]) for name in first)


def test_graphs_reach_every_operation_mode_and_shape() -> None:
    assert {type(n.op) for g in GRAPHS for n in g.nodes} == set(ops.BY_NAME.values())
    requants = nodes(ops.Requant)
    assert {q.rounding for q in requants} == set(Rounding)
    assert {q.overflow for q in requants} == set(Overflow)
    assert any(q.formats.single is None for q in requants)
    assert any((q.formats.width == 0).any() and (q.formats.width > 0).any() for q in requants)
    assert {len(t.shape) for g in GRAPHS for t in bounds(g).values()} >= {1, 2, 3}
    assert any(np.any(c.padding) and c.w.ndim == 4 for c in nodes(ops.Conv))
    assert any(len(g.inputs) == 2 for g in GRAPHS)
    assert any(g.consumers(o) for g in GRAPHS for o in g.outputs)


def test_some_graphs_round_elements_beside_whole_ones_at_the_end_of_float32() -> None:
    found, plain = set(), random_graph(3, 1)
    assert any(g.by_name.get("wide") for g in GRAPHS)
    for graph in (with_wide(plain, np.random.default_rng(seed)) for seed in range(200)):
        known = bounds(graph)
        for op, t in ((n.op, known[n.inputs[0]]) for n in graph.nodes if isinstance(n.op, ops.Requant)):
            size = np.maximum(np.abs(t.lo), np.abs(t.hi))
            rounds = np.broadcast_to(op.formats.frac < t.frac, t.shape)
            if rounds.any() and known[graph.outputs[-1]].peak < 1 << 24 and (~rounds & (size > 1 << 23)).any():
                found.add(op.rounding)
    assert found == set(Rounding)


def test_some_graphs_need_one_bit_more_than_a_format_has() -> None:
    widest = (with_wide(random_graph(3, 1), np.random.default_rng(seed)) for seed in range(60))
    assert {t.fixed.width for g in widest for t in bounds(g).values()} >= {24, 25, 53, 62, 63}


def test_most_outputs_are_not_constant() -> None:
    constant = []
    for seed, graph in enumerate(GRAPHS):
        y = interpret(graph, random_events(graph, 200, seed))
        constant += [bool((v == v[0]).all()) for v in y.values()]
    assert np.mean(constant) < 0.25


def test_events_are_in_range_and_touch_the_corners() -> None:
    for seed, graph in enumerate(GRAPHS[:20]):
        known = bounds(graph)
        for name, x in random_events(graph, 400, seed).items():
            lo, hi = known[name].lo.astype(int), known[name].hi.astype(int)
            assert (x >= lo).all()
            assert (x <= hi).all()
            for corner in (lo, hi, np.clip(0, lo, hi)):
                assert (x == corner).reshape(len(x), -1).all(axis=1).any()


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """An engine that is the golden interpreter, to be broken by a test."""
    module = ModuleType("engine")
    module.check = lambda graph, target: None
    module.build = lambda graph, folder, target: None
    module.simulate = lambda folder, graph, feed: interpret(graph, feed)
    monkeypatch.setattr(plugins, "find", lambda kind, name: module)
    return module


def test_a_single_wrong_bit_is_a_failure(engine: ModuleType, tmp_path: Path) -> None:
    assert play("engine", 3, 10, 100, tmp_path, Target()) is None

    def wrong(folder: Path, graph: Graph, feed: Feed) -> Feed:
        y = interpret(graph, feed)
        y[graph.outputs[0]][41].flat[0] ^= 1
        return y

    engine.simulate = wrong
    with pytest.raises(Mismatch, match="engine, seed 3: 1 of 100 events differ, the first is 41"):
        play("engine", 3, 10, 100, tmp_path, Target())
    assert main(["--engine", "engine", "--count", "2", "--events", "50"]) == 1


def test_more_than_one_refusal_in_ten_is_a_failure(engine: ModuleType) -> None:
    arguments = ["--engine", "engine", "--count", "20", "--events", "10", "--size", "3"]
    assert main(arguments) == 0
    asked = []

    def refuse(graph: Graph, target: Target) -> None:
        asked.append(graph)
        if len(asked) in refused:
            raise Unsupported("because")

    engine.check = refuse
    refused = {4, 9}
    assert main(arguments) == 0
    asked.clear()
    refused = {4, 9, 10}
    assert main(arguments) == 1


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        (["--count", "0"], "--count is 0: give at least 1"),
        (["--events", "0"], "--events is 0: give at least 1"),
        (["--failures", "-1"], "--failures is -1: give at least 1"),
        (["--engine", "nothing"], "nothing"),
        (["--engine", "onnx", "--io-type", "io_stream"], "--io-type: only hls4ml has it, not onnx: take it out"),
    ],
)
def test_what_would_play_nothing_or_something_else_is_refused(
    asked: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as left:
        main(asked)
    assert left.value.code == 2
    said = capsys.readouterr()
    assert sentence in said.err
    assert "seed 0" not in said.out
