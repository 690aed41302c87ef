"""Near particles are the same ones in every runtime, and attention between features is what it says."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.offline.inputs import weights_of
from trigger_ml import tools
from trigger_ml.offline import edges, training
from trigger_ml.offline.layers import Activation, ChannelAttention, Edges, Linear, Network, Node, Pool, Port
from trigger_ml.offline.onnx import model as made
from trigger_ml.offline.onnx.writer import LOWERINGS
from trigger_ml.offline.sources import quark_gluon

pytestmark = [pytest.mark.needs_train, pytest.mark.needs_onnx]

STEP = 2.0**-4


@pytest.fixture(scope="module", autouse=True)
def _framework():
    from trigger_ml.frontends import session

    session.start()


def looking(items: int, width: int, count: int, step: float = STEP) -> Network:
    """A network of edges alone."""
    ports = (Port("x", (items, width)), Port("place", (items, 2)), Port("mask", (items, 1)))
    return Network(ports, (Node("edges", Edges(count, step), ("x", "place", "mask")),))


def by_loop(feed, count: int, step: float = STEP) -> np.ndarray:
    """What edges see, one particle after the other."""
    x, mask = feed["x"], feed["mask"]
    whole = np.rint(feed["place"] * np.float32(1 / step)).astype(int).tolist()
    batch, items, width = x.shape
    found = np.empty((batch, items, count, 2 * width), np.float32)
    for b in range(batch):
        for i in range(items):
            others = [j for j in range(items) if j != i and mask[b, j, 0]]
            apart = {j: sum((p - q) ** 2 for p, q in zip(whole[b][i], whole[b][j], strict=True)) for j in others}
            near = sorted(others, key=lambda j: (apart[j], j))[:count]
            for e, j in enumerate(near + [i] * (count - len(near))):
                found[b, i, e] = [*x[b, i], *(x[b, j] - x[b, i])]
    return found


def answers(network: Network, feed, weights=None):
    """The deploy form's output and the golden model's."""
    from trigger_ml.offline.framework import deployed

    weights = weights or {}
    written = made.model(network, weights, "float")
    return deployed(network, weights, feed), made.evaluate(made.opened(written.content, written.digest), feed)


def jets(rng, batch: int, items: int, width: int, reach: int):
    """Particles on a grid, some of them hidden."""
    feed = {
        "x": rng.normal(size=(batch, items, width)),
        "place": rng.integers(-reach, reach + 1, (batch, items, 2)) * STEP,
        "mask": rng.random((batch, items, 1)) < rng.random((batch, 1, 1)),
    }
    return {k: np.asarray(v, np.float32) for k, v in feed.items()}


# -- which particles are near ------------------------------------------------------------------------------------------


def test_four_particles_by_hand():
    feed = {
        "x": np.array([[[0], [1], [2], [4]]], np.float32),
        "place": np.array([[[0, 0], [1, 0], [-1, 0], [0, 3]]], np.float32),
        "mask": np.array([[[1], [1], [1], [0]]], np.float32),
    }
    # of 0 both others are as near: the first listed comes first; 3 is hidden, nobody's neighbour, and has its own
    want = [[[0, 1], [0, 2]], [[1, -1], [1, 1]], [[2, -2], [2, -1]], [[4, -4], [4, -3]]]
    for found in answers(looking(4, 1, 2), feed):
        assert found[0].tolist() == want
    feed["mask"][0, 2] = 0  # one other is left: the particle itself stands for the second
    for found in answers(looking(4, 1, 2), feed):
        assert found[0, :2].tolist() == [[[0, 1], [0, 0]], [[1, -1], [1, 0]]]


@given(seed=st.integers(0, 10_000), count=st.integers(1, 5), reach=st.sampled_from([0, 1, 2, 100]))
@settings(max_examples=25, deadline=None)
def test_both_runtimes_choose_as_the_loop_does_ties_and_hidden_ones_included(seed, count, reach):
    feed = jets(np.random.default_rng(seed), 8, 6, 3, reach)
    want = by_loop(feed, count)
    for found in answers(looking(6, 3, count), feed):
        assert np.array_equal(found, want)


def test_places_between_steps_and_beyond_the_grid():
    """Half a step goes to the even one: 0.5, 1.5 and 3 are 0, 2 and 3; what is too far lies on the border."""
    place = np.zeros((1, 5, 2), np.float32)
    place[0, :, 0] = [0.5, 1.5, 3, 1e9, 2e9]
    feed = {
        "x": np.arange(5, dtype=np.float32).reshape(1, 5, 1),
        "place": place,
        "mask": np.ones((1, 5, 1), np.float32),
    }
    want = [[1, 2, 3, 4], [2, 0, 3, 4], [1, 0, 3, 4], [4, 2, 1, 0], [3, 2, 1, 0]]
    for found in answers(looking(5, 1, 4, 1.0), feed):
        assert (found[0, :, :, 1] + found[0, :, :, 0]).tolist() == want


def test_the_grid_of_the_committed_jets_is_that_of_their_hardware_units():
    whole = np.arange(-127, 128)
    hardware = np.stack([np.ones_like(whole), whole, whole[::-1]], -1)[None]
    x = quark_gluon.particles(hardware, np.array([0.5, 2.0**-7, 2.0**-7]))
    first, step = quark_gluon.PLANE.first, quark_gluon.PLANE.step
    assert np.array_equal(np.rint(x[..., first : first + 2] * edges.in_steps(step)), hardware[..., 1:])


@given(seed=st.integers(0, 10_000))
@settings(max_examples=25, deadline=None)
def test_order_and_what_is_hidden_change_no_edge_where_no_distance_is_there_twice(seed):
    rng = np.random.default_rng(seed)
    feed = jets(rng, 4, 6, 3, 8)
    feed["place"][:] = np.array([[0, 0], [1, 0], [3, 0], [7, 0], [15, 0], [31, 0]], np.float32)  # Golomb: all differ
    network, order = looking(6, 3, 3), rng.permutation(6)
    for want, moved in zip(
        answers(network, feed), answers(network, {k: v[:, order] for k, v in feed.items()}), strict=True
    ):
        assert np.array_equal(moved, want[:, order])
    hidden = feed["mask"][..., 0] == 0
    other = {k: v.copy() for k, v in feed.items()}
    other["x"][hidden] += 5
    other["place"][hidden] -= 3
    for want, found in zip(answers(network, feed), answers(network, other), strict=True):
        assert np.array_equal(found[~hidden], want[~hidden])


def test_gradients_reach_items_and_their_neighbours():
    """Each edge gives its weight to its own item, its difference's to the neighbour and less that to its own."""
    import tensorflow as tf

    rng = np.random.default_rng(4)
    feed = jets(rng, 3, 5, 2, 2)
    share = rng.normal(size=(3, 5, 3, 4)).astype(np.float32)
    index = edges.nearest(tf.constant(feed["place"]), tf.constant(feed["mask"]), 3, STEP)
    x = tf.Variable(feed["x"])
    with tf.GradientTape() as tape:
        total = tf.reduce_sum(share * edges.edges(x, index))
    want = np.zeros_like(feed["x"])
    for b, i, e in np.ndindex(3, 5, 3):
        want[b, i] += share[b, i, e, :2] - share[b, i, e, 2:]
        want[b, int(index[b, i, e])] += share[b, i, e, 2:]
    assert np.allclose(tf.convert_to_tensor(tape.gradient(total, x)), want, atol=1e-5)


@pytest.mark.skipif(tools.find("g++") is None, reason="needs g++")
@pytest.mark.parametrize("mode", ["ternary", "binary", "int8"])
def test_edges_and_low_bit_layers_are_exact_as_a_whole(mode):
    from trigger_ml.offline.framework import deployed

    edge = looking(8, 3, 4)
    more = [Node("a", Linear(16, mode), ("edges",)), Node("b", Activation("relu"), ("a",))]
    network = Network(edge.ports, (*edge.nodes, *more, Node("c", Linear(5, mode), ("b",))))
    weights, feed = weights_of(network), jets(np.random.default_rng(5), 20_000, 8, 3, 9)
    want = deployed(network, weights, feed)
    assert len(np.unique(want)) > 1000
    for lowering in LOWERINGS:
        written = made.model(network, weights, lowering)
        for threads in (1, 2):
            session = made.opened(written.content, written.digest, threads)
            for cut in [slice(i, i + 1000) for i in range(0, 20_000, 1000)] + [slice(i, i + 1) for i in range(50)]:
                assert np.array_equal(made.evaluate(session, {k: v[cut] for k, v in feed.items()}), want[cut])


def test_the_mean_over_neighbours():
    network = Network((Port("x", (3, 4, 2)),), (Node("pool", Pool(), ("x",)),))
    x = np.random.default_rng(6).integers(-8, 8, (5, 3, 4, 2)).astype(np.float32)
    for found in answers(network, {"x": x}):
        assert np.array_equal(found, x.mean(2))


# -- attention between features ----------------------------------------------------------------------------------------


def channel_attention(q, k, v, mask):
    """Feature by feature, in float64."""
    batch, items, width = q.shape
    found = np.zeros((batch, items, width))
    for b in range(batch):
        there = [i for i in range(items) if mask[b, i, 0]]
        for c in range(width):
            scores = np.array([sum(q[b, i, c] * k[b, i, d] for i in there) / np.sqrt(items) for d in range(width)])
            share = np.exp(scores - scores.max())
            found[b, :, c] = v[b] @ (share / share.sum())
    return found


@given(seed=st.integers(0, 10_000))
@settings(max_examples=10, deadline=None)
def test_attention_between_features(seed):
    rng = np.random.default_rng(seed)
    ports = (*(Port(name, (5, 4)) for name in "qkv"), Port("mask", (5, 1)))
    network = Network(ports, (Node("mix", ChannelAttention(), ("q", "k", "v", "mask")),))
    feed = {p.name: rng.normal(size=(3, *p.shape)).astype(np.float32) for p in ports}
    feed["mask"] = (rng.random((3, 5, 1)) < 0.6).astype(np.float32)
    want = channel_attention(*(feed[p.name].astype(np.float64) for p in ports))
    other, hidden = {k: v.copy() for k, v in feed.items()}, feed["mask"][..., 0] == 0
    for name in "qkv":
        other[name][hidden] *= -7
    for found, again in zip(answers(network, feed), answers(network, other), strict=True):
        assert np.allclose(found, want, atol=1e-5)
        assert np.array_equal(found[~hidden], again[~hidden])


def test_attention_between_features_by_hand():
    """One particle with features 0 and ln 3 as q, 1 and 0 as k, 4 and 8 as v: the second takes 3/4 of v's first."""
    ports = (*(Port(name, (1, 2)) for name in "qkv"), Port("mask", (1, 1)))
    network = Network(ports, (Node("mix", ChannelAttention(), ("q", "k", "v", "mask")),))
    feed = {"q": [[[0, np.log(3)]]], "k": [[[1, 0]]], "v": [[[4, 8]]], "mask": [[[1]]]}
    for found in answers(network, {k: np.array(v, np.float32) for k, v in feed.items()}):
        assert np.allclose(found, [[[6, 5]]])


# -- the row -----------------------------------------------------------------------------------------------------------

SPEC = """
name = "small"
title = "a small one"
[sample]
name = "quark_gluon"
events = 200
[network]
kind = "dual_attention"
hidden = 16
blocks = 3
neighbours = 4
[objective]
name = "classifier"
[train]
epochs = 2
batch = 100
"""


@pytest.mark.slow
@pytest.mark.skipif(tools.find("g++") is None, reason="needs g++")
def test_a_row_from_spec_to_numbers_ends_in_the_same_bits_each_time(tmp_path, monkeypatch):
    from rich.console import Console

    from trigger_ml.offline import run

    monkeypatch.setattr(run, "PRECISIONS", ("no-embedding-no-last",))
    monkeypatch.setattr("trigger_ml.offline.tasks.measured.COMPARED", 500)
    monkeypatch.setattr(training, "prove", lambda *_: None)
    models = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "spec.toml").write_text(SPEC)
        out = tmp_path / name / "out"
        content = run.run(tmp_path / name, Console(quiet=True), out)["precisions"]["no-embedding-no-last"]
        assert content["differing"] == []
        assert content["metrics"]["auc"]["error"] > 0
        models.append(next(out.rglob("*.ternary.onnx")).read_bytes())
    assert models[0] == models[1]
