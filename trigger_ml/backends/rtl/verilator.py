"""The Verilog in Verilator: compiled to C++, one event a clock."""

from __future__ import annotations

import contextlib
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trigger_ml import artifact, tools
from trigger_ml.backends.handwritten import handwritten
from trigger_ml.backends.rtl import stream
from trigger_ml.backends.rtl.ports import Port, input_ports, output_ports
from trigger_ml.backends.rtl.project import description
from trigger_ml.ir.graph import Graph
from trigger_ml.ir.interpret import check_inputs

COMPILE_S, RUN_S = 900.0, 900.0
OPTIMIZE = "-O1"
"""The C++ compiler's level for the network: -O0 simulates ten times slower, -O2 compiles twice as long."""

FLAGS = ("-O3", "--x-assign", "fast", "--x-initial", "fast", "--no-timing", "-Wno-fatal", "-Wno-lint", "-Wno-style")


def measure(folder: Path, graph: Graph, inputs: NDArray[Any] | Mapping[str, NDArray[Any]]) -> stream.Measured:
    """Simulate the project in ``folder``.

    The compiled simulation is kept in ``folder/.verilator`` and used again while the Verilog is the same.

    Raises:
        ToolMissing, ToolFailed: Verilator, or the compiler behind it.
        Mismatch: another graph's project, or answers that don't come at one latency.
    """
    about, feed = description(folder, graph), check_inputs(graph, inputs)
    program = compiled(folder, about["name"], input_ports(graph), output_ports(graph))
    with tempfile.TemporaryDirectory(prefix="trigger_ml_") as scratch:
        files = {p.name: Path(scratch) / f"{p.name}.in" for p in input_ports(graph)}
        results = {p.name: Path(scratch) / f"{p.name}.out" for p in output_ports(graph)}
        for p in input_ports(graph):
            stream.records(p, feed[p.node]).tofile(files[p.name])
        tools.run([program, *files.values(), *results.values()], cwd=Path(scratch), timeout_s=RUN_S)
        words = {p.name: np.fromfile(results[p.name], np.uint8).reshape(-1, p.bytes) for p in output_ports(graph)}
    count = stream.events_of(feed)
    return stream.read(output_ports(graph), words, count, about["latency_cycles"], "verilator")


def compiled(folder: Path, name: str, inputs: Sequence[Port], outputs: Sequence[Port]) -> Path:
    """The simulation program for the Verilog in ``folder``, compiled now unless it is there already."""
    source, work = folder / "rtl" / f"{name}.v", folder / ".verilator"
    header, main = _header(name, inputs, outputs), handwritten("tb/verilator_main.cpp")
    parts = [source.read_text("utf-8"), header, main, *FLAGS, OPTIMIZE, str(tools.version("verilator"))]
    key = artifact.digest_json(parts)
    program, stamp = work / "obj" / "simulate", work / "key"
    with contextlib.suppress(OSError):
        if stamp.read_text("utf-8") == key and program.exists():
            return program
    stamp.unlink(missing_ok=True)
    artifact.atomic_write(work / "obj" / "ports.h", header)
    artifact.atomic_write(work / "verilator_main.cpp", main)
    argv = ["verilator", "--cc", "--exe", "--build", "-j", "1", *FLAGS, "--top-module", name, "--Mdir", "obj"]
    argv += [
        "-MAKEFLAGS",
        f"OPT_FAST={OPTIMIZE} OPT_SLOW=-O0 OPT_GLOBAL=-O0 PYTHON3={sys.executable}",
        "-o",
        "simulate",
    ]
    argv += ["verilator_main.cpp", str(source.resolve())]
    tools.run(argv, cwd=work, timeout_s=COMPILE_S, log=work / "compile.log")
    artifact.atomic_write(stamp, key)
    return program


def _header(name: str, inputs: Sequence[Port], outputs: Sequence[Port]) -> str:
    def listed(ports: Sequence[Port]) -> str:
        return " ".join(f"F({p.name}, {p.bytes})" for p in ports)

    return (
        f'#include "V{name}.h"\n#define MODULE V{name}\n'
        f"#define INPUTS(F) {listed(inputs)}\n#define OUTPUTS(F) {listed(outputs)}\n"
    )
