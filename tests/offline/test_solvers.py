"""Order of each method on an equation with a known end, and the model's loop against the host's."""

from __future__ import annotations

import numpy as np
import pytest

from tests.offline.inputs import weights_of
from trigger_ml import tools
from trigger_ml.errors import GraphError
from trigger_ml.offline import networks
from trigger_ml.offline.onnx import model as made
from trigger_ml.offline.onnx.sampler import sampler
from trigger_ml.offline.onnx.writer import LOWERINGS
from trigger_ml.offline.solvers import SOLVERS, solve


@pytest.mark.parametrize("method", SOLVERS)
def test_the_error_falls_with_the_order(method):
    """x' = x (1 + 2 t): x(1) = x(0) exp(2)."""
    x, end = np.ones((1, 1)), np.exp(2)
    slope = lambda t, y: y * (1 + 2 * np.float64(t))  # noqa: E731
    steps = np.array([16, 32, 64])
    errors = np.array([abs(float(solve(SOLVERS[method], n, x, slope)[0, 0]) - end) for n in steps])
    orders = np.log2(errors[:-1] / errors[1:])
    assert orders == pytest.approx(SOLVERS[method].order, abs=0.25)


@pytest.mark.parametrize("method", SOLVERS)
def test_a_constant_slope_is_exact(method):
    x = np.arange(4, dtype=np.float32).reshape(2, 2)
    assert np.allclose(solve(SOLVERS[method], 8, x, lambda t, y: np.full_like(y, 2)), x + 2, rtol=1e-6)


@pytest.mark.needs_onnx
@pytest.mark.skipif(tools.find("g++") is None, reason="needs g++")
@pytest.mark.parametrize("method", SOLVERS)
@pytest.mark.parametrize("lowering", LOWERINGS)
def test_one_model_gives_the_bits_of_the_loop_on_the_host(method, lowering):
    network = networks.residual_mlp(3, 3, 16, 3, "all", condition=2, timed=True)
    weights, rng = weights_of(network), np.random.default_rng(1)
    noise, condition = (rng.normal(size=(9, n)).astype(np.float32) for n in (3, 2))
    one = made.model(network, weights, lowering)
    session = made.opened(one.content, one.digest)
    want = solve(
        SOLVERS[method], 5, noise, lambda t, y: made.evaluate(session, {"x": y, "time": t, "condition": condition})
    )
    whole = sampler(network, weights, lowering, method, 5)
    found = made.evaluate(made.opened(whole.content, whole.digest), {"noise": noise, "condition": condition})
    assert np.array_equal(found, want)
    assert whole.kernel_bytes == one.kernel_bytes
    assert not np.array_equal(found, noise)


def test_only_a_slope_can_be_sampled():
    network = networks.residual_mlp(3, 2, 16, 1, timed=True)
    with pytest.raises(GraphError, match="an output of the shape of x"):
        sampler(network, weights_of(network), "float", "euler", 2)
