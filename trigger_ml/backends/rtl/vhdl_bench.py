"""The VHDL test bench; see ``testbench``. What it needs itself is called ``tb_...``, as no port is."""

from __future__ import annotations

from trigger_ml.backends.rtl.design import Design
from trigger_ml.backends.rtl.ports import Port
from trigger_ml.backends.rtl.testbench import ABOUT, EVENT


def vhdl_bench(plan: Design) -> str:
    """The text of entity ``<name>_tb``."""
    name, ins, outs = plan.name, list(enumerate(plan.inputs)), list(enumerate(plan.outputs))
    return "\n".join([
        f"-- Test bench of {name}: {ABOUT[0]}",
        *(f"-- {line}" for line in ABOUT[1:]),
        "",
        "library ieee;",
        "use ieee.std_logic_1164.all;",
        "use std.textio.all;",
        "",
        f"entity {name}_tb is",
        "end entity;",
        "",
        f"architecture bench of {name}_tb is",
        "  signal clk : std_logic := '0';",
        *(f"  signal {p.name} : {_word(p)} := (others => '0');" for p in plan.inputs),
        *(f"  signal {p.name} : std_logic_vector({p.width - 1} downto 0);" for p in plan.outputs),
        "begin",
        f"  dut : entity work.{name} port map ({', '.join(_links(plan))});",
        "",
        "  play : process",
        *_variables(plan),
        "  begin",
        *(line for i, p in ins for line in _opened(i, p)),
        *(line for i, p in outs for line in _recorded(i, p)),
        "    while tb_going loop",
        f"      if not ({' or '.join(f'endfile(tb_in{i})' for i, _ in ins)}) then",
        *(f"        {line}" for i, p in ins for line in _driven(i, p)),
        "        tb_events := tb_events + 1;",
        "      else",
        *(
            f"        assert endfile(tb_in{i})\n"
            f'          report "{p.name}.hex has more words than another input" severity failure;'
            for i, p in ins
        ),
        "        tb_going := tb_checked > 0 and tb_clock < tb_events + TB_LATENCY - 1;",
        "      end if;",
        "      if tb_going then",
        "        wait for 1 ns;",
        "        clk <= '1';",
        "        wait for 1 ns;",
        *(f"        {line}" for i, p in outs for line in _compared(i, p)),
        "        clk <= '0';",
        "        tb_clock := tb_clock + 1;",
        "      end if;",
        "    end loop;",
        *(
            f"    assert not tb_check{i} or endfile(tb_expected{i})\n"
            f'      report "{p.name}.expected has more words than there are events" severity failure;'
            for i, p in outs
        ),
        f"    report \"{name}: \" & integer'image(tb_events) & \" events, \" & integer'image(tb_checked)",
        f'      & " of {len(outs)} outputs compared, as expected";',
        "    wait;",
        "  end process;",
        "end architecture;",
        "",
    ])  # fmt: skip


def _word(port: Port) -> str:
    """The type of whole bytes that hold a port."""
    return f"std_logic_vector({8 * port.bytes - 1} downto 0)"


def _links(plan: Design) -> list[str]:
    links = ["clk => clk", *(f"{p.name} => {p.name}({p.width - 1} downto 0)" for p in plan.inputs)]
    return [*links, *(f"{p.name} => {p.name}" for p in plan.outputs)]


def _variables(plan: Design) -> list[str]:
    lines = [f"    constant TB_LATENCY : positive := {plan.schedule.cycles};"]
    for i, p in enumerate(plan.inputs):
        lines += [f"    file tb_in{i} : text;", f"    variable tb_word{i} : {_word(p)};"]
    for i, p in enumerate(plan.outputs):
        lines += [f"    file tb_out{i}, tb_expected{i} : text;", f"    variable tb_check{i} : boolean;"]
        lines += [f"    variable tb_got{i}, tb_want{i} : {_word(p)} := (others => '0');"]
    return [
        *lines,
        "    variable tb_clock, tb_events, tb_checked : natural := 0;",
        "    variable tb_going : boolean := true;",
        "    variable tb_status : file_open_status;",
        "    variable tb_row : line;",
        "    variable tb_good : boolean;",
    ]


def _opened(i: int, p: Port) -> list[str]:
    """An input's file; an error where it is missing or empty."""
    return [
        f'    file_open(tb_status, tb_in{i}, "{p.name}.hex", read_mode);',
        "    assert tb_status = open_ok",
        f'      report "there is no {p.name}.hex in this folder: it holds an event a line" severity failure;',
        f'    assert not endfile(tb_in{i}) report "{p.name}.hex is empty" severity failure;',
    ]


def _recorded(i: int, p: Port) -> list[str]:
    """An output's files; the expected words need not be there."""
    return [
        f'    file_open(tb_out{i}, "{p.name}.out", write_mode);',
        f'    file_open(tb_status, tb_expected{i}, "{p.name}.expected", read_mode);',
        f"    tb_check{i} := tb_status = open_ok;",
        f"    if tb_check{i} then",
        "      tb_checked := tb_checked + 1;",
        "    else",
        f'      report "there is no {p.name}.expected: {p.name} is recorded and not compared";',
        "    end if;",
    ]


def _read(file: str, word: str, path: str, number: str) -> list[str]:
    return [
        "tb_good := false;",
        f"if not endfile({file}) then",
        f"  readline({file}, tb_row);",
        f"  hread(tb_row, {word}, tb_good);",
        "end if;",
        "assert tb_good",
        f'  report "{path}: word " & integer\'image({number}) & " is missing or not hexadecimal" severity failure;',
    ]


def _driven(i: int, p: Port) -> list[str]:
    """A word for an input."""
    return [*_read(f"tb_in{i}", f"tb_word{i}", f"{p.name}.hex", "tb_events"), f"{p.name} <= tb_word{i};"]


def _compared(i: int, p: Port) -> list[str]:
    """What is done with an output after a clock edge."""
    return [
        f"tb_got{i}({p.width - 1} downto 0) := {p.name};",
        f"hwrite(tb_row, tb_got{i});",
        f"writeline(tb_out{i}, tb_row);",
        f"if tb_check{i} and tb_clock >= TB_LATENCY - 1 then",
        *(f"  {line}" for line in _read(f"tb_expected{i}", f"tb_want{i}", f"{p.name}.expected", EVENT)),
        f"  assert tb_got{i} = tb_want{i}",
        f'    report "event " & integer\'image({EVENT}) & ": {p.name} is " & to_hstring(tb_got{i})',
        f'      & ", expected " & to_hstring(tb_want{i}) severity failure;',
        "end if;",
    ]
