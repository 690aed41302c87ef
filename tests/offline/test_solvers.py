"""Order of each method on an equation with a known end, and the model's loop against the host's."""

from __future__ import annotations

import numpy as np
import pytest

from tests.offline.inputs import best_score, weights_of
from trigger_ml import tools
from trigger_ml.errors import GraphError, SpecError
from trigger_ml.offline import networks
from trigger_ml.offline.onnx import model as made
from trigger_ml.offline.onnx.sampler import sampler
from trigger_ml.offline.onnx.writer import LOWERINGS
from trigger_ml.offline.paths import EARLIEST, PATHS
from trigger_ml.offline.solvers import SOLVERS, chosen, solve


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


SCORES = [name for name, path in PATHS.items() if path.noised is not None]


@pytest.mark.parametrize("name", SCORES)
def test_the_known_score_of_a_gaussian_brings_noise_to_it(name):
    """Data N(m, s): x_t is N(alpha m, alpha^2 s^2 + sigma^2), its score and so the noise are linear in x."""
    path, (m, s) = PATHS[name], (0.3, 0.5)

    net = best_score(path.noised, m, s)
    found = solve(SOLVERS["rk4"], 400, np.random.default_rng(1).normal(size=(4000, 1)), net, path)
    start = np.random.default_rng(1).normal(size=(4000, 1))
    alpha, sigma = path.noised(1.0)
    width = np.sqrt(alpha**2 * s**2 + sigma**2)
    early, noise = path.noised(EARLIEST)
    want = early * m + np.sqrt(early**2 * s**2 + noise**2) * (start * path.scale - alpha * m) / width
    assert np.allclose(found, want, atol=2e-3)


@pytest.mark.parametrize("name", SCORES)
def test_drift_and_diffusion_give_the_noise_that_is_said(name):
    """d alpha / dt = f alpha and d sigma^2 / dt = 2 f sigma^2 + g^2, with g^2 = 2 sigma b."""
    path, t, d = PATHS[name], np.linspace(0.1, 0.9, 9), 1e-5
    (alpha, sigma), (up, wide), (down, narrow) = (path.noised(x) for x in (t, t + d, t - d))
    a, b, c = path.slope(t)
    b = b / (c * alpha)
    f = a - b * c * c * sigma
    assert np.allclose((up - down) / (2 * d), f * alpha, rtol=1e-6)
    assert np.allclose((wide**2 - narrow**2) / (2 * d), 2 * f * sigma**2 + 2 * sigma * b, rtol=1e-5)


@pytest.mark.needs_onnx
@pytest.mark.skipif(tools.find("g++") is None, reason="needs g++")
@pytest.mark.parametrize(
    ("method", "objective"), [*((m, "flow_matching") for m in SOLVERS), ("midpoint", "score_vp"), ("rk4", "score_ve")]
)
@pytest.mark.parametrize("lowering", LOWERINGS)
def test_one_model_gives_the_bits_of_the_loop_on_the_host(method, objective, lowering):
    network = networks.residual_mlp(3, 3, 16, 3, "all", condition=2, timed=True)
    weights, rng = weights_of(network), np.random.default_rng(1)
    noise, condition = (rng.normal(size=(9, n)).astype(np.float32) for n in (3, 2))
    one = made.model(network, weights, lowering)
    session = made.opened(one.content, one.digest)
    path = PATHS[objective]
    net = lambda t, y: made.evaluate(session, {"x": y, "time": t, "condition": condition})  # noqa: E731
    want = solve(SOLVERS[method], 5, noise, net, path)
    whole = sampler(network, weights, lowering, method, 5, path)
    found = made.evaluate(made.opened(whole.content, whole.digest), {"noise": noise, "condition": condition})
    assert np.array_equal(found, want)
    assert whole.kernel_bytes == one.kernel_bytes
    assert not np.array_equal(found, noise)


def test_only_a_slope_can_be_sampled():
    network = networks.residual_mlp(3, 2, 16, 1, timed=True)
    with pytest.raises(GraphError, match="an output of the shape of x"):
        sampler(network, weights_of(network), "float", "euler", 2)


def test_random_samplers_are_no_runge_kutta_methods():
    assert chosen("rk4") == "rk4"
    with pytest.raises(SpecError, match="euler_maruyama is not for this objective: choose euler, midpoint"):
        chosen("euler_maruyama")
