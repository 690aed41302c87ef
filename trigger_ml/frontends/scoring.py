"""The score as nodes of the integer graph: tables, one product, a sum, and a format that the tail fits into."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trigger_ml.families import classes, double, inputs
from trigger_ml.fixed import Fixed
from trigger_ml.frontends.plan import Head
from trigger_ml.ir.bounds import Tensor
from trigger_ml.ir.build import Builder
from trigger_ml.ir.columns import LOGITS, WINNER
from trigger_ml.ir.ops import Add, Max, Mul, Take, integers

Function = Callable[[NDArray[np.float64]], NDArray[np.float64]]

SQUARE_BITS = 14
"""Width of ``mu**2``: its range is that of the tail, its step has to tell ordinary events apart."""

INVERSE_BITS = 11
"""Width of ``1 / sigma**2``."""

ERROR_BITS = 10
"""Width of a squared difference between output and input."""

SCORE_BITS = 18
"""Width of the score, at most."""

PT_BITS, PT_SHIFT = 8, 1
"""The target's table reads pT in ``PT_BITS`` bits of ``2**PT_SHIFT`` hardware units: to 255 GeV in steps of 1 GeV."""


def heads(arrays: Mapping[str, NDArray[Any]]) -> tuple[Head, ...]:
    """The heads written by :func:`head_arrays`, in the order of their columns."""
    found = []
    for name, row in arrays.items():
        if name.startswith("head."):
            start, stop, signed, width, frac = (int(v) for v in row)
            found.append(Head(name.removeprefix("head."), start, stop, Fixed(bool(signed), width, frac)))
    return tuple(sorted(found, key=lambda h: h.start))


def head_arrays(plan_heads: tuple[Head, ...]) -> dict[str, NDArray[np.int64]]:
    """``head.<name>`` = (first column, last + 1, signed, width, frac)."""
    return {
        f"head.{h.name}": np.array([h.start, h.stop, h.fixed.signed, h.fixed.width, h.fixed.frac], np.int64)
        for h in plan_heads
    }


def table(known: Tensor, function: Function, bits: int) -> tuple[NDArray[np.int64], int, int]:
    """Values, first argument and fraction length of ``function`` on every number that a tensor can reach.

    Rounded to nearest, in ``bits`` bits; the fraction length is the largest at which the largest magnitude fits, or the
    smallest at which all values are exact.
    """
    first, last = int(known.lo.min()), int(known.hi.max())
    y = function(np.arange(first, last + 1, dtype=np.float64) * 2.0**-known.frac)
    sign, top = int(y.min() < 0), max(float(np.abs(y).max()), 2.0**-bits)
    frac = bits - sign - int(np.floor(np.log2(top))) - 1
    if np.floor(top * 2.0**frac + 0.5) >= 2 ** (bits - sign):
        frac -= 1
    exact = next((f for f in range(-8, frac) if np.array_equal(y * 2.0**f, np.round(y * 2.0**f))), frac)
    return np.floor(y * 2.0**exact + 0.5).astype(np.int64), first, exact


def add_score(
    b: Builder, score: str, x: str, parts: Mapping[str, str], arrays: Mapping[str, NDArray[Any]], pt: NDArray[np.int64]
) -> str:
    """Append the score to the network whose heads are ``parts`` (head -> node); return its node."""
    if score in ("distilled", "tagger"):
        return parts["score"]
    if score == classes.SCORE:
        return _margin(b, parts[LOGITS])
    if score == "pair":
        return _lesser(b, parts, arrays)
    if score == "reconstruction":
        terms = _differences(b, x, parts["restored"], pt)
    else:
        half = 0.5 if score == "dkl" else 1.0
        terms = b.table(
            parts["mu"], *table(b.known(parts["mu"]), lambda v: half * v**2, SQUARE_BITS), name="mu_squared"
        )
    if score == "rz":
        floor = float(arrays["log_var.floor"])
        values = table(b.known(parts["log_var"]), lambda v: np.exp(-np.maximum(v, floor)), INVERSE_BITS)
        terms = b.add(Mul(), terms, b.table(parts["log_var"], *values, name="inverse_variance"), name="pull_squared")
    elif score == "dkl":
        rest = b.table(
            parts["log_var"],
            *table(b.known(parts["log_var"]), lambda v: 0.5 * (np.exp(v) - v - 1), SQUARE_BITS),
            name="variance_term",
        )
        terms = b.add(Add(), terms, rest, name="divergence")
    total = b.reduce(terms, "sum", 0, name="total")
    known = b.known(total)
    integer = min(known.fixed.integer, int(arrays["score.integer"]))
    frac = min(known.frac, SCORE_BITS - integer)
    return b.requant(total, Fixed(False, integer + frac, frac), "RND", "SAT", name="score")


def _margin(b: Builder, logits: str) -> str:
    """The largest logit of the signals less the background's: no product, no rounding."""
    count = b.known(logits).shape[0]
    signals = b.add(Take(integers(np.arange(1, count))), logits, name="signals")
    background = b.add(Take(integers([0])), logits, name="background")
    return b.add(Add(subtract=True), b.reduce(signals, "max", 0, name="best_signal"), background, name="score")


def add_winner(b: Builder, logits: str) -> str:
    """Append one bit a class, 1 where its logit is the largest, of all where several are; return the node.

    ``max(floor(logit - largest + 1), 0)``: a value of 1 where the two are equal, and else 0.
    """
    known = b.known(logits)
    count, step = known.shape[0], max(known.frac, 0)
    largest = b.reduce(logits, "max", 0, name="largest")
    lead = b.add(
        Add(subtract=True), logits, b.add(Take(integers([0] * count)), largest, name="largest_each"), name="lead"
    )
    one_more = b.affine(lead, np.eye(count, dtype=np.int64), [2**step] * count, 0, name="lead_margin")
    return b.requant(one_more, Fixed(False, 1, known.frac - step), "TRN", "SAT", name=WINNER)


def _lesser(b: Builder, parts: Mapping[str, str], arrays: Mapping[str, NDArray[Any]]) -> str:
    """Each score's tail probability from a table, as a power of one half, and the lesser of the two."""
    negative = []
    minus, zero = integers([[-1]]), integers([0])
    for part in double.PARTS:
        known = b.known(parts[part])
        first, last = int(known.lo[0]), int(known.hi[0])
        values = np.floor(
            np.interp(np.arange(first, last + 1) * 2.0**-known.frac, arrays[f"{part}.at"], arrays[f"{part}.tail"])
            * 2**double.TAIL_FRAC
            + 0.5
        ).astype(np.int64)
        node = b.table(parts[part], values, first, double.TAIL_FRAC, name=f"{part}_tail")
        negative.append(b.affine(node, minus, zero, 0, name=f"{part}_minus"))
    greater = b.add(Max(), *negative, name="lesser_minus")
    return b.affine(greater, minus, zero, 0, name="score")


def _differences(b: Builder, x: str, restored: str, pt: NDArray[np.int64]) -> str:
    """Squared differences between the target, a logarithm in a table, and what the decoder restored."""
    domain = Fixed(False, PT_BITS, inputs.INPUT_FRAC - PT_SHIFT)
    momenta = b.requant(b.add(Take(integers(pt)), x, name="pt_in"), domain, "RND", "SAT", name="pt")
    grid = b.known(restored).frac
    values = np.arange(domain.hi + 1) * 2.0 ** (PT_SHIFT)
    logs = np.floor(inputs.target(values.astype(np.int64)) * 2.0**grid + 0.5).astype(np.int64)
    true = b.table(momenta, logs, 0, grid, name="target")
    difference = b.add(Add(subtract=True), true, restored, name="difference")
    known = b.known(difference)
    span = np.arange(int(known.lo.min()), int(known.hi.max()) + 1)
    frac = min(2 * known.frac, ERROR_BITS - int(span[-1] ** 2 >> 2 * known.frac).bit_length())
    squares = np.floor(span**2 * 2.0 ** (frac - 2 * known.frac) + 0.5).astype(np.int64)
    return b.table(difference, squares, int(span[0]), frac, name="squared")
