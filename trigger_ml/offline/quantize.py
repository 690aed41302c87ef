"""Weights as small integers and one scale: the only place that rounds weights.

ternary: ``clip(round(w / b), -1, 1) * b`` with ``b = mean|w|`` (BitNet b1.58, arXiv:2402.17764).
binary: ``sign(w - mean w) * b`` with the same b (BitNet, arXiv:2310.11453); sign(0) is 1.
int8: ``round(w / s) * s`` with ``s = max|w| / 64``. 64, not 127: products of unsigned and signed bytes, summed in pairs
to 16 bits as processors without VNNI do it, then can't saturate (255 * 64 * 2 < 2**15), so any machine gives the same.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trigger_ml.errors import GraphError
from trigger_ml.offline.layers import TOP, Mode

INT8_TOP = 64
LEAST_SCALE = 1e-8


@dataclass(frozen=True, eq=False)
class Codes:
    """A matrix ``codes * step`` with activations in units of ``top / 127``.

    Attributes:
        codes: int8 ``(in, units)``.
        step: size of one code.
    """

    codes: NDArray[np.int8]
    step: float

    @property
    def scale(self) -> np.float32:
        """What an integer sum times ``top`` is multiplied with: step / 127."""
        return np.float32(self.step / TOP)

    @property
    def peak(self) -> int:
        """Largest magnitude of an integer sum, whatever the input."""
        return int(TOP * np.abs(self.codes.astype(np.int64)).sum(0).max(initial=0))


def quantized(kernel: NDArray[np.float32], mode: Mode) -> Codes:
    """Codes of a float matrix.

    Raises:
        GraphError: for mode float, which has none.
    """
    w = kernel.astype(np.float64)
    mean = max(float(np.abs(w).mean()), LEAST_SCALE)
    if mode == "ternary":
        return Codes(np.clip(np.rint(w / mean), -1, 1).astype(np.int8), mean)
    if mode == "binary":
        return Codes(np.where(w >= w.mean(), 1, -1).astype(np.int8), mean)
    if mode == "int8":
        step = max(float(np.abs(w).max(initial=0)), LEAST_SCALE) / INT8_TOP
        return Codes(np.rint(w / step).astype(np.int8), step)
    raise GraphError("a float layer has no codes")
