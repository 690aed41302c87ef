"""Training with HGQ2: every weight and activation has its own trained bit width, paid for in EBOPs.

High Granularity Quantization (Sun et al., arXiv:2405.00645). One run raises the price of EBOPs from low to high and
keeps snapshots on the way; the one at the target is fine-tuned with its bit widths frozen.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from rich.console import Console

from trigger_ml.artifact import read_npz
from trigger_ml.errors import SpecError
from trigger_ml.families import inputs
from trigger_ml.fixed import Rounding
from trigger_ml.frontends import loop, losses, plan, result, session
from trigger_ml.frontends.freezing import to_graph
from trigger_ml.ir.graph import Graph
from trigger_ml.samples.dataset import Sample
from trigger_ml.spec import Spec

if TYPE_CHECKING:
    from trigger_ml.frontends.hgq.network import Network

__all__ = ["freeze", "train"]

ROUNDING = Rounding.RND

FRONT = (8.0, 4.0, 2.0, 1.41, 1.0, 0.71, 0.5)
"""Snapshots are taken when EBOPs first fall below these multiples of the target; the ramp ends after the last one."""

PATIENCE = 3
"""A ramp whose EBOPs are not at the target after its epochs goes on, ever dearer, up to this many times as long."""

FINE_TUNE = 0.4
"""Fine-tuning starts at this share of the ramp's learning rate."""


def train(spec: Spec, sample: Sample, folder: Path, console: Console | None) -> None:
    """Train, or resume; write ``trained.npz``, ``float.npz``, ``history.json``, ``selfcheck.npz`` into ``folder``.

    Raises:
        ToolMissing: if the extra ``train`` is not installed.
        SpecError: if the latent space collapses, or EBOPs never reach the target.
    """
    session.start("hgq")
    from trigger_ml.frontends.hgq.network import Network

    todo = plan.prepare(spec, sample, folder, console)
    if spec.model.bits is None:
        network = Network(todo, spec.seed, spec.train)
        history = _fit(spec, sample, todo, network, folder / "checkpoints", console)
    else:
        network = Network(todo, spec.seed, spec.train, spec.model.bits)
        history = _uniform(spec, sample, todo, network, folder / "checkpoints", console)
    checked = np.concatenate([todo.validation[-result.CHECKED // 2 :], todo.x[-result.CHECKED // 2 :]])
    outputs = network.predict(inputs.scaled(checked).astype(np.float32))
    result.write(folder, spec, sample, todo, network.arrays(), outputs, checked, history, ROUNDING, console)


def freeze(folder: Path, spec: Spec, sample: Sample) -> Graph:
    """The integer graph of what :func:`train` wrote; numpy only."""
    return to_graph(read_npz(folder / "trained.npz"), spec, sample, ROUNDING)


def _fit(
    spec: Spec, sample: Sample, todo: plan.Plan, network: Network, folder: Path, console: Console | None
) -> dict[str, Sequence[loop.Record]]:
    """The ramp, the choice of a snapshot, and fine-tuning; the records of each."""
    train, target = spec.train, spec.train.ebops_target
    distance = losses.loss(spec, todo, sample)
    low, high = train.ebops_beta
    x, y = inputs.scaled(todo.x).astype(np.float32), todo.y

    def before(epoch: int) -> None:
        network.price(low * (high / low) ** (epoch / max(1, train.epochs - 1)))
        network.prune(epoch)

    job = loop.Job(
        (x, y),
        lambda noise, xb, yb: network.loss(distance, xb, yb),
        network.trainable,
        network.state,
        before,
        lambda: {"ebops": network.ebops()},
        _crossed(target),
        lambda history: _over(target, train.epochs, history),
    )
    most = train.epochs if target is None else PATIENCE * train.epochs
    phase = loop.Phase(
        "ramp", "bit widths", most, train.batch, lambda epoch: train.learning_rate, spec.seed + 3, todo.key
    )
    ramp = loop.fit(phase, job, folder, console)
    history: dict[str, Sequence[loop.Record]] = {"ramp": ramp}
    if target is not None:
        if min(record["ebops"] for record in ramp) >= target:
            raise SpecError(
                f"[train] ebops_target {target} was not reached (EBOPs {ramp[-1]['ebops']:.0f} after {len(ramp)} "
                "epochs): raise ebops_beta or epochs"
            )
        names = [name for i in range(len(ramp)) if (name := _crossed(target)(ramp[: i + 1]))]
        history["front"] = []
        for name in names:
            past = loop.restore(folder, phase, name, network.state)
            history["front"] = [*history["front"], _measured(spec, sample, todo, network, past)]
        chosen = next(name for name in names if int(name) >= FRONT.index(1.0))
        loop.restore(folder, phase, chosen, network.state)
    network.prune(train.pruned)  # a snapshot may be older than the end of the schedule
    if train.fine_tune_epochs:
        fall = loop.cosine(FINE_TUNE * train.learning_rate, train.fine_tune_epochs)
        phase = loop.Phase(
            "fine_tune", "fine-tuning", train.fine_tune_epochs, train.batch, fall, spec.seed + 4, todo.key
        )
        history["fine_tune"] = _frozen_bits(phase, distance, todo, network, folder, console, 0)
    else:
        network.freeze_bits()
    return history


def _uniform(
    spec: Spec, sample: Sample, todo: plan.Plan, network: Network, folder: Path, console: Console | None
) -> dict[str, Sequence[loop.Record]]:
    """Weights alone, at the widths that the network starts with."""
    fall = loop.cosine(spec.train.learning_rate, spec.train.epochs)
    label = f"{spec.model.bits} bits"
    phase = loop.Phase("uniform", label, spec.train.epochs, spec.train.batch, fall, spec.seed + 3, todo.key)
    pruned = spec.train.pruned if spec.train.sparsity else 0
    return {"uniform": _frozen_bits(phase, losses.loss(spec, todo, sample), todo, network, folder, console, pruned)}


def _frozen_bits(
    phase: loop.Phase,
    distance: losses.Loss,
    todo: plan.Plan,
    network: Network,
    folder: Path,
    console: Console | None,
    pruned: int,
) -> list[loop.Record]:
    """Train weights with all widths frozen, pruning up to the epoch ``pruned``; keep the best epoch from there on."""
    network.freeze_bits()
    network.price(0.0)
    x, y = inputs.scaled(todo.x).astype(np.float32), todo.y
    job = loop.Job(
        (x, y),
        lambda noise, xb, yb: network.loss(distance, xb, yb),
        network.weights,
        network.state,
        network.prune if pruned else lambda epoch: None,
        measure=losses.measure(distance, x, y, network.predict),
        snapshot=lambda history: loop.best(history[pruned:]) if len(history) > pruned else None,
    )
    history = loop.fit(phase, job, folder, console)
    loop.restore(folder, phase, "best", network.state)
    return history


def _measured(
    spec: Spec, sample: Sample, todo: plan.Plan, network: Network, history: Sequence[loop.Record]
) -> loop.Record:
    """One point of the front: EBOPs, and the rank correlation that the snapshot, as it is, has with the twin."""
    graph = to_graph(result.complete(spec, sample, todo, network.arrays(), ROUNDING), spec, sample, ROUNDING)
    ranks = result.quality(graph, spec, todo, sample.gives_rates)["rank_correlation"]
    return {"epoch": len(history) - 1, "ebops": history[-1]["ebops"], "rank_correlation": ranks["all"]}


def _over(target: int | None, epochs: int, history: Sequence[loop.Record]) -> bool:
    """Whether the ramp may end: at its last epoch if the target is reached, before it if EBOPs are far below."""
    if target is None or not history:
        return False
    ebops = [record["ebops"] for record in history]
    return ebops[-1] < FRONT[-1] * target or (len(ebops) >= epochs and min(ebops) < target)


def _crossed(target: int | None) -> Callable[[Sequence[loop.Record]], str | None]:
    """Names the snapshot of an epoch that is the first below a multiple of the target: the smallest one's index."""

    def name(history: Sequence[loop.Record]) -> str | None:
        if target is None:
            return None
        before = min((r["ebops"] for r in history[:-1]), default=float("inf"))
        crossed = [i for i, share in enumerate(FRONT) if history[-1]["ebops"] < share * target <= before]
        return str(crossed[-1]) if crossed else None

    return name
