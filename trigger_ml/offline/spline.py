"""Monotone rational-quadratic splines (C. Durkan et al., arXiv:1906.04032) in the framework, both ways.

A spline maps the box from -bound to bound onto itself by ``bins`` pieces and is the identity outside of it. Its raw
numbers are, for each element, ``bins`` widths and ``bins`` heights before a softmax, and the ``bins - 1`` slopes at
the inner knots before ``(r + sqrt(r**2 + 4)) / 2`` (J. Barron, arXiv:2112.11687); the slope at both ends is 1, and raw
zeros give the identity. The paper's softplus would do as well, but ONNX Runtime's depends on where a number stands in
the batch: with two threads a last bit differs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

LEAST = 1e-3
"""Least width and height of a piece, as a share of the box."""

LEAST_SLOPE = 1e-3
"""Least slope at a knot."""


def parameters(bins: int) -> int:
    """Raw numbers of one element."""
    return 3 * bins - 1


@dataclass(frozen=True, eq=False)
class _Piece:
    """The piece that each element is in: its corner, size and the slopes at its ends, all ``(events, elements)``."""

    left: Any
    width: Any
    bottom: Any
    height: Any
    first: Any
    second: Any


def moved(x: Any, raw: Any, bins: int, bound: float) -> tuple[Any, Any]:
    """Values after the spline, and the logarithm of its slope at each.

    Args:
        x: ``(events, elements)``.
        raw: ``(events, elements * parameters(bins))``, element after element.
        bins: pieces.
        bound: half the side of the box.
    """
    from keras import ops

    near = ops.clip(x, -bound, bound)
    p = _piece(near, raw, bins, bound, by_height=False)
    share = ops.clip((near - p.left) / p.width, 0.0, 1.0)
    y = p.bottom + p.height * _risen(p, share)
    inside = ops.abs(x) < bound
    return ops.where(inside, y, x), ops.where(inside, _log_slope(p, share), 0.0)


def back(y: Any, raw: Any, bins: int, bound: float) -> tuple[Any, Any]:
    """The inverse of :func:`moved`: values before the spline, and the logarithm of the inverse's slope."""
    from keras import ops

    near = ops.clip(y, -bound, bound)
    p = _piece(near, raw, bins, bound, by_height=True)
    up, steep = near - p.bottom, p.height / p.width
    bend = up * (p.first + p.second - 2 * steep)
    a, b, c = p.height * (steep - p.first) + bend, p.height * p.first - bend, -steep * up
    root = ops.sqrt(ops.maximum(b * b - 4 * a * c, 1e-20))
    share = ops.clip(-2 * c / (b + root), 0.0, 1.0)
    inside = ops.abs(y) < bound
    return ops.where(inside, p.left + share * p.width, y), ops.where(inside, -_log_slope(p, share), 0.0)


def _piece(x: Any, raw: Any, bins: int, bound: float, by_height: bool) -> _Piece:
    from keras import ops

    raw = ops.reshape(raw, (-1, x.shape[-1], parameters(bins)))
    sizes = [
        (ops.softmax(raw[..., i * bins : (i + 1) * bins], axis=-1) * (1 - bins * LEAST) + LEAST) * (2 * bound)
        for i in range(2)
    ]
    corners = [ops.cumsum(size, axis=-1) - size - bound for size in sizes]
    turned = raw[..., 2 * bins :]
    slopes = (turned + ops.sqrt(turned * turned + 4.0)) * (0.5 * (1 - LEAST_SLOPE)) + LEAST_SLOPE
    slopes = ops.pad(slopes, ((0, 0), (0, 0), (1, 1)), constant_values=1.0)
    number = ops.sum(ops.cast(x[..., None] >= corners[by_height], "float32"), axis=-1, keepdims=True)
    here = ops.cast(ops.equal(number, np.arange(1, bins + 1, dtype=np.float32)), "float32")

    def pick(values: Any) -> Any:
        return ops.sum(here * values, axis=-1)

    (width, height), (left, bottom) = map(pick, sizes), map(pick, corners)
    return _Piece(left, width, bottom, height, pick(slopes[..., :-1]), pick(slopes[..., 1:]))


def _risen(p: _Piece, share: Any) -> Any:
    """Height reached at a share of the width, as a share of the piece's height."""
    steep, both = p.height / p.width, share * (1 - share)
    return (steep * share * share + p.first * both) / (steep + (p.first + p.second - 2 * steep) * both)


def _log_slope(p: _Piece, share: Any) -> Any:
    from keras import ops

    steep, rest = p.height / p.width, 1 - share
    over = p.second * share * share + 2 * steep * share * rest + p.first * rest * rest
    under = steep + (p.first + p.second - 2 * steep) * share * rest
    return ops.log(steep * steep * over) - 2 * ops.log(under)
