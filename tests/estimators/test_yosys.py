"""Open synthesis of a small design, and what happens when it can't run."""

from __future__ import annotations

import pytest

from tests.backends.rtl_graphs import score
from trigger_ml import tools
from trigger_ml.backends import verilog
from trigger_ml.backends.rtl.schedule import register_bits
from trigger_ml.errors import ArtifactError, ToolFailed, ToolMissing
from trigger_ml.estimators import yosys
from trigger_ml.spec import Target

PART = Target().part

pytestmark = [pytest.mark.needs_rtl, pytest.mark.needs_yosys]


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    folder = tmp_path_factory.mktemp("yosys") / "p"
    verilog.build(score(), folder, Target())
    return folder


def test_a_small_design(project):
    from trigger_ml.backends.rtl.design import design

    plan = design(score(), Target())
    found = {q.name: q for q in yosys.estimate(project, PART)}
    assert set(found) == {"lut", "ff", "dsp", "bram", "carry8", "logic_levels", "path_ns"}
    assert {q.source for q in found.values()} == {"open synthesis"}
    assert 0.5 * plan.net.cost < found["lut"].value < 2 * plan.net.cost
    ports = sum(p.width for p in (*plan.inputs, *plan.outputs))
    assert 0 < found["ff"].value <= register_bits(plan.net, plan.schedule) + ports + 50
    assert found["bram"].value == 0
    assert found["logic_levels"].value >= 1
    assert found["path_ns"].value < 2 * plan.schedule.delay_ns
    assert "synth_xilinx" in found["lut"].tool
    assert (project / ".yosys" / "synthesis.log").exists()


def test_too_slow_is_an_error(project):
    with pytest.raises(ToolFailed, match="took more than 0 s"):
        yosys.estimate(project, PART, timeout_s=0.0)


def test_no_project(tmp_path):
    with pytest.raises(ArtifactError, match="ports.json is missing"):
        yosys.estimate(tmp_path, PART)


def test_without_pyosys(project, monkeypatch):
    monkeypatch.setattr(tools, "package_version", lambda name: None)
    with pytest.raises(ToolMissing, match="pyosys is not installed"):
        yosys.estimate(project, PART)


@pytest.mark.parametrize(("part", "family"), [("xc7k325t-ffg900-2", "xc7"), ("xcku115-flva2104-2-e", "xcu")])
def test_the_part_decides_the_family(project, part, family):
    found = {q.name: q for q in yosys.estimate(project, part)}
    assert f"-family {family}, delays of a 16 nm device" in found["lut"].tool
    assert found["lut"].value > 0
    assert found["path_ns"].value > 0
    assert ("carry8" in found) == (family != "xc7")


def test_a_family_that_yosys_does_not_know_is_left_out(project):
    with pytest.raises(ToolMissing, match="maps to no Versal: xcvc1902"):
        yosys.estimate(project, "xcvc1902-vsva2197-2mp-e-s")
