"""The longest path of small netlists, worked out by hand from the stated delays."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

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
    outputs = {"O", "Q", "CO", "P", "PCOUT"}
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


NONE = {"AREG": 0, "BREG": 0, "CREG": 0, "DREG": 0, "ADREG": 0, "MREG": 0, "PREG": 0}


def dsp(*registers: str, pins: dict[str, list[int | str]] | None = None) -> dict[str, Any]:
    """A DSP from bits 2 and 3 to 5, with registers where named, in the way Yosys writes it."""
    held = {name: f"{int(name in registers):032b}" for name in NONE}
    return cell("DSP48E2", held, **{"A": [2], "B": [3], "C": ["0"], "P": [5], "CLK": [0], **(pins or {})})


def luts(count: int, into: int) -> list[dict[str, Any]]:
    """Look-up tables in a row from a register to the bit ``into``."""
    nets = [*range(100, 100 + count), into]
    return [cell("LUT1", I0=[a], O=[b]) for a, b in itertools.pairwise(nets)]


END = cell("FDRE", D=[5], Q=[2], C=[0])
WHOLE = FF + NET_NS + DSP_NS


def test_a_multiplier_without_registers_is_a_path_from_its_pins():
    assert path(dsp(), END) == (1, pytest.approx(WHOLE))
    assert path(dsp("PREG"), END) == (1, pytest.approx(WHOLE))


@pytest.mark.parametrize("behind", [(), ("PREG",), ("MREG",), ("MREG", "PREG")])
def test_a_multiplier_behind_its_own_registers_still_takes_its_time(behind):
    assert path(dsp("AREG", "BREG", *behind), END) == (1, pytest.approx(FF + DSP_NS))


@pytest.mark.parametrize("held", [("AREG",), ("AREG", "PREG"), ("AREG", "MREG"), ("AREG", "MREG", "PREG")])
def test_the_register_of_one_input_says_nothing_of_the_other(held):
    assert path(*luts(2, into=3), dsp(*held), END) == (3, pytest.approx(WHOLE + 2 * LUT))
    assert path(*luts(2, into=2), dsp(*held), cell("FDRE", D=[5], Q=[9], C=[0]))[1] == pytest.approx(WHOLE)


def test_a_register_of_an_input_ends_the_path_into_it():
    assert path(*luts(9, into=3), dsp("AREG", "BREG", "PREG"), END) == (9, pytest.approx(FF + 9 * LUT + NET_NS))


def test_c_of_a_multiplier_is_data_and_c_of_a_flip_flop_a_clock():
    ten = luts(10, into=7)
    assert path(*ten, dsp("PREG", pins={"C": [7]}), END) == (11, pytest.approx(WHOLE + 10 * LUT))
    assert path(*ten, dsp("CREG", "PREG", pins={"C": [7]}), END) == (10, pytest.approx(FF + 10 * LUT + NET_NS))
    assert path(*ten, dsp("MREG", pins={"C": [7]}), END) == (11, pytest.approx(WHOLE + 10 * LUT))  # M is not in its way
    assert path(*ten, cell("FDRE", D=[2], Q=[3], C=[7])) == (0, pytest.approx(FF))


def test_a_sum_passed_on_to_the_next_multiplier_is_part_of_the_path():
    first = dsp(pins={"P": [], "PCOUT": [8]})
    assert path(first, dsp(pins={"PCIN": [8], "A": ["0"], "B": ["0"]}), END) == (
        2,
        pytest.approx(WHOLE + NET_NS + DSP_NS),
    )


def test_the_enable_of_a_multipliers_register_is_an_end():
    assert path(*luts(4, into=7), dsp("AREG", "BREG", pins={"CEA2": [7]})) == (4, pytest.approx(FF + 4 * LUT + NET_NS))


@given(st.sets(st.sampled_from(sorted(NONE))), st.sampled_from("ABCD"), st.integers(0, 12))
def test_no_register_hides_what_is_in_front_of_it_or_the_multiplier(held, port, count):
    """Whatever is registered: the tables in front of a pin are seen, and one whole multiplier is."""
    levels, ns = path(*luts(count, into=7), dsp(*held, pins={port: [7]}), END)
    assert ns >= max(FF + count * LUT + NET_NS, FF + DSP_NS) - 1e-3
    assert levels >= max(count, 1)
    assert ns <= path(*luts(count, into=7), dsp(pins={port: [7]}), END)[1]


def test_ports_and_empty_netlists_have_no_path():
    assert longest_path({}) == longest_path({"a": cell("LUT1", I0=[1], O=[2])})
    assert longest_path({}).levels == 0
