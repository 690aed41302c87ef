"""Each column by itself: areas worked by hand, the side that training events choose, and the table."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from tests.physics.sample import sample
from trigger_ml import cli
from trigger_ml.errors import SampleError, SpecError
from trigger_ml.physics import cuts
from trigger_ml.samples.dataset import Sample, Split


def two_columns() -> Sample:
    """One signal; the first column grows with it, the second falls; training and test parts differ."""
    background = Split(
        train=np.array([[1, 9], [2, 8], [3, 7]], np.int16),
        validation=np.zeros((0, 2), np.int16),
        test=np.array([[1, 5], [2, 6], [3, 7], [4, 8]], np.int16),
    )
    signal = Split(
        train=np.array([[5, 1], [6, 2]], np.int16),
        validation=np.zeros((0, 2), np.int16),
        test=np.array([[3, 9], [5, 5]], np.int16),
    )
    made = sample(60, 20)
    return dataclasses.replace(
        made, features=made.features[:2], background=background, signals={"s": signal}, source=np.arange(4)
    )


def test_areas_by_hand() -> None:
    one, other = cuts.alone(two_columns(), cuts.Window())
    # 3 beats 1 and 2 and ties with 3, 5 beats all: (2.5 + 4) / 8.
    assert (one.column, one.falling["s"], one.auc["s"].value) == ("met0_pt", False, 6.5 / 8)
    # Smaller is signal: 9 is below none, 5 below three and ties with one: 3.5 / 8, though the other side has more.
    assert (other.column, other.falling["s"], other.auc["s"].value) == ("met0_eta", True, 3.5 / 8)
    table = cuts.rows([dataclasses.asdict(one), dataclasses.asdict(other)])
    assert [line["AUC s"].split()[0] for line in table] == ["0.8125", "0.4375"]
    assert [line["AUC s"].split()[-1] for line in table] == ["above", "below"]


def test_a_window_by_hand() -> None:
    """Momenta of 1 to 2 GeV are integers 2 and 3, and a signal of one event is too few."""
    made = two_columns()
    assert cuts.Window("met0_pt", 1, 2).of(made, made.background.test).tolist() == [False, True, True, False]
    found = {each.column: each.auc["s"].value for each in cuts.alone(made, cuts.Window("met0_pt", 1.0, 99))}
    assert found["met0_pt"] == (1.5 + 3) / 6  # 3 beats 2 and ties with 3; 5 beats all
    with pytest.raises(SampleError, match=r"met0_pt:1:2 leaves 0 of s in the part train, .*two events: widen it"):
        cuts.alone(made, cuts.Window("met0_pt", 1, 2))
    with pytest.raises(SpecError, match="has no column 'mass'"):
        cuts.alone(made, cuts.Window("mass", 1, 2))


@pytest.mark.parametrize("window", [None, "mass_mmdt:65:105"])
def test_the_verb_shows_n2_of_boosted_jets(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, window: str | None
) -> None:
    """TE17: N2 alone on the committed jets, of all masses and about the W's."""
    monkeypatch.delenv("COLUMNS", raising=False)  # of the terminal that tests are started from
    assert cli.main(["sample", "models/jets_features", "--columns", *(["--within", window] if window else [])]) == 0
    lines = {line.split()[0]: line for line in capsys.readouterr().out.splitlines() if line.strip()}
    assert len(lines) == 17
    area, _, error, side = lines["n2_b1"].split()[1:5]
    assert side == "below"
    assert abs(float(area) - (0.802 if window else 0.668)) < float(error)


@pytest.mark.parametrize(
    "asked",
    [
        ["--within", "mass:1:2"],
        *(["--columns", "--within", w] for w in ("mass:1", ":1:2", "n2_b1:2:1", "n2_b1:1:1", "n2_b1:nan:9")),
        ["--columns", "--within", "mass_mmdt:1e8:1e9"],
    ],
)
def test_a_window_that_makes_no_sense(capsys: pytest.CaptureFixture[str], asked: list[str]) -> None:
    assert cli.main(["sample", "models/jets_features", *asked]) == 3
    said = capsys.readouterr().err
    assert "trigger-ml: " in said
    assert asked[0] == "--within" or "is not column:low:high" in said or "widen it" in said


def test_columns_of_events_that_are_not_there(capsys: pytest.CaptureFixture[str], tmp_path) -> None:
    assert cli.main(["sample", "models/jets_features", "--columns", "--make", str(tmp_path)]) == 3
    assert "give one of them" in capsys.readouterr().err
