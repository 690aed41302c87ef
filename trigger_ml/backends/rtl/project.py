"""The files of an RTL project, and finding the hand-written ones that go with them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from trigger_ml import artifact
from trigger_ml.backends.handwritten import handwritten
from trigger_ml.backends.rtl.design import Design
from trigger_ml.errors import Mismatch
from trigger_ml.ir.graph import Graph
from trigger_ml.ir.io import digest
from trigger_ml.parts import ULTRASCALE, family

BUFFER = "set_property HD.CLK_SRC BUFGCE_X0Y0 [get_ports clk]"
NO_BUFFER = "# No HD.CLK_SRC: where this family has its clock buffers is not known here."
"""The clock buffer that an out-of-context module is timed with: BUFGCE_X0Y0 is there in UltraScale and UltraScale+."""


def vendor_files(plan: Design, suffix: str) -> dict[str, str]:
    """The constraints and the Vivado script for a design whose source ends in ``v`` or ``vhd``, by relative path."""
    read = {"v": f"read_verilog rtl/{plan.name}.v", "vhd": f"read_vhdl -vhdl2008 rtl/{plan.name}.vhd"}[suffix]
    filled = {}
    for path, template in ((f"vivado/{plan.name}.xdc", "network.xdc"), ("vivado/synthesize.tcl", "synthesize.tcl")):
        text = handwritten(f"vivado/{template}")
        for word, value in (
            ("NAME", plan.name),
            ("PART", plan.part),
            ("CLOCK_NS", f"{plan.clock_ns:g}"),
            ("READ", read),
            ("CLOCK_SOURCE", BUFFER if family(plan.part) in ULTRASCALE else NO_BUFFER),
        ):
            text = re.sub(rf"\b{word}\b", value, text)
        filled[path] = text
    return filled


def description(folder: Path, graph: Graph) -> dict[str, Any]:
    """``ports.json`` of a project that was built from ``graph``.

    Raises:
        ArtifactError: if there is no project.
        Mismatch: if it was built from another graph.
    """
    found = artifact.read_json(folder / "ports.json")
    if found["graph_digest"] != digest(graph):
        raise Mismatch(
            f"{folder} was built from graph {found['graph_digest'][:12]}, not {digest(graph)[:12]}: build it again"
        )
    content: dict[str, Any] = found
    return content
