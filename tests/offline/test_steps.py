"""Networks of every kind as a sampler's step and as a classifier: the same bits in every lowering."""

from __future__ import annotations

import numpy as np
import pytest

from tests.offline.inputs import weights_of
from trigger_ml import tools
from trigger_ml.errors import GraphError
from trigger_ml.offline import spec, steps
from trigger_ml.offline.framework import Trained, deployed, start_weights
from trigger_ml.offline.layers import Cells, Network, Node, Place, Port, Reshape
from trigger_ml.offline.networks import PRECISIONS
from trigger_ml.offline.onnx import model as made
from trigger_ml.offline.onnx.writer import LOWERINGS
from trigger_ml.offline.steps import Wanted

pytestmark = pytest.mark.needs_train

KINDS = ("residual", "deep_sets", "transformer", "unet")
STEP = Wanted(12, condition=2, timed=True, grid=(4, 3))
CLASSIFIER = Wanted(12, 1)

needs_engines = pytest.mark.skipif(tools.find("g++") is None, reason="needs g++")


@pytest.fixture(scope="module", autouse=True)
def _framework():
    from trigger_ml.frontends import session

    session.start()


def _network(kind, wanted=STEP, precision="all", hidden=16, patch=1):
    return steps.network(spec.Network(kind=kind, hidden=hidden, blocks=2, patch=patch), precision, wanted)


def _feed(network, count, rng):
    feed = {p.name: rng.normal(size=(count, *p.shape)).astype(np.float32) for p in network.ports}
    return feed | ({"time": rng.random((count, 1)).astype(np.float32)} if "time" in feed else {})


@pytest.mark.parametrize("kind", KINDS)
def test_shapes_and_ports(kind):
    step, classifier = _network(kind), _network(kind, CLASSIFIER)
    assert {p.name: p.shape for p in step.ports} == {"x": (12,), "time": (1,), "condition": (2,)}
    assert [p.name for p in classifier.ports] == ["x"]
    assert step.shapes[step.output] == (12,)
    assert classifier.shapes[classifier.output] == (1,)


@pytest.mark.needs_onnx
@needs_engines
@pytest.mark.parametrize("kind", KINDS[1:])
def test_patches_are_items(kind):
    network = _network(kind, Wanted(12, condition=2, timed=True, grid=(2, 2, 3), around=(1,)), patch=3)
    assert network.shapes[network.output] == (12,)
    assert network.shapes[network.linears[-1].name] == (4, 3)
    rng = np.random.default_rng(6)
    weights, feed = weights_of(network), _feed(network, 65, rng)
    written = [made.model(network, weights, k) for k in LOWERINGS]
    answers = [made.evaluate(made.opened(m.content, m.digest), feed) for m in written]
    assert all(np.array_equal(y, answers[0]) for y in answers)


@pytest.mark.parametrize("kind", KINDS)
def test_the_switch_of_precisions(kind):
    modes = {p: [n.op.mode for n in _network(kind, precision=p).linears] for p in PRECISIONS}
    assert set(modes["none"]) == {"float"}
    assert set(modes["int8"]) == {"int8"}
    assert set(modes["all"]) == {"ternary"}
    low = [modes[p].count("ternary") for p in ("central", "no-embedding-no-last", "all")]
    assert low[0] <= low[1] < low[2]
    assert low[1] > 0


@pytest.mark.parametrize("kind", KINDS)
def test_every_weight_is_reached_by_the_gradient(kind):
    import tensorflow as tf

    for wanted in (STEP, CLASSIFIER):
        network = _network(kind, wanted)
        net, rng = Trained(network, weights_of(network)), np.random.default_rng(1)
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(net(_feed(network, 9, rng)) ** 2)
        gradients = tape.gradient(loss, list(net.variables.values()))
        still = [k for k, g in zip(net.variables, gradients, strict=True) if g is None or not np.any(g.numpy())]
        assert not still


@pytest.mark.needs_onnx
@needs_engines
@pytest.mark.parametrize("wanted", [STEP, CLASSIFIER], ids=["step", "classifier"])
@pytest.mark.parametrize("kind", KINDS[1:])
@pytest.mark.parametrize("precision", PRECISIONS)
def test_lowerings_agree_with_each_other_and_nearly_with_the_framework(kind, wanted, precision):
    network, rng = _network(kind, wanted, precision), np.random.default_rng(2)
    weights, feed = weights_of(network), _feed(network, 301, rng)
    written = [made.model(network, weights, k) for k in LOWERINGS]
    answers = [made.evaluate(made.opened(m.content, m.digest, threads), feed) for m in written for threads in (1, 2)]
    assert all(np.array_equal(y, answers[0]) for y in answers)
    assert np.median(np.abs(deployed(network, weights, feed) - answers[0])) < 0.02 * np.std(answers[0])


@pytest.mark.slow
@pytest.mark.needs_onnx
@needs_engines
@pytest.mark.parametrize("kind", KINDS[1:])
def test_the_same_bits_on_many_inputs(kind):
    network, rng = _network(kind), np.random.default_rng(3)
    weights, feed = start_weights(network, 4), _feed(network, 100_000, rng)
    answers = []
    for lowering in LOWERINGS:
        written = made.model(network, weights, lowering)
        for threads in (1, 2):
            session = made.opened(written.content, written.digest, threads)
            parts = [{k: v[i : i + 1024] for k, v in feed.items()} for i in range(0, 100_000, 1024)]
            answers.append(np.concatenate([made.evaluate(session, part) for part in parts]))
    assert all(np.array_equal(y, answers[0]) for y in answers)
    sessions = [made.opened(m.content, m.digest) for m in (made.model(network, weights, k) for k in LOWERINGS)]
    for i in range(0, 100_000, 1001):
        one = [made.evaluate(session, {k: v[i : i + 1] for k, v in feed.items()}) for session in sessions]
        assert all(np.array_equal(y, one[0]) for y in one)


def test_items_that_trade_places_trade_results_without_a_place():
    """The set network of x alone: with equal place vectors it can't tell items apart."""
    network, rng = _network("deep_sets", precision="none"), np.random.default_rng(5)
    weights = weights_of(network)
    place = next(n.name for n in network.nodes if isinstance(n.op, Place))
    weights[f"{place}.place"][:] = weights[f"{place}.place"][0]
    for name in weights:
        if name.startswith("standardize") and len(weights[name]) == 12:
            weights[name][:] = 0.5
    feed, order = _feed(network, 5, rng), rng.permutation(12)
    other = {**feed, "x": feed["x"][:, order]}
    assert np.allclose(deployed(network, weights, other), deployed(network, weights, feed)[:, order], atol=1e-4)
    weights[f"{place}.place"] = rng.normal(size=weights[f"{place}.place"].shape).astype(np.float32)
    assert not np.allclose(deployed(network, weights, other), deployed(network, weights, feed)[:, order], atol=1e-2)


def test_what_does_not_fit():
    with pytest.raises(GraphError, match=r"can't be halved so often, take 3"):
        steps.network(spec.Network(kind="unet", blocks=4), "none", Wanted(4))
    with pytest.raises(GraphError, match=r"a grid of \(3, 3\) has 9 cells, the events have 12 numbers"):
        steps.network(spec.Network(kind="unet", blocks=2), "none", Wanted(12, grid=(3, 3)))
    with pytest.raises(GraphError, match="patch is 5: the events' 12 numbers are no whole patches"):
        steps.network(spec.Network(kind="transformer", patch=5), "none", STEP)
    with pytest.raises(GraphError, match="don't divide into 5 heads"):
        steps.network(spec.Network(kind="transformer", heads=5), "none", STEP)
    flat, items = Port("x", (4,)), Port("x", (4, 2))
    for port, op, sentence in (
        (flat, Reshape((3,)), "the sizes differ"),
        (flat, Place(), "takes items with features"),
        (items, Cells(((0, 1), (2,))), "uneven rows"),
        (items, Cells(((0, 4),)), "points to no item"),
    ):
        with pytest.raises(GraphError, match=sentence):
            Network((port,), (Node("a", op, ("x",)),))
