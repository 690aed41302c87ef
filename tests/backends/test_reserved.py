"""Names that would break one of the languages get a suffix: every word is tried where it is a port and a module."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from tests.backends.rtl_graphs import score
from trigger_ml.backends import verilog, vhdl
from trigger_ml.backends.rtl import reserved, verilator
from trigger_ml.backends.rtl.ports import input_ports, legal, output_ports
from trigger_ml.fuzz import random_events
from trigger_ml.ir.graph import Graph
from trigger_ml.ir.interpret import interpret
from trigger_ml.spec import Target

TRIED = [
    {"x": "graph_digest", "score": "latency_cycles"},
    {"score": "resize", "decision": "to_integer"},
    {"score": "rising_edge", "decision": "std_logic_vector"},
    {"score": "unsigned", "decision": "to_unsigned"},
    {"score": "shift_left", "decision": "to_signed"},
    {"x": "std_logic", "score": "ns", "decision": "line"},
    {"score": "hread", "decision": "hwrite"},
    {"score": "readline", "decision": "writeline"},
    {"score": "endfile", "decision": "text"},
    {"score": "to_hstring", "decision": "open_ok"},
    {"x": "natural", "score": "positive", "decision": "boolean"},
    {"score": "x_file", "decision": "x_word"},
    {"score": "tb_in0", "decision": "tb_expected0"},
    {"x": "tb_events", "score": "tb_clock", "decision": "tb_latency"},
    {"score": "table0_t", "decision": "table0"},
    {"x": "small_rz", "score": "small_rz_tb"},
    {"x": "small", "score": "large", "decision": "nmos"},
    {"x": "read_mode", "score": "write_mode", "decision": "file_open"},
    {"x": "integer", "score": "failure", "decision": "work"},
    {"x": "ieee", "score": "std", "decision": "file_open_status"},
]


def named(graph: Graph, to: dict[str, str], model: str) -> Graph:
    """The graph with other names."""
    nodes = [replace(n, name=to.get(n.name, n.name), inputs=tuple(to.get(i, i) for i in n.inputs)) for n in graph.nodes]
    outputs = tuple(to.get(o, o) for o in graph.outputs)
    return replace(graph, nodes=tuple(nodes), outputs=outputs, meta={**graph.meta, "name": model})


def compiles(folder: Path, graph: Graph, backend) -> str:
    """What the compiler says of the network and its bench; nothing if it takes both."""
    backend.build(graph, folder / "p", Target())
    sources = [*(folder / "p" / "rtl").iterdir(), *(folder / "p" / "tb").glob("*_tb.*")]
    argv = ["ghdl", "-a", "--std=08"] if backend is vhdl else ["iverilog", "-g2005", "-t", "null"]
    done = subprocess.run([*argv, *map(str, sources)], cwd=folder, capture_output=True, text=True)
    return done.stdout + done.stderr if done.returncode else ""


BACKENDS = [
    pytest.param(verilog, marks=pytest.mark.needs_icarus, id="verilog"),
    pytest.param(vhdl, marks=pytest.mark.needs_ghdl, id="vhdl"),
]


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("to", TRIED, ids=lambda to: ",".join(to.values()))
def test_names_of_ports(tmp_path, backend, to):
    assert compiles(tmp_path, named(score(), to, "small_rz"), backend) == ""


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(
    "model", ["ieee", "std", "work", "numeric_std", "std_logic", "small", "x", "score", "score_tb"]
)
def test_names_of_models(tmp_path, backend, model):
    assert compiles(tmp_path, named(score(), {}, model), backend) == ""


def test_the_words_are_words():
    assert all(word == word.lower() and word.isidentifier() for word in reserved.WORDS)


def test_every_word_gets_a_suffix_in_any_letters():
    for word in reserved.WORDS:
        assert legal(word, "_port") == f"{word.strip('_')}_port"
        assert reserved.taken(word.upper())


def test_ports_that_differ_in_capitals_alone_are_two():
    assert legal("Score", "_port", ["score"]) == "Score_port"


@pytest.mark.slow
@pytest.mark.needs_rtl
@pytest.mark.parametrize("names", [("eval", "name"), ("final", "trace"), ("threads", "rootp")], ids=str)
def test_the_class_that_verilator_makes(tmp_path, names):
    graph = named(score(), {"x": names[0], "score": names[1]}, "small_rz")
    assert {p.name for p in (*input_ports(graph), *output_ports(graph))} >= {f"{n}_port" for n in names}
    verilog.build(graph, tmp_path / "p", Target())
    feed = random_events(graph, 50, 1)
    found, want = verilator.measure(tmp_path / "p", graph, feed).outputs, interpret(graph, feed)
    assert all((found[o] == want[o]).all() for o in want)
