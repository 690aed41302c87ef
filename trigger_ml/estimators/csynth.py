"""What the vendor's C synthesis reported of an HLS project, if it was run there."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

from trigger_ml.errors import ArtifactError
from trigger_ml.estimators.quantity import Quantity

LATENCY = "./PerformanceEstimates/SummaryOfOverallLatency"
AREA = "./AreaEstimates/Resources"

AREAS = {"lut": ("LUT",), "ff": ("FF",), "dsp": ("DSP", "DSP48E")}
"""Quantity -> what Vitis and Vivado call it."""


def read(project: Path) -> tuple[Quantity, ...]:
    """Latency, initiation interval and resources of the newest ``*_csynth.xml`` below a project; empty without one.

    Args:
        project: folder of the HLS project; the tool makes ``*_prj/solution*/syn/report`` in it.

    Raises:
        ArtifactError: the report is not one of C synthesis, or is damaged.
    """
    files = sorted(project.glob("*_prj/*/syn/report/trigger_csynth.xml"), key=lambda f: f.stat().st_mtime_ns)
    if not files:
        return ()
    try:
        root = ElementTree.parse(files[-1]).getroot()
        tool = f"C synthesis {root.findtext('./ReportVersion/Version', '')}".strip()
        found = [
            Quantity("latency_cycles", _count(root, f"{LATENCY}/Worst-caseLatency"), "cycles", "vendor csynth", tool),
            Quantity("initiation_interval", _count(root, f"{LATENCY}/Interval-max"), "cycles", "vendor csynth", tool),
        ]
        for name, tags in AREAS.items():
            tag = next((t for t in tags if root.find(f"{AREA}/{t}") is not None), tags[0])
            found.append(Quantity(name, _count(root, f"{AREA}/{tag}"), "", "vendor csynth", tool))
        halves = _count(root, f"{AREA}/BRAM_18K")
        return (*found, Quantity("bram", halves / 2, "", "vendor csynth", tool))
    except (ElementTree.ParseError, ValueError) as error:
        raise ArtifactError(f"{files[-1]} is no report of C synthesis ({error}): run the synthesis again") from None


def _text(root: ElementTree.Element, path: str) -> str:
    found = root.findtext(path)
    if found is None:
        raise ValueError(f"{path} is missing")
    return found.strip()


def _count(root: ElementTree.Element, path: str) -> int:
    return int(_text(root, path))
