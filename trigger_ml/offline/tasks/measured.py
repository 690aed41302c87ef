"""What a task gives: numbers with errors, the proof that all lowerings agree, sizes, times, histograms."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from trigger_ml.errors import SpecError
from trigger_ml.offline.deploy import Deployed
from trigger_ml.offline.layers import Linear, Mode, Network
from trigger_ml.offline.metrics import Number
from trigger_ml.offline.objectives import by_port
from trigger_ml.offline.sources.source import Events, Parts, Source
from trigger_ml.offline.spec import Row

Floats = NDArray[np.float32]
Weights = NDArray[np.floating]

COMPARED = 100_000
"""Rows on which the lowerings of a step network are compared."""

SAMPLED = 2000
"""Rows on which those of a whole sampler are."""

TIMED = 1024
"""Events of the timing."""

ROUNDS = 3
"""Of which the fastest counts."""

CELLS = 40
"""Of a histogram."""

WIDTHS: Mapping[Mode, tuple[int, int]] = {"float": (32, 32), "int8": (8, 8), "ternary": (2, 8), "binary": (1, 8)}
"""Mode -> bits of a weight and of an activation."""


@dataclass(frozen=True)
class Figure:
    """Histograms of one observable on one set of edges.

    Attributes:
        edges: ``(cells + 1,)``.
        curves: name -> events in each cell.
    """

    edges: tuple[float, ...]
    curves: Mapping[str, tuple[float, ...]]


@dataclass(frozen=True)
class Measured:
    """One training of a row at one precision.

    Attributes:
        metrics: name -> number.
        differing: lowerings that are not equal to the golden one, by model; empty if all are.
        compared: rows compared.
        kernel_bytes: lowering -> bytes of linear weights.
        bit_operations: products of weight bits and activation bits that one event takes, over all steps of a sampler.
        micros: lowering, or ``truth simulator`` -> CPU time in microseconds an event, measured on this machine.
        figures: observable -> histograms.
    """

    metrics: Mapping[str, Number]
    differing: tuple[str, ...]
    compared: int
    kernel_bytes: Mapping[str, int]
    bit_operations: int = 0
    micros: Mapping[str, float] = field(default_factory=dict)
    figures: Mapping[str, Figure] = field(default_factory=dict)


def complete(p: Parts, row: Row) -> Parts:
    """The same parts; refused if events are lost or fake, which only omnifold takes into account."""
    if p.simulation.measured is not None or p.simulation.counts is not None:
        raise SpecError(f"[sample] {row.sample.name} has lost events and fakes: only the objective omnifold takes them")
    return p


def in_lines(p: Parts, row: Row) -> Parts:
    """The same parts; refused where truth or what is measured of an event is not one line of numbers, or no truth is.

    Raises:
        SpecError: so it is.
    """
    for what, array in (("truth", p.simulation.truth), ("reco", p.simulation.reco)):
        if array.ndim != 2:
            raise SpecError(
                f"[sample] {row.sample.name}: {what} of an event has {array.ndim - 1} axes, "
                f"the objective {row.objective.name} takes one line of numbers: choose another source"
            )
    if not p.simulation.truth.shape[1]:
        raise SpecError(f"[sample] {row.sample.name} has no truth that {row.objective.name} could learn")
    return p


def of_step(
    row: Row,
    net: Deployed,
    network: Network,
    metrics: Mapping[str, Number],
    inputs: Floats,
    drawn: Mapping[str, Figure] | None = None,
) -> Measured:
    """Proof, size and time, beside its numbers, of a network that reads an event, or particles and their mask, once.

    Args:
        row: the spec.
        net: deployed.
        network: its layers.
        metrics: name -> number.
        inputs: true events, for the timing; the comparison takes normal numbers of the same width.
        drawn: observable -> histograms.
    """
    x = np.random.default_rng(row.seed).normal(size=(COMPARED, *inputs.shape[1:])).astype(np.float32)
    if inputs.ndim > 2:
        x[..., -1] = x[..., -1] > 0
    bad, times = net.differing(by_port(network, x)), micros(net, by_port(network, inputs))
    return Measured(metrics, bad, COMPARED, kernel_bytes(net), bit_operations(network), times, drawn or {})


def kernel_bytes(*nets: Deployed) -> dict[str, int]:
    """Bytes of linear weights of models that are used together, by lowering."""
    return {k: sum(net.models[k].kernel_bytes for net in nets) for k in nets[0].models}


def bit_operations(network: Network, evaluations: int = 1) -> int:
    """Products of bits in the linear layers for one event."""
    total = 0
    for node in network.linears:
        op = node.op
        if isinstance(op, Linear):
            *items, width = network.shapes[node.inputs[0]]
            weight, activation = WIDTHS[op.mode]
            total += int(np.prod(items, dtype=np.int64)) * width * op.units * weight * activation
    return total * evaluations


def micros(net: Deployed, feed: Mapping[str, Floats]) -> dict[str, float]:
    """CPU time of one event in each lowering, in microseconds, by batches as they are used; the least of some rounds.

    Args:
        net: the model that is timed.
        feed: its inputs; the first events are taken.
    """
    some = {k: v[:TIMED] for k, v in feed.items()}
    count = max(len(v) for v in some.values())
    found: dict[str, float] = {}
    for _ in range(ROUNDS):
        for lowering in ("float", net.smallest):
            took = _seconds(lambda lowering=lowering: net.run(lowering, some))  # type: ignore[misc]
            found[lowering] = min(found.get(lowering, np.inf), 1e6 * took / count)
    return found


def _seconds(work: Callable[[], object]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


def figures(source: Source, truth: Events, others: Mapping[str, tuple[Events, Weights | None]]) -> dict[str, Figure]:
    """Histograms of the source's view, each scaled to as many events as ``truth`` has.

    Args:
        source: says what is shown.
        truth: the events of the curve of that name.
        others: curve -> events whose truth is shown, and their weights.
    """
    views = {name: (source.view(events.truth, events.reco), weight) for name, (events, weight) in others.items()}
    found = {}
    for name, values in source.view(truth.truth, truth.reco).items():
        low, high = np.quantile(values, [0.001, 0.999])
        edges = np.linspace(low, high if high > low else low + 1, CELLS + 1)
        curves = {"truth": _counts(values, edges, None, len(truth))}
        curves |= {curve: _counts(view[name], edges, weight, len(truth)) for curve, (view, weight) in views.items()}
        found[name] = Figure(tuple(edges.tolist()), curves)
    return found


def overlaid(values: Mapping[str, Weights]) -> Figure:
    """Histograms of several sets of numbers on one set of edges, their common 0.1 % quantiles."""
    low, high = np.quantile(np.concatenate(list(values.values())), [0.001, 0.999])
    edges = np.linspace(low, high if high > low else low + 1, CELLS + 1)
    return Figure(tuple(edges.tolist()), {k: _counts(v, edges, None, len(v)) for k, v in values.items()})


def _counts(values: Weights, edges: Weights, weight: Weights | None, events: int) -> tuple[float, ...]:
    total = len(values) if weight is None else float(weight.sum())
    counted = np.histogram(np.clip(values, edges[0], edges[-1]), edges, weights=weight)[0]
    return tuple(np.round(counted * (events / total), 3).tolist())
