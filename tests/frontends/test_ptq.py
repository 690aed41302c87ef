"""Rounding a float network: nearest, saturated, and as good as the bits allow."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.families.test_layers import network, weights
from tests.frontends.test_lowering import HEAD, sample
from trigger_ml.families import inputs
from trigger_ml.families import layers as net
from trigger_ml.frontends import ptq
from trigger_ml.frontends.plan import Head, Plan


def plan(name: str, shape: tuple[int, ...]) -> Plan:
    found, features = network(name)
    events = sample(shape)
    start = weights(found, features)
    reach = np.array([max(f.hi, -f.lo) for f in events.features]) / 64.0
    x = events.background.train
    y = np.zeros((len(x), 1), np.float32)
    return Plan(
        found, start, start, (Head("score", 0, 1, HEAD),), x, reach, y, events.background.validation, 100, 0, ""
    )


@given(st.integers(2, 16))
@settings(max_examples=15, deadline=None)
def test_weights_are_the_nearest_that_the_bits_hold(bits: int) -> None:
    kernel = np.random.default_rng(bits).normal(size=(40, 3))
    rounded = ptq._weights(kernel, bits)
    top = np.abs(kernel).max()
    step = 2.0 ** (np.ceil(np.log2(top)) - bits + 1)
    assert np.array_equal(rounded / step, np.round(rounded / step))
    assert np.abs(rounded / step).max() <= 2 ** (bits - 1) - 1
    inside = np.abs(kernel) <= (2 ** (bits - 1) - 1) * step
    assert np.all(np.abs(rounded - kernel)[inside] <= step / 2)


def test_every_quantizer_has_the_bits_asked_for() -> None:
    todo = plan("conv 1-D", (8, 3))
    arrays = ptq.rounded(todo, 6)
    for layer in todo.layers:
        if net.quantized(layer):
            width = sum(arrays[f"{layer.name}.{part}"] for part in ("signed", "integer", "frac"))
            assert set(width.tolist()) == {6}


def test_sixteen_bits_are_the_float_network_almost() -> None:
    todo = plan("pfn", (8, 3))
    arrays = ptq.rounded(todo, 16)
    z = inputs.scaled(todo.x)
    exact, near = (net.forward(todo.layers, w, z)[:, 0] for w in (todo.start, {**todo.start, **arrays}))
    assert np.abs(near - exact).max() < 0.05 * np.abs(exact).std()
