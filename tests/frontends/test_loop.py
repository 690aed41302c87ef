"""The training loop: what it does is a function of (seed, epoch) and the state, and its checkpoints are whole."""

from __future__ import annotations

import numpy as np
import pytest

from trigger_ml.errors import ArtifactError
from trigger_ml.frontends import loop, session

pytest.importorskip("keras", reason="needs the extra train")
pytestmark = pytest.mark.needs_train

EPOCHS = 5


class Stop(Exception):
    """Stands for the power cut."""


def fit(folder, stop_at=None, key="k", seed=1, measure=dict, done=lambda history: False, rate=0.01):
    """Fit a noisy line; return its weights and history."""
    session.start()
    import tensorflow as tf

    rng = np.random.default_rng(0)
    x = rng.normal(size=(100, 3)).astype(np.float32)
    y = x @ np.array([[1.0], [2.0], [3.0]], np.float32)
    w = tf.Variable(tf.zeros((3, 1)))

    def loss(noise, xb, yb):
        return tf.reduce_mean((xb @ w - yb + 0.1 * tf.random.stateless_normal(tf.shape(yb), noise)) ** 2)

    def before(epoch):
        if epoch == stop_at:
            raise Stop

    phase = loop.Phase("line", "a line", EPOCHS, 16, lambda epoch: rate / (1 + epoch), seed, key)
    snapshot = lambda history: "three" if len(history) == 3 else None  # noqa: E731
    job = loop.Job((x, y), loss, [w], [w], before, measure, snapshot, done)
    history = loop.fit(phase, job, folder, None)
    return w.numpy(), history, phase, w


@pytest.mark.parametrize("stop_at", [0, 1, 4])
def test_stopped_and_resumed_is_the_same(tmp_path, stop_at):
    plain, history, _, _ = fit(tmp_path / "plain")
    with pytest.raises(Stop):
        fit(tmp_path / "broken", stop_at)
    resumed, again, _, _ = fit(tmp_path / "broken")
    assert np.array_equal(resumed, plain)
    assert again == history
    assert len(history) == EPOCHS


def test_the_seed_and_the_epoch_decide_the_order(tmp_path):
    first = fit(tmp_path / "a", seed=1)[0]
    assert not np.array_equal(first, fit(tmp_path / "b", seed=2)[0])


def test_a_checkpoint_of_other_settings_is_not_used(tmp_path):
    plain = fit(tmp_path / "plain", key="new")[0]
    fit(tmp_path / "used", key="old", rate=0.5)
    assert np.array_equal(fit(tmp_path / "used", key="new")[0], plain)


def test_a_snapshot_is_the_state_of_its_epoch(tmp_path):
    _, _, phase, w = fit(tmp_path)
    history = loop.restore(tmp_path, phase, "three", [w])
    with pytest.raises(Stop):
        fit(tmp_path / "short", stop_at=3)
    short = fit(tmp_path / "short", done=lambda h: len(h) == 3)[0]
    assert len(history) == 3
    assert np.array_equal(w.numpy(), short)
    with pytest.raises(ArtifactError, match="line-none.npz is missing or of another training"):
        loop.restore(tmp_path, phase, "none", [w])


def test_a_loss_that_is_no_number_is_an_error(tmp_path):
    with pytest.raises(ArtifactError, match=r"a line: .* after epoch 0: lower \[train\] learning_rate"):
        fit(tmp_path, measure=lambda: {"ebops": float("nan")})
    assert not list(tmp_path.glob("*.npz"))


def test_cosine_falls_from_the_rate_to_its_last_share():
    rate = loop.cosine(0.1, 5)
    values = [rate(epoch) for epoch in range(5)]
    assert values[0] == pytest.approx(0.1)
    assert values[-1] == pytest.approx(0.002)
    assert all(b < a for a, b in zip(values, values[1:], strict=False))


def test_the_loop_is_compiled_whole(tmp_path):
    """TensorFlow's executor does not always give the same bits; what XLA can't compile must not slip through to it."""
    session.start()
    import tensorflow as tf

    w = tf.Variable(1.0)

    def loss(noise, xb):
        return w * tf.reshape(tf.numpy_function(np.sum, [xb], tf.float32), ())

    phase = loop.Phase("host", "on the host", 1, 4, lambda epoch: 0.1, 1, "k")
    job = loop.Job((np.ones((8, 1), np.float32),), loss, [w], [w])
    with pytest.raises(tf.errors.InvalidArgumentError, match="XLA"):
        loop.fit(phase, job, tmp_path, None)
