"""The VHDL equals the golden interpreter in GHDL: random graphs, faults, and the same cells as the Verilog."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

from tests.backends.rtl_graphs import chain, found, mutate, score
from tests.ir.tree_graphs import graph_of, random_inputs, random_trees
from trigger_ml.artifact import digest_path
from trigger_ml.backends import verilog, vhdl
from trigger_ml.backends.rtl.text_simulators import ghdl
from trigger_ml.fuzz import random_events, random_graph
from trigger_ml.ir.interpret import interpret
from trigger_ml.ir.io import digest
from trigger_ml.spec import Target

pytestmark = [pytest.mark.needs_rtl, pytest.mark.needs_ghdl]

SHORT = Target(cut_ns=3.0)


@pytest.mark.parametrize("seed", range(6))
def test_random_graphs(seed, tmp_path):
    graph = random_graph(seed)
    events = random_events(graph, 100, seed)
    vhdl.build(graph, tmp_path / "p", Target(clock_ns=[2.5, 5.0][seed % 2]))
    answers, golden = ghdl(tmp_path / "p", graph, events).outputs, interpret(graph, events)
    assert all(np.array_equal(answers[o], golden[o]) for o in graph.outputs)


@pytest.mark.parametrize("depth", [3, 4])
def test_trees(depth, tmp_path):
    """Bits side by side, comparisons, and a table with a constant before it."""
    graph, events = graph_of(random_trees(1, 3, depth)), {"x": random_inputs(2, 100)}
    vhdl.build(graph, tmp_path / "p", Target())
    assert np.array_equal(ghdl(tmp_path / "p", graph, events).outputs["score"], interpret(graph, events)["score"])


def test_score_and_decision_at_the_latency_that_the_verilog_has(tmp_path):
    graph = score()
    events = random_events(graph, 500, 1)
    for engine in (vhdl, verilog):
        engine.build(graph, tmp_path / engine.__name__, Target())
    folder = tmp_path / vhdl.__name__
    measured, golden = ghdl(folder, graph, events), interpret(graph, events)
    assert np.array_equal(measured.outputs["score"], golden["score"])
    assert np.array_equal(vhdl.simulate(folder, graph, events)["decision"], golden["decision"])
    about = (tmp_path / verilog.__name__ / "ports.json").read_text()
    assert about == (folder / "ports.json").read_text()
    assert measured.latency_cycles == json.loads(about)["latency_cycles"]


def wrong_entry(text: str) -> tuple[str, str]:
    entries = re.findall(r'\d+ => "[01]+"', text)
    entry = entries[len(entries) // 2]
    return entry, entry[:-2] + ("0" if entry[-2] == "1" else "1") + '"'


def wrong_weight(text: str) -> tuple[str, str]:
    match = re.search(r"shift_left\((resize\(v\w+, \d+\)), (\d+)\)", text)
    assert match
    return match[0], f"shift_left({match[1]}, {int(match[2]) + 1})"


@pytest.mark.parametrize("fault", [wrong_entry, wrong_weight])
def test_a_fault_is_found(fault, tmp_path):
    graph = chain()
    vhdl.build(graph, tmp_path / "p", SHORT)
    source: Path = tmp_path / "p" / "rtl" / "module_network.vhd"
    events = random_events(graph, 1000, 3)
    assert not found(ghdl, tmp_path / "p", graph, events)
    mutate(source, *fault(source.read_text()))
    assert found(ghdl, tmp_path / "p", graph, events)


def test_a_build_repeated_gives_the_same_files(tmp_path):
    for name in ("a", "b"):
        vhdl.build(score(), tmp_path / name, Target())
    assert digest_path(tmp_path / "a") == digest_path(tmp_path / "b")
    assert digest(score()) in (tmp_path / "a" / "rtl" / "small_rz.vhd").read_text()
    assert "read_vhdl -vhdl2008 rtl/small_rz.vhd" in (tmp_path / "a" / "vivado" / "synthesize.tcl").read_text()
