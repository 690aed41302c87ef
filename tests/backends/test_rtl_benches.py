"""The benches that go with the RTL judge for themselves, by the commands that ``firmware/README.md`` gives."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import numpy as np
import pytest

from tests.backends.rtl_graphs import chain, mutate, score
from trigger_ml.backends import verilog, vhdl
from trigger_ml.backends.rtl.testbench import EVENTS
from trigger_ml.errors import Mismatch
from trigger_ml.fixed import Fixed, Formats
from trigger_ml.fuzz import random_events, random_graph
from trigger_ml.ir.build import Builder
from trigger_ml.ir.graph import Graph
from trigger_ml.ir.interpret import interpret
from trigger_ml.spec import Target

ROOT = Path(__file__).parents[2]
LANGUAGES = [
    pytest.param("verilog", marks=pytest.mark.needs_icarus),
    pytest.param("vhdl", marks=pytest.mark.needs_ghdl),
]


def module(folder: Path) -> str:
    """The network's name."""
    return json.loads((folder / "ports.json").read_text())["name"]


def commands(language: str, name: str) -> str:
    """What the README says to type, for a module of this name."""
    text = (ROOT / "firmware" / "README.md").read_text("utf-8")
    blocks = re.findall(r"```sh\n(.*?)```", text, re.DOTALL)
    (line,) = [line for block in blocks for line in block.splitlines() if ("ghdl" in line) == (language == "vhdl")]
    return line.replace("NAME", name)


def play(folder: Path, language: str, name: str) -> tuple[int, str]:
    """Run these commands in the project; the exit code and all that was said."""
    line = commands(language, name).replace("cd tb", f"cd {folder / 'tb'}")
    done = subprocess.run(["sh", "-c", line], capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr


def written(graph: Graph, folder: Path, language: str, events: int = 40) -> Path:
    """A project with its words."""
    backend = {"verilog": verilog, "vhdl": vhdl}[language]
    backend.build(graph, folder, Target())
    feed = random_events(graph, events, 1)
    backend.write_vectors(folder, graph, feed, interpret(graph, feed))
    return folder


@pytest.fixture(params=LANGUAGES)
def language(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.mark.parametrize("graph", [score(), chain(), *(random_graph(seed) for seed in (3, 11))], ids=str)
def test_what_the_graph_gives_passes(tmp_path, language, graph):
    folder = written(graph, tmp_path / "p", language)
    name = module(folder)
    code, said = play(folder, language, name)
    assert code == 0, said
    assert f"{name}: 40 events, {len(graph.outputs)} of {len(graph.outputs)} outputs compared, as expected" in said


def test_an_answer_that_differs_is_named_and_fails(tmp_path, language):
    folder = written(score(), tmp_path / "p", language)
    lines = (folder / "tb" / "score.expected").read_text().splitlines()
    for event in (0, 17, 39):
        other = f"{int(lines[event], 16) ^ 1:04x}"
        (folder / "tb" / "score.expected").write_text("\n".join([*lines[:event], other, *lines[event + 1 :]]) + "\n")
        code, said = play(folder, language, "small_rz")
        assert code != 0
        assert re.search(rf"event {event}: score is \w*{lines[event].lstrip('0')}, expected {other}", said.lower()), (
            said
        )


def test_a_fault_in_the_network_is_found(tmp_path, language):
    folder = written(score(), tmp_path / "p", language)
    source = next((folder / "rtl").glob("small_rz.*"))
    mutate(source, *{"verilog": ("posedge clk) in0 <= x;", "posedge clk) in0 <= ~x;"),
                     "vhdl": ("in0 <= x;", "in0 <= not x;")}[language])  # fmt: skip
    code, said = play(folder, language, "small_rz")
    assert code != 0
    assert "event 0: " in said


@pytest.mark.parametrize(
    ("file", "change", "says"),
    [
        ("x.hex", None, "there is no x.hex in this folder"),
        ("x.hex", lambda text: "", "x.hex is empty"),
        ("x.hex", lambda text: "zz" + text[2:], "x.hex: word 0 is missing or not hexadecimal"),
        ("x.hex", lambda text: text[: len(text) // 2], "has more words than there are events"),
        ("score.expected", lambda text: text[: text.index("\n", 60) + 1], "score.expected: word 13 is missing"),
        ("score.expected", lambda text: text + "0000\n", "score.expected has more words than there are events"),
    ],
)
def test_words_that_are_missing_or_none_are_an_error(tmp_path, language, file, change, says):
    folder = written(score(), tmp_path / "p", language)
    path = folder / "tb" / file
    text = path.read_text()
    path.unlink() if change is None else path.write_text(change(text))
    code, said = play(folder, language, "small_rz")
    assert code != 0
    assert says in said


def test_without_expected_words_it_records(tmp_path, language):
    folder = written(score(), tmp_path / "p", language)
    (folder / "tb" / "score.expected").unlink()
    code, said = play(folder, language, "small_rz")
    assert code == 0
    assert "there is no score.expected: score is recorded and not compared" in said
    assert "1 of 2 outputs compared" in said
    assert len((folder / "tb" / "score.out").read_text().splitlines()) >= 40


def two() -> Graph:
    """Two inputs."""
    b = Builder()
    x, y = b.input((2,), Fixed(True, 5, 0), name="x"), b.input((2,), Formats.of(0, [3, 0], 0), name="y")
    return b.graph(b.affine(x, [[3], [-1]], [1], 0, name="a"), b.affine(y, [[2], [0]], [0], 0, name="c"))


def test_inputs_of_different_lengths_are_an_error(tmp_path, language):
    graph = two()
    folder = written(graph, tmp_path / "p", language)
    name = module(folder)
    assert play(folder, language, name)[0] == 0
    text = (folder / "tb" / "y.hex").read_text()
    (folder / "tb" / "y.hex").write_text("".join(text.splitlines(keepends=True)[:-1]))
    code, said = play(folder, language, name)
    assert code != 0
    assert "x.hex has more words than another input" in said


def test_as_many_words_as_are_wanted(tmp_path, language):
    folder = written(score(), tmp_path / "p", language, events=EVENTS + 50)
    for name in ("x.hex", "score.expected", "decision.expected"):
        assert len((folder / "tb" / name).read_text().splitlines()) == EVENTS


def test_words_of_another_graph_are_refused(tmp_path, language):
    folder = written(score(), tmp_path / "p", language)
    feed = {"input": np.zeros((1, 5), np.int64)}
    with pytest.raises(Mismatch, match="build it again"):
        {"verilog": verilog, "vhdl": vhdl}[language].write_vectors(folder, chain(), feed, interpret(chain(), feed))
