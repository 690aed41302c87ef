"""The float definitions: values worked by hand, and laws of the scores."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tests.frontends.events import features
from trigger_ml import plugins, spec
from trigger_ml.errors import SpecError
from trigger_ml.families import autoencoder, inputs, mlp, scores
from trigger_ml.families.layers import Dense, chain, forward

SPEC = """
name = "t"
[model]
family = "{family}"
frontend = "hgq"
score = "{score}"
hidden = [2]
latent = 1
beta = {beta}
"""


def read(family: str, score: str, beta: float = 0.1) -> spec.Spec:
    return spec.parse(SPEC.format(family=family, score=score, beta=beta))


latent = arrays(np.float64, (3, 2), elements=st.floats(-4, 4))


def test_scores_by_hand():
    mu, log_var = np.array([[1.0, 2.0]]), np.log(np.array([[0.5, 4.0]]))
    assert scores.rz(mu, log_var) == pytest.approx([1 / 0.5 + 4 / 4])
    assert scores.mu2(mu) == pytest.approx([5.0])
    assert scores.dkl(mu, log_var) == pytest.approx([0.5 * (5 + 4.5 - np.log(2.0) - 2)])
    assert scores.squared_error(np.array([[1.0, 2.0]]), np.array([[0.0, 4.0]])).tolist() == [5.0]


@given(latent, latent)
def test_scores_are_never_negative(mu, log_var):
    for score in (scores.rz(mu, log_var), scores.mu2(mu), scores.dkl(mu, log_var)):
        assert np.all(score >= -1e-12)


@given(latent)
def test_rz_is_mu2_where_the_widths_are_one(mu):
    assert np.array_equal(scores.rz(mu, np.zeros_like(mu)), scores.mu2(mu))


def test_the_target_is_zero_for_empty_slots_one_at_8_gev_and_grows():
    pt = np.arange(4096)
    target = inputs.target(pt)
    assert target[0] == 0
    assert target[16] == 1
    assert np.all(np.diff(target) > 0)


def test_inputs_are_exact_multiples():
    x = np.array([[-2048, 0, 1, 4095]])
    assert np.array_equal(inputs.scaled(x) * 64, x)


def test_momenta_are_every_third_column():
    assert inputs.pt_index(features()).tolist() == list(range(0, 57, 3))


def test_chain_names_and_shapes():
    layers = chain("hidden", (32, 16), Dense("output", 1, False))
    assert [(layer.name, layer.units, layer.relu) for layer in layers] == [
        ("hidden0", 32, True),
        ("hidden1", 16, True),
        ("output", 1, False),
    ]


def test_forward_by_hand():
    layers = (Dense("a", 2, True), Dense("b", 1, False))
    weights = {
        "a.kernel": np.array([[1.0, -1.0]]),
        "a.bias": np.array([0.0, 0.5]),
        "b.kernel": np.array([[2.0], [3.0]]),
        "b.bias": np.array([-1.0]),
    }
    assert forward(layers, weights, np.array([[2.0], [-2.0]])).tolist() == [[3.0], [6.5]]


def weights_for(layers: tuple[Dense, ...], n_in: int) -> dict[str, np.ndarray]:
    rng, found = np.random.default_rng(1), {}
    for layer in layers:
        found[f"{layer.name}.kernel"] = rng.normal(size=(n_in, layer.units))
        found[f"{layer.name}.bias"] = rng.normal(size=layer.units)
        n_in = layer.units
    return found


def test_each_score_of_the_autoencoder_is_its_definition():
    x = np.random.default_rng(2).integers(0, 100, (5, 57))
    for name in ("rz", "mu2", "dkl", "reconstruction"):
        s = read("autoencoder", name, 0.0 if name == "reconstruction" else 0.1)
        encoder = autoencoder.encoder(s.model, 1 if name == "reconstruction" else 2)
        decoder = autoencoder.decoder(s.model, 19)
        columns = inputs.pt_index(features())
        weights = {**weights_for(encoder, 57), **weights_for(decoder, 1), "target.columns": columns}
        heads = forward(encoder, weights, x / 64)
        expected = {
            "rz": lambda h: h[:, 0] ** 2 / np.exp(h[:, 1]),
            "mu2": lambda h: h[:, 0] ** 2,
            "dkl": lambda h: 0.5 * (h[:, 0] ** 2 + np.exp(h[:, 1]) - h[:, 1] - 1),
            "reconstruction": lambda h: (
                (
                    (np.log2(1 + x[:, ::3] / 16) - forward(decoder, weights, h)) ** 2  # noqa: B023
                ).sum(1)
            ),
        }[name](heads)
        assert autoencoder.float_score(weights, x, s) == pytest.approx(expected)


def test_a_decoder_free_score_leaves_the_decoder_out_of_firmware():
    names = [layer.name for layer in autoencoder.network(read("autoencoder", "rz").model, features(), (19, 3))]
    assert names == ["encoder0", "heads"]
    assert autoencoder.network(read("autoencoder", "mu2").model, features(), (19, 3))[-1].units == 1
    assert autoencoder.network(read("autoencoder", "reconstruction", 0.0).model, features(), (19, 3))[-1].units == 19


@pytest.mark.parametrize(("family", "score"), [("mlp", "rz"), ("autoencoder", "distilled")])
def test_a_score_of_another_family_is_refused(family, score):
    with pytest.raises(SpecError, match=f'score "{score}" is not one of the family {family}: use .*, or the family'):
        plugins.find("families", family).network(read(family, score).model, features(), (19, 3))


def test_the_student_is_its_last_layer():
    s = read("mlp", "distilled")
    weights = weights_for(mlp.network(s.model, (), (19, 3)), 57)
    x = np.random.default_rng(3).integers(0, 100, (5, 57))
    assert np.array_equal(
        mlp.float_score(weights, x, s), forward(mlp.network(s.model, (), (19, 3)), weights, x / 64)[:, 0]
    )
