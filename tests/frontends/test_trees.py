"""Training of trees: scikit-learn's own leaves and sums, bounds, the same bytes twice, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays as numpy_arrays

from tests.frontends.events import features, sample
from trigger_ml import spec
from trigger_ml.artifact import read_json, read_npz, write_npz
from trigger_ml.errors import ArtifactError, SpecError
from trigger_ml.families.trees import float_score
from trigger_ml.frontends import result, trees
from trigger_ml.frontends.targets import labelled
from trigger_ml.ir.interpret import interpret
from trigger_ml.samples.dataset import Sample

SPEC = """
name = "small"
seed = 3
[model]
family = "trees"
frontend = "trees"
score = "tagger"
trees = {trees}
depth = {depth}
bits = {bits}
"""


def read(trees: int = 8, depth: int = 3, bits: int = 10) -> spec.Spec:
    return spec.parse(SPEC.format(trees=trees, depth=depth, bits=bits))


def alike(made: Sample) -> Sample:
    """The same events on both sides, one each."""
    one = replace(
        made.background,
        train=made.background.train[:1].repeat(40, axis=0),
        validation=made.background.validation[:1].repeat(40, axis=0),
    )
    return replace(made, background=one, signals={"same": one})


@pytest.fixture(scope="module")
def events() -> Sample:
    return sample(4000, 400)


@pytest.mark.needs_trees
@pytest.mark.parametrize(("depth", "bits"), [(1, 12), (3, 6), (4, 10), (5, 16)])
def test_graph_and_scikit_learn_differ_by_no_more_than_the_leaves_rounding(tmp_path, events, depth, bits) -> None:
    wanted = read(6, depth, bits)
    trees.train(wanted, events, tmp_path, None)
    graph = trees.freeze(tmp_path, wanted, events)
    (check,) = result.selfcheck(tmp_path, graph)
    assert (check.node, check.mismatches, check.exact) == ("score", 0, True)
    x = np.concatenate([events.background.test, events.signals["hard"].test])
    twin, frac = (
        float_score(read_npz(tmp_path / "float.npz"), x, wanted),
        int(read_npz(tmp_path / "trained.npz")["frac"]),
    )
    off = np.abs(interpret(graph, x)["score"][:, 0] * 2.0**-frac - twin)
    assert off.max() <= 6 * 2.0 ** -(frac + 1) + 1e-12
    assert off.max() > 0


@pytest.mark.needs_trees
def test_the_float_twin_is_scikit_learns_decision_function(events) -> None:
    wanted = read(10, 4)
    model = trees._fitted(wanted, events, None)
    twin = trees._float_trees(model, 10, 4)
    x = labelled(events, "validation")[0]
    assert float_score(twin, x, wanted) == pytest.approx(model.decision_function(x), abs=1e-12)


@pytest.mark.needs_trees
def test_training_twice_gives_the_same_bytes_and_keeps_the_best_trees(tmp_path, events) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        trees.train(read(), events, tmp_path / name, None)
    for name in ("trained.npz", "float.npz", "history.json", "selfcheck.npz"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes(), name
    history = read_json(tmp_path / "a" / "history.json")
    losses = [record["validation"] for record in history["phases"]["trees"]]
    assert history["kept"] == int(np.argmin(losses)) + 1 == len(read_npz(tmp_path / "a" / "trained.npz")["leaf"])
    assert losses[-1] < losses[0] < np.log(2)
    assert history["score"]["rank_correlation"]["all"] > 0.99


@pytest.mark.needs_trees
def test_sides_that_look_alike_are_refused(tmp_path: Path, events) -> None:
    with pytest.raises(SpecError, match="the trees found nothing to split on"):
        trees.train(read(), alike(events), tmp_path, None)
    assert not list(tmp_path.iterdir())


@given(numpy_arrays(np.float64, (3, 4), elements=st.floats(-1e3, 1e3)), st.integers(2, 16))
def test_leaves_fit_their_bits_and_are_off_by_half_a_step(leaf, bits) -> None:
    made = trees.quantized({"feature": np.zeros((3, 3), int), "threshold": np.zeros((3, 3)), "leaf": leaf}, bits)
    step = 2.0 ** -int(made["frac"])
    assert np.abs(made["leaf"]).max() < 1 << (bits - 1)
    assert np.abs(made["leaf"] * step - leaf).max() <= step / 2
    if np.abs(leaf).max() > 2.0**-bits:
        assert np.abs(made["leaf"]).max() >= 1 << (bits - 2) or bits == 2


def test_thresholds_are_floors() -> None:
    threshold = np.array([[2.5, -2.5, 3.0]])
    made = trees.quantized({"feature": np.zeros((1, 3), int), "threshold": threshold, "leaf": np.ones((1, 4))}, 8)
    assert made["threshold"].tolist() == [[2, -3, 3]]
    for x in range(-5, 6):
        assert ((x <= threshold) == (x <= made["threshold"])).all()


def test_ports_hold_each_features_own_range() -> None:
    for fixed, feature in zip(trees.ports(features()), features(), strict=True):
        assert fixed.lo <= feature.lo <= feature.hi <= fixed.hi


def test_a_file_without_leaves_is_refused(tmp_path, events) -> None:
    write_npz(tmp_path / "trained.npz", {"feature": np.zeros((1, 1), int), "threshold": np.zeros((1, 1), int)})
    with pytest.raises(ArtifactError, match=r"trained.npz holds no 'leaf'"):
        trees.freeze(tmp_path, read(), events)


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("trees = 8\n", "", r"\[model\] trees is missing: add it"),
        ("depth = 3\n", "", r"\[model\] depth is missing: add it"),
        ("depth = 3", "depth = 7", r"\[model\] depth is 7: it must be at most 6"),
        ("trees = 8", "trees = 0", r"\[model\] trees is 0: it must be at least 1"),
        ("bits = 10", "bits = 10\nhidden = [3]", r"\[model\] hidden has no meaning for the family trees"),
        ('frontend = "trees"', 'frontend = "hgq"', r'frontend "hgq" does not go with the family "trees"'),
        ('family = "trees"', 'family = "mlp"\nhidden = [3]', r'frontend "trees" does not go with the family "mlp"'),
    ],
)
def test_specs_that_are_refused(old, new, sentence) -> None:
    text = SPEC.format(trees=8, depth=3, bits=10)
    assert old in text
    with pytest.raises(SpecError, match=sentence):
        spec.parse(text.replace(old, new, 1))


def test_trees_of_a_network_are_refused() -> None:
    text = SPEC.format(trees=8, depth=3, bits=10).replace('"trees"', '"mlp"', 1).replace('"trees"', '"qkeras"', 1)
    with pytest.raises(SpecError, match=r"\[model\] trees has no meaning for the family mlp"):
        spec.parse(text + "hidden = [3]\n")


def test_a_score_of_a_network_is_refused(tmp_path, events) -> None:
    wanted = spec.parse(SPEC.format(trees=8, depth=3, bits=10).replace('"tagger"', '"mu2"'))
    with pytest.raises(SpecError, match='score "mu2" is not one of the family trees: use tagger'):
        trees.train(wanted, events, tmp_path, None)
