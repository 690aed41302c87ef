"""What the CaloChallenge looks at in a shower (C. Krause et al., arXiv:2410.21611), for any binning."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trigger_ml.offline.showers.binning import Binning
from trigger_ml.offline.showers.detector import Showers

Floats = NDArray[np.float64]

LOWEST_LAYER = 1e-2
"""MeV: energy of a layer below which it has no centre, and which its logarithm starts from."""


@dataclass(frozen=True, eq=False)
class Observables:
    """Of each shower; of each layer where there is a second axis.

    Attributes:
        response: visible over incident energy, ``(events, 1)``.
        layers: energy in MeV, ``(events, layers)``.
        eta: centre of energy in mm.
        phi: the same across.
        width_eta: its root mean square in mm.
        width_phi: the same across.
        sparsity: share of voxels with nothing in them.
    """

    response: Floats
    layers: Floats
    eta: Floats
    phi: Floats
    width_eta: Floats
    width_phi: Floats
    sparsity: Floats

    @property
    def groups(self) -> Mapping[str, Floats]:
        """Those whose histograms are compared, by name; energies as logarithms."""
        return {
            "E_tot / E_inc": self.response,
            "layer energies": np.log10(np.maximum(self.layers, LOWEST_LAYER)),
            "centre in eta": self.eta,
            "centre in phi": self.phi,
            "width in eta": self.width_eta,
            "width in phi": self.width_phi,
            "sparsity": self.sparsity,
        }


def observables(showers: Showers, binning: Binning) -> Observables:
    """All of them; a layer with nothing in it has centre and widths of 0."""
    energy, (eta, phi) = binning.sums(showers.voxels), binning.centres
    moments = []
    for i, cut in enumerate(binning.slices):
        share = showers.voxels[:, cut] / np.maximum(energy[:, i : i + 1], LOWEST_LAYER)
        means = [share @ x for x in (eta[cut], phi[cut])]
        squares = [share @ x**2 for x in (eta[cut], phi[cut])]
        widths = [np.sqrt(np.maximum(s - m**2, 0)) for s, m in zip(squares, means, strict=True)]
        moments.append([*means, *widths, 1 - (showers.voxels[:, cut] > 0).mean(1)])
    found = np.moveaxis(np.asarray(moments), 0, -1)
    response = energy.sum(1, keepdims=True) / showers.incident[:, None]
    return Observables(response, energy, found[0], found[1], found[2], found[3], found[4])


def high_level(showers: Showers, binning: Binning) -> Floats:
    """What the high-level classifier and the feature distances see: log energies, centres and widths.

    Layers with one angle have no centre and no width across, as in the CaloChallenge.
    """
    found = observables(showers, binning)
    round_ = np.array([layer.angles > 1 for layer in binning.filled])
    columns = [np.log10(showers.incident)[:, None], np.log10(np.maximum(found.layers, LOWEST_LAYER))]
    columns += [x[:, round_] / 100 for x in (found.eta, found.phi, found.width_eta, found.width_phi)]
    return np.concatenate(columns, axis=1)


def low_level(showers: Showers) -> Floats:
    """What the low-level classifier sees: log energy, and voxels in percent of it."""
    return np.concatenate(
        [np.log10(showers.incident)[:, None], 100 * showers.voxels / showers.incident[:, None]], axis=1
    )
