"""What Vivado reported of a routed design: the text of ``report_utilization`` and of ``report_timing_summary``."""

from __future__ import annotations

import re
from pathlib import Path

from trigger_ml import artifact
from trigger_ml.errors import ArtifactError
from trigger_ml.estimators.quantity import Quantity, Source

UTILIZATION, TIMING, PORTS = "utilization.rpt", "timing.rpt", "ports.json"
FILES = (UTILIZATION, TIMING, PORTS)
"""What the script that goes with the RTL leaves: two reports, and the description of what it read."""

SITES = {
    "lut": ("CLB LUTs", "Slice LUTs"),
    "ff": ("CLB Registers", "Slice Registers", "Registers"),
    "dsp": ("DSPs", "DSP Slices"),
    "bram": ("Block RAM Tile",),
}
"""Quantity -> what UltraScale, 7 series and Versal call it."""

NEAR_NS = 0.0011
"""Reports round the clock period to a picosecond."""

SOURCE: Source = "vendor post-route"


def read(folder: Path, project: Path, part: str) -> tuple[Quantity, ...]:
    """Resources, longest path and slack of a routed design.

    Args:
        folder: the reports, and the ``ports.json`` that the script copied when it read the sources.
        project: the RTL project that they must be of.
        part: the spec's device.

    Returns:
        ``lut``, ``ff``, ``dsp``, ``bram`` (of 36 kbit), ``path_ns`` (clock period less the worst setup slack) and
        ``hold_slack_ns``.

    Raises:
        ArtifactError: a report is missing or damaged, is not of a routed design, or is of another graph, build, part or
            clock.
    """
    plan = artifact.read_json(project / PORTS)
    _bound(folder, artifact.read_json(folder / PORTS), plan)
    used, timed = (_text(folder / name) for name in (UTILIZATION, TIMING))
    for name, text in ((UTILIZATION, used), (TIMING, timed)):
        _of(folder / name, text, str(plan["name"]), part)
    path, hold = _timing(folder / TIMING, timed, float(plan["clock_ns"]))
    tool = f"Vivado {_head(folder / UTILIZATION, used, 'Tool Version').removeprefix('Vivado ').split()[0]}, {part}"
    counts = tuple(Quantity(n, _used(folder / UTILIZATION, used, n), "", SOURCE, tool) for n in SITES)
    return (
        *counts,
        Quantity("path_ns", path, "ns", SOURCE, f"{tool}, clock less slack"),
        Quantity("hold_slack_ns", hold, "ns", SOURCE, tool),
    )


def _bound(folder: Path, theirs: object, ours: object) -> None:
    if not isinstance(theirs, dict) or not isinstance(ours, dict):
        raise _malformed(folder / PORTS, "it describes no ports")
    if theirs.get("graph_digest") != ours.get("graph_digest"):
        raise ArtifactError(
            f"{folder} holds reports of graph {str(theirs.get('graph_digest'))[:12]}, not of "
            f"{str(ours.get('graph_digest'))[:12]}: route the project that is there now"
        )
    if theirs != ours:
        raise ArtifactError(
            f"{folder} holds reports of this graph built otherwise (another clock or pipeline): route the project that "
            "is there now"
        )


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8", errors="replace")
    except OSError as error:
        raise ArtifactError(f"{path} can't be read ({error.strerror}): run vivado/synthesize.tcl to its end") from None


def _head(path: Path, text: str, key: str) -> str:
    found = re.search(rf"^\|\s*{key}\s*:\s*(\S.*?)\s*$", text, re.MULTILINE)
    if found is None:
        raise _malformed(path, f"there is no {key!r} in its head")
    return found.group(1)


def _of(path: Path, text: str, name: str, part: str) -> None:
    """Raise ``ArtifactError`` unless a report is of this module, routed, on this part."""
    design, device = _head(path, text, "Design"), _head(path, text, "Device")
    if design != name:
        raise ArtifactError(f"{path} is of the design {design}, not of {name}: give the reports of this project")
    plain = [re.sub("^xc|-", "", p.lower()) for p in (device, part)]
    if not plain[1].startswith(plain[0]):
        raise ArtifactError(f"{path} is of the part {device}, the spec's is {part}: route for that, or change the spec")
    state = re.search(r"^\|\s*Design State\s*:\s*(\S.*?)\s*$", text, re.MULTILINE)
    if state is not None and "rout" not in state.group(1).lower():
        raise ArtifactError(f"{path} is of a design that is {state.group(1)}, not routed: route it and report again")


def _used(path: Path, text: str, name: str) -> int | float:
    """The column ``Used`` of the site type that a quantity is called."""
    for site in SITES[name]:
        found = re.search(rf"^\|\s*{site}\*?\s*\|\s*([0-9.]+)\s*\|", text, re.MULTILINE)
        if found is not None:
            value = _number(path, found.group(1))
            return int(value) if value.is_integer() else value
    raise _malformed(path, f"there is no row {SITES[name][0]!r}")


def _timing(path: Path, text: str, clock_ns: float) -> tuple[float, float]:
    """The longest path and the worst hold slack, in ns."""
    rows = re.search(r"^\s*WNS\(ns\)[^\n]*WHS\(ns\)[^\n]*\n[\s-]*\n([^\n]*)$", text, re.MULTILINE)
    clocks = re.search(r"^Clock\s+Waveform\(ns\)\s+Period\(ns\)[^\n]*\n[\s-]*\n(.*?)(?:\n\s*\n|\Z)", text, re.M | re.S)
    if rows is None or clocks is None:
        raise _malformed(path, "there is no design timing summary with its clocks")
    found = [re.match(r"\s*\S+\s+\{[^}]*\}\s+(\S+)", line) for line in clocks.group(1).splitlines()]
    periods = [_number(path, row.group(1)) for row in found if row is not None]
    if len(periods) != 1:
        raise _malformed(path, f"it has {len(periods)} clocks, not one")
    if abs(periods[0] - clock_ns) > NEAR_NS:
        raise ArtifactError(
            f"{path} is of a clock of {periods[0]:g} ns, the project's is {clock_ns:g} ns: use its constraints"
        )
    values = rows.group(1).split()
    if len(values) < 5:
        raise _malformed(path, "its timing summary has too few columns")
    return round(periods[0] - _number(path, values[0]), 3), _number(path, values[4])


def _number(path: Path, text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise _malformed(path, f"{text!r} is no number") from None


def _malformed(path: Path, why: str) -> ArtifactError:
    return ArtifactError(f"{path} is no such report of Vivado ({why}): write it again with vivado/synthesize.tcl")
