"""The programs in the guide do what it says: the emulator of a shipped model, from C++ and from Python."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from trigger_ml import tools
from trigger_ml.backends import cpp
from trigger_ml.ir import io
from trigger_ml.ir.interpret import interpret
from trigger_ml.spec import Target

pytestmark = pytest.mark.skipif(tools.find("g++") is None, reason="needs g++")

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("guide") / "cpp"
    cpp.build(io.load(ROOT / "models" / "l1_student"), made, Target())
    cpp.compile_library(made)
    return made


def _block(language: str) -> str:
    section = (ROOT / "docs" / "guide.md").read_text("utf-8").partition("## The emulator in your program")[2]
    found = re.search(rf"```{language}\n(.*?)```", section, re.DOTALL)
    assert found is not None
    return found[1]


def _of_zeros() -> dict[str, int]:
    graph = io.load(ROOT / "models" / "l1_student")
    answers = interpret(graph, {"x": np.zeros((1, 57), np.int64)})
    return {name: int(values[0, 0]) for name, values in answers.items()}


def test_from_cpp(folder: Path) -> None:
    (folder / "main.cpp").write_text(_block("cpp"))
    command = ["g++", "-std=c++17", "-Wall", "-Wextra", "-Werror", "main.cpp", "-ldl", "-o", "main"]
    subprocess.run(command, cwd=folder, check=True)
    said = subprocess.run(["./main"], cwd=folder, check=True, capture_output=True, text=True).stdout
    for name, value in _of_zeros().items():
        assert f"{name} of event 0: {value} * 2^-" in said


def test_from_cpp_with_a_library_of_another_interface(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "main.cpp").write_text(_block("cpp"))
    (tmp_path / "other.c").write_text(
        "static const unsigned record[64] = {2};\nconst unsigned *trigger_emulator(void) { return record; }\n"
    )
    subprocess.run(["gcc", "-shared", "-fPIC", "other.c", "-o", "emulator.so"], cwd=tmp_path, check=True)
    command = ["g++", "-std=c++17", f"-I{folder}", "main.cpp", "-ldl", "-o", "main"]
    subprocess.run(command, cwd=tmp_path, check=True)
    done = subprocess.run(["./main"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 1
    assert "not of the interface" in done.stderr


def test_from_python(folder: Path) -> None:
    (folder / "use.py").write_text(_block("python"))
    command = [sys.executable, str(folder / "use.py")]
    said = subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout
    for name, value in _of_zeros().items():
        assert f"'{name}': array([{value}])" in said


def test_the_make_that_it_names(folder: Path, tmp_path: Path) -> None:
    if tools.find("make") is None:
        pytest.skip("needs make")
    shutil.copytree(folder, tmp_path / "cpp", ignore=shutil.ignore_patterns("*.so", "*.o"))
    subprocess.run(["make", "-s"], cwd=tmp_path / "cpp", check=True)
    assert (tmp_path / "cpp" / "emulator.so").exists()
