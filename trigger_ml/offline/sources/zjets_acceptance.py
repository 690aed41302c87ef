"""The pairs of ``zjets.py`` with losses and fakes, which follow from the jets' momenta at both levels.

Looked for are jets of particles above 200 GeV; measured are jets of the detector above 190 GeV and within a rapidity
of 1.4. So jets are lost at the sides and near the threshold, and some measured ones are none of those looked for.
"""

from __future__ import annotations

from pathlib import Path

from trigger_ml.offline import omnifold_files
from trigger_ml.offline.omnifold_files import JetPairs
from trigger_ml.offline.sources import zjets
from trigger_ml.offline.sources.source import Events, Source, shared

LOOKED_FOR, MEASURED = 200.0, 190.0
"""GeV of pT."""

SIDE = 1.4
"""Largest absolute rapidity of a measured jet."""


def flagged(pairs: JetPairs, complete: Events) -> Events:
    """The same events with both flags."""
    measured = (pairs.sim.jets[:, 0] > MEASURED) & (abs(pairs.sim.jets[:, 1]) < SIDE)
    return Events(complete.truth, complete.reco, measured, pairs.gen.jets[:, 0] > LOOKED_FOR)


def read(path: Path) -> Source:
    """The pairs of a folder as ``zjets`` reads them, with flags.

    Raises:
        SpecError: if a file is missing, damaged or of another layout.
    """
    simulation, data = omnifold_files.read(path)
    scale = zjets.scale_of(simulation)
    known, other = (flagged(p, zjets.events(p, scale, 10 * i)) for i, p in enumerate((simulation, data)))
    return Source(shared(known, other, str(path)), view=lambda truth, reco: zjets.view(truth, scale), unfolds=True)


def source() -> Source:
    """The pairs that are shipped."""
    return read(zjets.SHIPPED)
