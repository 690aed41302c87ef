"""Reports of the vendor's C synthesis, against hls4ml's own reader."""

from __future__ import annotations

from pathlib import Path

import pytest

from trigger_ml import artifact
from trigger_ml.backends.hls.made_from import FILE, made_from
from trigger_ml.errors import ArtifactError
from trigger_ml.estimators import csynth
from trigger_ml.spec import Target

REPORT = """<profile>
<ReportVersion><Version>2023.2</Version></ReportVersion>
<UserAssignments><TargetClockPeriod>5.00</TargetClockPeriod></UserAssignments>
<PerformanceEstimates>
<SummaryOfTimingAnalysis><EstimatedClockPeriod>3.601</EstimatedClockPeriod></SummaryOfTimingAnalysis>
<SummaryOfOverallLatency>
<Best-caseLatency>9</Best-caseLatency><Worst-caseLatency>11</Worst-caseLatency>
<Interval-min>4</Interval-min><Interval-max>4</Interval-max>
</SummaryOfOverallLatency>
</PerformanceEstimates>
<AreaEstimates>
<Resources><BRAM_18K>3</BRAM_18K><{dsp}>17</{dsp}><FF>1234</FF><LUT>5678</LUT><URAM>0</URAM></Resources>
<AvailableResources><BRAM_18K>5376</BRAM_18K><{dsp}>12288</{dsp}><FF>1</FF><LUT>1</LUT><URAM>0</URAM></AvailableResources>
</AreaEstimates>
</profile>
"""


WANTED = made_from("ab" * 32, Target())


def project(folder: Path, text: str) -> Path:
    report = folder / "trigger_prj" / "solution1" / "syn" / "report"
    report.mkdir(parents=True)
    (report / "trigger_csynth.xml").write_text(text)
    artifact.write_json(folder / "trigger_prj" / FILE, WANTED)
    (folder / "trigger_prj" / "hls.app").write_text(
        '<project><solutions><solution name="solution1"/></solutions></project>'
    )
    (folder / "project.tcl").write_text('set project_name "trigger"\nset backend "vitis"\n')
    return folder


def test_a_project_without_a_report_has_no_figures(tmp_path: Path) -> None:
    assert csynth.read(tmp_path, WANTED) == ()


@pytest.mark.parametrize("dsp", ["DSP", "DSP48E"])
def test_every_figure_is_read_with_its_source(dsp: str, tmp_path: Path) -> None:
    found = {q.name: q for q in csynth.read(project(tmp_path, REPORT.format(dsp=dsp)), WANTED)}
    assert {name: q.value for name, q in found.items()} == {
        "latency_cycles": 11, "initiation_interval": 4, "lut": 5678, "ff": 1234, "dsp": 17, "bram": 1.5,
        "latency_ns": 55.0, "path_ns": 3.601,
    }  # fmt: skip
    assert {q.source for q in found.values()} == {"vendor csynth"}
    assert {q.tool for n, q in found.items() if n != "latency_ns"} == {"C synthesis 2023.2"}


@pytest.mark.needs_hls
def test_hls4mls_reader_says_the_same(tmp_path: Path) -> None:
    from hls4ml.report import parse_vivado_report

    found = {q.name: q.value for q in csynth.read(project(tmp_path, REPORT.format(dsp="DSP")), WANTED)}
    theirs = parse_vivado_report(str(tmp_path))["CSynthesisReport"]
    assert found["latency_cycles"] == int(theirs["WorstLatency"])
    assert found["initiation_interval"] == int(theirs["IntervalMax"])
    assert [found[n] for n in ("lut", "ff", "dsp")] == [int(theirs[n]) for n in ("LUT", "FF", "DSP")]
    assert found["bram"] == int(theirs["BRAM_18K"]) / 2


@pytest.mark.parametrize("text", ["<profile>", "<profile/>", REPORT.format(dsp="DSP").replace(">11<", ">undef<")])
def test_a_damaged_report_is_refused(text: str, tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="is no report of C synthesis"):
        csynth.read(project(tmp_path, text), WANTED)


def test_a_report_of_another_graph_or_target_is_refused(tmp_path: Path) -> None:
    made = project(tmp_path, REPORT.format(dsp="DSP"))
    for wanted, what in (
        (made_from("cd" * 32, Target()), "graph_digest"),
        (made_from("ab" * 32, Target(clock_ns=2.5)), "clock_ns"),
        (made_from("ab" * 32, Target(reuse_factor=4)), "reuse_factor"),
    ):
        with pytest.raises(ArtifactError, match=f"is of another {what} than the run's"):
            csynth.read(made, wanted)
    (made / "trigger_prj" / FILE).unlink()
    with pytest.raises(ArtifactError, match="does not say of which graph it is"):
        csynth.read(made, WANTED)
