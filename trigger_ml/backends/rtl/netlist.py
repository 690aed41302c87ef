"""The traced logic as cells on integers: what the schedule, both printers and the op counts read.

A cell computes one integer from earlier ones. Its result is floored to the grid of its format ``to`` and keeps the low
``to.width`` bits; where the kind is not ``relu``, ``table`` or one of the bit kinds this is all that can lose bits.
"""

from __future__ import annotations

import functools
import math
import operator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

from trigger_ml.fixed import Fixed

Kind = Literal["input", "constant", "sum", "relu", "mux", "product", "table", "not", "any", "all", "and", "or", "xor"]


@dataclass(frozen=True, eq=False, slots=True)
class Cell:
    """One operation.

    Attributes:
        kind: ``sum`` adds its arguments and ``constant``; a single argument makes it a truncation, ``mux`` is the first
            argument where the top bit of the third is set and the second elsewhere, ``table`` looks up its argument,
            ``any`` and ``all`` are bits.
        to: format of the result.
        args: earlier cells.
        shifts: the power of two by which each argument is multiplied.
        minus: whether each argument is subtracted (``sum`` only).
        constant: an integer of fraction length ``frac`` (``sum``, ``constant``), or the input's index.
        frac: see ``constant``.
        table: index into the netlist's tables.
    """

    kind: Kind
    to: Fixed
    args: tuple[int, ...] = ()
    shifts: tuple[int, ...] = ()
    minus: tuple[bool, ...] = ()
    constant: int = 0
    frac: int = 0
    table: int = 0


@dataclass(frozen=True, eq=False, slots=True)
class Lookup:
    """Entries of a table, integers of format ``to``; entry 0 belongs to the argument ``first``."""

    first: int
    values: tuple[int, ...]
    to: Fixed


@dataclass(frozen=True, eq=False, slots=True)
class Netlist:
    """Cells in topological order, and where the results are.

    Attributes:
        cells: the cells.
        outputs: for each output element the cell and the power of two to multiply it with.
        tables: the look-ups.
        cost: alkaid's estimate of LUTs.
    """

    cells: tuple[Cell, ...]
    outputs: tuple[tuple[int, int], ...]
    tables: tuple[Lookup, ...]
    cost: float


def netlist(comb: Any) -> Netlist:
    """Cells from an alkaid ``CombLogic`` (its operation codes are those of ALIR, version 4)."""
    cells: list[Cell] = []
    tables: dict[tuple[int, tuple[int, float, float]], tuple[int, Lookup]] = {}
    for op in comb.ops:
        to = _format(op.qint)
        if to.width == 0 or op.qint.min == op.qint.max == 0:
            cells.append(Cell("constant", Fixed(False, 0, 0)))
        elif op.opcode == 8:
            argument = comb.ops[op.addr[0]].qint
            key = (op.data[0], tuple(argument))
            if key not in tables:
                entries = tuple(int(v) for v in comb.lookup_tables[op.data[0]].table)
                tables[key] = (len(tables), Lookup(round(argument.min / argument.step), entries, to))
            cells.append(Cell("table", to, op.addr, (0,), table=tables[key][0]))
        else:
            cells.append(_cell(op, to))
    outputs = []
    for index, shift, negative in zip(comb.out_idxs, comb.out_shifts, comb.out_negs, strict=True):
        if negative:
            cells.append(_sum(_format(comb.ops[index].qint, negative=True), (index,), (0,), (True,)))
            index = len(cells) - 1
        outputs.append((int(index), int(shift)))
    return _live(Netlist(tuple(cells), tuple(outputs), tuple(t for _, t in tables.values()), float(comb.cost)))


def _format(interval: Any, negative: bool = False) -> Fixed:
    low, high = (-interval.max, -interval.min) if negative else (interval.min, interval.max)
    if low == high == 0:
        return Fixed(False, 0, 0)
    frac = -round(math.log2(interval.step))
    return Fixed.holding(round(math.ldexp(low, frac)), round(math.ldexp(high, frac)), frac)


def _sum(to: Fixed, args: tuple[int, ...], shifts: tuple[int, ...], minus: tuple[bool, ...]) -> Cell:
    return Cell("sum", to, args, shifts, minus)


def _cell(op: Any, to: Fixed) -> Cell:
    data, args = op.data, tuple(op.addr)
    match op.opcode:
        case -2:
            return _sum(to, args, (0,), (True,))
        case -1:
            return Cell("input", to, constant=data[0])
        case 0 | 1:
            return _sum(to, args, (0, data[0]), (False, op.opcode == 1))
        case 2:
            return Cell("relu", to, args, (0,))
        case 3:
            return _sum(to, args, (data[0],), (False,))
        case 4:
            return Cell("sum", to, args, (0,), (False,), constant=data[0], frac=data[1])
        case 5:
            return Cell("constant", to, constant=data[0], frac=to.frac)
        case 6:
            return Cell("mux", to, args, (0, data[0], 0))
        case 7:
            return Cell("product", to, args, (0, 0))
        case 9:
            kinds: tuple[Kind, ...] = ("not", "any", "all")
            return Cell(kinds[data[0]], to, args, (0,))
        case 10:
            kinds = ("and", "or", "xor")
            return Cell(kinds[data[1]], to, args, (0, data[0]))
        case 11:
            return _sum(to, args, tuple(data[1::2]), tuple(not plus for plus in data[0::2]))
        case _:
            raise ValueError(f"alkaid operation code {op.opcode} is unknown: this version of alkaid is not supported")


def wiring(net: Netlist, cell: Cell) -> bool:
    """Whether a sum's operands have no bit in common and none is negative: it is their bits side by side."""
    return cell in _side_by_side(net)


LOWEST = 128
"""Bit of a mask that has the weight 1: no bit of any cell lies that far below it."""


@lru_cache(maxsize=8)
def _side_by_side(net: Netlist) -> frozenset[Cell]:
    """The sums that are :func:`wiring`, found from the bits that may be set in each cell."""
    masks: list[int] = []
    found = set()
    for cell in net.cells:
        own = ((1 << cell.to.width) - 1) << (LOWEST - cell.to.frac)
        if cell.kind == "sum" and not any(cell.minus) and cell.constant >= 0:
            parts = [_moved(masks[a], s) for a, s in zip(cell.args, cell.shifts, strict=True)]
            parts.append(cell.constant << (LOWEST - cell.frac))
            together = functools.reduce(operator.or_, parts)
            if not any(net.cells[a].to.signed for a in cell.args) and together == sum(parts):
                found.add(cell)
                own &= together
        masks.append(own)
    return frozenset(found)


def _moved(mask: int, shift: int) -> int:
    return mask << shift if shift >= 0 else mask >> -shift


def _live(whole: Netlist) -> Netlist:
    """Without the cells that no output depends on; inputs stay."""
    cells, needed = whole.cells, set()
    stack = [index for index, _ in whole.outputs]
    while stack:
        index = stack.pop()
        if index not in needed:
            needed.add(index)
            stack.extend(cells[index].args)
    keep = [i for i in range(len(cells)) if i in needed]
    at = {old: new for new, old in enumerate(keep)}
    moved = tuple(
        Cell(c.kind, c.to, tuple(at[a] for a in c.args), c.shifts, c.minus, c.constant, c.frac, c.table)
        for c in (cells[i] for i in keep)
    )
    return Netlist(moved, tuple((at[i], shift) for i, shift in whole.outputs), whole.tables, whole.cost)
