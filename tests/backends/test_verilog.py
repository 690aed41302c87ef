"""The Verilog equals the golden interpreter in two simulators, and the simulations find what is wrong in it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

from tests.backends.rtl_graphs import chain, found, mutate, score
from tests.ir.tree_graphs import graph_of, random_inputs, random_trees
from trigger_ml import tools
from trigger_ml.artifact import digest_path
from trigger_ml.backends import verilog
from trigger_ml.backends.rtl import text_simulators, verilator
from trigger_ml.backends.rtl.text_simulators import icarus
from trigger_ml.errors import ArtifactError, Mismatch, ToolFailed, ToolMissing, Unsupported
from trigger_ml.fixed import Fixed
from trigger_ml.fuzz import random_events, random_graph
from trigger_ml.ir.build import Builder
from trigger_ml.ir.interpret import interpret
from trigger_ml.ir.io import digest
from trigger_ml.spec import Target

pytestmark = [pytest.mark.needs_rtl, pytest.mark.needs_icarus]

SHORT = Target(cut_ns=3.0)


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("rtl") / "chain"
    verilog.build(chain(), folder, SHORT)
    return folder


@pytest.mark.parametrize("seed", range(10))
def test_random_graphs_in_icarus(seed, tmp_path):
    graph = random_graph(seed)
    events = random_events(graph, 100, seed)
    verilog.build(graph, tmp_path / "p", Target(clock_ns=[2.5, 5.0][seed % 2]))
    answers, golden = icarus(tmp_path / "p", graph, events).outputs, interpret(graph, events)
    assert all(np.array_equal(answers[o], golden[o]) for o in graph.outputs)


@pytest.mark.parametrize("depth", [3, 4])
def test_trees(depth, tmp_path):
    """Bits side by side, comparisons, and a table with a constant before it."""
    graph, events = graph_of(random_trees(1, 3, depth)), {"x": random_inputs(2, 100)}
    verilog.build(graph, tmp_path / "p", Target())
    assert np.array_equal(icarus(tmp_path / "p", graph, events).outputs["score"], interpret(graph, events)["score"])


LESS_OFTEN = [pytest.param(t, marks=pytest.mark.slow) for t in (SHORT, Target(clock_ns=25))]


@pytest.mark.parametrize("target", [Target(), *LESS_OFTEN])
def test_one_event_a_clock_in_verilator(target, tmp_path):
    graph = score()
    events = random_events(graph, 20_000, 1)
    verilog.build(graph, tmp_path / "p", target)
    measured, golden = verilator.measure(tmp_path / "p", graph, events), interpret(graph, events)
    assert np.array_equal(measured.outputs["score"], golden["score"])
    assert np.array_equal(measured.outputs["decision"], golden["decision"])
    assert len(np.unique(golden["decision"])) == 2
    assert measured.initiation_interval == 1
    said = json.loads((tmp_path / "p" / "ports.json").read_text())["latency_cycles"]
    assert measured.latency_cycles == said
    assert np.array_equal(verilog.simulate(tmp_path / "p", graph, events)["score"], golden["score"])


def test_the_simulators_measure_the_same_latency(built):
    graph = chain()
    events = random_events(graph, 60, 2)
    slow, fast = icarus(built, graph, events), verilator.measure(built, graph, events)
    assert slow.latency_cycles == fast.latency_cycles > 2
    assert np.array_equal(slow.outputs["signal"], fast.outputs["signal"])


def first(pattern: str, text: str) -> re.Match[str]:
    match = re.search(pattern, text)
    assert match
    return match


def wrong_weight(text: str) -> tuple[str, str]:
    m = first(r"<<< (\d+)\)", text)
    return m[0], f"<<< {int(m[1]) + 1})"


def wrong_sign(text: str) -> tuple[str, str]:
    m = first(r"t\d+ = [^;\n]* \+ [^;\n]*;", text)
    return m[0], m[0].replace(" + ", " - ", 1)


def wrong_bias(text: str) -> tuple[str, str]:
    m = first(r"([+-]) (\d+)'sd(\d+);", text)
    return m[0], f"{m[1]} {m[2]}'sd{int(m[3]) ^ 1};"


def one_register_less(text: str) -> tuple[str, str]:
    m = first(r"reg signed (\[\d+:0\]) (v\d+_s\d+); always @\(posedge clk\) \2 <= (\w+);", text)
    return m[0], f"wire signed {m[1]} {m[2]} = {m[3]};"


def one_register_more(text: str) -> tuple[str, str]:
    m = first(r"reg signed (\[\d+:0\]) (v\d+_s\d+); always @\(posedge clk\) \2 <= (\w+);", text)
    return m[0], f"reg signed {m[1]} e, {m[2]}; always @(posedge clk) begin e <= {m[3]}; {m[2]} <= e; end"


def wrong_truncation(text: str) -> tuple[str, str]:
    m = first(r"v\d+ = \{(1'b0, )?t(\d+)\[(\d+):([1-9]\d*)\]", text)
    old = f"t{m[2]}[{m[3]}:{m[4]}]"
    return old, f"t{m[2]}[{int(m[3]) - 1}:{int(m[4]) - 1}]"


FAULTS = [wrong_weight, wrong_sign, wrong_bias, one_register_less, one_register_more, wrong_truncation]


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_found(fault, tmp_path):
    graph = chain()
    verilog.build(graph, tmp_path / "p", SHORT)
    source = tmp_path / "p" / "rtl" / "module_network.v"
    events = random_events(graph, 200, 3)
    assert not found(icarus, tmp_path / "p", graph, events)
    mutate(source, *fault(source.read_text()))
    assert found(icarus, tmp_path / "p", graph, events)


def test_every_wrong_table_entry_that_can_be_reached_is_found(tmp_path):
    graph = chain()
    verilog.build(graph, tmp_path / "p", SHORT)
    source = tmp_path / "p" / "rtl" / "module_network.v"
    text = source.read_text()
    events = random_events(graph, 1500, 4)
    entries = re.findall(r"\d+'d\d+: table0 = \d+'d\d+;", text)
    assert len(entries) > 10
    for entry in entries[:: len(entries) // 4]:
        last = int(first(r"'d(\d+);", entry)[1])
        source.write_text(text.replace(entry, re.sub(r"\d+;$", f"{last ^ 1};", entry)))
        assert found(icarus, tmp_path / "p", graph, events), entry


@pytest.mark.slow
def test_verilator_compiles_again_when_the_verilog_changes(tmp_path):
    graph = chain()
    verilog.build(graph, tmp_path / "p", SHORT)
    events = random_events(graph, 200, 3)
    source = tmp_path / "p" / "rtl" / "module_network.v"
    assert not found(verilator.measure, tmp_path / "p", graph, events)
    mutate(source, *wrong_weight(source.read_text()))
    assert found(verilator.measure, tmp_path / "p", graph, events)


def test_a_build_repeated_gives_the_same_files_wherever_it_stands(tmp_path):
    for name in ("a", "deeper/b"):
        verilog.build(score(), tmp_path / name, Target())
    assert digest_path(tmp_path / "a") == digest_path(tmp_path / "deeper" / "b")
    for file in (tmp_path / "a").rglob("*"):
        assert file.is_dir() or str(tmp_path) not in file.read_text()


def test_a_simulation_leaves_the_project_as_it_was(built):
    before = digest_path(built)
    verilator.measure(built, chain(), random_events(chain(), 20, 1))
    icarus(built, chain(), random_events(chain(), 20, 1))
    assert digest_path(built) == before


def test_the_digest_stands_in_the_module(built):
    text = (built / "rtl" / "module_network.v").read_text()
    assert f"localparam [255:0] GRAPH_DIGEST = 256'h{digest(chain())};" in text
    assert f'(* graph_digest = "{digest(chain())}" *)' in text


def test_scripts_name_the_part_the_clock_and_relative_paths_only(built):
    script = (built / "vivado" / "synthesize.tcl").read_text()
    assert "-part xcvu13p-flga2577-2-e" in script
    assert "read_verilog rtl/module_network.v" in script
    assert "create_clock -name clk -period 5 " in (built / "vivado" / "module_network.xdc").read_text()


def test_another_graphs_project_is_refused(built):
    with pytest.raises(Mismatch, match="was built from graph"):
        icarus(built, score(), random_events(score(), 5, 1))


def test_a_missing_project_is_refused(tmp_path):
    with pytest.raises(ArtifactError, match="ports.json is missing"):
        icarus(tmp_path, chain(), random_events(chain(), 5, 1))


@pytest.mark.parametrize("simulate", [icarus, verilator.measure])
def test_without_the_simulator_one_sentence_says_so(simulate, built, monkeypatch):
    monkeypatch.setattr(tools, "find", lambda name: None)
    (built / ".verilator" / "key").unlink(missing_ok=True)
    with pytest.raises(ToolMissing, match="is not installed"):
        simulate(built, chain(), random_events(chain(), 5, 1))


def test_a_simulation_that_hangs_is_stopped(built, monkeypatch):
    monkeypatch.setattr(text_simulators, "RUN_S", 0.0)
    with pytest.raises(ToolFailed, match="took more than 0 s"):
        icarus(built, chain(), random_events(chain(), 5, 1))


def test_a_refused_graph_writes_nothing(tmp_path):
    b = Builder()
    x = b.input((1,), Fixed(True, 8, 0))
    graph = b.graph(b.affine(x, [[(1 << 25) + 1]], [0], 0))
    with pytest.raises(Unsupported):
        verilog.check(graph, Target())
    with pytest.raises(Unsupported):
        verilog.build(graph, tmp_path / "p", Target())
    assert not list(tmp_path.iterdir())
