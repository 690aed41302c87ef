"""Quark and gluon jets of 1 TeV, particle by particle: data are gluons, simulation are quarks.

The committed jets of ``trigger_ml/samples/jets.py`` in their hardware units (docs/samples.md). Given of each of 32
particles: log of pT in GeV, log of its share of their sum, distances in eta and phi to the jet in units of 0.4, their
hypotenuse, log of the number of particles, and 1; all 0 where there is none. Training takes the sample's parts for
training and validation, the test its test part; the seed does not move them.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from trigger_ml.errors import SpecError
from trigger_ml.offline.edges import Plane
from trigger_ml.offline.sources.source import Events, Parts, Source
from trigger_ml.samples.jet_scales import ANGLE_LSB

VARIANT = "qg_1tev_constituents"
RADIUS = 0.4
PLANE = Plane(2, ANGLE_LSB / RADIUS)
"""Eta and phi, in steps of their hardware units."""


def particles(hardware: NDArray[np.integer], units: NDArray[np.float64]) -> NDArray[np.float32]:
    """Jets ``(jets, particles, 3)`` of integers pT, eta, phi in ``units`` -> ``(jets, particles, 7)``."""
    pt, eta, phi = np.moveaxis(hardware * units, -1, 0)
    there = pt > 0
    total, number = np.maximum(pt.sum(-1, keepdims=True), 1e-9), np.maximum(there.sum(-1, keepdims=True), 1)
    log = np.log(np.where(there, pt, 1.0))
    found = [log, log - np.log(total), eta / RADIUS, phi / RADIUS, np.hypot(eta, phi) / RADIUS]
    found += [np.broadcast_to(np.log(number), pt.shape), np.ones_like(pt)]
    return np.where(there[..., None], np.stack(found, -1), 0).astype(np.float32)


def source() -> Source:
    """The committed jets."""
    return _source(None)


def read(path: Path) -> Source:
    """Jets of a file in one of the layouts that ``trigger_ml/samples/jets.py`` reads.

    Raises:
        SampleError: the file.
    """
    return _source(path)


def _source(path: Path | None) -> Source:
    def parts(count: int, seed: int) -> Parts:
        from trigger_ml.samples import jets

        sample = jets.load(VARIANT, path)
        units = np.array([f.lsb for f in sample.features]).reshape(sample.shape)[0]
        (gluon,) = sample.signals.values()
        pools = []
        for split in (sample.background, gluon):
            for pool in (np.concatenate([split.train, split.validation]), split.test):
                pools.append(particles(pool[:count].reshape(-1, *sample.shape), units))
        least = min(len(pools[0]), len(pools[2]))
        if least < count:
            raise SpecError(
                f"the jets have {least} of a kind to train on: set events, of [sample] or with --full of [full], to at "
                f"most {least}"
            )
        quark, quark_test, gluons, gluon_test = (Events(np.empty((len(x), 0), np.float32), x) for x in pools)
        return Parts(quark, gluons, quark_test, gluon_test)

    return Source(parts, plane=PLANE)
