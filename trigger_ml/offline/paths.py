"""Paths from noise to data: how a network's output becomes the slope that a solver follows.

The slope is ``a(t) x + b(t) net(c(t) x, t)``. A flow's network gives the slope itself. A score network gives the noise
in ``x = alpha(t) data + sigma(t) noise``; the slope is then that of the probability flow (Y. Song et al.,
arXiv:2011.13456): ``f x - g**2 / 2 * score`` with ``score = -noise / sigma``. ``c`` brings what it sees to order 1.

A path can also be walked with random kicks. A diffusion's walk is the reverse of its stochastic equation, slope
``f x - g**2 score`` and noise g. A bridge starts at what was measured; its network gives ``(x - truth) / sigma(t)``
(G.-H. Liu et al., arXiv:2302.05872).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

LOW, HIGH = 0.1, 20.0
"""Noise rate beta of the variance-preserving paths at times 0 and 1."""

LEAST, MOST = 0.01, 10.0
"""Width of the noise of the variance-exploding path at times 0 and 1."""

EARLIEST = 1e-3
"""Time at which a diffusion's path ends: at 0 the score is not defined."""

SPREAD = 0.5
"""Width of a bridge's noise, summed up from end to end; truth and what is measured are of order 1."""

Floats = NDArray[np.float64]
Kicked = Callable[[Floats, Floats], tuple[Any, Any, Any, Any]]


@dataclass(frozen=True)
class Path:
    """One kind of path.

    Attributes:
        start: time of the noise.
        stop: time of the data.
        scale: what normal noise is multiplied with at the start.
        slope: time -> a, b, c; None: the network gives the slope.
        noised: time -> alpha, sigma; works on tensors and arrays. None for a flow.
        kicked: this time and the next -> A, B, C, c of ``A x + B net(c x, t) + C kick``. None: no random way.
    """

    start: float
    stop: float
    scale: float = 1.0
    slope: Callable[[Floats], tuple[Any, Any, Any]] | None = None
    noised: Callable[[Any], tuple[Any, Any]] | None = None
    kicked: Kicked | None = None

    def table(self, times: NDArray[np.float32]) -> NDArray[np.float32] | None:
        """a, b, c of each stage: ``(steps, stages)`` -> ``(steps, stages, 3)``; None for a flow."""
        if self.slope is None:
            return None
        parts = np.broadcast_arrays(*self.slope(times.astype(np.float64)), times)[:3]
        return np.stack(parts, -1).astype(np.float32)


def _half(t: Any) -> Any:
    """Half the integral of beta from 0 to t."""
    return 0.5 * (LOW * t + 0.5 * (HIGH - LOW) * t * t)


def _rate(t: Floats) -> Floats:
    return LOW + (HIGH - LOW) * t


def _vp(t: Any) -> tuple[Any, Any]:
    alpha = np.e ** -_half(t)
    return alpha, (1 - alpha * alpha) ** 0.5


def _sub_vp(t: Any) -> tuple[Any, Any]:
    alpha = np.e ** -_half(t)
    return alpha, 1 - alpha * alpha


def _ve(t: Any) -> tuple[Any, Any]:
    return 1.0, LEAST * (MOST / LEAST) ** t


def _vp_slope(t: Floats) -> tuple[Any, Any, Any]:
    return -0.5 * _rate(t), 0.5 * _rate(t) / _vp(t)[1], 1.0


def _sub_vp_slope(t: Floats) -> tuple[Any, Any, Any]:
    alpha, sigma = _sub_vp(t)
    return -0.5 * _rate(t), 0.5 * _rate(t) * (1 - alpha**4) / sigma, 1.0


def _ve_slope(t: Floats) -> tuple[Any, Any, Any]:
    sigma = _ve(t)[1]
    return 0.0, sigma * np.log(MOST / LEAST), seen(_ve, t)


def seen(noised: Callable[[Any], tuple[Any, Any]], t: Any) -> Any:
    """c: one over the width of what a network sees, for data of width 1."""
    alpha, sigma = noised(t)
    return (alpha * alpha + sigma * sigma) ** -0.5 if noised is _ve else 1.0


def _reversed(slope: Callable[[Floats], tuple[Any, Any, Any]], noised: Callable[[Any], tuple[Any, Any]]) -> Kicked:
    """A step of Euler and Maruyama along the reverse-time equation; ``g**2 = 2 sigma b``."""

    def kicked(now: Floats, then: Floats) -> tuple[Any, Any, Any, Any]:
        h, (f, b, c) = then - now, slope(now)
        return 1 + h * f, 2 * h * b, np.sqrt(-2 * h * noised(now)[1] * b), c

    return kicked


def bridge_share(t: Any) -> Any:
    """Noise gathered on a bridge from truth, at time 0, to t, as a share of all: its rate grows with t."""
    return t * t


def _bridged(now: Floats, then: Floats) -> tuple[Any, Any, Any, Any]:
    """From the normal distribution of the next state, given this one and truth."""
    before, after = bridge_share(now), bridge_share(then)
    passed = before - after
    return 1.0, -SPREAD * passed / np.sqrt(before), SPREAD * np.sqrt(after * passed / before), 1.0


def _diffusion(scale: float, slope: Callable[[Floats], tuple[Any, Any, Any]], noised: Callable[[Any], Any]) -> Path:
    return Path(1.0, EARLIEST, scale, slope, noised, _reversed(slope, noised))


FLOW = Path(0.0, 1.0)
PATHS: dict[str, Path] = {
    "flow_matching": FLOW,
    "direct_diffusion": FLOW,
    "bridge": Path(1.0, 0.0, kicked=_bridged),
    "score_vp": _diffusion(1.0, _vp_slope, _vp),
    "score_sub_vp": _diffusion(1.0, _sub_vp_slope, _sub_vp),
    "score_ve": _diffusion(MOST, _ve_slope, _ve),
}
"""Objective -> path."""
