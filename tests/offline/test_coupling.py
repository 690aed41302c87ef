"""Laws of coupling flows: the way back, the determinant against automatic derivatives, a density of area one."""

from __future__ import annotations

import numpy as np
import pytest

from tests.offline.inputs import weights_of
from trigger_ml.errors import GraphError
from trigger_ml.offline.coupling import coupling_flow, to_noise
from trigger_ml.offline.framework import Trained
from trigger_ml.offline.moves import AffineMove, SplineMove

pytestmark = pytest.mark.needs_train

SIZES = [(2, 0), (3, 2), (6, 1)]
MOVES = [AffineMove(), SplineMove(6)]


@pytest.fixture(scope="module", autouse=True)
def _framework():
    from trigger_ml.frontends import session

    session.start()


def _made(size, condition, precision="none", move=None):
    flow = coupling_flow(size, 16, 4, precision, condition=condition, move=move)
    rng = np.random.default_rng(1)
    x, c = (rng.normal(size=(20, n)).astype(np.float32) for n in (size, condition))
    feed = {"x": x} | ({"condition": c} if condition else {})
    return flow, Trained(flow.network, weights_of(flow.network)), feed


@pytest.mark.parametrize(("size", "condition"), SIZES)
@pytest.mark.parametrize("precision", ["none", "all"])
@pytest.mark.parametrize("move", MOVES)
def test_there_and_back(size, condition, precision, move):
    flow, net, feed = _made(size, condition, precision, move)
    y = net(feed)
    z, _ = to_noise(net, flow, y, feed.get("condition"))
    # a last bit of the kept half may move one of the 127 steps of a low-bit layer
    close = np.isclose(z, feed["x"], atol=1e-4).all(-1)
    assert close.all() if precision == "none" else close.mean() > 0.5
    assert not np.allclose(y, feed["x"], atol=0.1)


@pytest.mark.parametrize(("size", "condition"), SIZES)
@pytest.mark.parametrize("move", MOVES)
def test_the_determinant_is_that_of_the_jacobian(size, condition, move):
    import tensorflow as tf

    flow, net, feed = _made(size, condition, move=move)
    y = tf.constant(feed["x"])
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(y)
        z, log = to_noise(net, flow, y, feed.get("condition"))
    jacobian = tape.batch_jacobian(z, y, experimental_use_pfor=False).numpy()
    sign, want = np.linalg.slogdet(jacobian.astype(np.float64))
    assert np.all(sign == 1)
    assert np.allclose(log, want, atol=1e-4)


@pytest.mark.parametrize("move", MOVES)
def test_the_density_has_area_one(move):
    flow, net, _ = _made(2, 0, move=move)
    side = np.linspace(-14, 14, 561)
    grid = np.stack(np.meshgrid(side, side), -1).reshape(-1, 2).astype(np.float32)
    z, log = to_noise(net, flow, grid)
    density = np.exp(log - 0.5 * np.sum(np.asarray(z) ** 2, -1)) / (2 * np.pi)
    assert density.sum() * (side[1] - side[0]) ** 2 == pytest.approx(1, abs=0.01)


def test_the_switch_of_precisions_and_what_is_refused():
    flow = coupling_flow(4, 16, 4, "central")
    low = [n.name for n in flow.network.linears if n.op.mode == "ternary"]
    assert low == ["c1_mid", "c2_mid"]
    with pytest.raises(GraphError, match="it needs two dimensions"):
        coupling_flow(1, 16, 4)
