"""A training loop that can be killed at any moment and ends in the same weights.

All that an epoch does is a function of the state at its start and of ``(seed, epoch)``: the order of the events, the
random numbers, the learning rate. The state (weights, optimizer, history) is written after each epoch, whole or not.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from trigger_ml.artifact import read_npz, write_npz
from trigger_ml.errors import ArtifactError

Record = dict[str, float]
"""What is known after an epoch: ``loss`` and whatever else was measured."""

Rate = Callable[[int], float]
"""Learning rate of an epoch."""


def cosine(rate: float, epochs: int, last: float = 0.02) -> Rate:
    """From ``rate`` down to ``last * rate`` along half a cosine (Loshchilov and Hutter, arXiv:1608.03983)."""
    return lambda epoch: rate * (last + (1 - last) * 0.5 * (1 + float(np.cos(np.pi * epoch / max(1, epochs - 1)))))


@dataclass(frozen=True)
class Phase:
    """One stretch of training.

    Attributes:
        name: file name of its checkpoint, lower case.
        label: what the progress bar says.
        epochs: at most so many.
        batch: events a step; the last, incomplete batch of an epoch is left out.
        rate: learning rate of each epoch.
        seed: fixes the order of events and the noise.
        key: digest of everything else that the result depends on; a checkpoint with another key is not used.
    """

    name: str
    label: str
    epochs: int
    batch: int
    rate: Rate
    seed: int
    key: str


@dataclass(frozen=True)
class Job:
    """What is trained.

    Attributes:
        data: arrays of equal length, float32.
        loss: ``loss(noise_seed, *batch)`` -> scalar tensor; ``noise_seed`` is an int32 pair that differs in each step.
        trainable: variables that follow the gradient.
        state: all variables that the checkpoint must hold, the trainable ones among them.
        before: called with the epoch's number before it starts.
        measure: called after each epoch; its numbers join the record.
        snapshot: from the history to a name if this epoch's state is to be kept under it, else None.
        done: whether to stop before ``epochs``.
    """

    data: tuple[NDArray[np.float32], ...]
    loss: Callable[..., Any]
    trainable: Sequence[Any]
    state: Sequence[Any]
    before: Callable[[int], None] = lambda epoch: None
    measure: Callable[[], Record] = dict
    snapshot: Callable[[Sequence[Record]], str | None] = lambda history: None
    done: Callable[[Sequence[Record]], bool] = lambda history: False


def fit(phase: Phase, job: Job, folder: Path, console: Console | None) -> list[Record]:
    """Train, from the checkpoint in ``folder`` if there is one; return the record of each epoch.

    Raises:
        ArtifactError: if a loss is not finite.
    """
    import keras

    optimizer = keras.optimizers.Adam(phase.rate(0))
    optimizer.build(list(job.trainable))
    state = [*job.state, *optimizer.variables]
    path = folder / f"{phase.name}.npz"
    history = _resume(path, phase.key, state)
    run = _epoch(job, optimizer, phase.batch)
    with _progress(console) as progress:
        task = progress.add_task(phase.label, total=phase.epochs, completed=len(history), note="")
        while len(history) < phase.epochs and not job.done(history):
            epoch = len(history)
            optimizer.learning_rate = phase.rate(epoch)
            job.before(epoch)
            record = {"loss": run(phase.seed, epoch), **job.measure()}
            if not all(np.isfinite(v) for v in record.values()):
                raise ArtifactError(f"{phase.label}: {record} after epoch {epoch}: lower [train] learning_rate")
            history.append(record)
            name = job.snapshot(history)
            if name is not None:
                _write(folder / f"{phase.name}-{name}.npz", phase.key, history, job.state)
            _write(path, phase.key, history, state)
            progress.update(task, advance=1, note=" ".join(f"{k} {v:.4g}" for k, v in record.items()))
        progress.update(task, total=len(history))
    return history


def best(history: Sequence[Record]) -> str | None:
    """A snapshot for each epoch whose ``distance`` is the smallest so far.

    With few bits a small step of one weight is a large step of the function; the last epoch is rarely the best.
    """
    distances = [record["distance"] for record in history]
    return "best" if distances[-1] <= min(distances) else None


def restore(folder: Path, phase: Phase, name: str, state: Sequence[Any]) -> list[Record]:
    """Set ``state`` to the snapshot ``name`` of a phase and return the history up to it.

    Raises:
        ArtifactError: if there is no such snapshot.
    """
    path = folder / f"{phase.name}-{name}.npz"
    history = _resume(path, phase.key, state)
    if not history:
        raise ArtifactError(f"{path} is missing or of another training: run the step train again")
    return history


def _epoch(job: Job, optimizer: Any, batch: int) -> Callable[[int, int], float]:
    """A function of (seed, epoch) that runs one epoch and returns its mean loss; the loop is compiled once, by XLA.

    Not for speed alone: TensorFlow's own executor does not always give the same last bits on a busy machine
    (docs/decisions/010-reproducible-training.md).
    """
    import tensorflow as tf

    count = len(job.data[0])
    batch = min(batch, count)
    steps = count // batch
    data = [tf.constant(array) for array in job.data]
    trainable = list(job.trainable)
    loss_of = tf.autograph.experimental.do_not_convert(job.loss)  # plain Python: only the loop over steps is converted

    @tf.function(jit_compile=True)
    def loop(order: Any, seeds: Any) -> Any:
        total = tf.constant(0.0)
        for step in tf.range(steps):
            rows = order[step]
            with tf.GradientTape() as tape:
                loss = loss_of(seeds[step], *[tf.gather(array, rows) for array in data])
            optimizer.apply(tape.gradient(loss, trainable), trainable)
            total += loss
        return total / steps

    def run(seed: int, epoch: int) -> float:
        rng = np.random.default_rng([seed, epoch])
        order = rng.permutation(count)[: steps * batch].reshape(steps, batch).astype(np.int32)
        seeds = rng.integers(0, 2**31, (steps, 2), np.int32)
        return float(loop(tf.constant(order), tf.constant(seeds)))

    return run


def _write(path: Path, key: str, history: Sequence[Record], state: Sequence[Any]) -> None:
    arrays = {f"v{i:04d}": np.asarray(variable) for i, variable in enumerate(state)}
    text = json.dumps({"key": key, "history": list(history)})
    write_npz(path, {**arrays, "about": np.frombuffer(text.encode(), np.uint8)})


def _resume(path: Path, key: str, state: Sequence[Any]) -> list[Record]:
    """Set the variables from a checkpoint; the history so far, empty if there is none that fits."""
    if not path.exists():
        return []
    arrays: Mapping[str, NDArray[Any]] = read_npz(path)
    about = json.loads(arrays["about"].tobytes())
    if about["key"] != key or len(arrays) != len(state) + 1:
        return []
    for i, variable in enumerate(state):
        variable.assign(arrays[f"v{i:04d}"])
    history: list[Record] = about["history"]
    return history


def _progress(console: Console | None) -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed}/{task.total}"))
    return Progress(
        *columns, TimeRemainingColumn(), TextColumn("{task.fields[note]}"), console=console, disable=console is None
    )
