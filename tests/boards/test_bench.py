"""The cocotb bench plays board files through the generated Verilog, and finds any bit that is wrong."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.backends.rtl_graphs import chain, score
from trigger_ml import tools
from trigger_ml.backends import verilog
from trigger_ml.boards import layout, patterns
from trigger_ml.fuzz import random_events, random_graph
from trigger_ml.ir.graph import Graph
from trigger_ml.ir.interpret import interpret
from trigger_ml.spec import Target

pytestmark = [pytest.mark.needs_cocotb, pytest.mark.needs_rtl, pytest.mark.needs_icarus]
for module in ("cocotb", "alkaid"):
    if importlib.util.find_spec(module) is None:
        pytest.skip(f"needs {module}", allow_module_level=True)
if tools.find("iverilog") is None:
    pytest.skip("needs iverilog", allow_module_level=True)

EVENTS = 250


def written(graph: Graph, folder: Path, plan: layout.Layout) -> Path:
    """The Verilog project with patterns inside."""
    verilog.build(graph, folder, Target())
    feed = random_events(graph, EVENTS, 5)
    for name, content in patterns.files(graph, plan, feed, interpret(graph, feed), ["emp2"], "small").items():
        path = folder / "patterns" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return folder


def bench(folder: Path) -> subprocess.CompletedProcess[str]:
    emp2 = folder / "patterns" / "emp2"
    sides = [sorted(emp2.glob(f"{side}_*.txt"), key=lambda p: int(p.stem.split("_")[1])) for side in patterns.SIDES]
    argv = [sys.executable, str(folder / "tb" / "run_patterns.py"), "--layout", str(folder / "patterns/layout.toml")]
    argv += ["--input", *map(str, sides[0]), "--output", *map(str, sides[1])]
    return subprocess.run(argv, capture_output=True, text=True, timeout=300)


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Path:
    return written(score(), tmp_path_factory.mktemp("cocotb") / "score", layout.default(score()))


def test_every_bit_is_right(project):
    assert len(list((project / "patterns" / "emp2").iterdir())) == 6
    done = bench(project)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{EVENTS} events, one a clock" in done.stdout + done.stderr


def test_signed_elements_dead_ones_and_wider_fields(tmp_path):
    graph = chain()
    plan = layout.default(graph, frames_per_bx=3, tmux=2)
    wide = {
        port: tuple(layout.Place(40 + j, 5 - j, 7, 20) if p else None for j, p in enumerate(places))
        for port, places in plan.output.items()
    }
    done = bench(written(graph, tmp_path / "chain", layout.Layout(3, 2, plan.input, wide)))
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("seed", range(3))
def test_random_graphs(tmp_path, seed):
    graph = random_graph(40 + seed)
    done = bench(written(graph, tmp_path / "g", layout.default(graph, 2 + seed)))
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_makefile_runs_it(project):
    emp2, plan = project / "patterns" / "emp2", project / "patterns" / "layout.toml"
    argv = ["make", "-s", "-C", str(project / "tb"), f"PYTHON={sys.executable}", f"INPUT={emp2 / 'input_0.txt'}"]
    done = subprocess.run([*argv, f"OUTPUT={emp2 / 'output_0.txt'}", f"LAYOUT={plan}"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    done = subprocess.run([*argv, f"OUTPUT={emp2 / 'output_1.txt'}", f"LAYOUT={plan}"], capture_output=True, text=True)
    assert done.returncode != 0


def test_the_makefile_takes_paths_from_its_folder(project):
    emp2 = "../patterns/emp2"
    argv = ["make", "-s", "-C", "tb", f"PYTHON={sys.executable}", f"INPUT={emp2}/input_0.txt {emp2}/input_1.txt"]
    for last, fine in (("output_1", True), ("output_2", False)):
        files = [f"OUTPUT={emp2}/output_0.txt {emp2}/{last}.txt", "LAYOUT=../patterns/layout.toml"]
        done = subprocess.run([*argv, *files], cwd=project, capture_output=True, text=True)
        assert (done.returncode == 0) == fine, done.stdout + done.stderr


def spoil(path: Path, line: str, old: str, new: str) -> str:
    """Replace a regular expression in the first line that begins so; returns the text before."""
    text = path.read_text()
    found = next(x for x in text.splitlines() if x.lstrip().startswith(line))
    changed, count = re.subn(old, new, found, count=1)
    assert count
    assert changed != found
    path.write_text(text.replace(found, changed, 1))
    return text


def flip(match: re.Match[str]) -> str:
    """A hexadecimal digit with its lowest bit the other way."""
    return f"{int(match[0], 16) ^ 1:x}"


@pytest.mark.parametrize(
    ("name", "line", "old", "new", "says"),
    [
        ("patterns/emp2/output_2.txt", "Frame 0207", "[0-9a-f]$", flip, "event 249, link 0, frame 0"),
        ("patterns/emp2/output_1.txt", "Frame 0001", "0$", "1", "event 113, link 0, frame 1"),
        ("patterns/emp2/output_0.txt", "Frame 0000", " 1111 ", " 1110 ", "event 0: frame 0 of link 0 is not valid"),
        ("patterns/emp2/output_0.txt", "Frame 0005", "Frame 0005", "Frame 0006", "frame 5 is missing"),
        ("patterns/emp2/input_0.txt", "Frame 0009", "0009    (....) .", r"0009    \1 ", "frame 9 is malformed"),
        ("patterns/layout.toml", "graph_digest", '= "...', '= "000', "the layout is of another graph"),
        ("ports.json", '"latency_cycles"', r"(\d+)", lambda m: str(int(m[0]) + 1), "event 0, link 0"),
        ("rtl/small_rz.v", "localparam [255:0]", "'h4", "'h5", "ports.json is of another graph"),
        ("rtl/small_rz.v", "5'd16: table0", "437;", "436;", ", link 0, frame 0: "),
        ("rtl/small_rz.v", "wire signed [6:0] t7", r"\+", "-", ", link 0, frame 0: "),
    ],
    ids=[
        "answer",
        "empty word",
        "valid flag",
        "frame number",
        "word",
        "digest",
        "latency",
        "constant",
        "table",
        "adder",
    ],
)
def test_a_fault_is_found(project, name, line, old, new, says):
    before = spoil(project / name, line, old, new)
    try:
        done = bench(project)
        assert done.returncode == 1, done.stdout
        assert says in done.stdout + done.stderr
    finally:
        (project / name).write_text(before)


def test_a_corrupted_input_pattern_is_found(project):
    """A bit of each of the first events flipped: some answer must change."""
    path = project / "patterns" / "emp2" / "input_0.txt"
    before = path.read_text()
    lines = [
        re.sub("[0-9a-f]$", flip, x) if re.match(r"Frame \d{3}[0-9] .* 11?", x) else x for x in before.splitlines()
    ]
    assert lines != before.splitlines()
    path.write_text("\n".join([*lines, ""]))
    try:
        done = bench(project)
        assert done.returncode == 1
        assert "the file has" in done.stdout + done.stderr
    finally:
        path.write_text(before)


def test_files_that_are_not_there_are_named(project):
    argv = [sys.executable, str(project / "tb" / "run_patterns.py"), "--layout", "none.toml", "--input", "none.txt"]
    done = subprocess.run([*argv, "--output", "none.txt"], capture_output=True, text=True, cwd=project)
    assert done.returncode == 3
    assert done.stdout.startswith("none.txt does not exist")
