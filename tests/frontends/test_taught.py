"""Teachers that are kept say what they said when they taught."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.frontends.events import sample
from trigger_ml import plugins, spec
from trigger_ml.artifact import read_npz
from trigger_ml.errors import ArtifactError
from trigger_ml.frontends import taught, teacher

CALO = Path(__file__).parents[2] / "models" / "calo_student"

SPEC = """
name = "tiny"
[model]
family = "mlp"
frontend = "hgq"
score = "distilled"
hidden = [6]
latent = 2
bits = 6
[train]
float_epochs = 3
epochs = 1
fine_tune_epochs = 1
batch = 512
teachers = 2
"""


def test_weights_come_back_as_they_were_in_the_fewest_bytes() -> None:
    narrow, wide = np.array([1.5, -0.25]), np.array([0.1])
    arrays = taught.packed([{"a.kernel": narrow, "a.bias": wide}, {"a.kernel": 2 * narrow, "a.bias": wide}])
    assert arrays["0.a.kernel"].dtype == np.float32
    assert arrays["1.a.bias"].dtype == np.float64
    back = taught.unpacked(arrays)
    assert np.array_equal(back[1]["a.kernel"], 2 * narrow)
    assert np.array_equal(back[0]["a.bias"], wide)


@pytest.mark.needs_train
def test_a_training_keeps_its_teachers_and_their_score_is_what_it_learned(tmp_path: Path) -> None:
    pytest.importorskip("hgq", reason="needs the extra train")
    s, events = spec.parse(SPEC), sample()
    plugins.find("frontends", "hgq").train(s, events, tmp_path, None)
    score = taught.score(tmp_path, s, events)
    assert score is not None
    x = events.background.validation[:300]
    said = teacher.errors(taught.unpacked(read_npz(tmp_path / taught.FILE)), s, events, x)
    assert np.allclose(score(x), said, rtol=1e-12, atol=0)
    assert len(score(x[:0])) == 0
    assert len({key.split(".")[0] for key in read_npz(tmp_path / taught.FILE)}) == 2


def test_without_a_file_there_is_no_score_and_a_damaged_one_is_refused(tmp_path: Path) -> None:
    s, events = spec.parse(SPEC), sample()
    assert taught.score(tmp_path, s, events) is None
    (tmp_path / taught.FILE).write_bytes(b"nothing")
    with pytest.raises(ArtifactError):
        taught.score(tmp_path, s, events)


def test_the_teacher_of_calo_student_is_that_of_its_student() -> None:
    """Both were trained once; the float student's error on what its teacher says is small against the spread."""
    s = spec.load(CALO / "spec.toml")
    events = plugins.find("samples", "calo_regions").load("zero_bias", None)
    score = taught.score(CALO, s, events)
    assert score is not None
    x = np.concatenate([events.background.validation[:400], events.signals["ttbar"].validation[:400]])
    family = plugins.find("families", "conv")
    twin = family.float_score(read_npz(CALO / "float.npz"), x, s)
    wanted = score(x)
    slope, offset = np.polyfit(wanted, twin, 1)
    assert slope > 0
    assert np.std(twin - slope * wanted - offset) < 0.5 * np.std(twin)
