"""``ap_fixed`` and its relatives as formats with their modes, and numbers as those types hold them."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from trigger_ml.fixed import MAX_FRAC, MAX_WIDTH, Fixed, Formats, Overflow, Rounding, requantize
from trigger_ml.importers.hls4ml_project.tokens import Token, refused

MAX_AP_WIDTH = 4096


@dataclass(frozen=True)
class ApType:
    """``ap_[u]fixed<width, integer, rounding, overflow>``; ``ap_[u]int<w>`` is one without fraction bits.

    Wider types than the graph's 62 bits can be named; a cast to one has to be shown to do nothing.
    """

    signed: bool
    width: int
    integer: int
    rounding: Rounding = Rounding.TRN
    overflow: Overflow = Overflow.WRAP
    whole: bool = False

    @property
    def frac(self) -> int:
        """Fraction bits."""
        return self.width - self.integer

    @property
    def lo(self) -> int:
        """The smallest integer that the type, with its overflow mode, can be given."""
        if not self.signed:
            return 0
        return -(1 << (self.width - 1)) + (self.overflow is Overflow.SAT_SYM)

    @property
    def hi(self) -> int:
        """The largest integer."""
        return (1 << (self.width - self.signed)) - 1

    @property
    def wraps(self) -> bool:
        """Whether overflow is modular, so that only the last cast of a sum counts."""
        return self.overflow is Overflow.WRAP

    @property
    def one_bit(self) -> bool:
        """``ap_uint<1>``, which hls4ml's products treat in a way of their own."""
        return self.whole and not self.signed and self.width == 1

    def fixed(self, at: Token | None) -> Fixed:
        """The format; refused if the graph can't hold it."""
        if not (1 <= self.width <= MAX_WIDTH and abs(self.frac) <= MAX_FRAC):
            raise refused(at, f"{self} is beyond the {MAX_WIDTH} bits that an integer graph can hold")
        return Fixed(self.signed, self.width, self.frac)

    @property
    def cpp(self) -> str:
        """The C++ type with its modes."""
        return str(self) if self.whole else f"{str(self)[:-1]},{self.rounding.ap},{self.overflow.ap}>"

    def __str__(self) -> str:
        """As in C++, without the modes."""
        stem = f"ap_{'' if self.signed else 'u'}"
        return f"{stem}int<{self.width}>" if self.whole else f"{stem}fixed<{self.width},{self.integer}>"


@dataclass(frozen=True)
class Opaque:
    """A type that has no integers of its own; why it can't be used is said when it is."""

    text: str

    @property
    def why(self) -> str:
        """The reason, in a clause."""
        if "nnet::array" in self.text or "hls::stream" in self.text:
            return (
                "is a stream of io_stream, whose FIFOs and packing an integer graph doesn't describe: use io_parallel"
            )
        if self.text in ("float", "double", "half"):
            return f"is {self.text}: floating point has no exact integers, give the layer a fixed-point type"
        return f"is {self.text}, which is no ap_fixed, ap_ufixed, ap_int or ap_uint"


Type = ApType | Opaque


def held(values: list[Fraction], to: ApType, at: Token | None) -> np.ndarray:
    """Numbers as the type holds them: integers times ``2**-to.frac``, dtype object.

    The compiler rounds each literal to the nearest double first; the values given have to be those doubles.
    """
    top = max((v.denominator.bit_length() - 1 for v in values), default=0)
    frac = max(top, to.frac, 0)
    scaled = np.array([int(v * 2**frac) for v in values], dtype=object)
    return requantize(scaled, frac, Formats.uniform(to.fixed(at)), to.rounding, to.overflow)
