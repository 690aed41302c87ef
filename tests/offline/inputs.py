"""Networks, weights and inputs that tests share."""

from __future__ import annotations

import tomllib

import numpy as np

from trigger_ml.offline.layers import Network
from trigger_ml.offline.spec import READ_BY


def weights_of(network: Network, seed: int = 1) -> dict[str, np.ndarray]:
    """Normal weights, none of them zero."""
    rng = np.random.default_rng(seed)
    return {name: rng.normal(0, 0.3, shape).astype(np.float32) for name, shape in network.parts.items()}


def rows(count: int, width: int, seed: int = 2) -> np.ndarray:
    """Rows over many orders of magnitude; a few are zero, a few hold one large element, a few hold ties of rounding."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(count, width)) * 10.0 ** rng.uniform(-6, 4, (count, 1))
    x[::17] = 0
    x[3::29, 0] = 1e6
    x[5::31] = np.round(rng.uniform(-127, 127, x[5::31].shape) * 2) / 2
    x[5::31, -1] = 127
    return x.astype(np.float32)


def best_score(noised, mean, width):
    """The best score network for truth N(mean, width**2), linear in what it sees."""

    def net(t, seen):
        alpha, sigma = noised(np.float64(t))
        c = 1 / np.sqrt(alpha**2 + sigma**2)
        x, total = seen / c, alpha**2 * width**2 + sigma**2
        noise = sigma * (x - alpha * mean) / total
        truth = mean + alpha * width**2 * (x - alpha * mean) / total
        return c * (alpha * noise - sigma * truth)

    return net


def fitting(text: str) -> str:
    """A spec without the keys that its objective reads nothing of, for tests of many objectives."""
    objective = tomllib.loads(text)["objective"]["name"]
    dropped = {key for (_, key), able in READ_BY.items() if objective not in able}
    return "".join(line for line in text.splitlines(True) if line.partition(" = ")[0] not in dropped)
