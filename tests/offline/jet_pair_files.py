"""Files in OmniFold's layout that tests share: made up, not simulated."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from trigger_ml.artifact import write_npz


def arrays(count: int, seed: int, radiation: float = 1.0) -> dict[str, np.ndarray]:
    """Jets whose six numbers hang together, and a detector that blurs them."""
    rng = np.random.default_rng(seed)
    pt = 150 + 80 * rng.exponential(size=count)
    spread = radiation * np.exp(0.4 * rng.normal(size=count))
    found = {}
    for level, blur in (("gen", 0.0), ("sim", 0.1)):
        near = spread * np.exp(blur * rng.normal(size=count))
        jets = np.stack(
            [pt * (1 + 0.5 * blur * rng.normal(size=count)), rng.uniform(-2.4, 2.4, count), pt, 15 * near], -1
        )
        found |= {
            f"{level}_jets": jets,
            f"{level}_mults": rng.poisson(20 * near) + 2,
            f"{level}_widths": 0.1 * near,
            f"{level}_tau2s": 0.1 * near * rng.uniform(0.3, 0.7, count),
            f"{level}_sdms": np.where(rng.random(count) < 0.02, 0, 10 * near),
            f"{level}_zgs": np.where(rng.random(count) < 0.02, 0, rng.uniform(0.1, 0.5, count)),
        }
    return found


def folder(path: Path, count: int = 400) -> Path:
    """A folder that ``zjets`` reads, the data in two files."""
    write_npz(path / "simulation.npz", arrays(count, 1))
    write_npz(path / "data_0.npz", arrays(count // 2, 2, 1.2))
    write_npz(path / "data_1.npz", arrays(count - count // 2, 3, 1.2))
    return path
