"""Part and clock of an imported project: as its scripts say, or a remark."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from trigger_ml import importing, spec
from trigger_ml.fixed import Fixed
from trigger_ml.importers.hls4ml_project.target import target_of
from trigger_ml.ir.build import Builder

PROJECT = """variable project_name
set project_name "myproject"
variable backend
set backend "{backend}"
variable part
set part "{part}"
variable clock_period
set clock_period {clock}
"""
OLDER = """open_solution -reset "solution1"
set_part {xcku115-flvb2104-2-i}
create_clock -period 4.16667 -name default
"""


def said(folder: Path, text: str, name: str = "project.tcl") -> tuple[dict, tuple[str, ...]]:
    (folder / name).write_text(text)
    return target_of(folder)


def test_part_clock_and_tool_are_the_projects(tmp_path: Path) -> None:
    found = said(tmp_path, PROJECT.format(part="xcku115-flva2104-2-e", clock="2.778", backend="vivado"))
    assert found == ({"part": "xcku115-flva2104-2-e", "clock_ns": 2.778, "hls_backend": "Vivado"}, ())


def test_an_older_project_says_it_in_its_build_script(tmp_path: Path) -> None:
    assert said(tmp_path, OLDER, "build_prj.tcl") == ({"part": "xcku115-flvb2104-2-i", "clock_ns": 4.16667}, ())


def test_the_build_script_that_reads_variables_says_nothing(tmp_path: Path) -> None:
    found, remarks = said(
        tmp_path, "set_part $part\ncreate_clock -period $clock_period -name default\n", "build_prj.tcl"
    )
    assert found == {}
    assert remarks == (
        "The project says no part: [target] part is the default, xcvu13p-flga2577-2-e.",
        "The project says no clock_ns: [target] clock_ns is the default, 5.0.",
    )


@pytest.mark.parametrize(("part", "clock", "bad"), [("7z020; rm", "5", "part"), ("xcku115", "1e9", "clock_ns")])
def test_what_no_spec_takes_is_said(tmp_path: Path, part: str, clock: str, bad: str) -> None:
    found, remarks = said(tmp_path, PROJECT.format(part=part, clock=clock, backend="quartus"))
    assert bad not in found
    assert len(found) == len(remarks) == 1
    assert bad in remarks[0]


def test_the_spec_holds_them() -> None:
    b = Builder()
    x = b.input((3,), Fixed(True, 5, 0), "x")
    graph = b.graph(b.affine(x, np.ones((3, 1), np.int64), [0], 0, "out"))
    text = importing.spec_text("m", graph, {"part": "xcku115-flva2104-2-e", "clock_ns": 2.778, "hls_backend": "Vivado"})
    target = spec.parse(text).target
    assert (target.part, target.clock_ns, target.hls_backend) == ("xcku115-flva2104-2-e", 2.778, "Vivado")
    assert "[target]" not in importing.spec_text("m", graph)
