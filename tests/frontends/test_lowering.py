"""Every family's graph equals its layers evaluated with quantizers in float64, and HGQ's own forward."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from tests.families.test_layers import NETWORKS, SPEC, network, weights
from trigger_ml import plugins, spec
from trigger_ml.families import inputs
from trigger_ml.families import layers as net
from trigger_ml.fixed import Fixed, Rounding
from trigger_ml.frontends import freezing, scoring
from trigger_ml.frontends.plan import Head, Plan
from trigger_ml.ir.bounds import bounds
from trigger_ml.ir.interpret import check_inputs, evaluate, interpret
from trigger_ml.samples.dataset import Feature, Sample, Split

HEAD = Fixed(True, 22, 6)
NAMES = [name for name in NETWORKS if name not in ("rz", "double")]


def sample(shape: tuple[int, ...], seed: int = 1) -> Sample:
    quantities = ("pt", "eta", "phi")
    count = int(np.prod(shape))
    features = tuple(
        Feature(f"f{i}", "particle", i // 3, quantities[i % 3], 0.5, "1", 0 if i % 3 == 0 else -63, 63)
        for i in range(count)
    )
    rng = np.random.default_rng(seed)
    lo = np.array([f.lo for f in features])
    x = rng.integers(lo, 64, (300, count)).astype(np.int16)
    split = Split(x[:100], x[100:200], x[200:])
    return Sample("s", "v", "0" * 64, features, Fixed(True, 8, 0), split, {}, False, 0.0, np.arange(100), "", shape)


def trained(found: tuple[net.Layer, ...], features: int, seed: int) -> dict[str, np.ndarray]:
    """Random quantizers, and weights on random grids."""
    rng = np.random.default_rng(seed)
    arrays: dict[str, np.ndarray] = {}
    shapes, read = net.shapes(found, features), net.sources(found)
    for name, values in weights(found, features, seed).items():
        grid = 2.0 ** rng.integers(2, 6)
        arrays[name] = np.round(values * grid) / grid
    for layer in found:
        if net.quantized(layer):
            n = shapes[read[layer.name]][-1]
            sign = 0 if net.never_negative(found, read[layer.name]) else 1
            arrays[f"{layer.name}.signed"] = np.full(n, sign)
            arrays[f"{layer.name}.integer"] = rng.integers(2, 6, n)
            arrays[f"{layer.name}.frac"] = rng.integers(0, 6, n)
    return arrays


def by_hand(found: tuple[net.Layer, ...], arrays: dict[str, np.ndarray], x: np.ndarray) -> np.ndarray:
    """The layers one after the other in float64, each input rounded to nearest, halves up, and saturated."""
    states, read = {net.INPUT: inputs.scaled(x)}, net.sources(found)
    for layer in found:
        z = states[read[layer.name]]
        if net.quantized(layer):
            sign, integer, frac = (arrays[f"{layer.name}.{part}"] for part in ("signed", "integer", "frac"))
            width = sign + integer + frac
            lo, hi = -sign * 2.0 ** (width - sign), 2.0 ** (width - sign) - 1
            z = np.clip(np.floor(z * 2.0**frac + 0.5), lo, hi) * 2.0**-frac * (width > 0)
        alone = dataclasses.replace(layer, source="z")
        states[layer.name] = net._output(alone, arrays, z, states)
    return states[found[-1].name]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("seed", range(3))
def test_the_graph_is_the_layers_with_their_quantizers(name: str, seed: int) -> None:
    found, features = network(name)
    rest, shape = NETWORKS[name]
    wanted = spec.parse(SPEC.format(rest=rest))
    arrays: dict[str, Any] = trained(found, features, seed)
    arrays |= scoring.head_arrays((Head("score", 0, 1, HEAD),))
    events = sample(shape, seed)
    graph = freezing.to_graph(arrays, wanted, events, Rounding.RND)
    x = events.background.train
    expected = by_hand(found, arrays, x)
    score = np.clip(np.floor(expected[:, 0] * 2.0**HEAD.frac + 0.5), HEAD.lo, HEAD.hi)
    ours = interpret(graph, x)["score"][:, 0] * 2.0 ** -bounds(graph)["score"].frac
    assert np.array_equal(ours, score * 2.0**-HEAD.frac)
    assert np.unique(score).size > 5


def test_the_order_of_particles_changes_no_bit() -> None:
    for name in ("pfn", "efn"):
        rest, shape = NETWORKS[name]
        rest = rest.replace("\nparticles = 6", "")
        wanted = spec.parse(SPEC.format(rest=rest))
        events = sample(shape)
        found = plugins.find("families", "deepsets").network(wanted.model, (), shape)
        arrays: dict[str, Any] = trained(found, 24, 4) | scoring.head_arrays((Head("score", 0, 1, HEAD),))
        graph = freezing.to_graph(arrays, wanted, events, Rounding.RND)
        x = events.background.train
        turned = x.reshape(100, 8, 3)[:, np.random.default_rng(2).permutation(8)].reshape(100, 24)
        assert np.array_equal(interpret(graph, x)["score"], interpret(graph, turned)["score"])


@pytest.mark.needs_train
@pytest.mark.parametrize("name", NAMES)
def test_hgq_computes_what_the_graph_does(name: str) -> None:
    from trigger_ml.frontends import session

    session.start("hgq")
    from trigger_ml.frontends.hgq.network import Network

    found, features = network(name)
    rest, shape = NETWORKS[name]
    wanted, events = spec.parse(SPEC.format(rest=rest)), sample(shape)
    start = weights(found, features)
    head = Head("score", 0, 1, HEAD)
    x = events.background.train
    reach = np.array([max(f.hi, -f.lo) for f in events.features]) / 64.0
    y = np.zeros((len(x), 1), np.float32)
    todo = Plan(found, start, start, (head,), x, reach, y, events.background.validation, 100, 0.0, "key")
    made = Network(todo, 1, wanted.train)
    outputs = made.predict(inputs.scaled(x).astype(np.float32))
    arrays = made.arrays() | scoring.head_arrays((head,))
    graph = freezing.to_graph(arrays, wanted, events, Rounding.RND)
    ours = evaluate(graph, check_inputs(graph, x))["score"]
    assert np.array_equal(ours * 2.0 ** -bounds(graph)["score"].frac, outputs.astype(np.float64))
    assert np.unique(ours).size > 5
