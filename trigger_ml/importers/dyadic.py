"""Floating-point numbers as integers on a grid: exact, or refused."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from trigger_ml.errors import ImportRefused
from trigger_ml.ir.ops import IntArray, integers

MAX_BITS = 53
"""Bits that a set of constants may span together: a float64's significand."""

FLOAT32_BITS = 24
"""Bits of one number: a float32's significand."""

WEIGHT_BITS = 18
"""Bits of one weight: what no quantizer has seen has more, up to those of a float32."""


def frac_of(values: ArrayLike) -> NDArray[np.int64]:
    """The fraction length of each number: the place of its lowest set bit, 0 for a zero.

    >>> frac_of([0.75, 6.0, 0.0]).tolist()
    [2, -1, 0]
    """
    significand, exponent = np.frexp(np.asarray(values, np.float64))
    whole = np.abs(significand * 2.0**53).astype(np.int64)
    low = np.where(whole == 0, 1, whole & -whole)
    place = 53 - exponent - np.log2(low).astype(np.int64)
    return np.where(whole == 0, 0, place).astype(np.int64)


def exact(values: ArrayLike, what: str, most: int = FLOAT32_BITS) -> tuple[IntArray, int]:
    """Integers and the coarsest fraction length on which ``values`` are exact.

    Args:
        values: real numbers.
        what: they are, for the message.
        most: significant bits that one of them may have.

    >>> [z.tolist() if hasattr(z, "tolist") else z for z in exact([0.5, -1.25], "weights")]
    [[2, -5], 2]

    Raises:
        ImportRefused: a value that isn't finite, one with too many significant bits, or values too far apart.
    """
    real = np.asarray(values, np.float64)
    if not np.isfinite(real).all():
        raise ImportRefused(f"the {what} hold a number that is not finite")
    live = real[real != 0]
    if live.size == 0:
        return integers(np.zeros(real.shape)), 0
    places, tops = frac_of(live), np.frexp(np.abs(live))[1]
    frac, longest, span = int(places.max()), int((places + tops).max()), int(places.max() + tops.max())
    if longest > most:
        raise ImportRefused(f"the {what} have {longest} significant bits: they are not quantized, quantize them first")
    if span > MAX_BITS or abs(frac) > 62:
        raise ImportRefused(f"the {what} span {span} bits down to 2**{-frac}: too many for one layer")
    return integers(np.ldexp(real, frac)), frac


def exponents(scale: ArrayLike, what: str) -> NDArray[np.int64]:
    """``e`` of each ``2**e``.

    Raises:
        ImportRefused: a number that is no power of two.
    """
    real = np.asarray(scale, np.float64)
    significand, exponent = np.frexp(real)
    bad = (significand != 0.5) | ~np.isfinite(real)
    if bad.any():
        first: Any = real[bad].flat[0]
        raise ImportRefused(
            f"its {what} is {first:g}: only powers of two are exact in fixed point, train with power-of-two scales"
        )
    return exponent.astype(np.int64) - 1


def folded_scale(gamma: NDArray[np.float32], variance: NDArray[np.float32], epsilon: float) -> NDArray[np.float64]:
    """``gamma / sqrt(variance + epsilon)``, exact.

    Raises:
        ImportRefused: it is no exact binary fraction; fold the layer into its neighbour's quantized weights instead.
    """
    with np.errstate(invalid="ignore", over="ignore"):
        inside = np.asarray(variance, np.float32) + np.float32(epsilon)
        root = np.sqrt(inside)
    scale = np.zeros(len(gamma))
    for i, (g, d, r) in enumerate(zip(gamma, inside, root, strict=True)):
        if not (np.isfinite(d) and r > 0 and np.isfinite(g)):
            raise ImportRefused(f"its variance of channel {i} plus epsilon is {d:g}: it must be positive")
        ratio = Fraction(float(g)) / Fraction(float(r))
        if Fraction(float(r)) ** 2 != Fraction(float(d)) or ratio.denominator & (ratio.denominator - 1):
            raise ImportRefused(
                f"its folded scale of channel {i}, {float(g) / float(r):.6g}, is not exact in fixed point: "
                "fold it into quantized weights before exporting"
            )
        scale[i] = float(ratio)
    return scale
