"""Magnitude pruning on a schedule: the smallest weights of each kernel become zero, and stay it.

The share of zeros rises as ``s (1 - (1 - t)**3)``, ``t`` from 0 to 1 between two epochs: quickly at first, while there
are weights to spare (M. Zhu and S. Gupta, arXiv:1710.01878, equation 1, from no zeros).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trigger_ml.spec import Train


def share(train: Train, epoch: int) -> float:
    """The share of zeros with which an epoch of quantized training starts."""
    t = (epoch - train.prune_start) / (train.pruned - train.prune_start)
    return train.sparsity * (1.0 - (1.0 - min(max(t, 0.0), 1.0)) ** 3)


def kept(kernel: NDArray[np.floating[Any]], before: NDArray[np.bool_], part: float) -> NDArray[np.bool_]:
    """Which weights stay: all but the ``round(part * size)`` smallest, those pruned before among them.

    Args:
        kernel: weights of one layer, any shape.
        before: which of them were still there, of the same shape.
        part: the share of zeros wanted; never fewer than there are.
    """
    count = max(round(part * kernel.size), int(np.count_nonzero(~before)))
    order = np.lexsort((np.abs(kernel).ravel(), before.ravel()))
    mask = np.ones(kernel.size, np.bool_)
    mask[order[:count]] = False
    return mask.reshape(kernel.shape)


class Masks:
    """One mask for each kernel, applied after every step.

    Attributes:
        variables: the masks, 1 where a weight is kept; a checkpoint must hold them.
    """

    def __init__(self, train: Train, kernels: Sequence[Any]) -> None:
        """Nothing pruned yet. The kernels are Keras variables; their constraint keeps pruned weights at zero."""
        import tensorflow as tf

        self.train, self.kernels = train, list(kernels)
        self.variables = [tf.Variable(tf.ones(kernel.shape), trainable=False) for kernel in self.kernels]
        for kernel, mask in zip(self.kernels, self.variables, strict=True):
            kernel.constraint = _Held(mask)

    def before(self, epoch: int) -> None:
        """Prune what the schedule asks for at the start of an epoch."""
        self.prune(share(self.train, epoch))

    def prune(self, part: float) -> None:
        """Prune up to a share of zeros in each kernel; 1 is all of them."""
        for kernel, mask in zip(self.kernels, self.variables, strict=True):
            stay = kept(np.asarray(kernel), np.asarray(mask) > 0, part)
            mask.assign(stay.astype(np.float32))
            kernel.assign(np.asarray(kernel) * stay)

    def arrays(self, names: Sequence[str]) -> dict[str, NDArray[Any]]:
        """``<layer>.kept``, for layers of these names in order."""
        return {f"{name}.kept": np.asarray(mask) > 0 for name, mask in zip(names, self.variables, strict=True)}


class _Held:
    """A constraint of Keras: the kernel times its mask."""

    def __init__(self, mask: Any) -> None:
        self.mask = mask

    def __call__(self, kernel: Any) -> Any:
        return kernel * self.mask
