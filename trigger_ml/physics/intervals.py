"""Central intervals for counts, and how many independent events a count is worth."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from trigger_ml.errors import ToolMissing

CONFIDENCE = 0.6826894921370859
"""Central intervals of one standard deviation."""

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Estimate:
    """A value with its central 68.27 % interval; ``low <= value <= high``."""

    value: float
    low: float
    high: float

    @staticmethod
    def symmetric(value: float, error: float) -> Estimate:
        """``value`` plus and minus ``error``."""
        return Estimate(float(value), float(value - error), float(value + error))

    def scaled(self, factor: float) -> Estimate:
        """The same in another unit; ``factor`` is not negative."""
        return Estimate(self.value * factor, self.low * factor, self.high * factor)


def binomial(passed: ArrayLike, total: ArrayLike, confidence: float = CONFIDENCE) -> tuple[Floats, Floats]:
    """Ends of the Clopper-Pearson interval of an efficiency: it covers at least ``confidence``, never less.

    Source: C. Clopper and E. Pearson, Biometrika 26 (1934) 404, written with quantiles of the beta distribution
    (Review of Particle Physics, Statistics, "Confidence intervals for Poisson and binomial data"). Counts need not
    be whole, so that effective counts may be given. With no trials the interval is 0 to 1.

    Args:
        passed: events that passed, ``0 <= passed <= total``.
        total: events tried, broadcast against ``passed``.
        confidence: coverage, between 0 and 1.

    Raises:
        ToolMissing: scipy is not installed.
    """
    special = _special()
    k, n = np.broadcast_arrays(np.asarray(passed, float), np.asarray(total, float))
    tail = (1 - confidence) / 2
    low = np.where(k > 0, special.betaincinv(np.maximum(k, 1e-300), n - k + 1, tail), 0.0)
    high = np.where(k < n, special.betaincinv(k + 1, np.maximum(n - k, 1e-300), 1 - tail), 1.0)
    return low, high


def poisson(count: ArrayLike, confidence: float = CONFIDENCE) -> tuple[Floats, Floats]:
    """Ends of the central interval of a Poisson mean (F. Garwood, Biometrika 28 (1936) 437).

    Args:
        count: observed count, at least 0, not necessarily whole.
        confidence: coverage, between 0 and 1.

    Raises:
        ToolMissing: scipy is not installed.
    """
    special = _special()
    n = np.asarray(count, float)
    tail = (1 - confidence) / 2
    low = np.where(n > 0, special.gammaincinv(np.maximum(n, 1e-300), tail), 0.0)
    return low, np.asarray(special.gammaincinv(n + 1, 1 - tail))


def effective_count(sources: ArrayLike, weights: ArrayLike | None = None) -> float:
    """Independent events that a count is worth when events of one source count once between them.

    With ``w`` events in each source, the count's variance is ``sum w**2`` instead of ``sum w``, that of
    ``(sum w)**2 / sum w**2`` independent events of equal weight (the effective number of entries of a weighted
    histogram).

    Args:
        sources: the source id of each counted event.
        weights: what each counts, at least 0; None: one.

    >>> effective_count([7, 8, 9]), effective_count([7, 7, 7])
    (3.0, 1.0)
    """
    if weights is None:
        sums = np.unique(np.asarray(sources), return_counts=True)[1].astype(float)
    else:
        place = np.unique(np.asarray(sources), return_inverse=True)[1]
        sums = np.bincount(place, np.asarray(weights, float))
    squares = float((sums**2).sum())
    return float(sums.sum()) ** 2 / squares if squares > 0 else 0.0


@overload
def efficiency(passed: float, total: float) -> Estimate: ...
@overload
def efficiency(passed: float, total: float, effective: float, sources: int) -> Estimate: ...
def efficiency(passed: float, total: float, effective: float | None = None, sources: int | None = None) -> Estimate:
    """``passed / total`` with its interval, which events that share a source widen.

    Where none passed, nothing shows how many events of a source pass together, so the worst is assumed: all do, and
    the interval is that of none in ``sources``. Its upper end can lie above that of one event passed.

    Args:
        passed: events that passed.
        total: events tried.
        effective: independent events that the passed ones are worth (:func:`effective_count`); None: all are
            independent.
        sources: different sources of all events tried; used where none passed.

    Raises:
        ToolMissing: scipy is not installed.
    """
    if total <= 0:
        return Estimate(0.0, 0.0, 1.0)
    worth, of = (effective, passed) if passed > 0 else (sources, total)
    shrink = 1.0 if worth is None else worth / of
    low, high = binomial(passed * shrink, total * shrink)
    value = passed / total
    return Estimate(value, min(float(low), value), max(float(high), value))


def _special() -> Any:
    try:
        from scipy import special
    except ImportError:
        raise ToolMissing('intervals need scipy: pip install "trigger_ml[report]"') from None
    return special
