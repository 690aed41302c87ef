"""Training with QKeras: one width for every weight and activation (Coelho et al., arXiv:2006.10159).

The baseline that trained bit widths are compared with, on the same float network and targets. The QKeras is
``qkeras-v3``, which runs on Keras 3: see ``docs/decisions``.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from rich.console import Console

from trigger_ml.artifact import read_npz
from trigger_ml.errors import SpecError
from trigger_ml.families import inputs
from trigger_ml.families.layers import Dense
from trigger_ml.fixed import Rounding
from trigger_ml.frontends import loop, losses, plan, result, session, teacher
from trigger_ml.frontends.freezing import to_graph
from trigger_ml.ir.graph import Graph
from trigger_ml.samples.dataset import Sample
from trigger_ml.spec import Spec

__all__ = ["freeze", "train"]

ROUNDING = Rounding.RND_CONV
"""QKeras rounds with ``round``, ties to even."""


def train(spec: Spec, sample: Sample, folder: Path, console: Console | None) -> None:
    """Train, or resume; write ``trained.npz``, ``float.npz``, ``history.json``, ``selfcheck.npz`` into ``folder``.

    Raises:
        ToolMissing: if the extra ``train`` is not installed, or qkeras-v3 can't be had.
        SpecError: if the latent space collapses.
    """
    session.start("networkx", "pyparsing")
    from trigger_ml.frontends.qkeras.network import Network

    if spec.model.bits is None:
        raise SpecError("[model] bits is missing: the frontend qkeras needs it, from 2 to 16")
    if any(not isinstance(layer, Dense) for layer in teacher.network_of(spec, sample)):
        raise SpecError(
            f"[model] the frontend qkeras trains chains of dense layers on all inputs, not the family "
            f"{spec.model.family} with these keys: use hgq, or ptq for uniform bits"
        )
    todo = plan.prepare(spec, sample, folder, console)
    network = Network(todo, spec.model.bits, spec.seed)
    distance, epochs = losses.loss(spec, todo, sample), spec.train.epochs
    fall = loop.cosine(spec.train.learning_rate, epochs)
    phase = loop.Phase("uniform", f"{spec.model.bits} bits", epochs, spec.train.batch, fall, spec.seed + 3, todo.key)
    x, y = inputs.scaled(todo.x).astype(np.float32), todo.y
    job = loop.Job(
        (x, y),
        lambda noise, xb, yb: network.loss(distance, xb, yb),
        network.trainable,
        network.state,
        measure=losses.measure(distance, x, y, network.predict),
        snapshot=loop.best,
    )
    history = {"uniform": loop.fit(phase, job, folder / "checkpoints", console)}
    loop.restore(folder / "checkpoints", phase, "best", network.state)
    checked = np.concatenate([todo.validation[-result.CHECKED // 2 :], todo.x[-result.CHECKED // 2 :]])
    outputs = network.predict(inputs.scaled(checked).astype(np.float32))
    result.write(folder, spec, sample, todo, network.arrays(), outputs, checked, history, ROUNDING, console)


def freeze(folder: Path, spec: Spec, sample: Sample) -> Graph:
    """The integer graph of what :func:`train` wrote; numpy only."""
    return to_graph(read_npz(folder / "trained.npz"), spec, sample, ROUNDING)
