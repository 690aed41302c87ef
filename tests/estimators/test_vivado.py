"""Vivado's reports of a routed design: every figure, worked by hand, and every report that is of something else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.estimators.vivado_reports import PART, PLAN, put, timing, utilization
from trigger_ml import artifact
from trigger_ml.errors import ArtifactError
from trigger_ml.estimators import vivado
from trigger_ml.estimators.quantity import Quantity, best


def project(folder: Path) -> Path:
    artifact.write_json(folder / "ports.json", PLAN)
    return folder


def read(tmp_path: Path, used: str, timed: str, plan: Any = PLAN, part: str = PART) -> tuple[Quantity, ...]:
    return vivado.read(put(tmp_path / "vendor", plan, used, timed), project(tmp_path / "project"), part)


def test_every_figure_is_read_with_its_source(tmp_path: Path) -> None:
    """5 ns less a slack of 1.234 ns is a path of 3.766 ns."""
    found = read(tmp_path, utilization(), timing())
    assert {q.name: q.value for q in found} == {
        "lut": 2101, "ff": 1307, "dsp": 3, "bram": 1.5, "path_ns": 3.766, "hold_slack_ns": 0.041
    }  # fmt: skip
    assert {q.source for q in found} == {"vendor post-route"}
    assert found[0].tool == f"Vivado v.2023.2, {PART}"


def test_a_negative_slack_is_a_path_longer_than_the_clock(tmp_path: Path) -> None:
    found = {q.name: q.value for q in read(tmp_path, utilization(), timing(wns="-0.333", whs="-0.010"))}
    assert (found["path_ns"], found["hold_slack_ns"]) == (5.333, -0.01)


def test_a_part_in_capitals_is_the_same_part(tmp_path: Path) -> None:
    used = utilization().replace("xcvu13p-flga2577-2-e", "XCVU13P-FLGA2577-2-E")
    assert {q.name: q.value for q in read(tmp_path, used, timing())}["lut"] == 2101


def test_the_series_7_names_are_read(tmp_path: Path) -> None:
    used = utilization().replace("CLB LUTs  ", "Slice LUTs*").replace("CLB Registers", "Slice Registers")
    used = used.replace("| Device       : xcvu13p-flga2577-2-e", "| Device       : 7k325tffg900-2")
    timed = timing().replace("xcvu13p-flga2577", "7k325t-ffg900")
    found = {q.name: q.value for q in read(tmp_path, used, timed, part="xc7k325t-ffg900-2")}
    assert (found["lut"], found["ff"]) == (2101, 1307)


@pytest.mark.parametrize(
    ("plan", "says"),
    [
        ({**PLAN, "graph_digest": "cd" * 32}, "holds reports of graph cdcdcdcdcdcd, not of abababababab"),
        ({**PLAN, "latency_cycles": 27}, "built otherwise"),
        ({**PLAN, "clock_ns": 2.5}, "built otherwise"),
        ([], "describes no ports"),
    ],
)
def test_reports_of_another_build_are_refused(tmp_path: Path, plan: Any, says: str) -> None:
    with pytest.raises(ArtifactError, match=says):
        read(tmp_path, utilization(), timing(), plan)


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("| Design       : small", "| Design       : other", "of the design other, not of small"),
        ("Device       : xcvu13p-flga2577-2-e", "Device       : xcku115-flva2104-2-e", "of the part xcku115"),
        ("State : Routed", "State : Synthesized", "is Synthesized, not routed"),
        ("| CLB LUTs                   | 2101", "| CLB LUTs                   | many", "no row 'CLB LUTs'"),
        ("| DSPs ", "| DPSs ", "no row 'DSPs'"),
        ("| Tool Version", "| Version", "no 'Tool Version'"),
    ],
)
def test_a_utilization_of_something_else_is_refused(tmp_path: Path, old: str, new: str, says: str) -> None:
    assert old in utilization()
    with pytest.raises(ArtifactError, match=says):
        read(tmp_path, utilization().replace(old, new), timing())


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("1.234", "NA", "'NA' is no number"),
        ("WNS(ns)", "SNW(ns)", "no design timing summary"),
        (
            "clk    {0.000 2.500}        5.000 ",
            "clk    {0.000 2.500}        2.500 ",
            "of a clock of 2.5 ns, the project's is 5",
        ),
        ("clk    {0.000", "a    {0.000 1.000}  2.000  500.000\nclk    {0.000", "it has 2 clocks, not one"),
        ("| Design            : small", "| Design            : other", "of the design other"),
    ],
)
def test_a_timing_of_something_else_is_refused(tmp_path: Path, old: str, new: str, says: str) -> None:
    assert old in timing()
    with pytest.raises(ArtifactError, match=says):
        read(tmp_path, utilization(), timing().replace(old, new))


@pytest.mark.parametrize("name", vivado.FILES)
@pytest.mark.parametrize("cut", [0, 300])
def test_a_report_cut_short_or_missing_is_one_sentence(tmp_path: Path, name: str, cut: int) -> None:
    put(tmp_path / "vendor", PLAN, utilization(), timing())
    path = tmp_path / "vendor" / name
    path.write_bytes(path.read_bytes()[: min(cut, path.stat().st_size - 5)])
    for _ in range(2):
        with pytest.raises(ArtifactError) as raised:
            vivado.read(tmp_path / "vendor", project(tmp_path / "project"), PART)
        assert "\n" not in str(raised.value)
        path.unlink(missing_ok=True)


def test_one_design_is_judged_and_not_two() -> None:
    hls, routed = (Quantity("lut", n, "", s, "t") for n, s in ((9, "vendor csynth"), (5, "vendor post-route")))
    cycles = [Quantity("latency_cycles", n, "", s, "t") for n, s in ((7, "vendor csynth"), (12, "simulated"))]
    assert [best([hls, *cycles], n).source for n in ("lut", "latency_cycles")] == ["vendor csynth"] * 2
    paths = [Quantity("path_ns", n, "ns", s, "t") for n, s in ((2.0, "vendor csynth"), (6.0, "open synthesis"))]
    assert best([hls, *cycles, paths[0]], "path_ns") == paths[0]
    found = [hls, *cycles, *paths]
    assert [best(found, n).source for n in ("path_ns", "latency_cycles")] == ["open synthesis", "simulated"]
    found = [hls, routed, *cycles]
    assert [best(found, n).source for n in ("lut", "latency_cycles")] == ["vendor post-route", "simulated"]
