"""The longest path of small netlists, worked out by hand from the stated delays."""

from __future__ import annotations

from typing import Any

import pytest

from trigger_ml.backends.rtl.schedule import (
    CARRY_BIT_NS,
    CARRY_NS,
    CARRY_OUT_NS,
    CLOCK_TO_Q_NS,
    DSP_NS,
    LUT_NS,
    NET_NS,
    SETUP_NS,
)
from trigger_ml.estimators.timing import longest_path

FF = CLOCK_TO_Q_NS + SETUP_NS
LUT = NET_NS + LUT_NS


def cell(kind: str, parameters: dict[str, str] | None = None, **pins: list[int | str]) -> dict[str, Any]:
    outputs = {"O", "Q", "CO", "P"}
    directions = {p: "output" if p in outputs else "input" for p in pins}
    return {"type": kind, "connections": pins, "port_directions": directions, "parameters": parameters or {}}


def path(*cells: dict[str, Any]) -> tuple[int, float]:
    found = longest_path({str(i): c for i, c in enumerate(cells)})
    return found.levels, found.ns


def test_register_to_register():
    assert path(cell("FDRE", D=[1], Q=[2], C=[0]), cell("FDRE", D=[2], Q=[3], C=[0])) == (0, pytest.approx(FF))


def test_two_look_up_tables():
    chain = [cell("LUT2", I0=[2], I1=[1], O=[3]), cell("LUT1", I0=[3], O=[4]), cell("FDRE", D=[4], Q=[2], C=[0])]
    assert path(*chain) == (2, pytest.approx(FF + 2 * LUT))


def test_a_carry_chain_over_two_cells():
    low = cell(
        "CARRY4", S=[10, 11, 12, 13], DI=["0"] * 4, CI=["0"], CYINIT=["0"], O=[20, 21, 22, 23], CO=[30, 31, 32, 33]
    )
    high = cell(
        "CARRY4", S=[14, 15, 16, 17], DI=["0"] * 4, CI=[33], CYINIT=["0"], O=[24, 25, 26, 27], CO=[34, 35, 36, 37]
    )
    luts = [cell("LUT2", I0=[i], O=[10 + i]) for i in range(8)]
    registers = [cell("FDRE", D=[20 + i], Q=[i], C=[99]) for i in range(8)]
    levels, ns = path(low, high, *luts, *registers)
    assert levels == 1  # the tables stand beside the chain: one level together
    assert ns == pytest.approx(FF + LUT + CARRY_NS + CARRY_OUT_NS + 8 * CARRY_BIT_NS)


def test_a_multiplier_with_and_without_registers_inside():
    def dsp(**registers: str) -> tuple[int, float]:
        ends = cell("FDRE", D=[5], Q=[2], C=[0])
        return path(cell("DSP48E2", registers, A=[2], B=[3], P=[5], CLK=[0]), ends)

    assert dsp(AREG="0", BREG="0", MREG="0", PREG="0") == (1, pytest.approx(FF + NET_NS + DSP_NS))
    assert dsp(AREG="0", BREG="0", MREG="0", PREG="1")[1] == pytest.approx(FF + NET_NS + DSP_NS)
    assert dsp(AREG="1", BREG="1", MREG="0", PREG="0")[1] == pytest.approx(FF + NET_NS)


def test_ports_and_empty_netlists_have_no_path():
    assert longest_path({}) == longest_path({"a": cell("LUT1", I0=[1], O=[2])})
    assert longest_path({}).levels == 0
