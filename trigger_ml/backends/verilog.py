"""The Verilog engine: the graph through alkaid as a pipeline, one event a clock, simulated in Verilator."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trigger_ml import artifact
from trigger_ml.backends.handwritten import handwritten
from trigger_ml.backends.rtl import verilator
from trigger_ml.backends.rtl.design import design
from trigger_ml.backends.rtl.interface import PAGE, page, write_names
from trigger_ml.backends.rtl.project import vendor_files
from trigger_ml.backends.rtl.testbench import write_vectors
from trigger_ml.backends.rtl.verilog_bench import verilog_bench
from trigger_ml.backends.rtl.verilog_text import verilog
from trigger_ml.ir.graph import Graph
from trigger_ml.spec import Target

__all__ = ["build", "check", "simulate", "write_names", "write_vectors"]

FLAG = "event_valid.v"
"""The module that carries a valid flag beside the network."""

PATTERN_BENCH = {"patterns.py": "patterns.py", "run_patterns.py": "run_patterns.py", "Makefile": "patterns.mk"}
"""Files of ``tb/`` -> their names in ``firmware/tb``: a cocotb bench that plays board files."""


def check(graph: Graph, target: Target) -> None:
    """Refuse what can't be laid out exactly.

    Raises:
        Unsupported: naming the node.
        ToolMissing: without the ``alkaid`` package.
    """
    design(graph, target)


def build(graph: Graph, folder: Path, target: Target) -> None:
    """Write ``rtl/<name>.v``, the valid flag, test benches, ``ports.json``, ``interface.md``, Vivado's files.

    Raises:
        Unsupported: see :func:`check`; nothing is written.
        ToolMissing: without the ``alkaid`` package.
    """
    plan = design(graph, target)
    with artifact.atomic_folder(folder) as part:
        artifact.atomic_write(part / "rtl" / f"{plan.name}.v", verilog(plan))
        artifact.atomic_write(part / "rtl" / FLAG, handwritten(f"rtl/{FLAG}"))
        artifact.atomic_write(part / "tb" / f"{plan.name}_tb.v", verilog_bench(plan))
        for name, source in PATTERN_BENCH.items():
            artifact.atomic_write(part / "tb" / name, handwritten(f"tb/{source}"))
        artifact.write_json(part / "ports.json", plan.describe())
        artifact.atomic_write(part / PAGE, page(plan.describe(), f"{plan.name}.v"))
        for name, text in vendor_files(plan, "v").items():
            artifact.atomic_write(part / name, text)


def simulate(
    folder: Path, graph: Graph, inputs: NDArray[Any] | Mapping[str, NDArray[Any]]
) -> dict[str, NDArray[np.int64]]:
    """Run all events through Verilator, back to back.

    Returns:
        Integers ``(events, *shape)`` for each output; :func:`trigger_ml.backends.rtl.verilator.measure` gives the
        measured latency as well.
    """
    return verilator.measure(folder, graph, inputs).outputs
