"""Test benches for simulators that read the hardware language itself: hexadecimal words in, one a clock, words out.

The bench is part of the project: it reads ``<port>.hex`` and writes ``<port>.out`` in the folder where it runs.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from trigger_ml.backends.rtl.design import Design
from trigger_ml.backends.rtl.ports import Port
from trigger_ml.backends.rtl.stream import QUIET
from trigger_ml.errors import Mismatch


def hex_lines(words: NDArray[np.uint8]) -> str:
    """Packed words as text, the highest digit first."""
    return "".join(word[::-1].tobytes().hex() + "\n" for word in words)


def from_hex(text: str, port: Port, engine: str) -> NDArray[np.uint8]:
    """The inverse of :func:`hex_lines`; words before the pipeline has filled may be undefined, and read as zero.

    Raises:
        Mismatch: an undefined word later.
    """
    lines = text.split()
    words = np.zeros((len(lines), port.bytes), np.uint8)
    for clock, line in enumerate(lines):
        try:
            words[clock] = np.frombuffer(bytes.fromhex(line.zfill(2 * port.bytes)), np.uint8)[::-1]
        except ValueError:
            if clock >= QUIET // 2:
                raise Mismatch(f"{engine}: output {port.name!r} is undefined in clock {clock}: {line}") from None
    return words


def verilog_bench(plan: Design) -> str:
    """The Verilog test bench, module ``<name>_tb``."""
    name, first = plan.name, plan.inputs[0].name
    lines = [
        f"// Test bench of {name}: reads <port>.hex, one word a clock, writes <port>.out after every clock edge.",
        "",
    ]
    lines += [
        "`timescale 1ns / 1ps",
        "`default_nettype none",
        f"module {name}_tb;",
        "  reg clk = 1'b0;",
        "  integer ok = 1;",
    ]
    for p in plan.inputs:
        lines += [f"  reg [{8 * p.bytes - 1}:0] {p.name} = 0;", f"  integer {p.name}_file;"]
    for p in plan.outputs:
        lines += [f"  wire [{p.width - 1}:0] {p.name};", f"  integer {p.name}_file;"]
    links = [".clk(clk)", *(f".{p.name}({p.name}[{p.width - 1}:0])" for p in plan.inputs)]
    links += [f".{p.name}({p.name})" for p in plan.outputs]
    lines += ["", f"  {name} dut ({', '.join(links)});", "", "  initial begin"]
    lines += [f'    {p.name}_file = $fopen("{p.name}.hex", "r");' for p in plan.inputs]
    lines += [f'    {p.name}_file = $fopen("{p.name}.out", "w");' for p in plan.outputs]
    reads = [f'      ok = $fscanf({p.name}_file, "%h\\n", {p.name});' for p in plan.inputs]
    lines += [f"    while (!$feof({first}_file)) begin", *reads, "      #1 clk = 1'b1;", "      #1;"]
    lines += [f'      $fwrite({p.name}_file, "%h\\n", {p.name});' for p in plan.outputs]
    lines += ["      clk = 1'b0;", "    end", "    $finish(0);", "  end", "endmodule", ""]
    return "\n".join(lines)


def vhdl_bench(plan: Design) -> str:
    """The VHDL test bench, entity ``<name>_tb``."""
    name, first = plan.name, plan.inputs[0].name
    lines = [
        f"-- Test bench of {name}: reads <port>.hex, one word a clock, writes <port>.out after every clock edge.",
        "",
    ]
    lines += ["library ieee;", "use ieee.std_logic_1164.all;", "use std.textio.all;", ""]
    lines += [
        f"entity {name}_tb is",
        "end entity;",
        "",
        f"architecture bench of {name}_tb is",
        "  signal clk : std_logic := '0';",
    ]
    lines += [
        f"  signal {p.name} : std_logic_vector({8 * p.bytes - 1} downto 0) := (others => '0');" for p in plan.inputs
    ]
    lines += [f"  signal {p.name} : std_logic_vector({p.width - 1} downto 0);" for p in plan.outputs]
    links = ["clk => clk", *(f"{p.name} => {p.name}({p.width - 1} downto 0)" for p in plan.inputs)]
    links += [f"{p.name} => {p.name}" for p in plan.outputs]
    lines += ["begin", f"  dut : entity work.{name} port map ({', '.join(links)});", "", "  play : process"]
    for p in plan.inputs:
        lines += [f'    file {p.name}_file : text open read_mode is "{p.name}.hex";']
        lines += [f"    variable {p.name}_word : std_logic_vector({8 * p.bytes - 1} downto 0);"]
    for p in plan.outputs:
        lines += [f'    file {p.name}_file : text open write_mode is "{p.name}.out";']
        lines += [f"    variable {p.name}_word : std_logic_vector({8 * p.bytes - 1} downto 0) := (others => '0');"]
    lines += ["    variable row : line;", "  begin", f"    while not endfile({first}_file) loop"]
    for p in plan.inputs:
        lines += [
            f"      readline({p.name}_file, row);",
            f"      hread(row, {p.name}_word);",
            f"      {p.name} <= {p.name}_word;",
        ]
    lines += ["      wait for 1 ns;", "      clk <= '1';", "      wait for 1 ns;"]
    for p in plan.outputs:
        lines += [f"      {p.name}_word({p.width - 1} downto 0) := {p.name};"]
        lines += [f"      hwrite(row, {p.name}_word);", f"      writeline({p.name}_file, row);"]
    lines += ["      clk <= '0';", "    end loop;", "    wait;", "  end process;", "end architecture;", ""]
    return "\n".join(lines)
