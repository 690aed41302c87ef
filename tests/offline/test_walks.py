"""Random samplers: weak order against variances in closed form, and the model's loop against the host's."""

from __future__ import annotations

import numpy as np
import pytest

from tests.offline.inputs import best_score, fitting, weights_of
from trigger_ml import tools
from trigger_ml.errors import GraphError, SpecError
from trigger_ml.offline import networks
from trigger_ml.offline.generators import generator
from trigger_ml.offline.onnx import model as made
from trigger_ml.offline.onnx.walker import walker
from trigger_ml.offline.onnx.writer import LOWERINGS
from trigger_ml.offline.paths import EARLIEST, PATHS, SPREAD, bridge_share
from trigger_ml.offline.spec import parse
from trigger_ml.offline.steps import Wanted
from trigger_ml.offline.walks import follow, walk

SCORES = [name for name, path in PATHS.items() if path.noised is not None]
MEAN, WIDTH = 0.3, 0.5
"""Of truth."""

MEASURED = 1.1
"""Where the bridge starts."""


def score_net(name):
    """The best network for truth N(MEAN, WIDTH**2): linear in x."""
    return best_score(PATHS[name].noised, MEAN, WIDTH)


def bridge_net(t, x):
    """``(x - truth expected) / sigma`` for truth N(MEAN, WIDTH**2) given what was measured, and a bridge from there."""
    share = bridge_share(np.float64(t))
    left = 1 - share
    total = left**2 * WIDTH**2 + SPREAD**2 * share * left
    gain = np.where(total > 0, left * WIDTH**2 / np.where(total > 0, total, 1), 0)
    truth = MEAN + gain * (x - left * MEAN - share * MEASURED)
    return (x - truth) / (SPREAD * np.sqrt(share))


def variance(w, net, start):
    """Of the end, from that of the start: each step is linear in x and adds the variance of its kick."""
    held = start
    for t, (ahead, pull, kick, seen) in zip(w.times, w.table.astype(np.float64), strict=True):
        slope = net(t, 1.0 * seen) - net(t, 0.0)
        held = (ahead + pull * slope) ** 2 * held + kick**2
    return float(held)


KICKED = [(name, method) for name in SCORES for method in ("euler_maruyama", "ancestral")] + [("bridge", "ancestral")]


@pytest.mark.parametrize(("name", "method"), [*KICKED, *((name, "ddim") for name in SCORES)])
def test_the_variance_comes_near_with_order_one(name, method):
    path = PATHS[name]
    if name == "bridge":
        net, start, end = bridge_net, 0.0, WIDTH**2
    else:
        (alpha, sigma), (early, noise) = path.noised(1.0), path.noised(EARLIEST)
        net, start = score_net(name), alpha**2 * WIDTH**2 + sigma**2
        end = early**2 * WIDTH**2 + noise**2
    errors = np.array([abs(variance(walk(path, n, method), net, start) - end) for n in (100, 200, 400)])
    order = np.log2(errors[:-1] / errors[1:])
    # where the variance explodes the first order's factor is some 1e-5, and what is seen is the second
    assert order == pytest.approx(2 if (name, method) == ("score_ve", "euler_maruyama") else 1, abs=0.35)
    assert errors[-1] < 0.05 * end


@pytest.mark.parametrize("steps", [1, 7])
@pytest.mark.parametrize("method", ["ancestral", "ddim"])
@pytest.mark.parametrize("name", SCORES)
def test_where_truth_is_one_point_any_step_is_exact(name, method, steps):
    """From the path's distribution at the start to that at the end, whose mean and width are known."""
    path = PATHS[name]

    net = best_score(path.noised, MEAN, 0.0)
    w = walk(path, steps, method)
    (alpha, sigma), (after, narrow) = path.noised(path.start), path.noised(path.stop)
    still = np.zeros((1, steps, 1)) if w.kicked else None
    found = follow(w, np.full((1, 1), alpha * MEAN / w.scale), still, net)
    assert found == pytest.approx(after * MEAN, rel=1e-4)
    assert np.sqrt(variance(w, net, sigma**2)) == pytest.approx(narrow, rel=1e-2)


@pytest.mark.parametrize(("name", "method"), KICKED)
def test_the_known_network_brings_kicks_to_the_truth(name, method):
    rng, count, steps = np.random.default_rng(1), 20_000, 200
    w = walk(PATHS[name], steps, method)
    net = bridge_net if name == "bridge" else score_net(name)
    start = np.full((count, 1), MEASURED) if name == "bridge" else rng.normal(size=(count, 1))
    found = follow(w, start, rng.normal(size=(count, steps, 1)), net)
    assert found.mean() == pytest.approx(MEAN, abs=0.03)
    assert found.std() == pytest.approx(WIDTH, rel=0.05)


@pytest.mark.parametrize(("steps", "least", "most"), [(20, 0.86, 0.93), (50, 0.94, 0.97), (100, 0.965, 0.985)])
def test_how_narrow_few_steps_of_a_bridge_are(steps, least, most):
    assert least < np.sqrt(variance(walk(PATHS["bridge"], steps, "ancestral"), bridge_net, 0.0)) / WIDTH < most


def test_without_kicks_a_bridge_goes_to_the_mean():
    """Each step then leads to where the expected truth is: at the end to that."""
    found = follow(walk(PATHS["bridge"], 50, "euler"), np.full((3, 1), MEASURED), None, bridge_net)
    assert np.allclose(found, MEAN, atol=1e-6)


@pytest.mark.needs_onnx
@pytest.mark.skipif(tools.find("g++") is None, reason="needs g++")
@pytest.mark.parametrize(("objective", "method"), [(name, m) for name, path in PATHS.items() for m in path.walks])
def test_one_model_gives_the_bits_of_the_loop_on_the_host(objective, method):
    network = networks.residual_mlp(3, 3, 16, 3, "all", condition=2, timed=True)
    weights, rng = weights_of(network), np.random.default_rng(1)
    noise, condition = (rng.normal(size=(9, n)).astype(np.float32) for n in (3, 2))
    w = walk(PATHS[objective], 5, method)
    assert w.kicked == (method in ("ancestral", "euler_maruyama"))
    kicks = {"kicks": rng.normal(size=(9, 5, 3)).astype(np.float32)} if w.kicked else {}
    for lowering in LOWERINGS:
        one = made.model(network, weights, lowering)
        session = made.opened(one.content, one.digest)
        net = lambda t, y: made.evaluate(session, {"x": y, "time": t, "condition": condition})  # noqa: B023, E731
        want = follow(w, noise, kicks.get("kicks"), net)
        whole = walker(network, weights, lowering, w)
        feed = {"noise": noise, "condition": condition, **kicks}
        assert np.array_equal(made.evaluate(made.opened(whole.content, whole.digest), feed), want)
        assert whole.kernel_bytes == one.kernel_bytes
        assert not np.array_equal(want, noise)


SPEC = 'name = "a"\ntitle = "b"\n[sample]\nname = "gaussians"\n[objective]\nname = "{}"\n[sampler]\nmethod = "{}"\n'


@pytest.mark.parametrize(
    ("objective", "method", "sentence"),
    [
        ("flow_matching", "ancestral", "can't follow flow_matching: choose euler, midpoint, heun, rk4$"),
        ("direct_diffusion", "ddim", "can't follow direct_diffusion: choose euler, midpoint, heun, rk4$"),
        ("bridge", "midpoint", "can't follow bridge: choose ancestral, euler$"),
        ("bridge", "ddim", "can't follow bridge: choose ancestral, euler$"),
    ],
)
def test_what_cannot_be_followed(objective, method, sentence):
    with pytest.raises(SpecError, match=sentence):
        generator(parse(SPEC.format(objective, method)), Wanted(3), 3, "none")


def test_couplings_have_networks_of_their_own():
    text = SPEC.format("spline_flow", "euler").replace("[objective]", '[network]\nkind = "unet"\n[objective]')
    row = parse(fitting(text))
    with pytest.raises(SpecError, match="spline_flow has networks of its own"):
        generator(row, Wanted(3), 3, "none")


@pytest.mark.parametrize("objective", ["bridge", "direct_diffusion"])
def test_whether_it_is_told_the_measurement(objective):
    row = parse(SPEC.format(objective, "euler"))
    free = parse(SPEC.format(objective, "euler").replace("[sampler]", "conditional = false\n[sampler]"))
    ports = [{p.name for p in generator(r, Wanted(3), 3, "none").network.ports} for r in (row, free)]
    assert ports == [{"x", "time", "condition"}, {"x", "time"}]
    with pytest.raises(SpecError, match="it needs as many"):
        generator(row, Wanted(3), 2, "none")


def test_only_a_slope_can_be_walked():
    network = networks.residual_mlp(3, 2, 16, 1, timed=True)
    with pytest.raises(GraphError, match="an output of the shape of x"):
        walker(network, weights_of(network), "float", walk(PATHS["bridge"], 2, "ancestral"))
