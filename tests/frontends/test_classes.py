"""Several logits, from training to the integer graph: score and winner are what the logits say."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.frontends.events import sample
from trigger_ml import plugins, spec
from trigger_ml.artifact import read_json, read_npz
from trigger_ml.families import classes
from trigger_ml.fixed import Fixed
from trigger_ml.frontends import result, scoring
from trigger_ml.ir import columns
from trigger_ml.ir.bounds import bounds
from trigger_ml.ir.build import Builder
from trigger_ml.ir.interpret import interpret
from trigger_ml.ir.verify import normal_form
from trigger_ml.passes.decision import with_decision
from trigger_ml.to_graph import FLIPPED

SPEC = """
name = "tiny"
seed = 3
[model]
family = "{family}"
frontend = "{frontend}"
score = "classes"
hidden = [8, 6]
{rest}
[train]
float_epochs = 40
epochs = 4
batch = 128
learning_rate = 1e-3
"""


def read(frontend: str, family: str = "mlp", rest: str = "bits = 8") -> spec.Spec:
    return spec.parse(SPEC.format(frontend=frontend, family=family, rest=rest))


def largest(logits: np.ndarray) -> np.ndarray:
    """1 for the class of the largest logit, else 0, ``(events, classes)``; where several are largest, 1 for all."""
    return (logits == logits.max(axis=1, keepdims=True)).astype(np.int64)


@given(st.integers(2, 6), st.integers(0, 2**31), st.sampled_from([2, 13]), st.sampled_from([-2, 0, 1, 9, 15]))
@settings(max_examples=40, deadline=None)
def test_score_winner_and_decision_of_integer_logits(count, seed, width, frac):
    b = Builder()
    logits = b.input((count,), Fixed(True, width, frac), name="logits_in")
    raw = b.requant(logits, Fixed(True, width, frac), "RND", "SAT", name="logits")
    score = scoring.add_score(b, "classes", logits, {"logits": raw}, {}, np.zeros(0, np.int64))
    graph = b.graph(score, raw, scoring.add_winner(b, raw))
    assert normal_form(graph) == []
    x = np.random.default_rng(seed).integers(-(2 ** (width - 1)), 2 ** (width - 1), (200, count))
    found = interpret(with_decision(graph, 1), x)
    for row, margin, bits, yes in zip(
        x.tolist(), found["score"][:, 0], found["winner"].tolist(), found["decision"][:, 0], strict=True
    ):
        assert margin == max(row[1:]) - row[0]
        assert bits == [int(v == max(row)) for v in row]
        assert yes == (margin >= 1)
        assert yes == (not bits[0])


CASES = [
    ("hgq", "mlp", "bits = 8"),
    pytest.param("qkeras", "mlp", "bits = 8", marks=pytest.mark.slow),
    ("ptq", "mlp", "bits = 10"),
    *(
        pytest.param("hgq", family, f"bits = 8\n{rest}", marks=pytest.mark.slow)
        for family, rest in (
            ("conv", "filters = [3]\nkernel = [3]"),
            ("deepsets", "head = [4]"),
            ("mixer", "head = [4]"),
        )
    ),
]


@pytest.mark.needs_train
@pytest.mark.parametrize(("frontend", "family", "rest"), CASES)
def test_a_small_network_tells_classes_apart_and_its_forward_is_the_graph(tmp_path, frontend, family, rest):
    s, events = read(frontend, family, rest), replace(sample(3000, 2000), shape=(19, 3))
    module = plugins.find("frontends", frontend)
    module.train(s, events, tmp_path, None)
    graph = module.freeze(tmp_path, s, events)
    assert graph.outputs == ("score", "logits", "winner")
    assert columns.classes(graph) == ("background", "hard", "busy")
    assert columns.columns(graph) == dict.fromkeys(("logits", "winner"), ("background", "hard", "busy"))
    checks = result.selfcheck(tmp_path, graph)
    assert [c.node for c in checks] == ([] if frontend == "ptq" else ["logits"])
    for check in checks:  # sums over pairs of particles are not proved below 2**24 with 8 bits everywhere
        assert check.exact or family == "mixer"
        assert check.values >= 1000
        assert check.mismatches <= (0 if check.exact else FLIPPED * check.values)
    parts, weights = (events.background, *events.signals.values()), read_npz(tmp_path / "float.npz")
    right, right_float = [], []
    for i, part in enumerate(parts):
        found = interpret(graph, part.test)
        twin = classes.float_logits(weights, part.test, s)
        assert found["logits"].shape == twin.shape == (len(part.test), 3)
        assert np.array_equal(found["score"][:, 0], classes.margin(found["logits"]))
        assert np.array_equal(found["winner"], largest(found["logits"]))
        off = found["logits"] * 2.0 ** -bounds(graph)["logits"].frac - twin
        assert np.sqrt(np.mean(off**2)) < 0.5 * twin.std()
        right.append(found["winner"][:, i].mean())
        right_float.append(largest(twin)[:, i].mean())
    assert np.mean(right_float) > 0.45, "three classes, 1/3 by chance"
    assert np.mean(right) > np.mean(right_float) - 0.08
    assert read_json(tmp_path / "history.json")["score"]["rank_correlation"]["all"] > 0.8
