"""The Verilog test bench; see ``testbench``. What it needs itself is called ``tb_...``, as no port is."""

from __future__ import annotations

from trigger_ml.backends.rtl.design import Design
from trigger_ml.backends.rtl.ports import Port
from trigger_ml.backends.rtl.testbench import ABOUT, EVENT


def verilog_bench(plan: Design) -> str:
    """The text of module ``<name>_tb``."""
    name, ins, outs = plan.name, list(enumerate(plan.inputs)), list(enumerate(plan.outputs))
    ended = " || ".join(f"$feof(tb_in{i})" for i, _ in ins)
    said = f"{name}: %0d events, %0d of {len(outs)} outputs compared, as expected"
    return "\n".join([
        f"// Test bench of {name}: {ABOUT[0]}",
        *(f"// {line}" for line in ABOUT[1:]),
        "",
        "`timescale 1ns / 1ps",
        "`default_nettype none",
        f"module {name}_tb;",
        *_declared(plan),
        "",
        f"  {name} dut ({', '.join(_links(plan))});",
        "",
        "  initial begin",
        *(line for i, p in ins for line in _opened(i, p)),
        *(line for i, p in outs for line in _recorded(i, p)),
        "    while (tb_going) begin",
        f"      if (!({ended})) begin",
        *(f"        {line}" for i, p in ins for line in _read(f"tb_in{i}", p.name, f"{p.name}.hex", "tb_events")),
        "        tb_events = tb_events + 1;",
        "      end else begin",
        *(
            f'        if (!$feof(tb_in{i})) $fatal(1, "{p.name}.hex has more words than another input");'
            for i, p in ins
        ),
        "        tb_going = tb_compared != 0 && tb_clock < tb_events + TB_LATENCY - 1;",
        "      end",
        "      if (tb_going) begin",
        "        #1 clk = 1'b1;",
        "        #1;",
        *(f"        {line}" for i, p in outs for line in _compared(i, p)),
        "        clk = 1'b0;",
        "        tb_clock = tb_clock + 1;",
        "      end",
        "    end",
        *(
            f"    if (tb_expected{i} != 0 && !$feof(tb_expected{i}))\n"
            f'      $fatal(1, "{p.name}.expected has more words than there are events");'
            for i, p in outs
        ),
        f'    $display("{said}", tb_events, tb_compared);',
        "    $finish(0);",
        "  end",
        "endmodule",
        "",
    ])  # fmt: skip


def _declared(plan: Design) -> list[str]:
    lines = [
        f"  localparam integer TB_LATENCY = {plan.schedule.cycles};",
        "  reg clk = 1'b0;",
        "  integer tb_read, tb_clock = 0, tb_events = 0, tb_compared = 0, tb_going = 1;",
    ]
    for i, p in enumerate(plan.inputs):
        lines += [f"  reg [{8 * p.bytes - 1}:0] {p.name} = 0;", f"  integer tb_in{i};"]
    for i, p in enumerate(plan.outputs):
        lines += [f"  wire [{p.width - 1}:0] {p.name};", f"  reg [{8 * p.bytes - 1}:0] tb_want{i};"]
        lines += [f"  integer tb_out{i}, tb_expected{i};"]
    return lines


def _links(plan: Design) -> list[str]:
    links = [".clk(clk)", *(f".{p.name}({p.name}[{p.width - 1}:0])" for p in plan.inputs)]
    return [*links, *(f".{p.name}({p.name})" for p in plan.outputs)]


def _opened(i: int, p: Port) -> list[str]:
    """An input's file; an error where it is missing or empty."""
    return [
        f'    tb_in{i} = $fopen("{p.name}.hex", "r");',
        f'    if (tb_in{i} == 0) $fatal(1, "there is no {p.name}.hex in this folder: it holds an event a line");',
        f"    tb_read = $fgetc(tb_in{i});",
        f'    if (tb_read == -1) $fatal(1, "{p.name}.hex is empty");',
        f"    tb_read = $ungetc(tb_read, tb_in{i});",
    ]


def _recorded(i: int, p: Port) -> list[str]:
    """An output's files; the expected words need not be there."""
    return [
        f'    tb_out{i} = $fopen("{p.name}.out", "w");',
        f'    tb_expected{i} = $fopen("{p.name}.expected", "r");',
        f"    if (tb_expected{i} != 0) tb_compared = tb_compared + 1;",
        f'    else $display("there is no {p.name}.expected: {p.name} is recorded and not compared");',
    ]


def _read(file: str, word: str, path: str, number: str) -> list[str]:
    return [
        f'tb_read = $fscanf({file}, "%h\\n", {word});',
        f"if (tb_read != 1 || ^{word} === 1'bx)",
        f'  $fatal(1, "{path}: word %0d is missing or not hexadecimal", {number});',
    ]


def _compared(i: int, p: Port) -> list[str]:
    """What is done with an output after a clock edge."""
    return [
        f'$fwrite(tb_out{i}, "%h\\n", {p.name});',
        f"if (tb_expected{i} != 0 && tb_clock >= TB_LATENCY - 1) begin",
        *(f"  {line}" for line in _read(f"tb_expected{i}", f"tb_want{i}", f"{p.name}.expected", EVENT)),
        f"  if ({p.name} !== tb_want{i})",
        f'    $fatal(1, "event %0d: {p.name} is %h, expected %h", {EVENT}, {p.name}, tb_want{i});',
        "end",
    ]
