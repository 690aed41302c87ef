"""Six Gaussians of width 0.15 on a circle of radius 1.5 in the plane; nothing is measured."""

from __future__ import annotations

import numpy as np

from trigger_ml.offline.sources.source import Events, Source, drawn

MODES, RADIUS, WIDTH = 6, 1.5, 0.15


def draw(rng: np.random.Generator, count: int) -> Events:
    """Events of the mixture."""
    angle = 2 * np.pi / MODES * rng.integers(0, MODES, count)
    centre = RADIUS * np.stack([np.cos(angle), np.sin(angle)], -1)
    truth = centre + WIDTH * rng.normal(size=(count, 2))
    return Events(truth.astype(np.float32), np.empty((count, 0), np.float32))


def source() -> Source:
    """The mixture, as simulation and as data."""
    return Source(drawn(draw, draw))
