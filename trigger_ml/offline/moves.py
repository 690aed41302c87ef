"""What a coupling does to the half that it moves: the layers from noise to data, and the way back for the training."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from trigger_ml.offline import spline
from trigger_ml.offline.layers import Activation, Modulate, Node, Scale, Spline, Take

REACH = 0.9
"""Largest |a| of an affine move."""

BOUND = 5.0
"""Half the side of a spline's box; truth is of order 1."""


class Move(Protocol):
    """A map of each element that is invertible whatever its raw numbers are."""

    def outputs(self, size: int) -> int:
        """Raw numbers for ``size`` elements."""
        ...

    def nodes(self, name: str, size: int) -> list[Node]:
        """Layers from ``<name>_moved`` and the raw ``<name>_out`` to ``<name>_new``."""
        ...

    def back(self, y: Any, raw: Any) -> tuple[Any, Any]:
        """Elements before the move, and the logarithm of the inverse's slope at each, all ``(events, size)``."""
        ...


@dataclass(frozen=True)
class AffineMove:
    """``y * (1 + a) + b`` with ``a = 0.9 tanh(raw)`` (L. Dinh et al., arXiv:1605.08803): no element is turned over."""

    def outputs(self, size: int) -> int:
        """Raw a and b."""
        return 2 * size

    def nodes(self, name: str, size: int) -> list[Node]:
        """See :class:`Move`."""
        return [
            Node(f"{name}_raw", Take(0, size), (f"{name}_out",)),
            Node(f"{name}_tanh", Activation("tanh"), (f"{name}_raw",)),
            Node(f"{name}_a", Scale(REACH), (f"{name}_tanh",)),
            Node(f"{name}_b", Take(size, 2 * size), (f"{name}_out",)),
            Node(f"{name}_new", Modulate(), (f"{name}_moved", f"{name}_a", f"{name}_b")),
        ]

    def back(self, y: Any, raw: Any) -> tuple[Any, Any]:
        """See :class:`Move`."""
        from keras import ops

        size = y.shape[-1]
        stretch = 1 + REACH * ops.tanh(raw[:, :size])
        return (y - raw[:, size:]) / stretch, -ops.log(stretch)


@dataclass(frozen=True)
class SplineMove:
    """A rational-quadratic spline of ``bins`` pieces (``spline.py``), the identity outside of its box."""

    bins: int
    bound: float = BOUND

    def outputs(self, size: int) -> int:
        """Raw widths, heights and slopes."""
        return size * spline.parameters(self.bins)

    def nodes(self, name: str, size: int) -> list[Node]:
        """See :class:`Move`."""
        return [Node(f"{name}_new", Spline(self.bins, self.bound), (f"{name}_moved", f"{name}_out"))]

    def back(self, y: Any, raw: Any) -> tuple[Any, Any]:
        """See :class:`Move`."""
        return spline.back(y, raw, self.bins, self.bound)
