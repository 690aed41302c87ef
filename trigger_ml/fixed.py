"""The meaning of every bit: fixed-point formats, rounding and overflow.

A number is an integer ``n`` and a fraction length ``frac``; its value is ``n * 2**-frac``.
The only place where this project rounds or overflows is :func:`requantize`.

Rounding and overflow modes are those of AMD's ``ap_fixed`` (Vitis HLS User Guide UG1399, "Arbitrary Precision
Fixed-Point Data Types"). They are tested against the ``ap_fixed`` headers themselves, compiled with g++.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from trigger_ml.errors import GraphError

Integers = NDArray[Any]
"""An array of int64, or of Python ints (dtype object) where 64 bits are not enough."""

MAX_WIDTH = 62
"""Bits of the widest format that a graph can declare."""

MAX_FRAC = 62


class Rounding(StrEnum):
    """What happens to the bits below the target's last place; ``q`` is the target's step."""

    TRN = "TRN"  # toward minus infinity
    TRN_ZERO = "TRN_ZERO"  # toward zero
    RND = "RND"  # nearest, ties toward plus infinity
    RND_ZERO = "RND_ZERO"  # nearest, ties toward zero
    RND_INF = "RND_INF"  # nearest, ties away from zero
    RND_MIN_INF = "RND_MIN_INF"  # nearest, ties toward minus infinity
    RND_CONV = "RND_CONV"  # nearest, ties to even

    @property
    def ap(self) -> str:
        """The ``ap_fixed`` template argument, ``AP_RND`` for ``RND``."""
        return f"AP_{self.value}"


class Overflow(StrEnum):
    """What happens to a value outside the target's range."""

    WRAP = "WRAP"  # keep the low bits (two's complement)
    SAT = "SAT"  # the nearest end of the range
    SAT_ZERO = "SAT_ZERO"  # zero
    SAT_SYM = "SAT_SYM"  # the nearest end of the symmetric range -(2**(W-1)-1) ... 2**(W-1)-1

    @property
    def ap(self) -> str:
        """The ``ap_fixed`` template argument, ``AP_SAT`` for ``SAT``."""
        return f"AP_{self.value}"


@dataclass(frozen=True)
class Fixed:
    """One fixed-point format: ``width`` bits in all, the sign among them, of which ``frac`` stand behind the point.

    ``frac`` may be negative or larger than ``width``. ``width`` 0 is an element that is always zero. What a graph
    declares has at most 62 bits (:class:`Formats`); what is derived may have more: an interval below 2**62 in
    magnitude needs 63 with its sign.

    >>> Fixed(True, 8, 3)
    ap_fixed<8,5>
    >>> Fixed(True, 8, 3).lo, Fixed(True, 8, 3).hi
    (-128, 127)

    Raises:
        GraphError: a negative width or a fraction outside -62...62.
    """

    signed: bool
    width: int
    frac: int

    def __post_init__(self) -> None:
        """Check the ranges."""
        if self.width < 0:
            raise _no_width(self.width)
        if not -MAX_FRAC <= self.frac <= MAX_FRAC:
            raise GraphError(f"fraction length {self.frac} is outside -{MAX_FRAC}...{MAX_FRAC}: rescale the tensor")

    @property
    def integer(self) -> int:
        """Integer bits, the sign among them: the ``I`` of ``ap_fixed<W,I>``."""
        return self.width - self.frac

    @property
    def lo(self) -> int:
        """The smallest integer."""
        return -(1 << (self.width - 1)) if self.signed and self.width else 0

    @property
    def hi(self) -> int:
        """The largest integer."""
        return (1 << max(self.width - int(self.signed), 0)) - 1

    def __repr__(self) -> str:
        """The C++ type's name."""
        return f"ap_{'' if self.signed else 'u'}fixed<{self.width},{self.integer}>"

    @staticmethod
    def holding(lo: int, hi: int, frac: int) -> Fixed:
        """The narrowest format of this fraction that holds every integer from ``lo`` to ``hi``.

        >>> Fixed.holding(-3, 9, 0)
        ap_fixed<5,5>
        """
        signed = lo < 0
        width = max(max(int(hi), 0).bit_length(), (-int(lo) - 1).bit_length() if signed else 0)
        return Fixed(signed, max(width + signed, 1), frac)


def _no_width(width: int) -> GraphError:
    return GraphError(f"width {width} is outside 0...{MAX_WIDTH}: choose a narrower format")


def whole(values: ArrayLike, what: str) -> NDArray[np.int64]:
    """A copy as int64.

    Args:
        values: integers of any type; floats that are integers too.
        what: holds them; begins the sentence of an error.

    Raises:
        GraphError: a number that is not an integer, or is beyond int64.
    """
    try:
        given = np.asarray(values)
        if given.dtype.kind not in "biufO":
            raise TypeError(f"{given.dtype} are no numbers")
        with np.errstate(invalid="ignore"):
            made = given.astype(np.int64)
    except (ValueError, TypeError, OverflowError) as error:
        raise GraphError(f"{what} is no array of 64-bit integers ({error}): give integers") from None
    wrong = np.asarray(made != given)
    if wrong.any():
        raise GraphError(f"{what} holds {given[wrong].flat[0]}, which is no 64-bit integer: give integers")
    return made


@dataclass(frozen=True, eq=False)
class Formats:
    """A format for each element of a tensor: ``signed`` (0 or 1), ``width`` and ``frac``, int64, of one shape.

    Shape ``()`` means one format for all elements. ``step`` is the tensor's own fraction length: the finest of the
    live elements, on which all of them are stored.
    """

    signed: NDArray[np.int64]
    width: NDArray[np.int64]
    frac: NDArray[np.int64]

    @staticmethod
    def of(signed: ArrayLike, width: ArrayLike, frac: ArrayLike) -> Formats:
        """Formats from anything that broadcasts; equal elements collapse to shape ``()``, dead ones look alike.

        Raises:
            GraphError: a number that is not an integer, ``signed`` neither 0 nor 1, a width outside 0...62 or a
                fraction outside -62...62.
        """
        s, w, f = np.broadcast_arrays(*(whole(z, "a format") for z in (signed, width, frac)))
        if np.any((s != 0) & (s != 1)):
            raise GraphError("signed must be 0 or 1 for each element")
        live = w > 0
        s, f = np.where(live, s, 0), np.where(live, f, f[live].max() if live.any() else 0)
        if s.size and all(np.all(z == z.flat[0]) for z in (s, w, f)):
            s, w, f = (np.array(z.flat[0], np.int64) for z in (s, w, f))
        for end in (int(w.min(initial=0)), int(w.max(initial=0))):
            if not 0 <= end <= MAX_WIDTH:
                raise _no_width(end)
        Fixed(False, 0, int(np.abs(f).max(initial=0)))
        for z in (s, w, f):
            z.setflags(write=False)
        return Formats(s, w, f)

    @staticmethod
    def uniform(fixed: Fixed) -> Formats:
        """The same format for every element."""
        return Formats.of(fixed.signed, fixed.width, fixed.frac)

    @property
    def single(self) -> Fixed | None:
        """The one format of all elements, or None where they differ."""
        return Fixed(bool(self.signed), int(self.width), int(self.frac)) if self.width.ndim == 0 else None

    @property
    def step(self) -> int:
        """The fraction length on which all elements are stored."""
        return int(self.frac.max())

    @property
    def lo(self) -> NDArray[np.int64]:
        """The smallest integer of each element, on its own grid."""
        return np.where((self.signed == 1) & (self.width > 0), -(np.int64(1) << np.maximum(self.width - 1, 0)), 0)

    @property
    def hi(self) -> NDArray[np.int64]:
        """The largest integer of each element, on its own grid."""
        top: NDArray[np.int64] = np.left_shift(np.int64(1), np.maximum(self.width - self.signed, 0)) - 1
        return top

    def __iter__(self) -> Iterator[Fixed]:
        """Each element's format, in C order."""
        for s, w, f in zip(self.signed.flat, self.width.flat, self.frac.flat, strict=True):
            yield Fixed(bool(s), int(w), int(f))

    def __eq__(self, other: object) -> bool:
        """Equal arrays."""
        return isinstance(other, Formats) and all(
            np.array_equal(getattr(self, n), getattr(other, n)) for n in ("signed", "width", "frac")
        )

    def __hash__(self) -> int:
        """A hash of the arrays' bytes."""
        return hash((self.width.shape, self.signed.tobytes(), self.width.tobytes(), self.frac.tobytes()))


def round_shift(x: Integers, shift: ArrayLike, rounding: Rounding) -> Integers:
    """``x / 2**shift`` rounded to integers; a negative ``shift`` multiplies, exactly.

    Args:
        x: integers, any shape; below 2**62 in magnitude unless dtype is object.
        shift: bits to drop, broadcast against ``x``.
        rounding: the mode.

    >>> import numpy as np
    >>> halves = np.array([-3, -1, 1, 3])            # -1.5, -0.5, 0.5, 1.5
    >>> round_shift(halves, 1, Rounding.RND).tolist(), round_shift(halves, 1, Rounding.RND_CONV).tolist()
    ([-1, 0, 1, 2], [-2, 0, 0, 2])
    """
    s = np.broadcast_to(np.asarray(shift, np.int64), np.shape(x))
    exact = x.dtype == object
    down = np.maximum(s, 0) if exact else np.clip(s, 0, 63)
    up = np.maximum(-s, 0)
    one: Any = 1 if exact else np.int64(1)
    if exact:
        down, up = down.astype(object), up.astype(object)
    q = x >> down
    if rounding is not Rounding.TRN and np.any(s > 0):
        rest = x - (q << down)
        half = np.where(s > 0, one << np.maximum(down - 1, 0), one)
        above, tie, negative = rest > half, rest == half, x < 0
        match rounding:
            case Rounding.TRN_ZERO:
                add = negative & (rest > 0)
            case Rounding.RND:
                add = above | tie
            case Rounding.RND_ZERO:
                add = above | (tie & negative)
            case Rounding.RND_INF:
                add = above | (tie & ~negative.astype(bool))
            case Rounding.RND_MIN_INF:
                add = above
            case _:
                add = above | (tie & ((q & one) == 1))
        q = q + np.where((s > 0) & add.astype(bool), one, 0 * one)
    result: Integers = np.where(s < 0, x << up, q) if np.any(s < 0) else q
    return result


def overflow(x: Integers, formats: Formats, mode: Overflow) -> Integers:
    """Bring integers, already on each element's own grid, into its range."""
    lo: Any = formats.lo
    hi: Any = formats.hi
    if x.dtype == object:
        lo, hi = lo.astype(object), hi.astype(object)
    if mode is Overflow.WRAP:
        span = hi - lo
        result: Integers = ((x - lo) & span) + lo
        return result
    if mode is Overflow.SAT_SYM:
        lo = np.where(formats.signed == 1, -hi, lo)
    inside = (x >= lo) & (x <= hi)
    if mode is Overflow.SAT_ZERO:
        return np.where(inside.astype(bool), x, 0 * x)
    clipped: Integers = np.minimum(np.maximum(x, lo), hi)
    return clipped


def requantize(x: Integers, frac: int, formats: Formats, rounding: Rounding, mode: Overflow) -> Integers:
    """Bring integers of fraction length ``frac`` into ``formats``: shift, round, then wrap or saturate, in this order.

    Ties of negatives follow the mode: -0.5 becomes 0 under RND and RND_ZERO, -1 under RND_INF and RND_MIN_INF,
    0 (even) under RND_CONV. Rounding may carry out of the range; overflow is applied after it (UG1399).

    Args:
        x: integers; int64 below 2**62 in magnitude after any left shift (``ir.bounds`` proves it), or dtype object.
        frac: fraction length of ``x``.
        formats: target of each element, broadcast against ``x`` (trailing axes).
        rounding: rounding mode.
        mode: overflow mode.

    Returns:
        Integers on the common grid ``formats.step``, same shape as ``x``.

    >>> import numpy as np
    >>> to = Formats.uniform(Fixed(True, 4, 0))
    >>> requantize(np.array([-9, 7, 8, 300]), 2, to, Rounding.RND, Overflow.SAT).tolist()
    [-2, 2, 2, 7]
    """
    y = overflow(round_shift(x, frac - formats.frac, rounding), formats, mode)
    lift: Any = formats.step - formats.frac
    if not np.any(lift):
        return y
    lift = np.where(formats.width > 0, lift, 0)
    lifted: Integers = y << (lift.astype(object) if y.dtype == object else lift)
    return lifted
