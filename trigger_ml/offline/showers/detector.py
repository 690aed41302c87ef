"""The calorimeter that the samples here are made for: a block close to lead tungstate, and what it reads.

Radiation length 8.9 mm, critical energy 10 MeV, Moliere radius 8.9 mm * 21.2 MeV / 10 MeV = 19 mm (Review of Particle
Physics, "Atomic and nuclear properties": 8.90 mm, 9.64 MeV for electrons, 19.6 mm). Six layers of three radiation
lengths, each of three rings by four angles.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trigger_ml.errors import SampleError
from trigger_ml.offline.showers.binning import Binning, Layer
from trigger_ml.offline.showers.cascade import CRITICAL, deposits

Floats = NDArray[np.floating]

LAYERS, THICKNESS, ANGLES = 6, 3.0, 4
RADIATION_MM = 8.9
EDGES_MM = (0.0, 2.5, 7.5, 30.0)
SCATTERING_MEV = 21.2
MOLIERE_MM = RADIATION_MM * SCATTERING_MEV / (1000 * CRITICAL)

QUANTUM = 10.0
"""MeV: variance of what is read over its mean, 10 % / sqrt(E / GeV) of the whole."""

SMALLEST = 1.0
"""MeV: voxels below read nothing."""

LOWEST, HIGHEST = 5.0, 50.0
"""GeV of the first particle, uniform in the logarithm."""


def binning(particle: str) -> Binning:
    """The voxels, for particles of this name."""
    return Binning(particle, tuple(Layer(str(i), EDGES_MM, ANGLES) for i in range(LAYERS)))


@dataclass(frozen=True, eq=False)
class Showers:
    """What was shot and what was read, in MeV.

    Attributes:
        incident: energy of the first particle, ``(events,)``.
        voxels: what each reads, ``(events, voxels)``.

    Raises:
        SampleError: of other shapes, not finite, negative, or with nothing shot.
    """

    incident: Floats
    voxels: Floats

    def __post_init__(self) -> None:
        if self.incident.ndim != 1 or self.voxels.ndim != 2 or len(self.incident) != len(self.voxels):
            raise SampleError(
                f"energies of shape {self.incident.shape} and voxels of shape {self.voxels.shape}: give (events,) and "
                "(events, voxels)"
            )
        for name, array, least in (
            ("incident energies", self.incident, np.nextafter(0, 1)),
            ("voxels", self.voxels, 0),
        ):
            bad = ~(np.isfinite(array) & (array >= least))
            if bad.any():
                raise SampleError(
                    f"{name} hold {int(bad.sum())} values that are not finite or too low, the first in event "
                    f"{int(np.argwhere(bad)[0][0])}: energies are MeV, of 0 or more, and above 0 for what was shot"
                )

    def __len__(self) -> int:
        """Number of showers."""
        return len(self.incident)

    def rows(self, chosen: slice | NDArray[np.integer]) -> Showers:
        """Some of the showers."""
        return Showers(self.incident[chosen], self.voxels[chosen])


def read_out(deposited: Floats, rng: np.random.Generator) -> Floats:
    """What voxels read of the energy in them, both in MeV: a gamma distribution of that mean, without the faintest."""
    found = QUANTUM * rng.gamma(deposited / QUANTUM)
    return np.where(found < SMALLEST, 0, found)


def energies(rng: np.random.Generator, count: int) -> Floats:
    """Of first particles, in MeV."""
    return np.asarray(1000 * 10 ** rng.uniform(np.log10(LOWEST), np.log10(HIGHEST), count))


def simulated(incident: Floats, photons: NDArray[np.bool_], rng: np.random.Generator) -> Showers:
    """Showers of the cascade.

    Args:
        incident: energies in MeV, ``(events,)``.
        photons: which are photons, not electrons.
        rng: the generator.

    Raises:
        ToolMissing: without numba.
    """
    edges = tuple(edge / RADIATION_MM for edge in EDGES_MM)
    found = deposits(incident / 1000, photons, rng, layers=LAYERS, thickness=THICKNESS, edges=edges, angles=ANGLES)
    return Showers(incident, read_out(1000 * found, rng))
