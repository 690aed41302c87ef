"""Open synthesis: the Verilog through Yosys for the family of the part.

LUT counts have no dual-output packing in them, and arithmetic is mapped to CARRY4, of which UltraScale+ has half as
many CARRY8. Nothing here is placed or routed, and nothing was calibrated against Vivado.
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

from trigger_ml import artifact, parts, tools
from trigger_ml.errors import ToolMissing
from trigger_ml.estimators.quantity import Quantity
from trigger_ml.estimators.timing import longest_path

TIMEOUT_S = 1200.0
ASSUMED = "xcup"
"""The family of which the order of the assumed delays is."""


WITHOUT_CARRY8 = ("xc7",)
"""Families whose carry chains are CARRY4 itself."""


def estimate(folder: Path, part: str, timeout_s: float = TIMEOUT_S) -> tuple[Quantity, ...]:
    """Resources and the longest path of the Verilog project in ``folder``.

    The work is done in a process of its own at low priority; its log is ``folder/.yosys/synthesis.log``.

    Args:
        folder: the project.
        part: the spec's device.
        timeout_s: for the synthesis.

    Returns:
        ``lut`` (shift registers included), ``ff``, ``dsp``, ``bram`` (of 36 kbit), ``carry8`` (not of 7 series),
        ``logic_levels``, ``path_ns``.

    Raises:
        ToolMissing: without the ``pyosys`` package, or Yosys does not know the part's family.
        ToolFailed: Yosys failed or took longer than ``timeout_s``.
        ArtifactError: no Verilog project in ``folder``.
    """
    version = tools.package_version("pyosys")
    if version is None:
        raise ToolMissing(
            "the Python package pyosys is not installed (for: open synthesis): pip install 'trigger_ml[synth]'"
        )
    family = parts.family(part)
    known = parts.YOSYS.get(family or "")
    if known is None:
        raise ToolMissing(f"Yosys maps to no {family}: {part} has no open synthesis")
    name = artifact.read_json(folder / "ports.json")["name"]
    log = folder / ".yosys" / "synthesis.log"
    cells = synthesize(folder / "rtl" / f"{name}.v", name, log, timeout_s, known)
    delays = "" if known == ASSUMED else ", delays of a 16 nm device"
    found = quantities(cells, f"Yosys {version} synth_xilinx -family {known}{delays}")
    return tuple(q for q in found if q.name != "carry8" or known not in WITHOUT_CARRY8)


def synthesize(
    source: Path, top: str, log: Path, timeout_s: float = TIMEOUT_S, family: str = ASSUMED
) -> dict[str, Any]:
    """The cells of the synthesized, flattened module."""
    with tempfile.TemporaryDirectory(prefix="trigger_ml_") as scratch:
        shutil.copy(source, Path(scratch) / "design.v")
        script = Path(__file__).with_name("_synthesize.py")
        argv = ["nice", "-n", "10", sys.executable, str(script), family, top, "design.v", "netlist.json"]
        tools.run(argv, cwd=Path(scratch), timeout_s=timeout_s, log=log)
        modules = json.loads((Path(scratch) / "netlist.json").read_text("utf-8"))["modules"]
    cells: dict[str, Any] = modules[top]["cells"]
    return cells


def quantities(cells: dict[str, Any], tool: str) -> tuple[Quantity, ...]:
    """Counts and the longest path of a flat netlist."""
    count = Counter(cell["type"] for cell in cells.values())

    def of(*starts: str) -> int:
        return sum(n for kind, n in count.items() if kind.startswith(starts))

    path = longest_path(cells)
    halves = 2 * of("RAMB36") + of("RAMB18")
    return tuple(
        Quantity(name, value, unit, "open synthesis", tool)
        for name, value, unit in (
            ("lut", of("LUT", "SRL", "RAM32", "RAM64", "RAM128", "RAM256"), ""),
            ("ff", of("FD"), ""),
            ("dsp", of("DSP"), ""),
            ("bram", -(-halves // 2), ""),
            ("carry8", -(-of("CARRY4") // 2), ""),
            ("logic_levels", path.levels, ""),
            ("path_ns", path.ns, "ns"),
        )
    )
