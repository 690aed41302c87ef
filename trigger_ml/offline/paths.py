"""Paths from noise to data: how a network's output becomes the slope that a solver follows, or a step of a walk.

The slope is ``a(t) x + b(t) net(c(t) x, t)``. A flow's network gives the slope itself. With ``x = alpha(t) data +
sigma(t) noise`` a score network gives ``c (alpha noise - sigma data)``, where c brings x to width 1 (T. Salimans and
J. Ho, arXiv:2202.00512): its error is never stretched, while that of a network that gives noise would be by 1 / alpha.
The slope is then that of the probability flow (Y. Song et al., arXiv:2011.13456): ``f x - g**2 / 2 * score``, where
``score = -noise / sigma``.

A path can also be walked, with random kicks or without. ``euler_maruyama`` follows the reverse of a diffusion's
stochastic equation, slope ``f x - g**2 score`` and noise g. ``ancestral`` draws the next state as if the truth were the
one that is expected (J. Ho et al., arXiv:2006.11239), and ``ddim`` leads there without kicks (J. Song et al.,
arXiv:2010.02502): both are exact for any step where truth is one point. A bridge starts at what was measured; its
network gives ``(x - truth) / sigma(t)`` (G.-H. Liu et al., arXiv:2302.05872), and its ``euler`` is the mean of
``ancestral``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

LOW, HIGH = 0.1, 20.0
"""Noise rate of the variance-preserving paths at both ends, if the square of ours is taken for the time.

With the square (as Y. Song et al. with their t) the noise's width grows in proportion to time where there is little of
it, so that equal steps resolve the end of the path."""

LEAST, MOST = 0.01, 10.0
"""Width of the noise of the variance-exploding path at times 0 and 1."""

EARLIEST = 0.02
"""Time at which a diffusion's path ends, with little noise (variance-preserving .006): at 0 there is no score."""

SPREAD = 0.5
"""Width of a bridge's noise, summed up from end to end; truth and what is measured are of order 1."""

Floats = NDArray[np.float64]
Stride = Callable[[Floats, Floats], tuple[Any, Any, Any, Any]]
"""This time and the next -> A, B, C, c of ``A x + B net(c x, t) + C kick``; C is 0 where there are no kicks."""

Noised = Callable[[Any], tuple[Any, Any]]
Drift = Callable[[Floats], tuple[Any, Any]]
"""Time -> f, b of the slope ``f x + b noise``; ``g**2 = 2 sigma b``."""

Slope = Callable[[Floats], tuple[Any, Any, Any]]


@dataclass(frozen=True)
class Path:
    """One kind of path.

    Attributes:
        start: time of the noise.
        stop: time of the data.
        scale: what normal noise is multiplied with at the start.
        slope: time -> a, b, c; None: the network gives the slope, or the path is only walked.
        noised: time -> alpha, sigma; works on tensors and arrays. None for a flow.
        walks: method -> how a step of it goes.
    """

    start: float
    stop: float
    scale: float = 1.0
    slope: Slope | None = None
    noised: Noised | None = None
    walks: Mapping[str, Stride] = field(default_factory=dict)

    def table(self, times: NDArray[np.float32]) -> NDArray[np.float32] | None:
        """a, b, c of each stage: ``(steps, stages)`` -> ``(steps, stages, 3)``; None for a flow."""
        if self.slope is None:
            return None
        parts = np.broadcast_arrays(*self.slope(times.astype(np.float64)), times)[:3]
        return np.stack(parts, -1).astype(np.float32)


def _half(t: Any) -> Any:
    """Half the integral of beta from 0 to t."""
    return 0.5 * (LOW + 0.5 * (HIGH - LOW) * t * t) * t * t


def _rate(t: Floats) -> Floats:
    return 2 * t * (LOW + (HIGH - LOW) * t * t)


def _vp(t: Any) -> tuple[Any, Any]:
    alpha = np.e ** -_half(t)
    return alpha, (1 - alpha * alpha) ** 0.5


def _sub_vp(t: Any) -> tuple[Any, Any]:
    alpha = np.e ** -_half(t)
    return alpha, 1 - alpha * alpha


def _ve(t: Any) -> tuple[Any, Any]:
    return 1.0, LEAST * (MOST / LEAST) ** t


def _vp_drift(t: Floats) -> tuple[Any, Any]:
    return -0.5 * _rate(t), 0.5 * _rate(t) / _vp(t)[1]


def _sub_vp_drift(t: Floats) -> tuple[Any, Any]:
    alpha, sigma = _sub_vp(t)
    return -0.5 * _rate(t), 0.5 * _rate(t) * (1 - alpha**4) / sigma


def _ve_drift(t: Floats) -> tuple[Any, Any]:
    return 0.0, _ve(t)[1] * np.log(MOST / LEAST)


def seen(noised: Noised, t: Any) -> Any:
    """c: one over the width of x, for data of width 1."""
    alpha, sigma = noised(t)
    return (alpha * alpha + sigma * sigma) ** -0.5


def wanted(noised: Noised, t: Any, data: Any, noise: Any) -> Any:
    """What a score network learns to give."""
    alpha, sigma = noised(t)
    return seen(noised, t) * (alpha * noise - sigma * data)


def _noise_of(noised: Noised, t: Floats) -> tuple[Any, Any, Any]:
    """p, q, c: the noise in x is ``p x + q net(c x, t)``."""
    (alpha, sigma), c = noised(t), seen(noised, t)
    return c * c * sigma, c * alpha, c


def _slope(drift: Drift, noised: Noised) -> Slope:
    def slope(t: Floats) -> tuple[Any, Any, Any]:
        (f, b), (p, q, c) = drift(t), _noise_of(noised, t)
        return f + b * p, b * q, c

    return slope


def _stride(step: Callable[[Floats, Floats], tuple[Any, Any, Any]], noised: Noised) -> Stride:
    """From a step ``A x + B noise + C kick``."""

    def stride(now: Floats, then: Floats) -> tuple[Any, Any, Any, Any]:
        (ahead, pull, kick), (p, q, c) = step(now, then), _noise_of(noised, now)
        return ahead + pull * p, pull * q, kick, c

    return stride


def _diffusion(scale: float, drift: Drift, noised: Noised) -> Path:
    def reversed_(now: Floats, then: Floats) -> tuple[Any, Any, Any]:
        h, (f, b) = then - now, drift(now)
        return 1 + h * f, 2 * h * b, np.sqrt(-2 * h * noised(now)[1] * b)

    def ancestral(now: Floats, then: Floats) -> tuple[Any, Any, Any]:
        (alpha, sigma), (after, narrow) = noised(now), noised(then)
        ahead = after / alpha
        added = sigma**2 - (narrow / ahead) ** 2
        return ahead, -ahead * added / sigma, np.sqrt(added) * narrow / sigma

    def ddim(now: Floats, then: Floats) -> tuple[Any, Any, Any]:
        (alpha, sigma), (after, narrow) = noised(now), noised(then)
        return after / alpha, narrow - sigma * after / alpha, 0.0

    steps = {"euler_maruyama": reversed_, "ancestral": ancestral, "ddim": ddim}
    walks = {method: _stride(step, noised) for method, step in steps.items()}
    return Path(1.0, EARLIEST, scale, _slope(drift, noised), noised, walks)


def bridge_share(t: Any) -> Any:
    """Noise gathered on a bridge from truth, at time 0, to t, as a share of all: its rate grows with t."""
    return t * t


def _bridged(now: Floats, then: Floats) -> tuple[Any, Any, Any, Any]:
    """From the normal distribution of the next state, given this one and truth."""
    before, after = bridge_share(now), bridge_share(then)
    passed = before - after
    return 1.0, -SPREAD * passed / np.sqrt(before), SPREAD * np.sqrt(after * passed / before), 1.0


def _to_the_mean(now: Floats, then: Floats) -> tuple[Any, Any, Any, Any]:
    ahead, pull, _, c = _bridged(now, then)
    return ahead, pull, 0.0, c


FLOW = Path(0.0, 1.0)
PATHS: dict[str, Path] = {
    "flow_matching": FLOW,
    "direct_diffusion": FLOW,
    "bridge": Path(1.0, 0.0, walks={"ancestral": _bridged, "euler": _to_the_mean}),
    "score_vp": _diffusion(1.0, _vp_drift, _vp),
    "score_sub_vp": _diffusion(1.0, _sub_vp_drift, _sub_vp),
    "score_ve": _diffusion(MOST, _ve_drift, _ve),
}
"""Objective -> path."""
