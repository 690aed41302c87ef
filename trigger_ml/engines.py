"""The table of engines: which backend builds one, what simulates it, how many events it is compared on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from trigger_ml import plugins, tools, validate
from trigger_ml.ir.graph import Graph
from trigger_ml.spec import TREES, Engines, Spec, Target

Measure = Callable[[Path, Graph, validate.Feed], Any]


@dataclass(frozen=True)
class Kind:
    """One row of the agreement table.

    Attributes:
        name: of the engine.
        backend: module in ``trigger_ml/backends`` that builds it.
        events: field of ``[engines]`` that says on how many events.
        label: what runs, in the report's words.
        simulator: ``module:function`` of ``backends.rtl`` that simulates; None: the backend itself.
        second: program of a second simulator, without which this check alone is left out, and the report says so.
        family: the only family of models that it is for; None: for all.
    """

    name: str
    backend: str
    events: str
    label: str
    simulator: str | None = None
    second: str | None = None
    family: str | None = None

    def count(self, engines: Engines) -> int:
        """Events on which the spec compares this engine; 0 leaves it out."""
        return int(getattr(engines, self.events))

    def left_out(self, engines: Engines) -> str | None:
        """Why this engine is not compared, one sentence; None if it is."""
        if not self.count(engines):
            return f"[engines] {self.events} is 0 in the spec"
        if self.second is not None and tools.find(self.second) is None:
            return f"{self.second} is not installed: apt-get install {self.second}"
        return None

    def open(self, folder: Path, graph: Graph, target: Target) -> tuple[validate.Engine, list[Any]]:
        """The engine built in ``folder``, and a list that gets a ``Measured`` for each simulation of RTL."""
        backend = plugins.find("backends", self.backend)
        plain = validate.engine(self.name, backend, folder, graph, target)
        measured: list[Any] = []
        if self.simulator is None:
            return plain, measured
        module, function = self.simulator.split(":")
        measure: Measure = getattr(import_module(f"trigger_ml.backends.rtl.{module}"), function)

        def simulate(feed: validate.Feed) -> Any:
            measured.append(measure(folder, graph, feed))
            return measured[-1].outputs

        return validate.Engine(self.name, simulate, plain.nodes), measured


KINDS = (
    Kind("cpp", "cpp", "cpp", "C++ emulator, g++"),
    Kind("cmssw", "cmssw", "cmssw", "CMSSW plug-in, g++"),
    Kind("onnx", "onnx", "onnx", "ONNX Runtime"),
    Kind("verilator", "verilog", "verilog", "Verilator", "verilator:measure"),
    Kind("icarus", "verilog", "second", "Icarus Verilog", "text_simulators:icarus", "iverilog"),
    Kind("ghdl", "vhdl", "vhdl", "GHDL", "text_simulators:ghdl", "ghdl"),
    Kind("hls4ml", "hls4ml", "hls4ml", "hls4ml C simulation, g++"),
    Kind("conifer", "conifer", "conifer", "conifer, C++", family=TREES),
    Kind("conifer_vhdl", "conifer_vhdl", "conifer_vhdl", "conifer, VHDL in GHDL", second="ghdl", family=TREES),
)


def kinds(spec: Spec) -> tuple[Kind, ...]:
    """The engines that there are for a model."""
    return tuple(kind for kind in KINDS if kind.family in (None, spec.model.family))


def backends(spec: Spec) -> list[str]:
    """The backends that a spec wants built, each once."""
    return list(dict.fromkeys(kind.backend for kind in kinds(spec) if kind.count(spec.engines)))
