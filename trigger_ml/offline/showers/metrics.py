"""The CaloChallenge's numbers for one set of showers against another (C. Krause et al., arXiv:2410.21611)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from trigger_ml.errors import SampleError
from trigger_ml.offline.metrics import RESAMPLINGS, Number
from trigger_ml.offline.showers.binning import Binning
from trigger_ml.offline.showers.classifier import told_apart
from trigger_ml.offline.showers.detector import Showers
from trigger_ml.offline.showers.observables import high_level, low_level, observables
from trigger_ml.physics.distances import frechet, kernel
from trigger_ml.physics.intervals import Estimate

Floats = NDArray[np.floating]

BINS = 50
"""Of a histogram, between the reference's 0.1 % quantiles; what is outside goes into the outermost."""

SPECTRUM = 0.1, 1e6
"""MeV: ends of the logarithmic bins of voxel energies."""

LARGEST_BATCH = 20_000
"""Events of the largest batch of the Frechet distance; the smallest is a quarter of it."""

FEWEST = 400
"""Showers of either set."""


def compared(found: Showers, wanted: Showers, binning: Binning, seed: int) -> dict[str, Number]:
    """Separation powers, both classifiers, Frechet and kernel distance; half a minute for 100,000 showers.

    Args:
        found: generated showers.
        wanted: showers of the simulation with the same distribution of incident energies.
        binning: of both.
        seed: of resamplings, batches and classifiers.

    Raises:
        SampleError: fewer than 400 showers in either, or voxels that don't fit the binning.
    """
    for showers in (found, wanted):
        if len(showers) < FEWEST or showers.voxels.shape[1] != binning.voxels:
            raise SampleError(
                f"showers of shape {showers.voxels.shape} can't be compared: give {FEWEST} or more of "
                f"{binning.voxels} voxels"
            )
    told = {
        "auc high level": told_apart(high_level(found, binning), high_level(wanted, binning), seed),
        "auc low level": told_apart(low_level(found), low_level(wanted), seed),
    }
    return separations(found, wanted, binning, seed) | distances(found, wanted, binning, seed) | told


def distances(found: Showers, wanted: Showers, binning: Binning, seed: int) -> dict[str, Number]:
    """Frechet and kernel distance of the high-level features (R. Kansal et al., arXiv:2211.10295)."""
    features = high_level(wanted, binning), high_level(found, binning)
    least = min(len(found), len(wanted))
    largest = min(LARGEST_BATCH, least // 2)
    far = frechet(*features, smallest=largest // 4, largest=largest, seed=seed).value
    return {"FPD": _number(far), "KPD": _number(kernel(*features, size=min(5000, least // 2), seed=seed).value)}


def separations(found: Showers, wanted: Showers, binning: Binning, seed: int) -> dict[str, Number]:
    """Separation power ``1/2 sum (p - q)^2 / (p + q)`` of histograms: 0 if they are equal, 1 if they are disjoint.

    Of each observable the mean over layers, and of the energies of all voxels that read any. Errors are from
    resampling showers, not voxels. Source: S. Diefenbacher et al., arXiv:2009.03796, as the CaloChallenge takes it.
    """
    pairs = zip(observables(found, binning).groups.items(), observables(wanted, binning).groups.values(), strict=True)
    numbers = {f"separation {name}": separation(x, y, seed) for (name, x), y in pairs}
    spectra = [_spectrum(showers.voxels) for showers in (found, wanted)]
    rng = np.random.default_rng(seed)
    tried = [_power(*(_weights(rng, len(s)) @ s for s in spectra)) for _ in range(RESAMPLINGS)]
    value = _power(*(s.sum(0) for s in spectra))
    numbers["separation voxel energies"] = Number(value, float(np.std(tried, ddof=1)))
    return numbers


def separation(found: Floats, wanted: Floats, seed: int) -> Number:
    """Mean separation power over columns, ``(events, columns)`` each; showers are resampled for the error."""
    cells = [np.empty(x.shape, np.int64) for x in (found, wanted)]
    for i, (x, y) in enumerate(zip(found.T, wanted.T, strict=True)):
        low, high = np.quantile(y, [0.001, 0.999])
        edges = np.linspace(low, high if high > low else low + 1, BINS + 1)
        for cell, values in zip(cells, (x, y), strict=True):
            cell[:, i] = np.clip(np.searchsorted(edges, values, "right") - 1, 0, BINS - 1) + i * BINS
    columns, rng = found.shape[1], np.random.default_rng(seed)

    def power(rows: tuple[NDArray[np.int64], NDArray[np.int64]]) -> float:
        counts = [np.bincount(c.ravel(), minlength=columns * BINS).reshape(columns, BINS) for c in rows]
        return float(np.mean([_power(p, q) for p, q in zip(*counts, strict=True)]))

    tried = [power(tuple(c[rng.integers(0, len(c), len(c))] for c in cells)) for _ in range(RESAMPLINGS)]  # type: ignore[arg-type]
    return Number(power((cells[0], cells[1])), float(np.std(tried, ddof=1)))


def _power(one: Floats, other: Floats) -> float:
    p, q = one / one.sum(), other / other.sum()
    both = p + q > 0
    return float(((p - q)[both] ** 2 / (p + q)[both]).sum() / 2)


def _spectrum(voxels: Floats) -> Floats:
    """Voxels of each shower in each bin of energy, ``(events, bins)``; those with nothing aren't counted."""
    low, high = np.log10(SPECTRUM)
    cell = np.full(voxels.shape, BINS)
    some = voxels > 0
    cell[some] = np.clip((np.log10(voxels[some]) - low) / (high - low) * BINS, 0, BINS - 1).astype(int)
    flat = cell + (BINS + 1) * np.arange(len(voxels))[:, None]
    counts = np.bincount(flat.ravel(), minlength=len(voxels) * (BINS + 1)).reshape(len(voxels), BINS + 1)
    return counts[:, :BINS].astype(np.float32)


def _weights(rng: np.random.Generator, events: int) -> Floats:
    return np.bincount(rng.integers(0, events, events), minlength=events).astype(np.float32)


def _number(estimate: Estimate) -> Number:
    return Number(estimate.value, (estimate.high - estimate.low) / 2)
