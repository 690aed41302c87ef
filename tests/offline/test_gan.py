"""The adversarial losses: who is moved by what, the slope's penalty, the same bits after a stop; shares of layers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from tests.offline.inputs import weights_of
from trigger_ml.offline import adversarial, training
from trigger_ml.offline.compose import together
from trigger_ml.offline.showers import fractions
from trigger_ml.offline.sources.source import Events
from trigger_ml.offline.spec import parse
from trigger_ml.offline.tasks import gan

needs_train = pytest.mark.needs_train

SPEC = """
name = "small"
title = "a small one"
[sample]
name = "gaussians"
[network]
hidden = 8
blocks = 1
latent = 3
[objective]
name = "gan"
[train]
epochs = 3
batch = 128
"""


@pytest.fixture(scope="module")
def small():
    from trigger_ml.frontends import session
    from trigger_ml.offline.framework import Trained

    session.start()
    parts = adversarial.adversaries(parse(SPEC), 4, 2, "none")
    every = together(parts.parts)
    return parts, Trained(every, weights_of(every))


def _batch(count=64):
    rng = np.random.default_rng(2)
    return [rng.normal(size=(count, n)).astype(np.float32) for n in (4, 2, 2)]


def _gradients(parts, net, monkeypatch, answer=0.05):
    import tensorflow as tf

    monkeypatch.setattr(adversarial, "ANSWER", answer)
    with tf.GradientTape() as tape:
        loss = adversarial.adversarial(net, parts)(tf.constant([1, 2]), *map(tf.constant, _batch()))
    return dict(zip(net.variables, tape.gradient(loss, list(net.variables.values())), strict=True))


@needs_train
def test_each_network_follows_its_own_loss(small, monkeypatch):
    """The critic's gradient does not hold the generator's term, and the attribute network learns from truth alone.

    Both by a second sum of the losses, made here, in which the other terms are left out.
    """
    import tensorflow as tf

    parts, net = small
    found = _gradients(parts, net, monkeypatch)
    truth, asked, wanted = map(tf.constant, _batch())
    noise = tf.random.stateless_normal((len(truth), 3), tf.constant([1, 2]))
    call = {k: (lambda x, k=k: adversarial._on(net, parts, k, x, asked)) for k in ("generator", "critic")}
    read = adversarial.prefixed(parts.attribute, "attribute")

    def only(loss, part):
        with tf.GradientTape() as tape:
            total = loss()
        names = [k for k in net.variables if k.startswith(part)]
        for k, g in zip(names, tape.gradient(total, [net.variables[k] for k in names]), strict=True):
            assert np.allclose(found[k], g, rtol=1e-3, atol=1e-5), k

    fakes = tf.constant(call["generator"](noise).numpy())

    def critic():
        found = []
        for events in (truth, fakes):
            with tf.GradientTape() as tape:
                tape.watch(events)
                answer = call["critic"](events)
                each = tf.reduce_sum(answer)
            found.append((answer, tf.reduce_sum(tape.gradient(each, events) ** 2, -1)))
        (real, steep), (fake, steep_too) = found
        penalty = 0.5 * adversarial.PENALTY * tf.reduce_mean(steep + steep_too)
        return tf.reduce_mean(tf.nn.softplus(fake - real)) + penalty

    only(critic, "critic")
    only(lambda: tf.reduce_mean((net.on(read, {"x": truth}) - wanted) ** 2), "attribute")

    def generator():
        made = call["generator"](noise)
        errors = [tf.reduce_mean((net.on(read, {"x": x}) - wanted) ** 2) for x in (made, truth)]
        real = tf.constant(call["critic"](truth).numpy())
        aim = (errors[0] - errors[1].numpy()) ** 2
        return tf.reduce_mean(tf.nn.softplus(real - call["critic"](made))) + 0.05 * aim

    only(generator, "generator")


@needs_train
def test_the_slope_is_that_of_finite_differences(small):
    import tensorflow as tf

    parts, net = small
    truth, asked, _ = _batch(8)
    _, steep = adversarial._critic_and_slope(net, parts, tf.constant(truth), tf.constant(asked))
    total, h = np.zeros(8), 1e-2
    for i in range(4):
        move = h * np.eye(4, dtype=np.float32)[i]
        up, down = (adversarial._on(net, parts, "critic", truth + s * move, asked).numpy()[:, 0] for s in (1, -1))
        total += ((up - down) / (2 * h)) ** 2
    assert np.allclose(steep, total, rtol=0.02, atol=1e-3)


@needs_train
@pytest.mark.slow
def test_a_stopped_training_ends_in_the_same_bits(tmp_path, monkeypatch):
    from trigger_ml.frontends import session

    session.start()
    row, rng = parse(SPEC), np.random.default_rng(3)
    events = Events(*(rng.normal(size=(600, n)).astype(np.float32) for n in (4, 2)))
    parts = adversarial.adversaries(row, 4, 2, "all")
    real, left = training.fit, [None]

    def watched(phase, job, folder, console):
        def before(epoch):
            if left[0] == epoch:
                left[0] = None
                raise KeyboardInterrupt

        return real(phase, training.Job(job.data, job.loss, job.trainable, job.state, before), folder, console)

    monkeypatch.setattr(training, "fit", watched)
    whole = gan.learned(training.Place(row, tmp_path / "whole", "net", None), parts, events)
    left[0] = 2
    stopped = training.Place(row, tmp_path / "stopped", "net", None)
    with pytest.raises(KeyboardInterrupt):
        gan.learned(stopped, parts, events)
    again = gan.learned(stopped, parts, events)
    assert all(np.array_equal(whole[k], again[k]) for k in whole)
    assert not np.array_equal(whole["generator_linear1.kernel"], weights_of(together(parts.parts)))


def test_without_attributes_there_is_no_network_for_them():
    parts = adversarial.adversaries(parse(SPEC), 4, 0, "all")
    assert parts.attribute is None
    assert set(parts.parts) == {"generator", "critic"}
    events = Events(np.zeros((2, 4), np.float32), np.zeros((2, 0), np.float32))
    assert gan.answered(parts, {}, events, events, 1) == {}


# -- shares of layers --------------------------------------------------------------------------------------------------


@given(arrays.arrays(np.float64, (5, 6), elements=st.floats(-8, 8)))
def test_shares_add_up_and_give_their_logits_back(shower):
    each = fractions.fractions(shower)
    assert np.all(each > 0)
    assert np.allclose(each.sum(1), 1)
    later = np.cumsum(each[:, ::-1], axis=1)[:, ::-1]
    share = each[:, :-1] / later[:, :-1]
    assert np.allclose(np.log(share / (1 - share)), shower[:, 1:], atol=1e-3)
    assert np.all((fractions.depth(shower) > 0) & (fractions.depth(shower) < 5))


def test_numbers_of_shares_know_a_shift():
    rng = np.random.default_rng(1)
    one, two = rng.normal(size=(2, 4000, 6))
    given = one[:, 1:2]
    right = fractions.numbers(one, one, two, given, 1)
    wrong = fractions.numbers(one + np.array([0, 0.5, 0, 0, 0, 0]), one, two, given, 1)
    mean, width = (f"largest relative error of a layer's {what}" for what in ("mean share", "width"))
    assert right[mean].value == right[width].value == 0
    assert 0 < right[f"{mean} of truth"].value < 0.1 < wrong[mean].value
    found = right["correlation, depth and log energy"].value
    assert found == pytest.approx(np.corrcoef(fractions.depth(one), given[:, 0])[0, 1])
    assert found < -0.5  # much in the first layer: not deep


def test_correlation_is_the_mean_over_attributes():
    rng = np.random.default_rng(1)
    a, b, noise = rng.normal(size=(3, 50_000))
    both = np.stack([a, b, a, b + noise], 1)
    assert gan.correlation(both) == pytest.approx((1 + np.sqrt(0.5)) / 2, abs=0.01)
