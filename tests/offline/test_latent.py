"""Latent diffusion: its bounds against closed forms, one model for all parts, the same bits everywhere and again."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.offline.inputs import fitting, weights_of
from trigger_ml import tools
from trigger_ml.errors import GraphError, SpecError
from trigger_ml.offline import latent, networks, training
from trigger_ml.offline.compose import prefixed, together
from trigger_ml.offline.onnx import model as made
from trigger_ml.offline.onnx.ends import Ends
from trigger_ml.offline.onnx.sampler import sampler
from trigger_ml.offline.onnx.writer import LOWERINGS
from trigger_ml.offline.solvers import SOLVERS, solve
from trigger_ml.offline.sources.source import Events, Source, drawn
from trigger_ml.offline.spec import parse
from trigger_ml.offline.tasks import latent as task

pytestmark = [pytest.mark.needs_train, pytest.mark.needs_onnx]

SPEC = """
name = "small"
title = "a small one"
[sample]
name = "gaussians"
events = 600
[network]
hidden = 16
blocks = 1
latent = 2
[objective]
name = "{}"
[sampler]
steps = 3
[train]
epochs = 3
batch = 128
"""


@pytest.fixture(scope="module", autouse=True)
def _framework():
    from trigger_ml.frontends import session

    session.start()


@settings(max_examples=20, deadline=None)
@given(mean=st.floats(-3, 3), log=st.floats(-3, 1))
def test_the_divergence_is_its_integral(mean, log):
    x = mean + np.exp(log) * np.linspace(-9, 9, 20_001)
    found = -0.5 * ((x - mean) / np.exp(log)) ** 2 - log
    want = np.trapezoid(np.exp(found) / np.sqrt(2 * np.pi) * (found + 0.5 * x**2), x)
    got = latent.divergence(np.array([[mean]]), np.array([[log]])).numpy()[0]
    assert got == pytest.approx(want, rel=1e-5, abs=1e-6)


@settings(max_examples=20, deadline=None)
@given(t=st.floats(1e-3, 1))
def test_times_and_noise_belong_together(t):
    assert float(latent.time_of(latent.gamma(t))) == pytest.approx(t, rel=1e-4)


@pytest.mark.parametrize("width", [0.3, 1.0, 2.0])
def test_latent_cost_of_gaussians_is_the_known_divergence(width):
    """The best denoiser is linear; then the cost is the mean divergence of each event's end from that of all events.

    What all events give at the end is a Gaussian of variance ``(alpha width)**2 + sigma**2``.
    """
    import tensorflow as tf

    path, rng = latent.JOINT, np.random.default_rng(1)
    mean = (width * rng.normal(size=(40_000, 3))).astype(np.float32)

    def best(x, t):
        alpha, sigma = path.noised(t)
        total = alpha**2 * width**2 + sigma**2
        noise, truth = sigma * x / total, alpha * width**2 * x / total  # as expected
        return alpha * noise - sigma * truth

    def none(x, t):
        return 0 * x + 2

    alpha, sigma = path.noised(path.stop)
    want = 3 * 0.5 * np.log((alpha * width / sigma) ** 2 + 1)
    seed = tf.constant([3, 4])
    cost = latent.latent_cost(path, tf.constant(mean), best, seed).numpy()
    assert cost.mean() == pytest.approx(want, abs=4 * cost.std() / np.sqrt(len(cost)))
    assert latent.latent_cost(path, tf.constant(mean), none, seed).numpy().mean() > 2 * want


def test_prefixed_networks_are_the_same_functions_with_one_set_of_weights():
    from trigger_ml.offline.framework import Trained

    parts = {"one": networks.residual_mlp(3, 2, 8, 1), "two": networks.residual_mlp(4, 3, 8, 1, condition=2)}
    each = {k: weights_of(n, seed) for seed, (k, n) in enumerate(parts.items())}
    every = together(parts)
    assert {p.name for p in every.ports} == {"one_x", "two_x", "two_condition"}
    net = Trained(every, {f"{k}_{name}": w for k, weights in each.items() for name, w in weights.items()})
    rng = np.random.default_rng(1)
    for prefix, network in parts.items():
        feed = {p.name: rng.normal(size=(5, *p.shape)).astype(np.float32) for p in network.ports}
        found = net.on(prefixed(network, prefix), feed).numpy()
        assert np.array_equal(found, Trained(network, each[prefix])(feed).numpy())


def test_held_weights_get_no_gradient():
    import tensorflow as tf

    from trigger_ml.offline.framework import Trained

    network = networks.residual_mlp(3, 2, 8, 1)
    net, x = Trained(network, weights_of(network)), tf.Variable(np.ones((4, 3), np.float32))
    for held in (True, False):
        with tf.GradientTape() as tape:
            total = tf.reduce_sum(net.on(network, {"x": x.value()}, held) ** 2)
        found = tape.gradient(total, [x, *net.variables.values()])
        assert found[0] is not None
        assert all((g is None) == held for g in found[1:])


# -- one model ---------------------------------------------------------------------------------------------------------


def _parts(precision="all"):
    row = parse(SPEC.format("vld"))
    parts = latent.diffusion(row, 5, precision).parts | {
        "decoder": latent.autoencoder(row, 7, precision, False).decoder
    }
    parts = {k: prefixed(n, k) for k, n in parts.items()}
    return parts, {name: w for n in parts.values() for name, w in weights_of(n).items()}


@pytest.mark.skipif(tools.find("g++") is None, reason="needs g++")
@pytest.mark.parametrize("precision", ["none", "no-embedding-no-last", "all"])
def test_one_model_is_its_parts_one_after_the_other_in_every_lowering(precision):
    """Network of what is measured, the loop and the decoder: in one model, and as three with a loop on the host."""
    (parts, weights), rng = _parts(precision), np.random.default_rng(2)
    noise, reco = (rng.normal(size=(300, n)).astype(np.float32) for n in (2, 5))
    answers = []
    for lowering in LOWERINGS:
        runs = {}
        for name, network in parts.items():
            m = made.model(network, weights, lowering)
            runs[name] = made.opened(m.content, m.digest)
        condition = made.evaluate(runs["given"], {"x": reco})

        def net(t, x, runs=runs, condition=condition):
            return made.evaluate(runs["denoiser"], {"x": x, "time": t, "condition": condition})

        z = solve(SOLVERS["midpoint"], 4, noise, net, latent.JOINT)
        want = made.evaluate(runs["decoder"], {"x": z})
        ends = Ends(parts["given"], parts["decoder"], weights)
        one = sampler(parts["denoiser"], weights, lowering, "midpoint", 4, latent.JOINT, ends)
        for threads in (1, 2):
            found = made.evaluate(made.opened(one.content, one.digest, threads), {"noise": noise, "condition": reco})
            assert found.shape == (300, 7)
            assert np.array_equal(found, want), (lowering, threads)
        answers.append(found)
    assert all(np.array_equal(y, answers[0]) for y in answers)


@pytest.mark.slow
@pytest.mark.skipif(tools.find("g++") is None, reason="needs g++")
@pytest.mark.parametrize("precision", networks.PRECISIONS)
def test_every_lowering_of_parts_and_whole_on_many_events(precision):
    """100,000 rows in batches of 1024, some one at a time; one and two threads: always the golden model's bits."""
    (parts, weights), rng = _parts(precision), np.random.default_rng(3)
    written = {name: {k: made.model(n, weights, k) for k in LOWERINGS} for name, n in parts.items()}
    ends = Ends(parts["given"], parts["decoder"], weights)
    written["whole"] = {k: sampler(parts["denoiser"], weights, k, "midpoint", 2, latent.JOINT, ends) for k in LOWERINGS}
    count = 100_000
    inputs = {
        "x": {"decoder": 2, "denoiser": 2, "given": 5},
        "noise": {"whole": 2},
        "condition": {"denoiser": 16, "whole": 5},
    }
    for name, models in written.items():
        feed = {k: rng.normal(size=(count, v[name])).astype(np.float32) for k, v in inputs.items() if name in v}
        feed |= {"time": rng.random((count, 1)).astype(np.float32)} if name == "denoiser" else {}
        cuts = [slice(i, i + 1024) for i in range(0, count, 1024)] + [slice(i, i + 1) for i in range(0, count, 997)]
        golden = None
        for lowering, threads in [(k, n) for k in LOWERINGS for n in (1, 2)]:
            session = made.opened(models[lowering].content, models[lowering].digest, threads)
            found = [made.evaluate(session, {k: v[cut] for k, v in feed.items()}) for cut in cuts]
            golden = golden or found
            assert all(map(np.array_equal, found, golden)), (name, lowering, threads)


def test_ends_that_do_not_fit_are_refused():
    parts, weights = _parts()
    for ends, words in (
        (Ends(given=parts["decoder"], weights=weights), "what is given must come out"),
        (Ends(decoder=parts["given"], weights=weights), "the decoder must take"),
    ):
        with pytest.raises(GraphError, match=words):
            sampler(parts["denoiser"], weights, "float", "euler", 2, latent.JOINT, ends)


# -- training ----------------------------------------------------------------------------------------------------------


def _events(count=600):
    rng = np.random.default_rng(5)
    truth = rng.normal(size=(count, 3)).astype(np.float32)
    truth[:, 2] = truth[:, 0] - truth[:, 1]
    return Events(truth, (truth[:, :2] + 0.3 * rng.normal(size=(count, 2))).astype(np.float32))


@pytest.mark.slow
@pytest.mark.parametrize("objective", ["latent_diffusion", "vld"])
def test_a_stopped_training_ends_in_the_same_bits_and_its_bound_falls(objective, tmp_path, monkeypatch):
    row, events = parse(SPEC.format(objective)), _events()
    learn = task.two_stages if objective == "latent_diffusion" else task.at_once
    real, histories, left, data = training.fit, [], [None], []

    def watched(phase, job, folder, console):
        def before(epoch):
            if left[0] == epoch:
                left[0] = None
                raise KeyboardInterrupt

        found = real(phase, training.Job(job.data, job.loss, job.trainable, job.state, before), folder, console)
        histories.append([record["loss"] for record in found])
        data.append(job.data)
        return found

    monkeypatch.setattr(training, "fit", watched)
    whole = learn(training.Place(row, tmp_path / "whole", "net", None), events, "all")
    assert histories[0][-1] < 0.9 * histories[0][0]
    left[0] = 2
    stopped = training.Place(row, tmp_path / "stopped", "net", None)
    with pytest.raises(KeyboardInterrupt):
        learn(stopped, events, "all")
    again = learn(stopped, events, "all")
    assert whole.weights.keys() == again.weights.keys()
    assert all(np.array_equal(whole.weights[k], again.weights[k]) for k in whole.weights)
    if objective == "latent_diffusion":  # what the second stage learns is of order one, and the decoder undoes it
        mean, width, _ = data[1]
        assert np.allclose(mean.mean(0), 0, atol=1e-4)
        assert np.allclose(mean.var(0) + (width**2).mean(0), 1, atol=1e-3)
        assert not np.any(whole.weights["decoder_standardize0.scale"] == 1)


def test_samples_that_do_not_fit_are_refused():
    def source(truth):
        def draw(rng, count):
            return Events(np.zeros((count, *truth), np.float32), np.zeros((count, 1), np.float32))

        return Source(drawn(draw, draw))

    with pytest.raises(SpecError, match="truth of an event has 2 axes, the objective vld takes one line"):
        task.plain(parse(SPEC.format("vld")), source((2, 3)))
    text = fitting(SPEC.format("gan")).replace("blocks = 1", 'blocks = 1\nkind = "unet"')
    with pytest.raises(SpecError, match='kind is "unet", the objective gan knows "residual" only'):
        task.plain(parse(text), source((3,)))


def test_nothing_measured_means_no_condition():
    row = parse(SPEC.format("vld"))
    parts = latent.diffusion(row, 0, "all")
    assert parts.given is None
    assert [p.name for p in parts.denoiser.ports] == ["x", "time"]
