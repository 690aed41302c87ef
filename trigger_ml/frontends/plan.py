"""What a quantized network has to learn: the float twin, the targets, and the formats of its outputs.

Both front ends train on the same plan. The quantized network regresses what the float network says, and its score: on
its own loss under pressure of bits a VAE's encoder falls silent, and the score with it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from trigger_ml.artifact import write_npz
from trigger_ml.families import double, inputs
from trigger_ml.families import layers as net
from trigger_ml.families.layers import Floats, Layer, forward
from trigger_ml.fixed import Fixed
from trigger_ml.frontends import taught, teacher
from trigger_ml.frontends.floatnet import Arrays
from trigger_ml.frontends.mixing import mixed
from trigger_ml.samples.dataset import Feature, Sample
from trigger_ml.spec import Spec

Integers = NDArray[np.integer[Any]]

LOGIT_BITS = 13
"""Width of a tagger's logit: steps far below the spread of the bulk, a range for the tail."""

PAIR_FRAC = 6
"""Fraction length of each score of a pair, whose unit is the background's spread: a table reads it."""

MU_BITS, LOG_VAR_BITS, OUTPUT_FRAC, RESTORED_FRAC = 10, 9, 9, 5
HEADROOM = 2.0
"""A head's range is this many times what validation events, background and signals, reach in the float twin."""

FEW = 20_000
"""Events from which ranges of quantizers are taken where a network is more than a chain of dense layers."""

MEASURED = 2048
"""Events whose distance is measured at once: a distance correlation compares all pairs of them."""

EVERY = 16
"""Every so many-th training event measures how good an epoch's quantized weights are."""

QUANTILE = 0.9995
"""Ranges of quantizers start where they hold this part of the training events."""

FLOOR = 0.0005
"""This part of the validation events' log-variances lies below the floor."""

TAIL, WEIGHT = 0.02, 10.0
"""The part of the training events whose score in the twin is highest, and how many times each of them counts."""


@dataclass(frozen=True)
class Head:
    """Some of the network's outputs and the one format they share in firmware."""

    name: str
    start: int
    stop: int
    fixed: Fixed


@dataclass(frozen=True)
class Plan:
    """Everything that quantization-aware training needs.

    Attributes:
        layers: the network in firmware.
        start: its float weights on raw inputs, where quantized training starts.
        twin: weights of the float twin, whose score the quantized one is compared with.
        heads: the outputs' formats, in order, without gaps.
        x: hardware integers to train on ``(events, features)``, background and mixed background.
        reach: the magnitude ``(features,)`` of raw inputs that quantizers start from: see :func:`input_reach`.
        y: what the network shall say of them ``(events, outputs)``, float32; of a tagger beside the twin's logit the
            label, 1 for signal, and the event's weight.
        validation: hardware integers of the background's validation part, then of each signal's.
        background: how many of them are background.
        floor: log-variances below it count as this much, so that 1 / sigma^2 has a modest range; 0 without any.
        key: digest of all that the float part depends on.
    """

    layers: tuple[Layer, ...]
    start: Arrays
    twin: Arrays
    heads: tuple[Head, ...]
    x: Integers
    reach: Floats
    y: NDArray[np.float32]
    validation: Integers
    background: int
    floor: float
    key: str

    def ranges(self) -> dict[str, tuple[NDArray[np.bool_], Floats]]:
        """For the input of each layer with a quantizer: what may be negative, and the magnitude to start from.

        One entry an element of a flat input, else one a channel. From the float network on validation events,
        background and signals, and as many of those trained on.
        """
        flat = all(isinstance(layer, net.Dense) for layer in self.layers)
        seen = np.concatenate([self.validation, self.x[-len(self.validation) :]])
        z = inputs.scaled(seen if flat else seen[:: max(1, len(seen) // FEW)])
        states, read = net.states(self.layers, self.start, z), net.sources(self.layers)
        wired: dict[str, tuple[Floats, Floats]] = {net.INPUT: ((self.x.min(axis=0) < 0) * 1.0, self.reach)}
        found = {}
        for layer in self.layers:
            source = read[layer.name]
            if isinstance(layer, net.Reshape | net.Permute | net.Columns) and source in wired:
                alone = (dataclasses.replace(layer, source=""),)
                wired[layer.name] = tuple(net.states(alone, {}, v[None])[layer.name][0] for v in wired[source])
            if not net.quantized(layer):
                continue
            if source in wired:
                sign, reach = (v.reshape(-1, v.shape[-1]).max(axis=0) for v in wired[source])
                found[layer.name] = (sign > 0, reach)
            else:
                values = np.abs(states[source]).reshape(-1, states[source].shape[-1])
                sign = np.full(values.shape[1], not net.never_negative(self.layers, source))
                found[layer.name] = (sign, np.quantile(values, QUANTILE, axis=0))
        return found


def prepare(spec: Spec, sample: Sample, folder: Path, console: Console | None) -> Plan:
    """Train the float networks, or resume; write ``float.npz`` into ``folder``; say what is to be learned."""
    layers = teacher.network_of(spec, sample)
    key = f"{float_digest(spec)} {sample.digest}"
    checkpoints = folder / "checkpoints"
    validation = np.concatenate([sample.background.validation, *(s.validation for s in sample.signals.values())])
    if spec.model.score == "tagger":
        made = _tagger(spec, sample, layers, key, checkpoints, console)
    elif spec.model.score == "pair":
        made = _pair(spec, sample, layers, key, checkpoints, console)
    else:
        made = _anomaly(spec, sample, layers, key, checkpoints, console)
    if made.teachers:
        write_npz(folder / taught.FILE, taught.packed(made.teachers))
    write_npz(folder / "float.npz", made.twin)
    y, start = made.y, made.start
    reach = forward(layers, start, inputs.scaled(np.concatenate([validation, made.x[-len(validation) :]])))
    heads = _heads(spec, layers, reach)
    for head in heads:
        part = slice(head.start, head.stop)
        y[:, part] = np.clip(y[:, part], head.fixed.lo * 2.0**-head.fixed.frac, head.fixed.hi * 2.0**-head.fixed.frac)
    floor = 0.0
    if heads[-1].name == "log_var":
        part = slice(heads[-1].start, heads[-1].stop)
        floor = float(np.floor(np.quantile(reach[:, part], FLOOR)))
        y[:, part] = np.maximum(y[:, part], floor)
    events = len(sample.background.validation)
    ranges = input_reach(made.x, sample.features)
    key = f"{spec.digest('seed', 'sample', 'model', 'train')} {sample.digest}"
    return Plan(layers, start, made.twin, heads, made.x, ranges, y.astype(np.float32), validation, events, floor, key)


def float_digest(spec: Spec) -> str:
    """Of all that the float networks depend on: not of bits, nor of how quantized training goes."""
    unpruned = dataclasses.replace(spec.train, sparsity=0.0, prune_start=0, prune_end=None)
    train = dataclasses.replace(unpruned, epochs=1, fine_tune_epochs=0, ebops_target=None, ebops_beta=(1.0, 1.0))
    model = dataclasses.replace(spec.model, frontend="hgq", bits=None)
    return dataclasses.replace(spec, train=train, model=model).digest("seed", "sample", "model", "train")


@dataclass(frozen=True)
class _Target:
    """What the float part of training gives: events, what is to be said of them, and the networks that said it.

    ``teachers`` are those of a student alone, whose twin is another network.
    """

    x: Integers
    y: Floats
    twin: Arrays
    start: Arrays
    teachers: tuple[Arrays, ...] = ()


def _anomaly(
    spec: Spec, sample: Sample, layers: tuple[Layer, ...], key: str, checkpoints: Path, console: Console | None
) -> _Target:
    """Autoencoders, and where the score is distilled from them, the student."""
    train = sample.background.train
    rng = np.random.default_rng([spec.seed, 1])
    x = np.concatenate([train, mixed(train, sample.features, rng)])
    trained = teacher.autoencoders(spec, sample, train, key, checkpoints, console)
    if spec.model.score == "distilled":
        raw = teacher.errors(trained, spec, sample, x)
        low, spread = np.quantile(raw, 0.001), raw[: len(train)].std()
        twin = teacher.student(spec, sample, x, ((raw - low) / spread)[:, None], key, checkpoints, console)
        start, kept = twin, tuple(trained)
    else:
        twin, kept = trained[0], ()
        start = _firmware(layers, twin)
    return _Target(x, forward(layers, start, inputs.scaled(x)), twin, start, kept)


def _pair(
    spec: Spec, sample: Sample, layers: tuple[Layer, ...], key: str, checkpoints: Path, console: Console | None
) -> _Target:
    """Two autoencoders kept apart, the pair that learns their errors, and the background's tail in each score."""
    train = sample.background.train
    rng = np.random.default_rng([spec.seed, 1])
    x = np.concatenate([train, mixed(train, sample.features, rng)])
    trained = teacher.autoencoders(spec, sample, train, key, checkpoints, console)
    raw = np.stack([teacher.errors([one], spec, sample, x) for one in trained], axis=1)
    low, spread = np.quantile(raw, 0.001, axis=0), raw[: len(train)].std(axis=0)
    real = (np.arange(len(x)) < len(train)).astype(np.float64)[:, None]
    wanted = np.concatenate([(raw - low) / spread, real], axis=1)
    twin = teacher.student(spec, sample, x, wanted, key, checkpoints, console)
    y = forward(layers, twin, inputs.scaled(x))
    for i, part in enumerate(double.PARTS):
        at = np.linspace(0.0, 2.0 * y[:, i].max(), 4000)
        twin |= {f"{part}.at": at, f"{part}.tail": double.tail(y[: len(train), i], at)}
    return _Target(x, np.concatenate([y, real], axis=1), twin, twin)


def _tagger(
    spec: Spec, sample: Sample, layers: tuple[Layer, ...], key: str, checkpoints: Path, console: Console | None
) -> _Target:
    """Signal against background, each weighing as much as all the other's events."""
    x, label, weight = labelled(sample, "train")
    order = np.random.default_rng([spec.seed, 1]).permutation(len(x))
    x, label, weight = x[order], label[order], weight[order]
    twin = teacher.tagger(spec, sample, x, label, weight, labelled(sample, "validation"), key, checkpoints, console)
    logit = forward(layers, twin, inputs.scaled(x))
    return _Target(x, np.concatenate([logit, label[:, None], weight[:, None]], axis=1), twin, twin)


def labelled(sample: Sample, part: str) -> tuple[Integers, NDArray[np.float32], NDArray[np.float32]]:
    """Events of all processes, shuffled by a fixed seed, their labels and weights of mean 1."""
    background, signals = getattr(sample.background, part), [getattr(s, part) for s in sample.signals.values()]
    x = np.concatenate([background, *signals])
    share = np.concatenate(
        [
            np.full(len(p), 0.5 / w)
            for p, w in zip(
                [background, *signals], [len(background), *(len(s) * len(signals) for s in signals)], strict=True
            )
        ]
    )
    label = (np.arange(len(x)) >= len(background)).astype(np.float32)
    order = np.random.default_rng(0).permutation(len(x))
    return x[order], label[order], (share * len(x)).astype(np.float32)[order]


def input_reach(x: Integers, features: Sequence[Feature]) -> Floats:
    """The magnitude that ``QUANTILE`` of the filled slots stay below, one for all slots of a kind of object.

    A slot that training events hardly ever fill gets the range of its neighbours: a signal in it is not cut off.
    """
    reach = np.zeros(len(features))
    for pair in {(f.kind, f.quantity) for f in features}:
        columns = [i for i, f in enumerate(features) if (f.kind, f.quantity) == pair]
        filled = np.abs(x[:, columns][x[:, columns] != 0].astype(np.float64))
        reach[columns] = np.quantile(filled, QUANTILE) if filled.size else max(features[i].hi for i in columns)
    return inputs.scaled(reach)


def _firmware(layers: tuple[Layer, ...], twin: Arrays) -> Arrays:
    """The twin's weights cut to the layers, and the heads, that stand in firmware."""
    start = {}
    for layer in layers:
        if isinstance(layer, net.Dense | net.Conv):
            units = layer.units if isinstance(layer, net.Dense) else layer.filters
            start[f"{layer.name}.kernel"] = twin[f"{layer.name}.kernel"][..., :units]
            start[f"{layer.name}.bias"] = twin[f"{layer.name}.bias"][:units]
    return start


def _heads(spec: Spec, layers: tuple[Layer, ...], reach: Floats) -> tuple[Head, ...]:
    """Formats that hold what the float network reaches, with headroom."""
    latent, units = spec.model.latent, reach.shape[1]
    match spec.model.score:
        case "pair":
            tops = [int(HEADROOM * reach[:, i].max() * 2**PAIR_FRAC) for i in range(2)]
            return tuple(
                Head(part, i, i + 1, Fixed.holding(0, top, PAIR_FRAC))
                for i, (part, top) in enumerate(zip(double.PARTS, tops, strict=True))
            )
        case "tagger":
            return (Head("score", 0, 1, _signed(reach, LOGIT_BITS, 1.0)),)
        case "distilled":
            fixed = Fixed.holding(0, int(HEADROOM * reach.max() * 2**OUTPUT_FRAC), OUTPUT_FRAC)
            return (Head("score", 0, 1, fixed),)
        case "reconstruction":
            top = int(HEADROOM**0.5 * reach.max() * 2**RESTORED_FRAC)
            return (Head("restored", 0, units, Fixed.holding(0, top, RESTORED_FRAC)),)
        case _:
            mu = _signed(reach[:, :latent], MU_BITS, 1.0)
            if units == latent:
                return (Head("mu", 0, latent, mu),)
            log_var = _signed(np.clip(reach[:, latent:], -teacher.LOG_VAR, teacher.LOG_VAR), LOG_VAR_BITS, 0.999)
            return (Head("mu", 0, latent, mu), Head("log_var", latent, 2 * latent, log_var))


def _signed(values: Floats, bits: int, quantile: float) -> Fixed:
    """A signed format of ``bits`` bits that holds this quantile of the magnitudes."""
    integer = int(np.ceil(np.log2(np.quantile(np.abs(values), quantile))))
    return Fixed(True, bits, bits - 1 - integer)


Loss = Callable[[Any, Any, Any], Any]
"""From inputs, targets and predictions, TensorFlow float32 ``(events, .)``, to a scalar."""


def loss(spec: Spec, plan: Plan, sample: Sample) -> Loss:
    """How far the outputs are from the twin's, plus the squared error of the score's logarithm.

    Heads with log-variances are compared as the normal distributions that they stand for: the logarithm of 1 + the
    Kullback-Leibler divergence of the twin's from the quantized one's. Others by squared error in units of spread.
    Events in the twin's tail, where a trigger acts, count ``WEIGHT`` times.
    """
    import tensorflow as tf

    if spec.model.score == "tagger":
        return _tagging
    if spec.model.score == "pair":
        return pair_loss(plan.y[:, :2])
    scale = np.maximum(plan.y.std(0), 0.1).astype(np.float32)
    distilled, latent = spec.model.score == "distilled", spec.model.latent
    score = _score(spec, sample)

    def log_score(x: Any, z: Any) -> Any:
        return z[:, 0] if distilled else tf.math.log(0.1 + score(x, z))

    few = inputs.scaled(plan.x[::EVERY]).astype(np.float32)
    edge = float(np.quantile(log_score(few, plan.y[::EVERY]), 1.0 - TAIL))

    def heads(y: Any, p: Any) -> Any:
        if distilled:  # the only output is the score's logarithm
            return 0.0
        if len(plan.heads) == 1:
            return tf.reduce_mean(((p - y) / scale) ** 2, -1)
        excess = y[:, latent:] - p[:, latent:]
        pull = (y[:, :latent] - p[:, :latent]) ** 2 * tf.exp(-p[:, latent:])
        return tf.math.log1p(0.5 * tf.reduce_sum(pull + tf.exp(excess) - excess - 1.0, -1))

    def total(x: Any, y: Any, p: Any) -> Any:
        wanted = log_score(x, y)
        weight = tf.where(wanted > edge, WEIGHT, 1.0)
        return tf.reduce_mean(weight * (heads(y, p) + (log_score(x, p) - wanted) ** 2))

    return total


def pair_loss(y: NDArray[np.float32]) -> Loss:
    """Squared errors of both scores, those in the tails counting more, and what ties the two on background.

    The third column of the targets says which events are background, not mixed ones: only their dependence counts.
    """
    import tensorflow as tf

    edges = tf.constant(np.quantile(y, 1.0 - TAIL, axis=0).astype(np.float32))

    def total(x: Any, y: Any, p: Any) -> Any:
        error = tf.reduce_mean(tf.where(y[:, :2] > edges, WEIGHT, 1.0) * (p - y[:, :2]) ** 2)
        return error + teacher.APART * teacher.dependence(p[:, 0], p[:, 1], y[:, 2])

    return total


def _tagging(x: Any, y: Any, p: Any) -> Any:
    """Cross-entropy with the labels and with what the float twin says, in equal parts."""
    import tensorflow as tf

    wanted = 0.5 * (y[:, 1] + tf.sigmoid(y[:, 0]))
    return tf.reduce_mean(y[:, 2] * tf.nn.sigmoid_cross_entropy_with_logits(wanted, p[:, 0]))


def measure(
    distance: Loss,
    x: NDArray[np.float32],
    y: NDArray[np.float32],
    predict: Callable[[NDArray[np.float32]], NDArray[np.float32]],
) -> Callable[[], dict[str, float]]:
    """A measurement after an epoch: ``distance`` of the quantized network from the targets on some training events."""
    few, wanted = x[::EVERY], y[::EVERY]

    def distances() -> dict[str, float]:
        said = predict(few)
        parts = [slice(i, i + MEASURED) for i in range(0, len(few), MEASURED)]
        each = [float(distance(few[part], wanted[part], said[part])) for part in parts]
        return {"distance": float(np.average(each, weights=[len(few[part]) for part in parts]))}

    return distances


def _score(spec: Spec, sample: Sample) -> Callable[[Any, Any], Any]:
    """The score in TensorFlow, from inputs and outputs: see :mod:`trigger_ml.families.scores`."""
    import tensorflow as tf

    columns, latent = tf.constant(inputs.pt_index(sample.features)), spec.model.latent

    def score(x: Any, heads: Any) -> Any:
        mu, log_var = heads[:, :latent], heads[:, latent:]
        match spec.model.score:
            case "reconstruction":
                pt = tf.gather(x, columns, axis=1) * 2.0 ** (inputs.INPUT_FRAC - inputs.PT_FRAC)
                return tf.reduce_sum((tf.math.log1p(pt) / np.float32(np.log(2)) - heads) ** 2, -1)
            case "mu2":
                return tf.reduce_sum(mu**2, -1)
            case "rz":
                return tf.reduce_sum(mu**2 * tf.exp(-log_var), -1)
            case _:
                return 0.5 * tf.reduce_sum(mu**2 + tf.exp(log_var) - log_var - 1.0, -1)

    return score
