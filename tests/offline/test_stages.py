"""Two stages: each learns what it should, numbers follow from the seed, sources without stages are refused."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from rich.console import Console

from trigger_ml.errors import SpecError
from trigger_ml.offline.sources import gaussians, mixture
from trigger_ml.offline.sources.source import Events, Source, drawn
from trigger_ml.offline.spec import parse
from trigger_ml.offline.tasks import flow as task
from trigger_ml.offline.tasks import stage
from trigger_ml.offline.training import Place

pytestmark = [pytest.mark.needs_train, pytest.mark.needs_onnx]

SPEC = """
name = "small"
title = "two stages"
[sample]
name = "gaussians"
events = {events}
[network]
hidden = 32
blocks = 1
[objective]
name = "flow_matching"
leading = true
[sampler]
steps = 8
[train]
epochs = {epochs}
batch = 256
learning_rate = 5e-3
"""


@pytest.fixture(scope="module", autouse=True)
def _framework():
    from trigger_ml.frontends import session

    session.start()


def _chain(rng: np.random.Generator, count: int) -> Events:
    """Second number: the first's double plus a little; both relative to what is given."""
    given = rng.normal(size=(count, 1))
    first = 0.5 * given + 0.5 * rng.normal(size=(count, 1))
    second = np.concatenate([-first + 0.3 * rng.normal(size=(count, 1)), given * first], axis=1)
    return Events(np.concatenate([first, second], axis=1).astype(np.float32), given.astype(np.float32))


def _correlations(truth, test: Events, other: Events, seed: int):
    from trigger_ml.offline.metrics import Number

    wanted = np.corrcoef(np.concatenate([test.truth, test.reco], axis=1).T)
    found = np.corrcoef(np.concatenate([truth, test.reco], axis=1).T)
    return {"worst correlation": Number(float(np.abs(found - wanted).max()), 0.02)}


CHAIN = Source(drawn(_chain, _chain), measures=_correlations, leading=1)


def _small(monkeypatch):
    """Fewer rows for the proof: it is the rows' business, and tested with them."""
    monkeypatch.setattr(task.measured, "COMPARED", 2000)
    monkeypatch.setattr(task.measured, "SAMPLED", 500)


def test_both_stages_learn_and_depend_on_each_other(tmp_path, monkeypatch):
    _small(monkeypatch)
    place = Place(parse(SPEC.format(events=6000, epochs=8)), tmp_path, "none", None)
    found = task.flow(place, CHAIN, "none")
    assert found.metrics["worst correlation"].value < 0.15
    assert found.metrics["wasserstein"].value < 0.12
    assert found.differing == ()
    assert {"none_first.float.onnx", "none_second.float.onnx"} < {p.name for p in tmp_path.iterdir()}


def test_numbers_follow_from_the_seed_and_low_bits_are_smaller(tmp_path, monkeypatch):
    _small(monkeypatch)
    row = parse(SPEC.format(events=500, epochs=1))
    places = [Place(row, tmp_path / str(i), "all", Console(quiet=True)) for i in range(2)]
    one, again = (task.flow(place, CHAIN, "all") for place in places)
    assert one.metrics == again.metrics
    assert one.figures == again.figures
    assert one.differing == ()
    plain = task.flow(dataclasses.replace(places[0], name="none"), CHAIN, "none")
    last = next(reversed(one.kernel_bytes))
    assert one.kernel_bytes["float"] == plain.kernel_bytes["float"] > 6 * one.kernel_bytes[last]
    assert one.bit_operations < plain.bit_operations / 32


def test_events_and_epochs_of_the_training_are_the_specs_and_all_events_are_judged(tmp_path, monkeypatch):
    _small(monkeypatch)
    lengths, epochs = [], []
    whole = stage.trained

    def counted(place, network, loss, data, scaled):
        epochs.append(place.row.train.epochs)
        lengths.extend(len(array) for array in (*data, *scaled.values()))
        return whole(place, network, loss, data, scaled)

    monkeypatch.setattr(stage, "trained", counted)
    judged = []
    source = Source(drawn(_chain, _chain), measures=lambda truth, *_: judged.append(len(truth)) or {}, leading=1)
    row = parse(SPEC.format(events=500, epochs=1) + "events = 200\nleading_epochs = 3\n")
    task.flow(Place(row, tmp_path, "none", None), source, "none")
    assert lengths == [200] * 6
    assert epochs == [3, 1]
    assert judged == [500]


@pytest.mark.parametrize("source", [gaussians, mixture], ids=["gaussians", "mixture"])
def test_a_source_without_stages_is_refused(source, tmp_path):
    place = Place(parse(SPEC.format(events=500, epochs=1)), tmp_path, "none", None)
    with pytest.raises(SpecError, match="no leading numbers"):
        task.flow(place, source.source(), "none")
