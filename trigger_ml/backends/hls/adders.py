"""Distributed arithmetic: products with constants as an adder graph in C++, the one that the RTL engines use."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trigger_ml.backends.rtl import lowering
from trigger_ml.backends.rtl.netlist import Cell, netlist
from trigger_ml.fixed import Fixed, Formats
from trigger_ml.ir.build import Builder
from trigger_ml.ir.graph import Graph


@dataclass(frozen=True, eq=False)
class Kernel:
    """``x @ w + b`` for one position.

    Attributes:
        name: of the node, for messages and for the C++ function.
        w: ``(n_in, n_out)``, fraction length ``frac``.
        b: ``(n_out,)``, fraction length of the result.
        frac: see ``w``.
        lo: smallest integer of each input element.
        hi: largest integer of each input element.
        zeros: low bits of each input element that are always zero.
        x_frac: fraction length of the input.
    """

    name: str
    w: NDArray[np.int64]
    b: NDArray[np.int64]
    frac: int
    lo: NDArray[Any]
    hi: NDArray[Any]
    zeros: NDArray[np.int64]
    x_frac: int

    def graph(self) -> Graph:
        """The kernel on its own, on inputs without their zero bits: these are in the weights instead."""
        fits = [
            Fixed.holding(int(a) >> z, int(b) >> z, 0) for a, b, z in zip(self.lo, self.hi, self.zeros, strict=True)
        ]
        dead = (self.lo == 0) & (self.hi == 0)
        formats = Formats.of([f.signed for f in fits], np.where(dead, 0, [f.width for f in fits]), self.x_frac)
        builder = Builder()
        x = builder.input((len(fits),), formats)
        return builder.graph(builder.affine(x, self.w << self.zeros[:, None], self.b, self.frac, name=self.name))


def check(kernel: Kernel) -> None:
    """Refuse what the adder graph can't hold exactly.

    Raises:
        Unsupported: naming the node.
    """
    lowering.check(kernel.graph())


def function(kernel: Kernel, name: str) -> str:
    """The C++ function ``template <class x_T, class r_T> void name(x_T *x, r_T *r)``.

    All numbers are integers of one type on the finest grid, cut to the width that each can have: one type keeps the
    compiler fast, the cuts tell the synthesis what it would otherwise have to prove.
    """
    net = netlist(lowering.lower(kernel.graph()))
    frac = max([cell.to.frac for cell in net.cells] + [net.cells[i].to.frac - s for i, s in net.outputs])
    reach = [cell.to.integer for cell in net.cells]
    reach += [net.cells[a].to.integer + s for c in net.cells for a, s in zip(c.args, c.shifts, strict=True)]
    reach += [net.cells[a].to.integer + s for a, s in net.outputs]
    lines = ["#pragma HLS INLINE", f"typedef ap_int<{max(reach) + frac + 1}> n;"]
    lines += [f"const n v{i} = {_value(c, kernel, frac)};" for i, c in enumerate(net.cells) if c.to.width]
    result = kernel.x_frac + kernel.frac
    for k, (cell, shift) in enumerate(net.outputs):
        to = net.cells[cell].to
        value = _shifted(f"v{cell}", shift + result - frac) if to.width else "0"
        lines.append(f"r[{k}].range() = ap_int<r_T::width>({value});")
    body = "\n".join(f"    {line}" for line in lines)
    return f"template <class x_T, class r_T> void {name}(x_T *x, r_T *r) {{\n{body}\n}}\n"


def _value(cell: Cell, kernel: Kernel, frac: int) -> str:
    to = _integer(cell.to, frac)
    match cell.kind:
        case "input":
            low = int(kernel.zeros[cell.constant])
            field = f"x[{cell.constant}].range({low + cell.to.width - 1}, {low})"
            return _shifted(f"n({_integer(cell.to, cell.to.frac)}({field}))", frac - cell.to.frac)
        case "constant":
            return f"{cell.constant << (frac - cell.frac)}"
        case "sum":
            terms = zip(cell.args, cell.shifts, cell.minus, strict=True)
            text = "".join(f" {'-' if minus else '+'} {_shifted(f'v{a}', shift)}" for a, shift, minus in terms)
            text += f" + n({cell.constant << (frac - cell.frac)})" if cell.constant else ""
            return f"{to}({text.removeprefix(' + ').strip()})"
        case _:
            raise ValueError(f"an adder graph with a {cell.kind}: this version of alkaid is not supported")


def _integer(fixed: Fixed, frac: int) -> str:
    """The integer type of a format's values on a grid."""
    return f"ap_{'' if fixed.signed else 'u'}int<{fixed.integer + frac}>"


def _shifted(value: str, shift: int) -> str:
    if shift == 0:
        return value
    return f"({value} << {shift})" if shift > 0 else f"({value} >> {-shift})"
