"""``Requant`` on alkaid's symbolic variables, composed from operations that are exact in it.

alkaid's own quantizer knows two rounding modes, spends two carry chains on a saturation, and wraps some constants
wrongly. Here rounding is one addition of a constant (and at most one bit) before a truncation, and overflow is read
off the high bits: a saturation costs two levels of look-up tables and no carry chain.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from trigger_ml.fixed import Fixed, Formats, Overflow, Rounding, requantize

Variable = Any
"""An alkaid ``FVariable``: an interval, a power-of-two step, and where it came from."""


def fit(x: Variable, to: Fixed, rounding: Rounding, overflow: Overflow) -> Variable:
    """One element rounded and fitted into ``to``, exactly as ``fixed.requantize``."""
    if to.width == 0:
        return constant(x, 0.0)
    if x.low == x.high:
        n, frac = _as_integer(x.low)
        y = requantize(np.array([n], object), frac, Formats.uniform(to), rounding, overflow)
        return constant(x, math.ldexp(int(y[0]), -to.frac))
    y = rounded(x, to.frac, rounding)
    return y if y.low == y.high and _inside(y, to, overflow) else _fitted(y, to, overflow)


def constant(like: Variable, value: float) -> Variable:
    """A constant with the hardware configuration of ``like``."""
    return type(like).from_const(value, hwconf=like.hwconf)


def rounded(x: Variable, frac: int, rounding: Rounding) -> Variable:
    """``x`` on the grid ``2**-frac``, unbounded; unchanged where its own grid is no finer.

    Every mode is a floor of ``x`` plus something below one target step: a constant, plus one unit in the last place of
    ``x`` where the sign bit (modes that are symmetric about zero) or the target's last bit (ties to even) is set.
    """
    fine, step = x.step, math.ldexp(1.0, -frac)
    if fine >= step:
        return x
    half = step / 2
    match rounding:
        case Rounding.TRN:
            y = x
        case Rounding.RND:
            y = x + half
        case Rounding.RND_MIN_INF:
            y = x + (half - fine)
        case Rounding.RND_ZERO:
            y = x + (half - fine) + sign(x) * fine
        case Rounding.RND_INF:
            y = x + half + sign(x) * -fine
        case Rounding.TRN_ZERO:
            y = x + sign(x) * (step - fine)
        case Rounding.RND_CONV:
            y = x + (half - fine) + bits(x, frac, 1 - frac) * (fine / step)
    return floored(y, frac)


def floored(x: Variable, frac: int) -> Variable:
    """``x`` without its bits below ``2**-frac``."""
    if x.low == x.high:
        return constant(x, math.ldexp(math.floor(math.ldexp(x.low, frac)), -frac))
    signed, integer, _ = x.kif
    return x._wrap(int(signed), max(integer, 1 - frac), frac)


def bits(x: Variable, frac: int, integer: int, signed: bool = False) -> Variable:
    """The bits of ``x`` from weight ``2**-frac`` to below ``2**integer``, unsigned or in two's complement."""
    if x.low == x.high:
        n, span = math.floor(math.ldexp(x.low, frac)), 1 << (integer + frac + signed)
        n = (n + (span // 2 if signed else 0)) % span - (span // 2 if signed else 0)
        return constant(x, math.ldexp(n, -frac))
    return x._wrap(int(signed), integer, frac)


def sign(x: Variable) -> Variable:
    """1 where ``x`` is negative, else 0."""
    if x.low >= 0:
        return constant(x, 0.0)
    return constant(x, 1.0) if x.high < 0 else x.msb()


def larger(x: Variable, y: Variable) -> Variable:
    """The maximum of two variables.

    alkaid's own reads the top bit of the difference as its sign even where the difference is known not to be negative.
    """
    difference = x - y
    if difference.low >= 0 or y.high <= x.low:
        return x
    if difference.high <= 0 or x.high <= y.low:
        return y
    return difference.msb_mux(y, x, qint=(max(x.low, y.low), max(x.high, y.high), min(x.step, y.step)))


def _as_integer(value: float) -> tuple[int, int]:
    top, bottom = float(value).as_integer_ratio()
    return top, bottom.bit_length() - 1


def _range(to: Fixed, overflow: Overflow) -> tuple[float, float]:
    low = -to.hi if overflow is Overflow.SAT_SYM and to.signed else to.lo
    return math.ldexp(low, -to.frac), math.ldexp(to.hi, -to.frac)


def _inside(x: Variable, to: Fixed, overflow: Overflow) -> bool:
    low, high = _range(to, overflow)
    return bool(x.low >= low and x.high <= high)


def _fitted(x: Variable, to: Fixed, overflow: Overflow) -> Variable:
    """``x``, already on the target's grid or a coarser one, inside the target's range."""
    low, high = _range(to, overflow)
    if _inside(x, to, overflow):
        return x
    if x.low == x.high:
        return fit(x, to, Rounding.TRN, overflow)
    if to.width == 1 and not to.signed and overflow in (Overflow.SAT, Overflow.SAT_SYM) and x.low <= high <= x.high:
        return ~sign(x - high) * high  # a comparison: nothing but the sign of a difference
    if overflow is Overflow.WRAP:
        return bits(x, to.frac, to.integer - int(to.signed), to.signed)
    if x.low > high or x.high < low:
        outside = high if x.low > high else low
        return constant(x, 0.0 if overflow is Overflow.SAT_ZERO else outside)
    y = _clipped(x, to, overflow) if to.signed and x.low < 0 else _clipped_above(x, to, overflow)
    return larger(y, constant(x, low)) if y.low < low else y


def _clipped_above(x: Variable, to: Fixed, overflow: Overflow) -> Variable:
    """A target or a variable that is not negative: after relu, any high bit set means beyond the range."""
    y = x.relu() if x.low < 0 else x
    top = math.ldexp(to.hi, -to.frac)
    if y.high <= top:
        return y
    integer = to.integer - int(to.signed)
    beyond = _any(bits(y, -integer, y.kif[1]))
    end = 0.0 if overflow is Overflow.SAT_ZERO else top
    return _choose(beyond, constant(x, end), bits(y, to.frac, integer), (0.0, top))


def _clipped(x: Variable, to: Fixed, overflow: Overflow) -> Variable:
    """A signed target: inside the range where the bits from its sign bit upward are all equal."""
    low, high = math.ldexp(to.lo, -to.frac), math.ldexp(to.hi, -to.frac)
    integer = to.integer - 1
    above = bits(x, -integer, max(x.kif[1], 1 - integer), signed=True)
    same = _none(above)
    if above.step <= math.ldexp(1.0, integer):  # otherwise a zero below the lowest bit of x is among them
        same = same | _all(above)
    inside = bits(x, to.frac, integer, signed=True)
    if overflow is Overflow.SAT_ZERO:
        end = constant(x, 0.0)
    elif x.high <= high or x.low >= low:
        end = constant(x, low if x.high <= high else high)
    else:
        end = sign(x).msb_mux(constant(x, low), constant(x, high))
    return _choose(
        same, inside, end, (max(low, x.low), min(high, x.high)) if overflow is not Overflow.SAT_ZERO else (low, high)
    )


def _any(x: Variable) -> Variable:
    if x.low == x.high:
        return constant(x, float(x.low != 0))
    return x.unary_bit_op("any")


def _all(x: Variable) -> Variable:
    if x.low == x.high:
        return constant(x, float(x.low == -x.step or x.low == -1))
    return x.unary_bit_op("all")


def _none(x: Variable) -> Variable:
    return ~_any(x)


def _choose(condition: Variable, yes: Variable, no: Variable, interval: tuple[float, float]) -> Variable:
    """``yes`` where the bit ``condition`` is set."""
    if condition.low == condition.high:
        return yes if condition.low else no
    if yes.low == yes.high and no.low == no.high and yes.low == no.low:
        return yes
    low, high = max(interval[0], min(yes.low, no.low)), min(interval[1], max(yes.high, no.high))
    return condition.msb_mux(yes, no, qint=(low, high, min(yes.step, no.step)))
