"""What the vendor's C synthesis reported of an HLS project, if it was run there."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from trigger_ml.artifact import read_json
from trigger_ml.backends.hls.made_from import FILE
from trigger_ml.errors import ArtifactError
from trigger_ml.estimators.quantity import Quantity

LATENCY = "./PerformanceEstimates/SummaryOfOverallLatency"
PATH = "./PerformanceEstimates/SummaryOfTimingAnalysis/EstimatedClockPeriod"
AREA = "./AreaEstimates/Resources"

AREAS = {"lut": ("LUT",), "ff": ("FF",), "dsp": ("DSP", "DSP48E")}
"""Quantity -> what Vitis and Vivado call it."""


def files(project: Path) -> list[Path]:
    """The newest report below a project and what its script says that it was made from; empty without a report."""
    found = [
        report
        for made in project.glob("*_prj")
        for report in made.glob(f"*/syn/report/{made.name.removesuffix('_prj')}_csynth.xml")
    ]
    found.sort(key=lambda f: f.stat().st_mtime_ns)
    if not found:
        return []
    mark = found[-1].parents[3] / FILE
    return [found[-1], mark] if mark.exists() else [found[-1]]


def read(project: Path, wanted: Mapping[str, Any]) -> tuple[Quantity, ...]:
    """Latency, initiation interval, path and resources of the newest report below a project; empty without one.

    Args:
        project: folder of the HLS project; the tool makes ``*_prj/solution*/syn/report`` in it.
        wanted: graph and target that the report must be of: :func:`trigger_ml.backends.hls.made_from.made_from`.

    Raises:
        ArtifactError: the report is not one of C synthesis, is damaged, or is of another graph or target.
    """
    found = files(project)
    if not found:
        return ()
    if len(found) < 2:
        raise ArtifactError(f"{found[0]} does not say of which graph it is: run the project's build_prj.tcl again")
    theirs = read_json(found[1])
    odd = sorted(k for k in wanted if not isinstance(theirs, dict) or theirs.get(k) != wanted[k])
    if odd:
        raise ArtifactError(
            f"{found[0]} is of another {odd[0]} than the run's: synthesise the project that is there now"
        )
    try:
        return _figures(ElementTree.parse(found[0]).getroot(), float(wanted["clock_ns"]))
    except (ElementTree.ParseError, ValueError) as error:
        raise ArtifactError(f"{found[0]} is no report of C synthesis ({error}): run the synthesis again") from None


def _figures(root: ElementTree.Element, clock_ns: float) -> tuple[Quantity, ...]:
    tool = f"C synthesis {root.findtext('./ReportVersion/Version', '')}".strip()
    cycles = _count(root, f"{LATENCY}/Worst-caseLatency")
    found = [
        Quantity("latency_cycles", cycles, "cycles", "vendor csynth", tool),
        Quantity("latency_ns", cycles * clock_ns, "ns", "vendor csynth", f"{tool}, at the spec's clock"),
        Quantity("initiation_interval", _count(root, f"{LATENCY}/Interval-max"), "cycles", "vendor csynth", tool),
        Quantity("path_ns", float(_text(root, PATH)), "ns", "vendor csynth", tool),
    ]
    for name, tags in AREAS.items():
        tag = next((t for t in tags if root.find(f"{AREA}/{t}") is not None), tags[0])
        found.append(Quantity(name, _count(root, f"{AREA}/{tag}"), "", "vendor csynth", tool))
    halves = _count(root, f"{AREA}/BRAM_18K")
    return (*found, Quantity("bram", halves / 2, "", "vendor csynth", tool))


def _text(root: ElementTree.Element, path: str) -> str:
    found = root.findtext(path)
    if found is None:
        raise ValueError(f"{path} is missing")
    return found.strip()


def _count(root: ElementTree.Element, path: str) -> int:
    return int(_text(root, path))
