"""The proof that a trained network's integers are the same in the framework and in every lowering."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from trigger_ml.errors import Mismatch
from trigger_ml.offline.deploy import lowerings
from trigger_ml.offline.framework import deployed
from trigger_ml.offline.layers import Linear, Network, Node, Port, Weights
from trigger_ml.offline.onnx.model import evaluate, model, opened

Floats = NDArray[np.float32]

ROWS = 100_000
"""Inputs of each layer."""

BATCH = 1024
SINGLES = 200
"""Inputs that are also evaluated alone."""

THREADS = (1, 2)


def prove(network: Network, weights: Weights, seed: int, rows: int = ROWS) -> int:
    """Compare each low-bit layer's output, bit by bit, on inputs of many magnitudes.

    The deploy form in the framework against every lowering, with one and two threads, in batches and one by one. Layers
    between them round floats as each runtime does (docs/offline.md), so whole networks are compared in ONNX alone.

    Args:
        network: the layers.
        weights: of them.
        seed: fixes the inputs.
        rows: inputs of each layer.

    Returns:
        How many layers were compared.

    Raises:
        Mismatch: naming the layer, the lowering and the number of threads.
    """
    layers = list(_layers(network, weights))
    for name, layer, own in layers:
        x = _inputs(rows, layer.ports[0].shape[0], seed)
        want = deployed(layer, own, {"x": x})
        for lowering in lowerings():
            written = model(layer, own, lowering)
            for threads in THREADS:
                session = opened(written.content, written.digest, threads)
                parts = [slice(i, i + BATCH) for i in range(0, rows, BATCH)]
                parts += [slice(i, i + 1) for i in range(min(SINGLES, rows))]
                if not all(np.array_equal(evaluate(session, {"x": x[part]}), want[part]) for part in parts):
                    raise Mismatch(
                        f"layer {name}: {lowering} with {threads} threads gives other bits than the framework: "
                        "see docs/offline.md for what runtimes rewrite"
                    )
    return len(layers)


def _layers(network: Network, weights: Weights) -> Iterator[tuple[str, Network, dict[str, Floats]]]:
    """Each low-bit layer as a network of its own, and its weights."""
    for node in network.linears:
        if isinstance(node.op, Linear) and node.op.mode != "float":
            width = network.shapes[node.inputs[0]][-1]
            own = {f"linear.{part}": weights[f"{node.name}.{part}"] for part in ("kernel", "bias")}
            yield node.name, Network((Port("x", (width,)),), (Node("linear", node.op, ("x",)),)), own


def _inputs(rows: int, width: int, seed: int) -> Floats:
    """Normal numbers of magnitudes from 1e-4 to 1e4; every 17th row is zero, every 31st full of ties of rounding."""
    rng = np.random.default_rng([seed, width])
    x = rng.normal(size=(rows, width)) * 10.0 ** rng.uniform(-4, 4, (rows, 1))
    x[::17] = 0
    x[5::31] = np.round(rng.uniform(-127, 127, x[5::31].shape) * 2) / 2
    x[5::31, -1] = 127
    return x.astype(np.float32)
