"""The float half of a plan: networks trained, and what they and the labels say of the events trained on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from trigger_ml.families import classes, double, inputs
from trigger_ml.families import layers as net
from trigger_ml.families.layers import Floats, Layer, forward
from trigger_ml.frontends import teacher
from trigger_ml.frontends.floatnet import Arrays
from trigger_ml.frontends.mixing import mixed
from trigger_ml.samples.dataset import Sample
from trigger_ml.spec import Spec

Integers = NDArray[np.integer[Any]]


@dataclass(frozen=True)
class Target:
    """What the float part of training gives: events, what is to be said of them, and the networks that said it.

    ``teachers`` are those of a student alone, whose twin is another network.
    """

    x: Integers
    y: Floats
    twin: Arrays
    start: Arrays
    teachers: tuple[Arrays, ...] = ()


def anomaly(
    spec: Spec, sample: Sample, layers: tuple[Layer, ...], key: str, checkpoints: Path, console: Console | None
) -> Target:
    """Autoencoders, and where the score is distilled from them, the student."""
    x, trained = _autoencoders(spec, sample, key, checkpoints, console)
    background = len(sample.background.train)
    if spec.model.score == "distilled":
        raw = teacher.errors(trained, spec, sample, x)
        low, spread = np.quantile(raw, 0.001), raw[:background].std()
        twin = teacher.student(spec, sample, x, ((raw - low) / spread)[:, None], key, checkpoints, console)
        start, kept = twin, tuple(trained)
    else:
        twin, kept = trained[0], ()
        start = _firmware(layers, twin)
    return Target(x, forward(layers, start, inputs.scaled(x)), twin, start, kept)


def pair(
    spec: Spec, sample: Sample, layers: tuple[Layer, ...], key: str, checkpoints: Path, console: Console | None
) -> Target:
    """Two autoencoders kept apart, the pair that learns their errors, and the background's tail in each score."""
    x, trained = _autoencoders(spec, sample, key, checkpoints, console)
    background = len(sample.background.train)
    raw = np.stack([teacher.errors([one], spec, sample, x) for one in trained], axis=1)
    low, spread = np.quantile(raw, 0.001, axis=0), raw[:background].std(axis=0)
    real = (np.arange(len(x)) < background).astype(np.float64)[:, None]
    wanted = np.concatenate([(raw - low) / spread, real], axis=1)
    twin = teacher.student(spec, sample, x, wanted, key, checkpoints, console)
    y = forward(layers, twin, inputs.scaled(x))
    for i, part in enumerate(double.PARTS):
        at = np.linspace(0.0, 2.0 * y[:, i].max(), 4000)
        twin |= {f"{part}.at": at, f"{part}.tail": double.tail(y[:background, i], at)}
    return Target(x, np.concatenate([y, real], axis=1), twin, twin)


def _autoencoders(
    spec: Spec, sample: Sample, key: str, checkpoints: Path, console: Console | None
) -> tuple[Integers, list[Arrays]]:
    """The background's training part with as many mixed events behind it, and autoencoders of the former."""
    train = sample.background.train
    x = np.concatenate([train, mixed(train, sample.features, np.random.default_rng([spec.seed, 1]))])
    return x, teacher.autoencoders(spec, sample, train, key, checkpoints, console)


def tagger(
    spec: Spec, sample: Sample, layers: tuple[Layer, ...], key: str, checkpoints: Path, console: Console | None
) -> Target:
    """Signal against background, each weighing as much as all the other's events; or classes that weigh the same."""
    given = classified if spec.model.score == classes.SCORE else labelled
    x, label, weight = given(sample, "train")
    order = np.random.default_rng([spec.seed, 1]).permutation(len(x))
    x, label, weight = x[order], label[order], weight[order]
    twin = teacher.tagger(spec, sample, x, label, weight, given(sample, "validation"), key, checkpoints, console)
    logit = forward(layers, twin, inputs.scaled(x))
    return Target(x, np.concatenate([logit, label.reshape(len(x), -1), weight[:, None]], axis=1), twin, twin)


Labelled = tuple[Integers, NDArray[np.float32], NDArray[np.float32]]
"""Hardware integers, labels, and weights of mean 1."""


def labelled(sample: Sample, part: str) -> Labelled:
    """Events of all processes, shuffled by a fixed seed, 1 for signal and 0 for background, and their weights.

    All of background weighs as much as all signals, and each signal as much as any other.
    """
    processes = _processes(sample, part)
    background, signals = len(processes[0]), len(processes) - 1
    shares = [0.5 / n for n in (background, *(len(p) * signals for p in processes[1:]))]
    x = np.concatenate(processes)
    return _shuffled(x, (np.arange(len(x)) >= background).astype(np.float32), processes, shares)


def classified(sample: Sample, part: str) -> Labelled:
    """The same with labels ``(events, classes)``, 1 for the event's class, and classes that all weigh the same."""
    processes = _processes(sample, part)
    each = np.repeat(np.arange(len(processes)), [len(p) for p in processes])
    shares = [1.0 / (len(processes) * len(p)) for p in processes]
    return _shuffled(np.concatenate(processes), np.eye(len(processes), dtype=np.float32)[each], processes, shares)


def _processes(sample: Sample, part: str) -> list[Integers]:
    return [getattr(split, part) for split in (sample.background, *sample.signals.values())]


def _shuffled(
    x: Integers, label: NDArray[np.float32], processes: Sequence[Integers], shares: Sequence[float]
) -> Labelled:
    """Events in the order of a fixed seed; ``shares`` is what one event of each process weighs, all together 1."""
    share = np.repeat(shares, [len(p) for p in processes])
    order = np.random.default_rng(0).permutation(len(x))
    return x[order], label[order], (share * len(x)).astype(np.float32)[order]


def _firmware(layers: tuple[Layer, ...], twin: Arrays) -> Arrays:
    """The twin's weights cut to the layers, and the heads, that stand in firmware."""
    start = {}
    for layer in layers:
        if isinstance(layer, net.Dense | net.Conv):
            units = layer.units if isinstance(layer, net.Dense) else layer.filters
            start[f"{layer.name}.kernel"] = twin[f"{layer.name}.kernel"][..., :units]
            start[f"{layer.name}.bias"] = twin[f"{layer.name}.bias"][:units]
    return start
