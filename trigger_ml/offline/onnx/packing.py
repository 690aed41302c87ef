"""Codes of two bits in the order in which the ternary operator reads them (firmware/ternary/ternary.h)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from trigger_ml.errors import Unsupported

COLUMNS = DEPTH = 16


def packed(codes: NDArray[np.int8]) -> NDArray[np.uint8]:
    """``(in, units)`` of -1, 0, 1 -> uint8 ``(blocks of 16 units, groups of 16 inputs, 64)``.

    Raises:
        Unsupported: for another code.
    """
    if codes.size and (codes.min() < -1 or codes.max() > 1):
        raise Unsupported("weights that are not -1, 0, 1 don't fit two bits: use the lowering int8")
    inner, outer = codes.shape
    groups, blocks = -(-inner // DEPTH), -(-outer // COLUMNS)
    whole = np.ones((groups * DEPTH, blocks * COLUMNS), np.uint8)
    whole[:inner, :outer] = codes + 1
    parts = whole.reshape(groups, 4, 4, blocks, COLUMNS).transpose(3, 0, 4, 2, 1)
    bits = parts << (2 * np.arange(4, dtype=np.uint8))
    return np.ascontiguousarray(bits.sum(-1, dtype=np.uint8).reshape(blocks, groups, 4 * COLUMNS))


def unpacked(data: NDArray[np.uint8], inner: int, outer: int) -> NDArray[np.int8]:
    """The codes again: the inverse of :func:`packed`."""
    blocks, groups, _ = data.shape
    bits = data.reshape(blocks, groups, COLUMNS, 4)[..., None] >> (2 * np.arange(4, dtype=np.uint8)) & 3
    whole = bits.transpose(1, 4, 3, 0, 2).reshape(groups * DEPTH, blocks * COLUMNS)
    return whole[:inner, :outer].astype(np.int8) - np.int8(1)
