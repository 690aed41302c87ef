"""Freezing is exact: random quantized networks, dead elements and pruned neurons included, against plain float64."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.frontends.events import features, sample
from trigger_ml import spec
from trigger_ml.errors import ArtifactError
from trigger_ml.families import inputs
from trigger_ml.fixed import Fixed, Formats, Rounding
from trigger_ml.frontends import freezing, lowering, scoring
from trigger_ml.frontends.plan import Head
from trigger_ml.ir.bounds import Tensor, bounds
from trigger_ml.ir.build import Builder
from trigger_ml.ir.interpret import evaluate, interpret
from trigger_ml.ir.verify import normal_form

DISTILLED = spec.parse('name="t"\n[model]\nfamily="mlp"\nfrontend="hgq"\nscore="distilled"\nhidden=[6,4]\n')
SAMPLE = sample(400, 40)
MODES = {Rounding.RND: lambda v: np.floor(v + 0.5), Rounding.RND_CONV: np.round}


def network(rng: np.random.Generator, score: Fixed) -> dict[str, np.ndarray]:
    """Layers with random formats, about a quarter of the elements dead and half of the weights zero."""
    arrays = {"layers": np.array(["hidden0", "hidden1", "output"]), "score.integer": np.int64(62)}
    for name, n_in, n_out in (("hidden0", 57, 6), ("hidden1", 6, 4), ("output", 4, 1)):
        first = name == "hidden0"
        frac = rng.integers(-2, 7 if first else 9, n_in)
        width = rng.integers(0, 9, n_in) * (rng.random(n_in) < 0.75)
        signed = np.array([f.lo < 0 for f in features()], int) if first else np.zeros(n_in, int)
        arrays[f"{name}.signed"], arrays[f"{name}.frac"] = signed, frac
        arrays[f"{name}.integer"] = width - signed - frac
        arrays[f"{name}.kernel"] = rng.integers(-8, 9, (n_in, n_out)) * 2.0**-4 * (rng.random((n_in, n_out)) < 0.5)
        arrays[f"{name}.bias"] = rng.integers(-64, 64, n_out) * 2.0**-6
    return {**arrays, **scoring.head_arrays((Head("score", 0, 1, score),))}


def quantized(v, signed, integer, frac, round_):
    """A quantizer as HGQ2 defines it: clip, then round; nothing where no bits are left."""
    top = 2.0**integer - 2.0**-frac
    q = np.clip(round_(v * 2.0**frac) * 2.0**-frac, -signed * 2.0**integer, top)
    return np.where(signed + integer + frac > 0, q, 0.0)


def reference(arrays, x, round_):
    v = inputs.scaled(x)
    for name in arrays["layers"]:
        v = quantized(v, *(arrays[f"{name}.{part}"].astype(float) for part in ("signed", "integer", "frac")), round_)
        v = v @ arrays[f"{name}.kernel"] + arrays[f"{name}.bias"]
    _, _, signed, width, frac = arrays["head.score"]
    return quantized(v, signed, width - signed - frac, float(frac), round_)


@given(seed=st.integers(0, 2**32), mode=st.sampled_from(sorted(MODES)), signed=st.booleans())
@settings(max_examples=40, deadline=None)
def test_the_graph_is_the_network(seed, mode, signed):
    arrays = network(np.random.default_rng(seed), Fixed(signed, 9, 4))
    graph = freezing.to_graph(arrays, DISTILLED, SAMPLE, mode)
    x = SAMPLE.background.test
    score = interpret(graph, x)["score"] * 2.0 ** -bounds(graph)["score"].frac
    assert np.array_equal(score, reference(arrays, x, MODES[mode]))
    assert not [line for line in normal_form(graph) if "coarser" in line]


@given(seed=st.integers(0, 2**32))
@settings(max_examples=20, deadline=None)
def test_nothing_dead_is_left_between_layers(seed):
    graph = freezing.to_graph(network(np.random.default_rng(seed), Fixed(False, 9, 4)), DISTILLED, SAMPLE, Rounding.RND)
    for name in ("hidden1", "output"):
        kernel = graph.by_name[name].op.w
        assert np.all(np.any(kernel != 0, axis=1)) or len(kernel) in (4, 6)


@given(seed=st.integers(0, 2**32), mode=st.sampled_from(sorted(MODES)))
@settings(max_examples=60, deadline=None)
def test_fitted_formats_give_the_same_integers(seed, mode):
    rng = np.random.default_rng(seed)
    b = Builder()
    port = Formats.of(rng.integers(0, 2, 8), rng.integers(1, 7, 8), 3)
    x = b.input((8,), port)
    wanted = Formats.of(rng.integers(0, 2, 8), rng.integers(0, 9, 8), rng.integers(-8, 7, 8))
    plain = b.requant(x, wanted, mode, "SAT", name="plain")
    fitted = b.requant(x, lowering.fitted(wanted, b.known(x), mode), mode, "SAT", name="fitted")
    graph = b.graph(plain, fitted)
    known = bounds(graph)
    feed = rng.integers(known[x].lo.astype(int), known[x].hi.astype(int) + 1, (200, 8))
    feed[0], feed[1] = known[x].lo, known[x].hi
    values = evaluate(graph, {x: feed})
    assert np.array_equal(values[plain] * 2.0 ** -known[plain].frac, values[fitted] * 2.0 ** -known[fitted].frac)


def test_exact_finds_the_grid_and_refuses_what_has_none():
    values, frac = lowering.exact(np.array([0.75, -2.0]), "layer")
    assert (values.tolist(), frac) == ([3, -8], 2)
    with pytest.raises(ArtifactError, match="weights of layer layer are not multiples"):
        lowering.exact(np.array([0.1]), "layer")


def test_a_missing_array_is_named():
    arrays = network(np.random.default_rng(1), Fixed(False, 9, 4))
    del arrays["hidden1.kernel"]
    with pytest.raises(ArtifactError, match=r"trained.npz holds no 'hidden1.kernel'"):
        freezing.to_graph(arrays, DISTILLED, SAMPLE, Rounding.RND)


def test_ports_have_each_feature_its_own_range():
    formats = list(freezing.ports(features()))
    assert formats[0] == Fixed(False, 12, 6)
    assert formats[1].width == 0, "the eta of MET is no input"
    assert formats[2] == Fixed(False, 8, 6)
    assert formats[4] == Fixed(True, 8, 6)


@given(lo=st.integers(-300, 0), hi=st.integers(1, 300), frac=st.integers(-2, 8), bits=st.integers(4, 12))
def test_tables_are_the_function_to_half_a_step_and_fit(lo, hi, frac, bits):
    ends = (np.array([z], object) for z in (lo, hi))
    values, first, places = scoring.table(Tensor((1,), frac, *ends, 0), lambda v: v**2, bits)
    arguments = np.arange(lo, hi + 1) * 2.0**-frac
    assert first == lo
    assert np.all(np.abs(values * 2.0**-places - arguments**2) <= 0.5 * 2.0**-places)
    assert values.min() >= 0
    assert values.max() < 2**bits


@pytest.mark.parametrize("layer", ["hidden0", "hidden1", "output"])
def test_a_network_pruned_to_a_constant_is_a_constant(layer):
    arrays = network(np.random.default_rng(4), Fixed(False, 9, 4))
    arrays[f"{layer}.kernel"] = np.zeros_like(arrays[f"{layer}.kernel"])
    graph = freezing.to_graph(arrays, DISTILLED, SAMPLE, Rounding.RND)
    x = SAMPLE.background.test
    score = interpret(graph, x)["score"] * 2.0 ** -bounds(graph)["score"].frac
    assert np.array_equal(score, reference(arrays, x, MODES[Rounding.RND]))
    assert np.unique(score).size == 1
