"""Quant, BipolarQuant and Trunc (https://github.com/fastmachinelearning/qonnx/tree/main/docs/qonnx-custom-ops).

A Quant clips ``x / scale`` to the integers of its width and rounds; clipping before or after rounding is the same. Its
``ROUND`` is ties to even, ``HALF_UP`` ties away from zero, ``HALF_DOWN`` ties toward zero, ``UP`` away from zero.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trigger_ml.errors import ImportRefused
from trigger_ml.fixed import Formats, Overflow, Rounding
from trigger_ml.importers.draft import Draft, Quantizer, Value
from trigger_ml.importers.dyadic import exact, exponents
from trigger_ml.importers.qonnx_file.lowering import Curve, Lowering, Tensor, integer, text
from trigger_ml.importers.qonnx_file.reading import QUANTIZERS, Layer
from trigger_ml.ir import ops

MAX_WIDTH = 24
"""The ends of a wider range are no float32 numbers, so that qonnx itself can't carry them."""

ROUNDINGS: dict[str, Rounding | None] = {
    "ROUND": Rounding.RND_CONV,
    "HALF_EVEN": Rounding.RND_CONV,
    "FLOOR": Rounding.TRN,
    "DOWN": Rounding.TRN_ZERO,
    "HALF_UP": Rounding.RND_INF,
    "HALF_DOWN": Rounding.RND_ZERO,
    "CEIL": None,
    "UP": None,
}
"""Mode -> the same mode of ``Requant``; None where it is made of several nodes."""

IN_FLOATS: dict[str, Callable[[Any], Any]] = {
    "ROUND": np.round,
    "HALF_EVEN": np.round,
    "FLOOR": np.floor,
    "DOWN": np.trunc,
    "HALF_UP": lambda x: np.sign(x) * np.floor(np.abs(x) + np.float32(0.5)),
    "HALF_DOWN": lambda x: np.sign(x) * np.ceil(np.abs(x) - np.float32(0.5)),
    "CEIL": np.ceil,
    "UP": lambda x: np.sign(x) * np.ceil(np.abs(x)),
}


@dataclass(frozen=True, eq=False)
class Grid:
    """A Quant's parameters: ``scale`` is ``2**-frac``, an array that broadcasts against the tensor."""

    frac: NDArray[np.int64]
    width: int
    signed: bool
    narrow: bool
    mode: str

    @property
    def bipolar(self) -> bool:
        """One signed bit is a sign in QONNX: -1 or +1."""
        return self.signed and self.width == 1

    @property
    def lo(self) -> int:
        """The smallest integer."""
        return -(1 << (self.width - 1)) + self.narrow if self.signed else 0

    @property
    def hi(self) -> int:
        """The largest integer; unlike ``ap_fixed``, a narrow unsigned range loses its top."""
        return (1 << (self.width - self.signed)) - 1 - (self.narrow and not self.signed)

    @property
    def formats(self) -> tuple[int, int, NDArray[np.int64]]:
        """Sign, width and fraction length."""
        return int(self.signed), self.width, self.frac

    def of(self, x: NDArray[Any]) -> NDArray[np.float32]:
        """What the node makes of real numbers, in float32 as qonnx computes it."""
        scale = np.ldexp(np.float32(1), -self.frac).astype(np.float32)
        y = np.asarray(x, np.float32) / scale
        if self.bipolar:
            return np.asarray(np.where(y >= 0, scale, -scale), np.float32)
        return np.asarray(IN_FLOATS[self.mode](np.clip(y, self.lo, self.hi)) * scale, np.float32)


def grid(state: Lowering, layer: Layer) -> Grid:
    """The parameters of a Quant.

    Raises:
        ImportRefused: a scale, zero point, width or mode that has no exact counterpart; the sentence names it.
    """
    frac = -exponents(state.constant(layer, 1, "scale"), "scale")
    if np.any(state.constant(layer, 2, "zero point")):
        raise ImportRefused("its zero point is not 0: only symmetric quantizers are supported")
    width, mode = _width(state, layer, 3), text(layer, "rounding_mode", "ROUND").upper()
    if mode not in ROUNDINGS:
        raise ImportRefused(f"its rounding_mode {mode!r} is unknown: known are {', '.join(ROUNDINGS)}")
    flags = [integer(layer, name, 1) for name in ("signed", "narrow")]
    if any(flag not in (0, 1) for flag in flags):
        raise ImportRefused(f"its attributes signed and narrow are {flags}: each must be 0 or 1")
    made = Grid(frac, width, bool(flags[0]), bool(flags[1]), mode)
    if made.lo == made.hi and not made.bipolar:
        raise ImportRefused(f"its range holds only {made.lo}: give it more bits")
    return made


def _width(state: Lowering, layer: Layer, i: int) -> int:
    found = state.constant(layer, i, "bit width")
    if found.size != 1:
        raise ImportRefused("its bit width differs between elements: only one for all is supported")
    width = float(found.ravel()[0])
    if not width.is_integer() or not 1 <= width <= MAX_WIDTH:
        raise ImportRefused(f"its bit width is {width:g}: whole numbers from 1 to {MAX_WIDTH} are supported")
    return int(width)


def quant(state: Lowering, layer: Layer) -> Tensor:
    """Quant: a ``Requant``, a table behind a curve, or a constant."""
    to, found = grid(state, layer), state.tensor(layer, 0)
    if isinstance(found, Value):
        return quantize(state.draft, found, to, layer.name)
    if isinstance(found, Curve):
        return _table(state, found, to, layer.name)
    return to.of(found)


def bipolar(state: Lowering, layer: Layer) -> Tensor:
    """BipolarQuant: the sign, times the scale."""
    frac = -exponents(state.constant(layer, 1, "scale"), "scale")
    to, found = Grid(frac, 1, True, False, "ROUND"), state.tensor(layer, 0)
    if isinstance(found, Value):
        return quantize(state.draft, found, to, layer.name)
    if isinstance(found, Curve):
        return _table(state, found, to, layer.name)
    return to.of(found)


def _table(state: Lowering, found: Curve, to: Grid, name: str) -> Value:
    if to.frac.size != 1:
        raise ImportRefused(f"its scale has {to.frac.size} elements behind a function: one is supported")
    domain = state.draft.domain(found.value).astype(np.float32)
    entries, frac = exact(to.of(found.function(domain)).ravel(), "results")
    state.made += 1
    return state.draft.table(found.value, entries, frac, name)


def quantize(draft: Draft, x: Value, to: Grid, name: str) -> Value:
    """The node on an exact tensor."""
    if to.bipolar:
        return _sign(draft, x, to, name)
    overflow = Overflow.SAT_SYM if to.narrow and to.signed else Overflow.SAT
    rounding = ROUNDINGS[to.mode]
    if to.mode == "CEIL":
        x, rounding = _ceil_shift(draft, x, to.frac, name), Rounding.TRN
    elif to.mode == "UP":
        x, rounding = _away_from_zero(draft, x, to.frac, name), Rounding.TRN
    signed, width, frac = to.formats
    made = draft.requant(x, Quantizer(signed, width, frac, rounding or Rounding.TRN, overflow), name)
    return _without_top(draft, made, to, name) if to.narrow and not to.signed else made


def _sign(draft: Draft, x: Value, to: Grid, name: str) -> Value:
    """-1 or +1 times the scale: the sign bit ``s`` is -1 or 0, and ``2 s + 1`` the result."""
    bit = Quantizer(1, 1, draft.known(x).frac, Rounding.TRN, Overflow.SAT)
    scale = np.ldexp(1.0, draft.known(x).frac)
    return draft.scaled(draft.requant(x, bit, f"{name}_sign"), 2 * scale * 2.0**-to.frac, 2.0**-to.frac, name)


def _drop(draft: Draft, x: Value, frac: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.maximum(draft.known(x).frac - frac, 0)


def _ceil_shift(draft: Draft, x: Value, frac: NDArray[np.int64], name: str) -> Value:
    """``x`` plus the grid's step less one: its floor is the ceiling of ``x``."""
    shift = (np.exp2(_drop(draft, x, frac)) - 1) * 2.0 ** -draft.known(x).frac
    return draft.scaled(x, 1.0, shift, f"{name}_up")


def _away_from_zero(draft: Draft, x: Value, frac: NDArray[np.int64], name: str) -> Value:
    """The ceiling of the positive part less the ceiling of the negative part, on the grid."""
    sides = []
    for sign, side in ((1.0, "above"), (-1.0, "below")):
        part = draft.relu(draft.scaled(x, sign, 0.0), f"{name}_{side}")
        part = _ceil_shift(draft, part, frac, f"{name}_{side}")
        t = draft.known(part)
        whole = int(t.hi.max()).bit_length() - t.frac
        to = Quantizer(0, np.maximum(whole + frac + 1, 1), frac, Rounding.TRN, Overflow.SAT)
        sides.append(draft.requant(part, to, f"{name}_{side}_whole"))
    return draft.pair(ops.Add(subtract=True), sides[0], sides[1], f"{name}_both")


def _without_top(draft: Draft, x: Value, to: Grid, name: str) -> Value:
    """The top integer of an unsigned range becomes the one below."""
    if to.frac.size != 1:
        raise ImportRefused("it is narrow, unsigned and scaled by channel: give it one scale, or narrow=0")
    t = draft.known(x)
    top = np.ldexp(float(to.hi), -int(to.frac.ravel()[0]))
    if int(t.hi.max()) * 2.0**-t.frac <= top:
        return x
    entries, frac = exact(np.minimum(draft.domain(x), top), "results")
    return draft.table(x, entries, frac, f"{name}_narrow")


def trunc(state: Lowering, layer: Layer) -> Tensor:
    """Trunc: drops low bits of a tensor that is on its grid already; the two versions scale the result differently."""
    x, mode = state.value(layer), text(layer, "rounding_mode", "FLOOR").upper()
    own = -exponents(state.constant(layer, 1, "scale"), "scale")
    if own.size != 1 or np.any(state.constant(layer, 2, "zero point")):
        raise ImportRefused("its scale differs between channels or its zero point is not 0: neither is supported")
    rounding = ROUNDINGS.get(mode)
    if rounding is None:
        raise ImportRefused(f"its rounding_mode {mode!r} is not supported")
    start = int(own.ravel()[0])
    if state.draft.known(x).frac > start:
        raise ImportRefused("its input is finer than its scale: quantize it to that grid first")
    if state.model.opsets.get(QUANTIZERS, 1) < 2:
        return _trunc_first(state, layer, x, start, rounding)
    coarse = -exponents(state.constant(layer, 4, "output scale"), "output scale")
    signed, narrow = bool(integer(layer, "signed", 1)), bool(integer(layer, "narrow", 0))
    to = Grid(coarse, _width(state, layer, 5), signed, narrow, mode)
    if to.bipolar:
        raise ImportRefused("its output is one signed bit: use BipolarQuant")
    return quantize(state.draft, x, to, layer.name)


def _trunc_first(state: Lowering, layer: Layer, x: Value, start: int, rounding: Rounding) -> Value:
    """Version 1: the integers lose bits and keep their scale, so that the value shrinks; nothing saturates."""
    for name in ("narrow", "signed"):
        if name in layer.attributes:
            raise ImportRefused(f"its attribute {name} needs version 2 of {QUANTIZERS}, the file imports version 1")
    before, after = _width(state, layer, 3), _width(state, layer, 4)
    if after > before:
        raise ImportRefused(f"it goes from {before} bits to {after}: it can only drop bits")
    shifted = state.draft.scaled(x, 2.0 ** (after - before), 0.0, f"{layer.name}_shift")
    t = state.draft.known(shifted)
    width = t.fixed.width + abs(start - t.frac) + 1
    return state.draft.requant(shifted, Quantizer(1, width, start, rounding, Overflow.SAT), layer.name)


def port_formats(to: Grid, shape: tuple[int, ...]) -> Formats:
    """Integers on the finest grid of a Quant that stands on an input, wide enough for the range of each element."""
    finest = int(to.frac.max())
    frac = np.asarray(to.frac)
    while frac.ndim > len(shape) and frac.shape[0] == 1:
        frac = frac[0]
    try:
        lift = np.broadcast_to(finest - frac, shape)
    except ValueError:
        raise ImportRefused(f"its scale of shape {frac.shape} does not broadcast to the input's {shape}") from None
    return Formats.of(to.signed, to.width + lift, finest)
