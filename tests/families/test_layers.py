"""Layers as data: shapes, values by hand, and that numpy and TensorFlow compute the same."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trigger_ml import plugins, spec
from trigger_ml.errors import SpecError
from trigger_ml.families import double, layers
from trigger_ml.families.layers import Add, Columns, Conv, Join, Permute, Pool, Reshape, Sum, WeightedSum

SPEC = """
name = "t"
[model]
frontend = "hgq"
hidden = [4]
{rest}
"""

NETWORKS = {
    "conv 1-D": ('family = "conv"\nscore = "tagger"\nfilters = [3, 2]\nkernel = [3, 2]\npool = [2, 1]', (8, 3)),
    "conv 2-D": ('family = "conv"\nscore = "tagger"\nfilters = [3]\nkernel = [3]\nstride = [2]\nsame = true', (6, 5)),
    "max": ('family = "conv"\nscore = "tagger"\nfilters = [2]\nkernel = [2]\npool = [2]\npooling = "max"', (6, 5)),
    "rz": ('family = "conv"\nscore = "rz"\nbeta = 0.1\nfilters = [3]\nkernel = [3]', (8, 3)),
    "pfn": ('family = "deepsets"\nscore = "tagger"\nhead = [3]\nparticles = 6', (8, 3)),
    "efn": ('family = "deepsets"\nscore = "tagger"\nhead = [3]\nweighted = true', (8, 3)),
    "efn of the leading": (
        'family = "deepsets"\nscore = "tagger"\nhead = [3]\nweighted = true\nparticles = 4',
        (8, 3),
    ),
    "mixer": ('family = "mixer"\nscore = "tagger"\nhead = [3]', (8, 3)),
    "leading": ('family = "mlp"\nscore = "tagger"\nparticles = 2', (8, 3)),
    "double": ('family = "double"\nscore = "pair"', (8, 3)),
}


def network(name: str) -> tuple[tuple[layers.Layer, ...], int]:
    rest, shape = NETWORKS[name]
    text = SPEC.format(rest=rest)
    model = spec.parse(text).model
    return plugins.find("families", model.family).network(model, (), shape), int(np.prod(shape))


def weights(found: tuple[layers.Layer, ...], features: int, seed: int = 1) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    made = {}
    for name, shape in layers.weight_shapes(found, features).items():
        made[f"{name}.kernel"], made[f"{name}.bias"] = rng.normal(size=shape), rng.normal(size=shape[-1])
    return made


@pytest.mark.parametrize("name", NETWORKS)
def test_the_shapes_are_those_of_what_is_computed(name):
    found, features = network(name)
    states = layers.states(found, weights(found, features), np.ones((5, features)))
    assert {k: v.shape[1:] for k, v in states.items()} == layers.shapes(found, features)


@pytest.mark.parametrize("name", NETWORKS)
def test_what_is_called_never_negative_is_never_negative(name):
    found, features = network(name)
    x = np.abs(np.random.default_rng(2).normal(size=(200, features)))
    states = layers.states(found, weights(found, features), x)
    for layer in found:
        if layers.never_negative(found, layer.name):
            assert states[layer.name].min() >= 0, layer.name


@pytest.mark.needs_train
@pytest.mark.parametrize("name", NETWORKS)
def test_numpy_and_tensorflow_compute_the_same(name):
    from trigger_ml.frontends import session
    from trigger_ml.frontends.floatnet import Net

    session.start()
    found, features = network(name)
    net = Net(found, features, seed=3)
    x = np.random.default_rng(4).normal(size=(7, features)).astype(np.float32)
    ours = layers.forward(found, net.weights(), x.astype(np.float64))
    assert np.asarray(net(x)) == pytest.approx(ours, rel=1e-4, abs=1e-4)


def test_a_convolution_by_hand():
    found = (Reshape("image", (3, 3, 1)), Conv("c", 1, (2, 2), (1, 1), False, True))
    kernel = np.array([[1.0, 2.0], [3.0, -4.0]]).reshape(2, 2, 1, 1)
    x = np.arange(9.0)[None]
    out = layers.forward(found, {"c.kernel": kernel, "c.bias": np.array([5.0])}, x)
    # first window 0 1 / 3 4: 0 + 2 + 9 - 16 + 5 = 0; each step to the right adds 1 + 2 + 3 - 4
    assert out[0, :, :, 0].tolist() == [[0.0, 2.0], [6.0, 8.0]]


def test_same_padding_keeps_the_size_and_pads_behind_first():
    conv = Conv("c", 1, (2, 3), (1, 2), True, False)
    assert layers.padding(conv, (5, 4)) == ((0, 1), (0, 1))
    assert layers.shapes((Reshape("i", (5, 4, 1)), conv), 20)["c"] == (5, 2, 1)


def test_pools_sums_and_wiring_by_hand():
    x = np.arange(12.0)[None]
    found = (Reshape("i", (6, 2)), Pool("s", "sum", (4,)), Reshape("f", (2,)))
    assert layers.forward(found, {}, x).tolist() == [[0 + 2 + 4 + 6, 1 + 3 + 5 + 7]]
    found = (Reshape("i", (6, 2)), Pool("s", "max", (3,)), Sum("t"))
    assert layers.forward(found, {}, x).tolist() == [[4 + 10, 5 + 11]]
    found = (Reshape("i", (6, 2)), Columns("c", (1,)), Permute("p", (1, 0)), Reshape("f", (6,)), Join("j", "f"))
    assert layers.forward(found, {}, x)[0].tolist() == [1, 3, 5, 7, 9, 11] * 2
    found = (Reshape("i", (6, 2)), Add("a", "i"), Sum("s"))
    assert layers.forward(found, {}, x).tolist() == [[60, 72]]


def test_a_weighted_sum_by_hand():
    found = (Reshape("particles", (2, 3)), Columns("angles", (1, 2)), WeightedSum("s", "particles", 0))
    x = np.array([[10.0, 1.0, 2.0, 20.0, 3.0, 4.0]])
    assert layers.forward(found, {}, x).tolist() == [[10 + 60, 20 + 80]]


@given(st.integers(0, 2**31), st.permutations(range(8)))
@settings(max_examples=25, deadline=None)
def test_sets_do_not_see_the_order_of_particles(seed, order):
    found, features = network("efn")
    x = np.random.default_rng(seed).integers(-60, 60, (3, 8, 3)).astype(float)
    w = weights(found, features)
    again = layers.forward(found, w, x[:, order].reshape(3, features))
    assert again == pytest.approx(layers.forward(found, w, x.reshape(3, features)))


@given(st.integers(0, 2**31))
@settings(max_examples=25, deadline=None)
def test_an_energy_flow_network_does_not_see_a_collinear_splitting(seed):
    found, features = network("efn")
    rng = np.random.default_rng(seed)
    x = rng.integers(1, 60, (3, 8, 3)).astype(float)
    x[:, -1] = 0  # room for one more
    split = x.copy()
    share = rng.integers(0, x[:, 0, 0].astype(int) + 1)
    split[:, 0, 0] -= share
    split[:, -1] = x[:, 0]
    split[:, -1, 0] = share
    w = weights(found, features)
    before, after = (layers.forward(found, w, v.reshape(3, features)) for v in (x, split))
    assert after == pytest.approx(before)


@pytest.mark.parametrize(
    ("rest", "shape", "sentence"),
    [
        ('family = "conv"\nscore = "tagger"\nfilters = [2]\nkernel = [9]', (8, 3), "does not fit"),
        ('family = "conv"\nscore = "tagger"', (8, 3), "filters and kernel"),
        ('family = "deepsets"\nscore = "tagger"', (8, 3), "head is missing"),
        ('family = "deepsets"\nscore = "tagger"\nhead = [2]', (8, 3, 2), "reads particles"),
        ('family = "deepsets"\nscore = "tagger"\nhead = [2]\nparticles = 9', (8, 3), "give at most 8"),
        ('family = "mixer"\nscore = "rz"\nbeta = 1\nhead = [2]', (8, 3), "not one of the family mixer"),
        ('family = "double"\nscore = "mu2"', (8, 3), "use pair, or the family"),
    ],
)
def test_what_does_not_fit_is_refused_with_one_sentence(rest, shape, sentence):
    model = spec.parse(SPEC.format(rest=rest)).model
    with pytest.raises(SpecError, match=sentence):
        plugins.find("families", model.family).network(model, (), shape)


def test_the_tail_falls_by_one_power_for_each_half_and_goes_on_where_events_end():
    background = -np.log2(np.random.default_rng(1).random(100_000)) * 10  # a tail that halves every 10
    at = np.arange(0.0, 300.0, 10.0)
    found = double.tail(background, at)
    assert found[:10] == pytest.approx(at[:10] / 10, abs=0.1)
    assert found[10:] == pytest.approx(at[10:] / 10, rel=0.25)
    assert np.all(np.diff(found) >= 0)
