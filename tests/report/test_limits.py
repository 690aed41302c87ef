"""A budget against quantities, worked by hand: what a clock that the longest path does not fit makes of it."""

from __future__ import annotations

import pytest

from tests.report.example import report
from trigger_ml.estimators.quantity import Quantity
from trigger_ml.report import limits
from trigger_ml.report.card import figures
from trigger_ml.report.document import document
from trigger_ml.report.page import render
from trigger_ml.spec import Budget, Target

CYCLES = Quantity("latency_cycles", 12, "cycles", "simulated", "verilator")
LATENCY = Quantity("latency_ns", 12.0, "ns", "simulated", "verilator")
PATH = Quantity("path_ns", 3.98, "ns", "open synthesis", "yosys")
BUDGET = Budget(latency_cycles=12, latency_ns=12.0)


def judged(clock_ns: float, *found: Quantity) -> dict[str, bool]:
    return {line.name: line.ok for line in limits.lines(BUDGET, clock_ns, found)}


def test_a_clock_shorter_than_the_path_meets_no_latency_in_ns() -> None:
    """12 cycles at 1 ns are not 12 ns if the path takes 3.98 ns; the cycles stand whatever the clock is."""
    assert judged(1.0, CYCLES, LATENCY, PATH) == {"latency_ns": False, "latency_cycles": True}
    assert judged(3.97, CYCLES, LATENCY, PATH) == {"latency_ns": False, "latency_cycles": True}


def test_a_clock_that_fits_the_path_counts() -> None:
    assert judged(3.98, CYCLES, LATENCY, PATH) == {"latency_ns": True, "latency_cycles": True}
    assert limits.remarks(Target(clock_ns=3.98), (CYCLES, LATENCY, PATH)) == ()


def test_the_remark_stands_where_nothing_is_budgeted() -> None:
    (said,) = limits.remarks(Target(clock_ns=1.0), (CYCLES, LATENCY, PATH))
    assert said.startswith("The clock of 1 ns is not met by open synthesis, whose longest path is 3.98 ns, and latency")
    assert limits.lines(Budget(), 1.0, (PATH,)) == ()


@pytest.mark.parametrize(
    ("target", "more"),
    [
        (Target(clock_ns=1.0), "give more cycles ([budget] latency_cycles) or"),
        (Target(clock_ns=1.0, most_cycles=7), "give more cycles ([target] most_cycles) or"),
        (Target(clock_ns=1.0, most_cycles=7, cut_ns=2.0), "give shorter paths ([target] cut_ns) or"),
    ],
)
def test_the_remark_names_the_key_that_binds(target: Target, more: str) -> None:
    (said,) = limits.remarks(target, (CYCLES, LATENCY, PATH))
    assert more in said


def test_without_a_path_the_clock_is_not_known() -> None:
    (said,) = limits.remarks(Target(clock_ns=5.0), (CYCLES, LATENCY))
    assert said.startswith("No tool looked at the longest path")
    assert limits.met(5.0, (CYCLES, LATENCY)) is None
    assert limits.remarks(Target(clock_ns=5.0), ()) == ()


@pytest.mark.parametrize(("limit", "ok"), [(3.97, False), (3.98, True)])
def test_the_path_has_a_limit_of_its_own(limit: float, ok: bool) -> None:
    (line,) = limits.lines(Budget(path_ns=limit), 5.0, (PATH,))
    assert (line.ok, line.unit) == (ok, "ns")
    (missing,) = limits.lines(Budget(path_ns=limit), 5.0, ())
    assert (missing.ok, missing.unit) == (False, "ns")


def test_the_page_and_the_card_say_it() -> None:
    found = (CYCLES, LATENCY, PATH)
    said = limits.remarks(Target(clock_ns=1.0), found)
    data = report(4_000, 500, quantities=found, budget=limits.lines(BUDGET, 1.0, found), remarks=said, clock_met=False)
    assert data.verdict == "FAIL"
    page = render(data)
    assert said[0] in page
    assert "at a clock that is not shown to be met" in page
    assert said[0] in figures(document(data)).splitlines()


def test_a_pipeline_that_misses_its_aim_says_what_holds_it() -> None:
    assert limits.pipeline(5.0, 0.6, 3.0, 12, 12) is None
    assert limits.pipeline(5.0, 0.6, 3.645, 12, 12) == (
        "The pipeline aims at paths of 3 ns, 60 % of the clock; its 12 cycles leave 3.645 ns, by its own delays: "
        "raise [budget] latency_cycles or [target] most_cycles for shorter ones."
    )
    assert "it may take 48, but a single operation is as slow" in str(limits.pipeline(1.5, 0.6, 2.66, 11, 48))


def test_a_negative_hold_slack_is_no_clock_that_is_met() -> None:
    routed = [
        Quantity(n, v, "ns", "vendor post-route", "Vivado") for n, v in (("path_ns", 4.0), ("hold_slack_ns", -0.01))
    ]
    assert judged(5.0, CYCLES, LATENCY, *routed) == {"latency_ns": False, "latency_cycles": True}
    assert "not met by vendor post-route, whose hold slack is -0.01 ns" in str(limits.unmet(5.0, routed))
    assert limits.met(5.0, routed[:1])
