"""Laws of the splines: inverse, slope against automatic derivatives, monotone, smooth at knots, identity outside."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trigger_ml import tools
from trigger_ml.errors import GraphError
from trigger_ml.offline import objectives, spline, training
from trigger_ml.offline.coupling import coupling_flow, to_noise
from trigger_ml.offline.framework import Trained, deployed
from trigger_ml.offline.layers import Network, Node, Port, Spline
from trigger_ml.offline.moves import SplineMove
from trigger_ml.offline.onnx import model as made
from trigger_ml.offline.onnx.writer import LOWERINGS
from trigger_ml.offline.sources import mixture
from trigger_ml.offline.spec import parse

pytestmark = pytest.mark.needs_train

CASES = st.tuples(st.integers(0, 2**31), st.integers(2, 12), st.floats(0.5, 20), st.floats(0, 3))


@pytest.fixture(scope="module", autouse=True)
def _framework():
    from trigger_ml.frontends import session

    session.start()


def _raw(rng, count, size, bins, width):
    return (width * rng.normal(size=(count, size * spline.parameters(bins)))).astype(np.float32)


def _case(case, count=50, size=3):
    seed, bins, bound, width = case
    rng = np.random.default_rng(seed)
    x = (bound * rng.uniform(-1.3, 1.3, (count, size))).astype(np.float32)
    return x, _raw(rng, count, size, bins, width), bins, bound


def _of(function, *arguments):
    return [np.asarray(value) for value in function(*arguments)]


@settings(deadline=None, max_examples=40)
@given(CASES)
def test_there_and_back(case):
    x, raw, bins, bound = _case(case)
    y, log = _of(spline.moved, x, raw, bins, bound)
    again, negative = _of(spline.back, y, raw, bins, bound)
    # where it is flat a last bit of y is many of x, so the distance is judged by the slope
    assert np.all(np.abs(again - x) * np.minimum(np.exp(log), 1) < 2e-5 * bound)
    steep = np.exp(log) > 0.05
    assert np.allclose(negative[steep], -log[steep], atol=0.05)


@settings(deadline=None, max_examples=20)
@given(CASES)
def test_the_slope_is_that_of_the_derivative(case):
    import tensorflow as tf

    x, raw, bins, bound = _case(case)
    for function in (spline.moved, spline.back):
        at = tf.constant(x)
        with tf.GradientTape() as tape:
            tape.watch(at)
            y, log = function(at, raw, bins, bound)
        slope = tape.gradient(y, at).numpy()
        assert np.allclose(np.log(slope), log, atol=5e-3)


@settings(deadline=None, max_examples=20)
@given(CASES)
def test_monotone_within_the_box_and_the_identity_outside(case):
    seed, bins, bound, width = case
    rng = np.random.default_rng(seed)
    x = np.linspace(-1.2 * bound, 1.2 * bound, 400, dtype=np.float32)[:, None]
    y, log = _of(spline.moved, x, np.repeat(_raw(rng, 1, 1, bins, width), 400, 0), bins, bound)
    outside = np.abs(x) >= bound
    assert np.array_equal(y[outside], x[outside])
    assert np.all(log[outside] == 0)
    assert np.all(np.abs(y[~outside]) <= bound * (1 + 1e-6))
    assert np.all(np.diff(y[:, 0]) > -1e-6 * bound)


def test_zeros_are_the_identity():
    x = np.linspace(-4, 4, 81, dtype=np.float32)[:, None]
    y, log = _of(spline.moved, x, np.zeros((81, spline.parameters(5)), np.float32), 5, 3.0)
    assert np.allclose(y, x, atol=1e-5)
    assert np.allclose(log, 0, atol=1e-5)


def test_the_slope_has_no_step_at_a_knot():
    bins, bound, rng = 4, 2.0, np.random.default_rng(3)
    raw = _raw(rng, 1, 1, bins, 1)
    share = np.exp(raw[0, :bins]) / np.exp(raw[0, :bins]).sum()
    knots = np.cumsum((share * (1 - bins * spline.LEAST) + spline.LEAST) * 2 * bound) - bound
    knots[-1] = bound
    slopes = (raw[0, 2 * bins :] + np.sqrt(raw[0, 2 * bins :] ** 2 + 4)) / 2
    want = np.log(np.append(slopes * (1 - spline.LEAST_SLOPE) + spline.LEAST_SLOPE, 1.0))
    for side in (-3e-6, 3e-6):
        x = (knots + side).astype(np.float32)[:, None]
        _, log = _of(spline.moved, x, np.repeat(raw, bins, 0), bins, bound)
        assert np.allclose(log[:, 0], want, atol=0.03)


def test_a_spline_needs_its_raw_numbers():
    with pytest.raises(GraphError, match=r"splines of 4 bins for \(2,\) can't read \(21,\)"):
        Network((Port("x", (2,)), Port("raw", (21,))), (Node("a", Spline(4, 1.0), ("x", "raw")),))


@pytest.mark.needs_onnx
@pytest.mark.skipif(tools.find("g++") is None, reason="needs g++")
def test_the_layer_alone_in_onnx():
    rng, bins, count = np.random.default_rng(4), 5, 2000
    network = Network((Port("x", (3,)), Port("raw", (42,))), (Node("a", Spline(bins, 2.0), ("x", "raw")),))
    feed = {"x": rng.normal(0, 1.5, (count, 3)).astype(np.float32), "raw": _raw(rng, count, 3, bins, 1)}
    feed["x"][:4] = [[2, -2, 0], [np.nextafter(2, 0), 3, -3], [1e30, -1e30, 1e-30], [-1.9999999, 0, 2]]
    written = made.model(network, {}, "float")
    found = made.evaluate(made.opened(written.content, written.digest), feed)
    assert np.allclose(found, deployed(network, {}, feed), rtol=1e-5, atol=1e-5)


@pytest.mark.needs_onnx
@pytest.mark.skipif(tools.find("g++") is None, reason="needs g++")
@pytest.mark.parametrize("precision", [pytest.param(p, marks=pytest.mark.slow) for p in ("int8", "central")] + ["all"])
def test_a_flow_of_splines_gives_the_same_bits_in_every_lowering(precision):
    network = coupling_flow(5, 32, 4, precision, condition=2, move=SplineMove(6)).network
    rng = np.random.default_rng(5)
    weights = {k: rng.normal(0, 0.3, s).astype(np.float32) for k, s in network.parts.items()}
    feed = {p.name: rng.normal(size=(100_000, *p.shape)).astype(np.float32) for p in network.ports}
    answers, alone = [], []
    for lowering in LOWERINGS:
        written = made.model(network, weights, lowering)
        session = made.opened(written.content, written.digest)
        each = [{k: v[i : i + 1] for k, v in feed.items()} for i in range(0, 100_000, 1001)]
        alone.append([made.evaluate(session, one) for one in each])
        for threads, batch in ((1, 4096), (2, 2000)):  # 2000: two threads share it where no vector register ends
            session = made.opened(written.content, written.digest, threads)
            parts = [{k: v[i : i + batch] for k, v in feed.items()} for i in range(0, 100_000, batch)]
            answers.append(np.concatenate([made.evaluate(session, part) for part in parts]))
    assert all(np.array_equal(y, answers[0]) for y in answers)
    assert all(np.array_equal(y, alone[0]) for y in alone)


@pytest.mark.slow
def test_a_trained_flow_comes_near_the_entropy_of_a_known_density(tmp_path):
    row = parse(
        'name = "n"\ntitle = "t"\n[sample]\nname = "mixture"\n[objective]\nname = "spline_flow"\n[train]\nepochs = 15\n'
    )
    flow = coupling_flow(2, 64, 6, move=SplineMove(8))
    draw = [mixture.draw(np.random.default_rng(i), 20_000).truth for i in range(2)]
    place = training.Place(row, tmp_path, "net", None)
    data = (draw[0], np.zeros((20_000, 0), np.float32))
    weights = training.trained(place, flow.network, lambda net: objectives.likelihood(net, flow, False), data, {})
    z, log = to_noise(Trained(flow.network, weights), flow, draw[1])
    found = 0.5 * np.sum(np.asarray(z) ** 2, -1) + np.log(2 * np.pi) - np.asarray(log)
    angle = 2 * np.pi / mixture.MODES * np.arange(mixture.MODES)
    off = draw[1][:, None] - mixture.RADIUS * np.stack([np.cos(angle), np.sin(angle)], -1)
    each = np.exp(-0.5 * (off**2).sum(-1) / mixture.WIDTH**2).mean(1) / (2 * np.pi * mixture.WIDTH**2)
    excess = found + np.log(each)  # its mean is the Kullback-Leibler divergence: never below 0
    error = excess.std() / np.sqrt(len(excess))
    assert -4 * error < excess.mean() < 0.1 + 4 * error
