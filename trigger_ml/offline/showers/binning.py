"""How a calorimeter is cut into voxels: layers, each in rings and angles, as binning files of the CaloChallenge say it.

Order of voxels: layer by layer, in a layer angle by angle, from the inner ring outward (C. Krause et al.,
arXiv:2410.21611). Angles go from -pi to pi in equal bins; x = r cos(alpha) is called eta, y phi, both in mm.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
from numpy.typing import NDArray

from trigger_ml.artifact import atomic_write
from trigger_ml.errors import SampleError

Floats = NDArray[np.float64]

PARTICLES = {"electron": 11, "photon": 22, "pion": 211}
"""Name in a binning file -> number of the Particle Data Group."""

LARGEST = 1 << 20
"""Bytes of a binning file; those of the CaloChallenge have five thousand."""

MOST = 1_000_000
"""Voxels."""


@dataclass(frozen=True)
class Layer:
    """One layer.

    Attributes:
        name: its id in the file.
        edges: of the rings, in mm, rising; fewer than two: the layer has no voxels.
        angles: bins in alpha.
    """

    name: str
    edges: tuple[float, ...]
    angles: int

    @property
    def rings(self) -> int:
        """Bins in r."""
        return max(len(self.edges) - 1, 0)

    @property
    def voxels(self) -> int:
        """Voxels of the layer."""
        return self.rings * self.angles


@dataclass(frozen=True)
class Binning:
    """The voxels of one kind of particle.

    Attributes:
        particle: name of a kind.
        layers: from the front.

    Raises:
        SampleError: no voxels, too many, impossible edges, or an id given twice.
    """

    particle: str
    layers: tuple[Layer, ...]

    def __post_init__(self) -> None:
        for layer in self.layers:
            steps = np.diff(layer.edges)
            if not np.isfinite(layer.edges).all() or (steps <= 0).any() or min(layer.edges, default=0) < 0:
                raise SampleError(f"layer {layer.name} has r_edges {layer.edges}: they must rise from 0 or more")
            if layer.angles < 1:
                raise SampleError(f"layer {layer.name} has {layer.angles} bins in alpha: it needs 1 or more")
        if len({layer.name for layer in self.layers}) < len(self.layers):
            raise SampleError(f"two layers of the binning of {self.particle} have the same id: give each its own")
        if not 0 < self.voxels <= MOST:
            raise SampleError(f"the binning of {self.particle} has {self.voxels} voxels: give 1 to {MOST}")

    @property
    def voxels(self) -> int:
        """Voxels of all layers."""
        return sum(layer.voxels for layer in self.layers)

    @cached_property
    def slices(self) -> tuple[slice, ...]:
        """The voxels of each layer that has any."""
        ends = np.cumsum([0] + [layer.voxels for layer in self.layers if layer.voxels]).tolist()
        return tuple(slice(a, b) for a, b in zip(ends, ends[1:], strict=False))

    @cached_property
    def filled(self) -> tuple[Layer, ...]:
        """The layers that have voxels."""
        return tuple(layer for layer in self.layers if layer.voxels)

    @cached_property
    def centres(self) -> tuple[Floats, Floats]:
        """Middle of each voxel in eta and in phi, in mm, ``(voxels,)``."""
        found = []
        for layer in self.filled:
            edges = np.asarray(layer.edges)
            radius, alpha = (
                (edges[1:] + edges[:-1]) / 2,
                -np.pi + 2 * np.pi * (np.arange(layer.angles) + 0.5) / layer.angles,
            )
            found.append([np.outer(f(alpha), radius).ravel() for f in (np.cos, np.sin)])
        return np.concatenate([x for x, _ in found]), np.concatenate([y for _, y in found])

    def sums(self, voxels: NDArray[np.floating]) -> Floats:
        """Sum over each layer's voxels, ``(events, layers)``."""
        return np.stack([voxels[:, cut].sum(1, dtype=np.float64) for cut in self.slices], axis=1)


def write(path: Path, binning: Binning) -> None:
    """Write a binning file."""
    root = ElementTree.Element("Bins")
    pid = PARTICLES.get(binning.particle, 0)
    kind = ElementTree.SubElement(root, "Bin", {"pid": str(pid), "name": binning.particle})
    for layer in binning.layers:
        edges = ",".join(f"{edge:.12g}" for edge in layer.edges)
        ElementTree.SubElement(kind, "Layer", {"id": layer.name, "r_edges": edges, "n_bin_alpha": str(layer.angles)})
    ElementTree.indent(root)
    atomic_write(path, ElementTree.tostring(root) + b"\n")


def read(path: Path, particle: str | None = None) -> Binning:
    """Read a binning file.

    Args:
        path: the file.
        particle: a name in it; None: its only one.

    Raises:
        SampleError: it is missing, too large, not such XML, or holds impossible numbers or other particles.
    """
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST + 1)
        if len(content) > LARGEST:
            raise SampleError(f"{path} is larger than {LARGEST} bytes: give a binning file")
        text = content.decode("utf-8")
        if "<!DOCTYPE" in text:
            raise SampleError(f"{path} declares a document type, which binning files don't have: take it out")
        root = ElementTree.fromstring(text)
        kinds = {kind.attrib["name"]: kind for kind in root.iter("Bin")}
        name = next(iter(kinds)) if particle is None and len(kinds) == 1 else particle
        if name not in kinds:
            raise SampleError(f"{path} has the particles {', '.join(kinds) or 'none'}: ask for one of them, not {name}")
        layers = tuple(_layer(each) for each in kinds[name].iter("Layer"))
    except (OSError, ValueError, KeyError, ElementTree.ParseError) as error:
        raise SampleError(f"{path} is not a binning file ({type(error).__name__}: {error}): get it again") from None
    try:
        return Binning(name, layers)
    except SampleError as error:
        raise SampleError(f"{path}: {error}") from None


def _layer(each: ElementTree.Element) -> Layer:
    edges = tuple(float(edge) for edge in each.attrib["r_edges"].split(","))
    return Layer(each.attrib["id"], edges, int(each.attrib["n_bin_alpha"]))
