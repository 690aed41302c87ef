"""A small artificial sample in the layout of ``l1_objects``: exponential momenta, Poisson multiplicities."""

from __future__ import annotations

import numpy as np

from trigger_ml.fixed import Fixed
from trigger_ml.samples.dataset import Feature, Sample, Split

HARDNESS = {"LQ_to_btau": 2.2, "A_to_4l": 1.9, "hC_to_taunu": 1.3, "h0_to_tautau": 1.5}


def features():
    kinds = (("met", 1), ("eg", 4), ("mu", 4), ("jet", 10))
    units = (("pt", 0.5, "GeV", 0, 2047), ("eta", 0.0435, "1", -115, 115), ("phi", 2 * np.pi / 144, "rad", 0, 143))
    return tuple(
        Feature(f"{kind}{slot}_{q}", kind, slot, q, lsb, unit, lo, hi)
        for kind, slots in kinds
        for slot in range(slots)
        for q, lsb, unit, lo, hi in units
    )


def events(rng, n, hardness):
    x = np.zeros((n, 57), np.int16)
    x[:, 0] = np.minimum(rng.exponential(20 * hardness, n), 2047)
    for first, slots, mean, scale in ((3, 4, 0.3, 16), (15, 4, 0.15, 12), (27, 10, 1.0, 30)):
        filled = np.arange(slots) < np.minimum(rng.poisson(mean * hardness, n), slots)[:, None]
        pt = (4 + rng.exponential(scale * hardness, (n, slots))) * rng.lognormal(0, 0.6, (n, 1))
        x[:, first : first + 3 * slots : 3] = -np.sort(-np.minimum(np.where(filled, pt, 0), 2047), axis=1)
    return x


def sample(background=20_000, signal=2_000, gives_rates=True, seed=0):
    rng = np.random.default_rng(seed)
    none = np.zeros((0, 57), np.int16)
    return Sample(
        "l1_objects",
        "zero_bias" if gives_rates else "adc2021_like",
        "0" * 64,
        features(),
        Fixed(True, 13, 0),
        Split(none, none, events(rng, background, 1.0)),
        {name: Split(none, none, events(rng, signal, hard)) for name, hard in HARDNESS.items()},
        gives_rates,
        20.0,
        rng.integers(0, 2 * background, background),
        "An artificial sample for tests.",
    )


def scores(sample, frac=6, noise=0.05, seed=1):
    """Integer scores on ``2**-frac`` and the float scores that they approximate."""
    rng = np.random.default_rng(seed)
    quantized, floating = {}, {}
    parts = {"background": sample.background} | dict(sample.signals)
    for process, part in parts.items():
        score = np.log2(1 + part.test[:, 0::3].astype(float)).sum(axis=1) / 4
        rounded = np.floor((score + rng.normal(0, noise, len(score))) * 2**frac + 0.5)
        quantized[process] = {"test": np.clip(rounded, 0, 4095).astype(np.int64)}
        floating[process] = {"test": score}
    return quantized, floating
