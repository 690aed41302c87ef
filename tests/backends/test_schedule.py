"""Pipelines: no value is read before it is made, no path is longer than promised, and 12 cycles are kept."""

from __future__ import annotations

import pytest

from tests.backends.rtl_graphs import chain, score
from trigger_ml import spec
from trigger_ml.backends.rtl.design import design
from trigger_ml.backends.rtl.lowering import lower
from trigger_ml.backends.rtl.netlist import Netlist, netlist
from trigger_ml.backends.rtl.schedule import (
    CLOCK_TO_Q_NS,
    SETUP_NS,
    Schedule,
    alap,
    asap,
    cell_delay,
    choose,
    register_bits,
)
from trigger_ml.errors import Unsupported
from trigger_ml.fuzz import random_graph
from trigger_ml.spec import Target

pytestmark = pytest.mark.needs_rtl

NETS = [netlist(lower(g)) for g in (chain(), score(), *map(random_graph, range(8)))]


def longest(net: Netlist, schedule: Schedule) -> float:
    """The longest path between registers, found without the scheduler."""
    arrival: list[float] = []
    for index, cell in enumerate(net.cells):
        near = [arrival[a] for a in cell.args if schedule.stages[a] == schedule.stages[index]]
        arrival.append(max(near, default=0.0) + cell_delay(net, cell))
    return max(arrival) + CLOCK_TO_Q_NS + SETUP_NS


@pytest.mark.parametrize("net", NETS)
@pytest.mark.parametrize("cut", [3.0, 4.0, 7.0, 1e9])
def test_both_schedules_are_legal(net, cut):
    early = asap(net, cut)
    for schedule in (early, alap(net, early)):
        for index, cell in enumerate(net.cells):
            assert 0 <= schedule.stages[index] < schedule.count
            assert all(schedule.stages[a] <= schedule.stages[index] for a in cell.args)
            assert cell.kind != "input" or schedule.stages[index] == 0
        assert longest(net, schedule) <= schedule.delay_ns + 1e-6
    assert early.delay_ns <= cut + 1e-6 or max(cell_delay(net, c) for c in net.cells) > cut - CLOCK_TO_Q_NS - SETUP_NS


@pytest.mark.parametrize("net", NETS)
def test_shorter_paths_take_more_stages(net):
    counts = [asap(net, cut).count for cut in (3.0, 4.0, 6.0, 10.0, 1e9)]
    assert counts == sorted(counts, reverse=True)
    assert counts[-1] == 1


@pytest.mark.parametrize("net", NETS)
@pytest.mark.parametrize("clock", [0.5, 2.5, 5.0, 25.0])
def test_a_chosen_pipeline_keeps_to_twelve_cycles(net, clock):
    chosen = choose(net, clock)
    assert chosen.cycles == chosen.count + 1 <= 12
    if chosen.delay_ns > 0.6 * clock:  # the goal was out of reach: then no shorter path fits into the cycles
        assert asap(net, chosen.delay_ns - 0.02).count > 11 or chosen.delay_ns - 0.02 <= max(
            cell_delay(net, c) + CLOCK_TO_Q_NS + SETUP_NS for c in net.cells
        )


def test_a_cut_below_the_slowest_operation_is_refused():
    with pytest.raises(Unsupported, match="cut_ns is 0.5, but the slowest single operation takes"):
        choose(NETS[1], 5.0, 0.5)


def test_a_cut_is_met_whatever_number_of_cycles_it_takes():
    assert choose(NETS[1], 5.0, 3.0).delay_ns <= 3.0


def test_the_chosen_schedule_has_the_fewer_register_bits():
    for net in NETS:
        early = asap(net, 4.0)
        chosen = choose(net, 5.0, 4.0)
        assert register_bits(net, chosen) <= register_bits(net, early)


@pytest.mark.parametrize(
    ("budget", "target", "cycles"),
    [
        ("", "", 12),
        ("latency_cycles = 12", "", 12),
        ("latency_cycles = 48", "", 48),
        ("latency_ns = 240", "", 48),
        ("latency_cycles = 48\nlatency_ns = 200", "", 40),
        ("latency_ns = 10.8", "clock_ns = 0.9", 12),
        ("latency_ns = 1", "", 2),
        ("latency_cycles = 48", "most_cycles = 20", 20),
    ],
)
def test_the_bound_on_the_cycles_is_the_budgets(budget, target, cycles):
    text = 'name = "m"\n[model]\nfamily = "imported"\n[sample]\nname = "none"\n'
    assert spec.parse(f"{text}[budget]\n{budget}\n[target]\n{target}\n").layout.most_cycles == cycles


def test_a_larger_bound_gives_more_cycles_and_shorter_paths():
    four, twelve, most, free = (
        design(score(), Target(clock_ns=1.5, most_cycles=n)).schedule for n in (4, 12, 48, None)
    )
    assert four.cycles == 4 < most.cycles <= 48
    assert most.delay_ns < four.delay_ns
    assert free.stages == twelve.stages
