"""Gradients pass the rounding, a stopped training ends in the same bits, and a row runs from spec to numbers."""

from __future__ import annotations

import json

import numpy as np
import pytest
from rich.console import Console

from tests.offline.inputs import fitting
from trigger_ml import cli, tools
from trigger_ml.errors import Mismatch, SpecError
from trigger_ml.offline import deploy, networks, objectives, run, training
from trigger_ml.offline.framework import Trained, deployed, start_weights
from trigger_ml.offline.generators import generator
from trigger_ml.offline.spec import parse
from trigger_ml.offline.steps import Wanted

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
[objective]
name = "{}"
iterations = 1
[sampler]
steps = 3
[train]
epochs = 2
batch = 128
"""


def spec_of(objective):
    return fitting(SPEC.format(objective))


@pytest.fixture(scope="module", autouse=True)
def _framework():
    from trigger_ml.frontends import session

    session.start()


@pytest.mark.parametrize("mode", ["ternary", "binary", "int8"])
def test_gradients_are_those_of_the_layer_without_rounding(mode):
    """Straight through: the kernel's gradient is that of a product of the rounded input, for any loss linear in it."""
    import tensorflow as tf

    network = networks.plain_mlp(6, 3, 8, 1, mode)
    net, x = Trained(network, start_weights(network, 1)), np.random.default_rng(1).normal(size=(5, 6))
    x = x.astype(np.float32)
    with tf.GradientTape() as tape:
        y = tf.reduce_sum(net({"x": tf.constant(x)}))
    found = tape.gradient(y, net.variables["linear0.kernel"]).numpy()
    top = np.abs(x).max(-1, keepdims=True)
    near = np.rint(x * (127 / top)) * top / 127
    assert np.allclose(found, near.sum(0)[:, None], rtol=1e-4)


@pytest.mark.parametrize("mode", ["ternary", "binary", "int8"])
def test_trained_and_deploy_form_are_the_same_function(mode):
    network = networks.plain_mlp(6, 3, 32, 1, mode)
    weights, x = start_weights(network, 2), np.random.default_rng(2).normal(size=(100, 6)).astype(np.float32)
    assert np.allclose(Trained(network, weights)({"x": x}).numpy(), deployed(network, weights, {"x": x}), atol=1e-5)


def test_a_stopped_training_ends_in_the_same_bits(tmp_path, monkeypatch):
    row = parse(spec_of("classifier").replace("epochs = 2", "epochs = 3"))
    network = networks.plain_mlp(3, 1, 8, 2, "ternary")
    rng = np.random.default_rng(1)
    x, label = rng.normal(size=(600, 3)).astype(np.float32), rng.integers(0, 2, 600).astype(np.float32)

    def train(folder):
        place = training.Place(row, folder, "net", None)
        return training.trained(place, network, objectives.classifier, (x, label, np.ones_like(label)), {"x": x})

    whole = train(tmp_path / "whole")
    real, calls = training.fit, []

    def stopped(phase, job, folder, console):
        def before(epoch):
            calls.append(epoch)
            if epoch == 2 and len(calls) == 3:
                raise KeyboardInterrupt

        return real(phase, training.Job(job.data, job.loss, job.trainable, job.state, before), folder, console)

    monkeypatch.setattr(training, "fit", stopped)
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path / "stopped")
    again = train(tmp_path / "stopped")
    assert calls == [0, 1, 2, 2]
    assert whole.keys() == again.keys()
    assert all(np.array_equal(whole[k], again[k]) for k in whole)


@pytest.mark.skipif(tools.find("g++") is None, reason="needs g++")
@pytest.mark.parametrize(
    "objective",
    [
        "classifier",
        "flow_matching",
        pytest.param("direct_diffusion", marks=pytest.mark.slow),
        pytest.param("omnifold", marks=pytest.mark.slow),
        pytest.param("score_vp", marks=pytest.mark.slow),
        pytest.param("coupling_flow", marks=pytest.mark.slow),
        pytest.param("spline_flow", marks=pytest.mark.slow),
        pytest.param("bridge", marks=pytest.mark.slow),
        pytest.param("latent_diffusion", marks=pytest.mark.slow),
        pytest.param("vld", marks=pytest.mark.slow),
        pytest.param("gan", marks=pytest.mark.slow),
    ],
)
def test_a_row_from_spec_to_numbers(objective, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(run, "PRECISIONS", ("all",))
    monkeypatch.setattr("trigger_ml.offline.tasks.measured.COMPARED", 500)
    monkeypatch.setattr(training, "prove", lambda *_: None)
    method = "ancestral" if objective in ("bridge", "score_vp") else "midpoint"
    spec = spec_of(objective).replace("steps = 3", f'steps = 3\nmethod = "{method}"')
    (tmp_path / "spec.toml").write_text(spec)
    command = ["offline", "run", str(tmp_path), "--out", str(tmp_path / "out"), "--json"]
    assert cli.main(command) == 0
    first = json.loads(capsys.readouterr().out)
    content = first["precisions"]["all"]
    assert content["differing"] == []
    assert all(np.isfinite(m["value"]) and m["error"] >= 0 for m in content["metrics"].values())
    kept = (tmp_path / "all.json").read_bytes()
    monkeypatch.setattr(run, "task", None)
    assert cli.main(command) == 0  # nothing is done again
    assert (tmp_path / "all.json").read_bytes() == kept


@pytest.mark.slow
@pytest.mark.parametrize(
    ("objective", "kind"),
    [("flow_matching", "deep_sets"), ("score_ve", "transformer"), ("bridge", "unet"), ("spline_flow", "residual")],
)
def test_two_trainings_end_in_the_same_bits(objective, kind, tmp_path, monkeypatch):
    """Gathers and one-hot sums have gradients that add up; their order must not change."""
    monkeypatch.setattr(training, "prove", lambda *_: None)
    spec = (
        spec_of(objective).replace("[network]", f'[network]\nkind = "{kind}"').replace("steps = 3", 'method = "euler"')
    )
    row, rng = parse(spec), np.random.default_rng(1)
    data = tuple(rng.normal(size=(600, 4)).astype(np.float32) for _ in range(2))
    made = generator(row, Wanted(4, grid=(2, 2)), 4, "all")
    found = [
        training.trained(training.Place(row, tmp_path / str(i), "net", None), made.network, made.loss, data, {})
        for i in range(2)
    ]
    assert all(np.array_equal(found[0][k], found[1][k]) for k in found[0])


@pytest.mark.slow
@pytest.mark.skipif(tools.find("g++") is None, reason="needs g++")
@pytest.mark.parametrize("kind", ["deep_sets", "transformer", "unet"])
@pytest.mark.parametrize("objective", ["classifier", "flow_matching", "score_vp"])
def test_a_row_of_every_kind_of_network(kind, objective, tmp_path, monkeypatch):
    monkeypatch.setattr(run, "PRECISIONS", ("all",))
    monkeypatch.setattr("trigger_ml.offline.tasks.measured.COMPARED", 500)
    monkeypatch.setattr("trigger_ml.offline.tasks.generated.RANKED", 200)
    monkeypatch.setattr(training, "prove", lambda *_: None)
    (tmp_path / "spec.toml").write_text(spec_of(objective).replace("[network]", f'[network]\nkind = "{kind}"'))
    content = run.run(tmp_path, Console(quiet=True), tmp_path / "out")["precisions"]["all"]
    assert content["differing"] == []


@pytest.mark.skipif(tools.find("g++") is None, reason="needs g++")
def test_a_lowering_that_differs_is_a_mismatch(tmp_path, monkeypatch):
    monkeypatch.setattr(training, "prove", lambda *_: None)
    monkeypatch.setattr(run, "PRECISIONS", ("all",))
    monkeypatch.setattr(deploy.Deployed, "differing", lambda self, feed: ("int8",))
    (tmp_path / "spec.toml").write_text(spec_of("classifier"))
    with pytest.raises(Mismatch, match="int8"):
        run.run(tmp_path, Console(quiet=True), tmp_path / "out")


@pytest.mark.slow
@pytest.mark.skipif(tools.find("g++") is None, reason="needs g++")
def test_omnifold_with_lost_events_and_fakes(tmp_path, monkeypatch):
    monkeypatch.setattr(run, "PRECISIONS", ("all",))
    monkeypatch.setattr("trigger_ml.offline.tasks.measured.COMPARED", 500)
    monkeypatch.setattr(training, "prove", lambda *_: None)
    (tmp_path / "spec.toml").write_text(spec_of("omnifold").replace("gaussians", "lossy"))
    content = run.run(tmp_path, Console(quiet=True), tmp_path / "out")["precisions"]["all"]
    assert content["differing"] == []
    assert {"triangular of prior", "triangular of truth", "iteration 1"} < set(content["metrics"])
    assert content["metrics"]["iteration 1"]["value"] == content["metrics"]["triangular"]["value"]
    assert (tmp_path / "out" / "offline_small" / "all" / "seed1" / "all_0_1b.ternary.onnx").exists()


def test_lost_events_need_omnifold(tmp_path):
    (tmp_path / "spec.toml").write_text(spec_of("classifier").replace("gaussians", "lossy"))
    with pytest.raises(SpecError, match="only the objective omnifold"):
        run.run(tmp_path, Console(quiet=True), tmp_path / "out")
