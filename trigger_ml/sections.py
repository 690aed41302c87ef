"""Sections of a spec that check themselves, and those of them that say what the firmware is for and may cost."""

from __future__ import annotations

import dataclasses
import math
import typing
from dataclasses import dataclass
from typing import ClassVar, Literal

from trigger_ml import parts
from trigger_ml.errors import SpecError
from trigger_ml.fields import limited, settle

MOST_CYCLES = 12
"""Clock cycles that the RTL may take, registers at both ports included, where a spec sets no bound."""


@dataclass(frozen=True, kw_only=True)
class Section:
    """Checks its own fields, however it was constructed."""

    TITLE: ClassVar[str] = ""
    """Table of the file that it is read from; empty: the top level."""

    def __post_init__(self) -> None:
        hints = typing.get_type_hints(type(self))
        for field in dataclasses.fields(self):
            if "limits" not in field.metadata:
                continue  # a section of its own
            where = f"[{self.TITLE}] {field.name}" if self.TITLE else field.name
            value = settle(getattr(self, field.name), hints[field.name], field.metadata["limits"], where)
            object.__setattr__(self, field.name, value)


@dataclass(frozen=True, kw_only=True)
class Target(Section):
    """The device and how the network is laid out on it."""

    TITLE = "target"

    part: str = limited(
        "AMD part number: UltraScale+, UltraScale, 7 series, or Versal, for which there is no open synthesis",
        default="xcvu13p-flga2577-2-e",
        pattern=parts.PATTERN,
    )
    clock_ns: float = limited("clock period", 0.5, 100, default=5.0)
    reuse_factor: int = limited("multiplications that share one multiplier", 1, 65_536, default=1)
    strategy: Literal["latency", "distributed_arithmetic"] = limited("hls4ml's strategy", default="latency")
    hls_backend: Literal["Vitis", "Vivado"] = limited("hls4ml's backend", default="Vitis")
    io_type: Literal["io_parallel", "io_stream"] = limited(
        "hls4ml's interface: an event at once, or as a stream of words, one position's channels each",
        default="io_parallel",
    )
    cut_ns: float | None = limited(
        "delay after which the RTL gets a register, whatever number of cycles it takes; none: 60 % of clock_ns, or the "
        "least that most_cycles allow",
        0.1,
        100,
        default=None,
    )
    most_cycles: int | None = limited(
        "clock cycles that the RTL may take where there is no cut_ns; none: the budget's latency_cycles, or its "
        f"latency_ns over clock_ns if that is less; {MOST_CYCLES} where the budget has neither",
        2,
        10**6,
        default=None,
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if parts.family(self.part) is None:
            raise SpecError(
                f'[target] part "{self.part}" is of no family that is known: give an UltraScale+, UltraScale, '
                "7 series or Versal part, such as xcvu13p-flga2577-2-e"
            )
        if self.strategy == "distributed_arithmetic" and self.reuse_factor != 1:
            raise SpecError(
                f"[target] reuse_factor is {self.reuse_factor}, "
                "but distributed_arithmetic has no multipliers to share: give 1"
            )
        if self.strategy == "distributed_arithmetic" and self.io_type == "io_stream":
            raise SpecError('[target] io_type "io_stream" goes with the strategy "latency" only: change one of them')


@dataclass(frozen=True, kw_only=True)
class Engines(Section):
    """Events on which each engine is compared with the golden interpreter; 0 leaves it out, and the report says so."""

    TITLE = "engines"

    hls4ml: int = limited("C simulation of the HLS project", 0, 10**9, default=20_000)
    verilog: int = limited("Verilog in Verilator, one event a clock", 0, 10**9, default=100_000)
    second: int = limited("the same Verilog in a second simulator, Icarus", 0, 10**9, default=1_000)
    vhdl: int = limited("VHDL in GHDL", 0, 10**9, default=1_000)
    onnx: int = limited("exact ONNX in ONNX Runtime", 0, 10**9, default=1_000_000)
    cpp: int = limited("the C++ emulator", 0, 10**9, default=1_000_000)
    cmssw: int = limited("the plug-in for CMSSW, one event a call", 0, 10**9, default=20_000)
    conifer: int = limited("trees: conifer's C++ model of its firmware", 0, 10**9, default=20_000)
    conifer_vhdl: int = limited("trees: conifer's VHDL in GHDL", 0, 10**9, default=300)


@dataclass(frozen=True, kw_only=True)
class Budget(Section):
    """What the firmware may cost; a quantity without a limit is reported and not judged."""

    TITLE = "budget"

    lut: int | None = limited("look-up tables", 0, 10**8, default=None)
    ff: int | None = limited("flip-flops", 0, 10**8, default=None)
    dsp: int | None = limited("DSP blocks", 0, 10**6, default=None)
    bram: int | None = limited("block RAMs of 36 kbit", 0, 10**6, default=None)
    latency_ns: float | None = limited(
        "first input word to last output word, I/O registers included; not met where the longest path is longer than "
        "the clock period",
        0,
        10**6,
        default=None,
        open_low=True,
    )
    latency_cycles: int | None = limited("the same, in clock cycles", 1, 10**6, default=None)
    path_ns: float | None = limited(
        "longest path between registers, by open synthesis or the vendor's timing report",
        0,
        10**6,
        default=None,
        open_low=True,
    )
    initiation_interval: int | None = limited("clock cycles from one event to the next", 1, 10**6, default=None)

    def cycles(self, clock_ns: float) -> int | None:
        """Clock cycles of latency that the budget leaves at a clock period; None where it limits none."""
        whole = None if self.latency_ns is None else math.floor(self.latency_ns / clock_ns * (1 + 1e-9))
        return min((n for n in (self.latency_cycles, whole) if n is not None), default=None)
