"""The VHDL engine: the same pipeline as the Verilog, printed in VHDL-2008 on its own, simulated in GHDL."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trigger_ml import artifact
from trigger_ml.backends.rtl import text_simulators
from trigger_ml.backends.rtl.design import design
from trigger_ml.backends.rtl.interface import PAGE, page, write_names
from trigger_ml.backends.rtl.project import vendor_files
from trigger_ml.backends.rtl.testbench import write_vectors
from trigger_ml.backends.rtl.vhdl_bench import vhdl_bench
from trigger_ml.backends.rtl.vhdl_text import vhdl
from trigger_ml.ir.graph import Graph
from trigger_ml.spec import Target

__all__ = ["build", "check", "simulate", "write_names", "write_vectors"]


def check(graph: Graph, target: Target) -> None:
    """Refuse what can't be laid out exactly.

    Raises:
        Unsupported: naming the node.
        ToolMissing: without the ``alkaid`` package.
    """
    design(graph, target)


def build(graph: Graph, folder: Path, target: Target) -> None:
    """Write ``rtl/<name>.vhd``, its test bench, ``ports.json``, ``interface.md``, and Vivado's constraints and script.

    Raises:
        Unsupported: see :func:`check`; nothing is written.
        ToolMissing: without the ``alkaid`` package.
    """
    plan = design(graph, target)
    with artifact.atomic_folder(folder) as part:
        artifact.atomic_write(part / "rtl" / f"{plan.name}.vhd", vhdl(plan))
        artifact.atomic_write(part / "tb" / f"{plan.name}_tb.vhd", vhdl_bench(plan))
        artifact.write_json(part / "ports.json", plan.describe())
        artifact.atomic_write(part / PAGE, page(plan.describe(), f"{plan.name}.vhd"))
        for name, text in vendor_files(plan, "vhd").items():
            artifact.atomic_write(part / name, text)


def simulate(
    folder: Path, graph: Graph, inputs: NDArray[Any] | Mapping[str, NDArray[Any]]
) -> dict[str, NDArray[np.int64]]:
    """Run the events through GHDL, back to back.

    Returns:
        Integers ``(events, *shape)`` for each output; :func:`trigger_ml.backends.rtl.text_simulators.ghdl` gives the
        measured latency as well.
    """
    return text_simulators.ghdl(folder, graph, inputs).outputs
