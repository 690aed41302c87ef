"""A small synthetic sample in the layout of ``l1_objects``: falling momenta, a Poisson number of objects."""

from __future__ import annotations

import numpy as np

from trigger_ml.fixed import Fixed
from trigger_ml.samples.dataset import Feature, Sample, Split

KINDS = (("met", 1, 143, 0), ("eg", 4, 143, 69), ("mu", 4, 575, 225), ("jet", 10, 143, 115))


def features() -> tuple[Feature, ...]:
    found = []
    for kind, slots, phi, eta in KINDS:
        for slot in range(slots):
            found.append(Feature(f"{kind}{slot}_pt", kind, slot, "pt", 0.5, "GeV", 0, 4095))
            found.append(Feature(f"{kind}{slot}_eta", kind, slot, "eta", 0.0435, "1", -eta, eta))
            found.append(Feature(f"{kind}{slot}_phi", kind, slot, "phi", 0.0436, "rad", 0, phi))
    return tuple(found)


def events(rng: np.random.Generator, count: int, hardness: float) -> np.ndarray:
    x = np.zeros((count, 57), np.int16)
    column = 0
    for kind, slots, phi, eta in KINDS:
        mean = {"met": 99.0, "eg": 1.0, "mu": 0.4, "jet": 3.0}[kind] * hardness
        filled = rng.poisson(mean, count)
        pt = np.sort(np.minimum(8 + rng.exponential(16.0 * hardness, (count, slots)), 4095).astype(int), axis=1)[
            :, ::-1
        ]
        for slot in range(slots):
            there = filled > slot
            x[:, column] = np.where(there, pt[:, slot], 0)
            x[:, column + 1] = np.where(there, rng.integers(-eta, eta + 1, count), 0)
            x[:, column + 2] = np.where(there, rng.integers(0, phi + 1, count), 0)
            column += 3
    return x


def sample(background: int = 6000, signal: int = 600) -> Sample:
    rng = np.random.default_rng(5)

    def split(count: int, hardness: float) -> Split:
        x = events(rng, count, hardness)
        a, b = count // 2, count * 3 // 4
        return Split(x[:a], x[a:b], x[b:])

    parts = split(background, 1.0)
    return Sample(
        name="synthetic",
        variant="synthetic",
        digest="0" * 64,
        features=features(),
        input_format=Fixed(True, 13, 0),
        background=parts,
        signals={"hard": split(signal, 3.0), "busy": split(signal, 1.8)},
        gives_rates=False,
        pileup=0.0,
        source=np.arange(len(parts.test)),
        notes="synthetic",
    )
