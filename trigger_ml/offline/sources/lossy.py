"""The Gaussians of ``gaussians.py`` with events that are not measured and measurements that are no such events.

An event is measured with a probability that rises with its first true number, about 0.8 on average; one event in ten is
none of those looked for (its truth doesn't count) and is measured as broad noise instead.
"""

from __future__ import annotations

import numpy as np

from trigger_ml.offline.sources import gaussians
from trigger_ml.offline.sources.source import Draw, Events, Source, drawn

FAKES, FAKE_WIDTH = 0.1, 1.5
OFFSET, SLOPE = 1.6, 1.0
"""Log odds of being measured: offset + slope * first true number."""


def _lossy(draw: Draw) -> Draw:
    def lossy(rng: np.random.Generator, count: int) -> Events:
        events = draw(rng, count)
        counts = rng.random(count) >= FAKES
        noise = FAKE_WIDTH * rng.normal(size=events.reco.shape).astype(np.float32)
        odds = np.exp(OFFSET + SLOPE * events.truth[:, 0])
        measured = (rng.random(count) < odds / (1 + odds)) | ~counts
        return Events(events.truth, np.where(counts[:, None], events.reco, noise), measured, counts)

    return lossy


simulation: Draw = _lossy(gaussians.simulation)
data: Draw = _lossy(gaussians.data)


def source() -> Source:
    """Simulation and data, both with the same losses and fakes."""
    return Source(drawn(simulation, data), unfolds=True)
