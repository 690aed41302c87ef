"""What a quantized network has to learn: the float twin, the targets, and the formats of its outputs.

Both front ends train on the same plan. The quantized network regresses what the float network says, and its score: on
its own loss under pressure of bits a VAE's encoder falls silent, and the score with it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from trigger_ml.artifact import write_npz
from trigger_ml.families import classes, double, inputs
from trigger_ml.families import layers as net
from trigger_ml.families.layers import Floats, Layer, forward
from trigger_ml.fixed import Fixed
from trigger_ml.frontends import targets, taught, teacher
from trigger_ml.frontends.floatnet import Arrays
from trigger_ml.ir.columns import LOGITS
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

QUANTILE = 0.9995
"""Ranges of quantizers start where they hold this part of the training events."""

FLOOR = 0.0005
"""This part of the validation events' log-variances lies below the floor."""


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
        y: what the network shall say of them ``(events, outputs)``, float32; of a tagger beside the twin's logits the
            labels, 1 for signal or for the event's class, and the event's weight.
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
    find = {"tagger": targets.tagger, classes.SCORE: targets.tagger, "pair": targets.pair}
    made = find.get(spec.model.score, targets.anomaly)(spec, sample, layers, key, checkpoints, console)
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
        case classes.SCORE:
            return (Head(LOGITS, 0, units, _signed(reach, LOGIT_BITS, 1.0)),)
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
