"""Jets as particles: what a tagger reads, and what must not change its answer."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.offline.inputs import weights_of
from trigger_ml import tools
from trigger_ml.errors import SpecError
from trigger_ml.offline import deploy, networks, objectives
from trigger_ml.offline.edges import Plane
from trigger_ml.offline.onnx import model as made
from trigger_ml.offline.sources import quark_gluon
from trigger_ml.offline.spec import Network
from trigger_ml.offline.tasks import classify

UNITS = np.array([0.5, 0.01, 0.02])


def test_a_jet_of_two_particles_by_hand():
    found = quark_gluon.particles(np.array([[[40, 10, -5], [20, 0, 0], [0, 0, 0]]]), UNITS)
    want = [np.log(20), np.log(2 / 3), 0.25, -0.25, np.hypot(0.25, 0.25), np.log(2), 1]
    assert np.allclose(found[0, 0], want)
    assert np.allclose(found[0, 1], [np.log(10), np.log(1 / 3), 0, 0, 0, np.log(2), 1])
    assert not found[0, 2].any()
    assert not quark_gluon.particles(np.zeros((2, 3, 3), int), UNITS).any()


def test_the_committed_jets():
    parts = quark_gluon.source().parts(300, 1)
    for events in (parts.simulation, parts.data, parts.test, parts.test_data):
        assert events.reco.shape == (300, 32, 7)
        assert np.isfinite(events.reco).all()
        assert set(np.unique(events.reco[..., -1])) <= {0.0, 1.0}
    number = [np.exp(events.reco[:, 0, 5]).mean() for events in (parts.test, parts.test_data)]
    assert number[1] > number[0] + 1  # gluons hold more particles
    with pytest.raises(SpecError, match="8400 of a kind"):
        quark_gluon.source().parts(9000, 1)


def test_networks_that_read_no_particles_are_refused():
    with pytest.raises(SpecError, match='kind is "residual", which reads no particles: take deep_sets'):
        classify._network(Network(kind="residual"), (5, 7), "all")
    with pytest.raises(SpecError, match="these events have none: take residual, deep_sets or transformer"):
        classify._network(Network(kind="dual_attention"), (5,), "all")


@pytest.mark.parametrize("kind", ["transformer", "dual_attention"])
def test_heads_that_do_not_divide_the_width_are_refused(kind):
    with pytest.raises(SpecError, match=r"\[network\] hidden is 64, heads is 3: give a hidden that heads divide"):
        classify._network(Network(kind=kind, heads=3), (32, 7), "all", quark_gluon.PLANE)


def test_near_particles_need_places_and_others():
    with pytest.raises(SpecError, match="this source does not tell where particles lie: take transformer or deep_sets"):
        classify._network(Network(kind="dual_attention"), (32, 7), "all")
    with pytest.raises(SpecError, match="neighbours is 32: a particle has 31 others, take fewer"):
        classify._network(Network(kind="dual_attention", neighbours=32), (32, 7), "all", quark_gluon.PLANE)
    assert quark_gluon.source().plane == quark_gluon.PLANE


@pytest.mark.needs_onnx
@pytest.mark.skipif(tools.find("g++") is None, reason="needs g++")
@pytest.mark.parametrize("kind", ["deep_sets", "transformer", "dual_attention"])
@given(seed=st.integers(0, 1000))
@settings(max_examples=10, deadline=None)
def test_hidden_particles_change_nothing_and_order_next_to_nothing(kind, seed):
    """Low-bit layers see each particle alone; only float sums over particles depend on their order, in last bits."""
    rng = np.random.default_rng(seed)
    n = Network(kind=kind, hidden=16, blocks=2, heads=2, neighbours=3)
    network = classify._network(n, (6, 5), "all", Plane(1, 1e-3))
    weights = weights_of(network)
    written = made.model(network, weights, "float")
    session = made.opened(written.content, written.digest)
    x = rng.normal(size=(20, 6, 5)).astype(np.float32)
    x[..., -1] = rng.random((20, 6)) < 0.6
    x[:, 0, -1] = 1

    def answer(x):
        return made.evaluate(session, objectives.by_port(network, x))

    want = answer(x)
    other = x.copy()
    other[..., :-1] += 9 * (1 - x[..., -1:])
    assert np.array_equal(answer(other), want)
    moved = answer(x[:, rng.permutation(6)])
    close = np.isclose(moved, want, rtol=0.05, atol=0.02)  # a last bit can move a rounding by one step of 127
    assert close.mean() > 0.9


def test_wide_networks_are_run_in_smaller_batches():
    assert deploy.batch_of(networks.particle_transformer(32, 6, 1, 64, 3, 4)) == deploy.BATCH
    assert deploy.batch_of(networks.dual_attention(32, 6, 1, 64, 4, 4, 8, quark_gluon.PLANE)) == 1024
    assert deploy.batch_of(networks.plain_mlp(4, 1 << 25, 8, 2, "float")) == 1


def test_every_network_reads_what_is_masked_by_port():
    x = np.ones((2, 4, 5), np.float32)
    sets = networks.deep_sets(4, 4, 1, 8)
    assert {k: v.shape for k, v in objectives.by_port(sets, x).items()} == {"x": (2, 4, 4), "mask": (2, 4, 1)}
    flat = networks.residual_mlp(5, 1, 8, 1)
    assert objectives.by_port(flat, x[0]).keys() == {"x"}
