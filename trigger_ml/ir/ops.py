"""The operations of the integer graph: frozen data, no behaviour.

Every operation acts on tensors ``(integers, frac)`` whose shapes leave out the event axis. Only :class:`Requant` loses
bits. What each one computes is said in one or two sentences here and normatively in ``docs/ir.md``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from trigger_ml.fixed import Formats, Overflow, Rounding, whole

IntArray = NDArray[np.int64]


def integers(values: ArrayLike) -> IntArray:
    """A read-only int64 copy.

    >>> integers([2.0, -1.0]).tolist()
    [2, -1]

    Raises:
        GraphError: a number that is not an integer, or is beyond int64.
    """
    a = whole(values, "a constant")
    a.setflags(write=False)
    return a


@dataclass(frozen=True, eq=False)
class Input:
    """A port: integers of the given formats, one an element or one for all, all of one fraction length."""

    shape: tuple[int, ...]
    formats: Formats


@dataclass(frozen=True, eq=False)
class Requant:
    """Round, then wrap or saturate, each element into its own format, stored on the finest one's grid."""

    formats: Formats
    rounding: Rounding
    overflow: Overflow


@dataclass(frozen=True, eq=False)
class Table:
    """``values[x - first]``: any function of one integer, as data. The result has fraction length ``frac``."""

    values: IntArray
    first: int
    frac: int


@dataclass(frozen=True, eq=False)
class Affine:
    """``x @ w + b`` on the last axis; ``w (n_in, n_out)`` has fraction length ``frac``, ``b (n_out,)`` the result's."""

    w: IntArray
    b: IntArray
    frac: int


@dataclass(frozen=True, eq=False)
class Conv:
    """Cross-correlation, channels last, 1-D or 2-D.

    ``w (*kernel, c_in, c_out)`` has fraction length ``frac``, ``b (c_out,)`` the result's; ``padding`` is a pair of
    zero counts (before, after) for each spatial axis.
    """

    w: IntArray
    b: IntArray
    frac: int
    strides: tuple[int, ...]
    padding: tuple[tuple[int, int], ...]


@dataclass(frozen=True, eq=False)
class MatMul:
    """``a @ b`` of two rank-2 tensors."""


@dataclass(frozen=True, eq=False)
class Mul:
    """Elementwise product of two tensors of one shape."""


@dataclass(frozen=True, eq=False)
class Add:
    """Elementwise ``a + b``, or ``a - b``, on the finer of the two grids."""

    subtract: bool = False


@dataclass(frozen=True, eq=False)
class Max:
    """Elementwise maximum, on the finer of the two grids."""


@dataclass(frozen=True, eq=False)
class Relu:
    """``max(x, 0)``."""


@dataclass(frozen=True, eq=False)
class Reduce:
    """Sum or maximum over one axis, which goes; a rank-1 tensor becomes shape ``(1,)``."""

    how: Literal["sum", "max"]
    axis: int


@dataclass(frozen=True, eq=False)
class Pool:
    """Sum or maximum over windows of the spatial axes, channels last, no padding."""

    how: Literal["sum", "max"]
    size: tuple[int, ...]
    strides: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Concat:
    """Tensors side by side along ``axis``, on the finest grid."""

    axis: int


@dataclass(frozen=True, eq=False)
class Reshape:
    """The same elements in C order, another shape."""

    shape: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Permute:
    """Axes in another order, as ``numpy.transpose``."""

    perm: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Take:
    """Elements ``index`` of the last axis, repeats allowed."""

    index: IntArray


Op = (
    Input
    | Requant
    | Table
    | Affine
    | Conv
    | MatMul
    | Mul
    | Add
    | Max
    | Relu
    | Reduce
    | Pool
    | Concat
    | Reshape
    | Permute
    | Take
)

ARITY: dict[type, tuple[int, int | None]] = {
    Input: (0, 0),
    MatMul: (2, 2),
    Mul: (2, 2),
    Add: (2, 2),
    Max: (2, 2),
    Concat: (2, None),
}
"""Fewest and most inputs of an operation; one input for those not named."""

BY_NAME: dict[str, type] = {
    t.__name__: t
    for t in (
        Input, Requant, Table, Affine, Conv, MatMul, Mul, Add, Max, Relu, Reduce, Pool, Concat, Reshape, Permute, Take
    )
}  # fmt: skip
