"""Taggers of several classes: the score by a second way, and what is refused."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from tests.frontends.events import sample
from trigger_ml import plugins, spec
from trigger_ml.errors import SpecError
from trigger_ml.families import classes
from trigger_ml.families.layers import Dense, shapes, weight_shapes
from trigger_ml.frontends.targets import classified
from trigger_ml.frontends.teacher import network_of

SPEC = """
name = "t"
[model]
family = "{family}"
frontend = "hgq"
score = "classes"
hidden = [4]
{rest}
"""

FAMILIES = {
    "mlp": "",
    "conv": "filters = [2]\nkernel = [3]",
    "deepsets": "head = [3]",
    "mixer": "head = [3]",
}

logits = arrays(np.int64, array_shapes(min_dims=2, max_dims=2, min_side=2, max_side=6), elements=st.integers(-3, 3))


def read(family: str, rest: str = "") -> spec.Spec:
    return spec.parse(SPEC.format(family=family, rest=rest))


@given(logits)
def test_the_margin_is_above_zero_where_a_signal_wins_alone(values):
    for row, margin in zip(values.tolist(), classes.margin(values).tolist(), strict=True):
        assert margin == max(row[1:]) - row[0]
        assert (margin > 0) == (row[0] < max(row))


@pytest.mark.parametrize("family", FAMILIES)
def test_each_family_has_one_logit_a_class_and_its_float_score_is_their_margin(family):
    s, events = read(family, FAMILIES[family]), replace(sample(400, 40), shape=(19, 3))
    layers = network_of(s, events)
    assert classes.names(events) == ("background", "hard", "busy")
    assert shapes(layers, 57)[layers[-1].name] == (3,)
    rng, weights = np.random.default_rng(1), {"input.shape": np.array((19, 3), float)}
    for name, shape in weight_shapes(layers, 57).items():
        weights |= {f"{name}.kernel": rng.normal(size=shape), f"{name}.bias": rng.normal(size=shape[-1])}
    x = events.background.test[:7]
    found = classes.float_logits(weights, x, s)
    assert found.shape == (7, 3)
    score = plugins.find("families", family).float_score(weights, x, s)
    assert np.array_equal(score, found[:, 1:].max(axis=1) - found[:, 0])


def test_a_family_that_has_no_classes_is_refused():
    with pytest.raises(SpecError, match='score "classes" is not one of the family autoencoder: use .*, or the family'):
        network_of(read("autoencoder"), sample(400, 40))


def test_a_sample_without_signals_is_refused():
    with pytest.raises(SpecError, match=r"synthetic/synthetic has none: take a variant with signals"):
        network_of(read("mlp"), replace(sample(400, 40), signals={}))


def test_other_scores_keep_their_layers():
    s = spec.parse(SPEC.format(family="mlp", rest="").replace('"classes"', '"tagger"'))
    assert network_of(s, sample(400, 40))[-1] == Dense("output", 1, False)


def test_all_classes_weigh_the_same():
    events = sample(400, 40)
    x, label, weight = classified(events, "train")
    assert label.shape == (len(x), 3)
    assert np.array_equal(label.sum(axis=1), np.ones(len(x)))
    assert weight @ label == pytest.approx([len(x) / 3] * 3, rel=1e-6)
    rows = {part.tobytes(): i for i, p in enumerate((events.background, *events.signals.values())) for part in p.train}
    assert [rows[row.tobytes()] for row in x] == label.argmax(axis=1).tolist()
