"""The limits of a spec beside what was found, and whether its clock is met at all.

Latency in nanoseconds is a number of cycles times the spec's clock. Where the longest path is longer than the clock
period that product says nothing, so it meets no limit.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from trigger_ml.estimators.quantity import Quantity, best
from trigger_ml.report.data import BudgetLine
from trigger_ml.spec import Budget, Target

UNITS = {"latency_ns": "ns", "path_ns": "ns"}
"""Of limits that nothing was found for."""

TIMES = ("latency_ns",)
"""Quantities that hold only where the clock is met."""


def lines(budget: Budget, clock_ns: float, found: Sequence[Quantity]) -> tuple[BudgetLine, ...]:
    """Every limit of the spec beside the best-founded quantity of that name.

    Args:
        budget: the limits.
        clock_ns: clock period.
        found: everything known of cost and latency.
    """
    why = unmet(clock_ns, found) or ""
    made = []
    for field in dataclasses.fields(budget):
        limit = getattr(budget, field.name)
        if limit is not None:
            q = best(found, field.name)
            unit = q.unit if q else UNITS.get(field.name, "")
            made.append(BudgetLine(field.name, float(limit), unit, q, why if field.name in TIMES else ""))
    return tuple(made)


def met(clock_ns: float, found: Sequence[Quantity]) -> bool | None:
    """Whether the longest path is within the clock period and no hold slack negative; None where no path is known."""
    path, hold = best(found, "path_ns"), best(found, "hold_slack_ns")
    return None if path is None else path.value <= clock_ns and (hold is None or hold.value >= 0)


def unmet(clock_ns: float, found: Sequence[Quantity]) -> str | None:
    """Half a sentence on a clock that the longest path does not fit; None where it does, or no path is known."""
    path, hold = best(found, "path_ns"), best(found, "hold_slack_ns")
    if path is None or met(clock_ns, found):
        return None
    short = f"hold slack is {hold.value:g}" if hold and hold.value < 0 else f"longest path is {path.value:,.4g}"
    return (
        f"the clock of {clock_ns:g} ns is not met by {path.source}, whose {short} ns, "
        "and latency in ns is cycles times a clock that is not shown to be met"
    )


def remarks(target: Target, found: Sequence[Quantity]) -> tuple[str, ...]:
    """What a reader of the cost must know, one sentence each.

    Args:
        target: the spec's clock, and what bounds the cycles.
        found: everything known of cost and latency.
    """
    why = unmet(target.clock_ns, found)
    if why is not None:
        return (f"T{why[1:]}: give {_binding(target)} or a slower clock ([target] clock_ns).",)
    if best(found, "latency_ns") is not None and best(found, "path_ns") is None:
        return (
            f"No tool looked at the longest path, so latency in ns is cycles times a clock of {target.clock_ns:g} ns "
            "that is not shown to be met: install the package pyosys, or read a vendor's timing report.",
        )
    return ()


def _binding(target: Target) -> str:
    """What to give for shorter paths of the RTL: ``cut_ns`` sets aside the cycles, ``most_cycles`` the budget."""
    if target.cut_ns is not None:
        return "shorter paths ([target] cut_ns)"
    return f"more cycles ({'[budget] latency_cycles' if target.most_cycles is None else '[target] most_cycles'})"


def pipeline(clock_ns: float, share: float, delay_ns: float, cycles: int, most: int) -> str | None:
    """A sentence on a pipeline that misses its aim; None where it does not.

    Args:
        clock_ns: clock period.
        share: part of it that paths may fill.
        delay_ns: longest path by the pipeline's own delays.
        cycles: that it takes.
        most: that it may take.
    """
    if delay_ns <= share * clock_ns:
        return None
    why = (
        "raise [budget] latency_cycles or [target] most_cycles for shorter ones"
        if cycles >= most
        else f"it may take {most}, but a single operation is as slow"
    )
    return (
        f"The pipeline aims at paths of {share * clock_ns:.4g} ns, {100 * share:.0f} % of the clock; its "
        f"{cycles} cycles leave {delay_ns:.4g} ns, by its own delays: {why}."
    )
