"""A fixed float network that tells generated showers from simulated ones: its AUC is a number of the CaloChallenge."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from trigger_ml.offline import spec
from trigger_ml.offline.metrics import Number
from trigger_ml.offline.tasks.classify import classifier
from trigger_ml.offline.training import Place
from trigger_ml.physics.roc import auc

Floats = NDArray[np.floating]

NETWORK = spec.Network(hidden=64, blocks=2)
TRAIN = spec.Train(epochs=10, batch=512, learning_rate=2e-3)
MOST = 25_000
"""Events of each kind that it is trained on."""


def told_apart(found: Floats, wanted: Floats, seed: int) -> Number:
    """AUC of generated (1) against true (0) events, on halves that it was not trained on; error of those alone.

    0.5 where it finds no difference; a weaker or stronger classifier gives other numbers.

    Args:
        found: features of generated events, ``(events, features)``.
        wanted: the same of true ones.
        seed: of the halves and the training.

    Raises:
        ToolMissing: without the extras train and onnx.
    """
    from trigger_ml.frontends import session

    session.start()
    rng = np.random.default_rng([seed, 40])
    halves = [np.array_split(x[rng.permutation(len(x))].astype(np.float32), 2) for x in (found, wanted)]
    train = [half[0][:MOST] for half in halves]
    row = spec.Row(
        name="told_apart",
        title="generated from true showers",
        seed=seed,
        sample=spec.Sample(name="shower_voxels", events=max(len(train[0]), 100)),
        network=NETWORK,
        objective=spec.Objective(name="classifier"),
        train=TRAIN,
    )
    with tempfile.TemporaryDirectory() as folder:
        place = Place(row, Path(folder), "told_apart", None)
        net = classifier(place, "none", train[0], train[1], np.ones(len(train[0]) + len(train[1]), np.float32))
        scored = auc(net(halves[1][1]), net(halves[0][1]))
    return Number(scored.value, scored.error)
