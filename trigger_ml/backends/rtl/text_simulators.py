"""The Verilog in Icarus Verilog and the VHDL in GHDL: independent simulators for a subset of the events."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from trigger_ml import tools
from trigger_ml.backends.rtl import stream
from trigger_ml.backends.rtl.ports import input_ports, output_ports
from trigger_ml.backends.rtl.project import description
from trigger_ml.backends.rtl.testbench import from_hex, hex_lines
from trigger_ml.ir.graph import Graph
from trigger_ml.ir.interpret import check_inputs

COMPILE_S, RUN_S = 300.0, 900.0


def icarus(folder: Path, graph: Graph, inputs: NDArray[Any] | Mapping[str, NDArray[Any]]) -> stream.Measured:
    """Simulate the Verilog project in ``folder`` with Icarus Verilog.

    Raises:
        ToolMissing, ToolFailed: Icarus Verilog.
        Mismatch: another graph's project, or answers that don't come at one latency.
    """
    return _simulate(folder, graph, inputs, "icarus", ".v")


def ghdl(folder: Path, graph: Graph, inputs: NDArray[Any] | Mapping[str, NDArray[Any]]) -> stream.Measured:
    """Simulate the VHDL project in ``folder`` with GHDL.

    Raises:
        ToolMissing, ToolFailed: GHDL.
        Mismatch: another graph's project, or answers that don't come at one latency.
    """
    return _simulate(folder, graph, inputs, "ghdl", ".vhd")


def _simulate(
    folder: Path, graph: Graph, inputs: NDArray[Any] | Mapping[str, NDArray[Any]], engine: str, suffix: str
) -> stream.Measured:
    about, feed = description(folder, graph), check_inputs(graph, inputs)
    name = about["name"]
    with tempfile.TemporaryDirectory(prefix="trigger_ml_") as scratch:
        work = Path(scratch)
        shutil.copy(folder / "rtl" / f"{name}{suffix}", work)
        shutil.copy(folder / "tb" / f"{name}_tb{suffix}", work)
        for p in input_ports(graph):
            (work / f"{p.name}.hex").write_text(hex_lines(stream.records(p, feed[p.node])), "ascii")
        _run_icarus(work, name) if engine == "icarus" else _run_ghdl(work, name)
        ports = output_ports(graph)
        words = {p.name: from_hex((work / f"{p.name}.out").read_text("ascii"), p, engine) for p in ports}
    return stream.read(ports, words, stream.events_of(feed), about["latency_cycles"], engine)


def _run_icarus(work: Path, name: str) -> None:
    sources = [f"{name}.v", f"{name}_tb.v"]
    tools.run(["iverilog", "-g2005", "-o", "simulate.vvp", "-s", f"{name}_tb", *sources], cwd=work, timeout_s=COMPILE_S)
    tools.run(["vvp", "-n", "simulate.vvp"], cwd=work, timeout_s=RUN_S)


def _run_ghdl(work: Path, name: str) -> None:
    about = tools.run(["ghdl", "--version"], cwd=work, timeout_s=COMPILE_S).stdout
    fast = [] if "mcode" in about else ["-O0"]  # compiling takes much longer than running
    tools.run(["ghdl", "-a", *fast, "--std=08", f"{name}.vhd", f"{name}_tb.vhd"], cwd=work, timeout_s=COMPILE_S)
    if "mcode" not in about:
        tools.run(["ghdl", "-e", "--std=08", f"{name}_tb"], cwd=work, timeout_s=COMPILE_S)
    tools.run(["ghdl", "-r", "--std=08", f"{name}_tb", "--ieee-asserts=disable"], cwd=work, timeout_s=RUN_S)
