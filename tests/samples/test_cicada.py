"""The layout of CICADA's files: what is written is read back, malformed files are refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from trigger_ml.errors import SampleError
from trigger_ml.samples import cicada
from trigger_ml.samples.regions import FEATURES

h5py = pytest.importorskip("h5py")

EVENTS = np.random.default_rng(2).integers(0, 1024, (30, 252)).astype(np.int16)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    out = tmp_path / "events.h5"
    cicada.write(out, EVENTS)
    return out


@settings(max_examples=30)
@given(
    hnp.arrays(np.int16, st.tuples(st.integers(1, 4), st.just(18), st.just(14)), elements=st.integers(0, 1023)),
    st.sampled_from(["float32", "uint16"]),
)
def test_what_is_written_is_read_back(tmp_path_factory: pytest.TempPathFactory, events: np.ndarray, dtype: str) -> None:
    path = tmp_path_factory.mktemp("cicada") / "events.h5"
    cicada.write(path, events, dtype)
    with h5py.File(path) as file:
        assert (file["CaloRegions"].dtype, file["CaloRegions"].shape) == (np.dtype(dtype), events.shape)
    assert np.array_equal(cicada.read(path), events.reshape(len(events), 252))


def test_what_its_own_programs_do_with_the_file(path: Path) -> None:
    """Its generator takes the dataset as float32 and reshapes it: phi and eta must be where it looks for them."""
    with h5py.File(path) as file:
        theirs = np.reshape(file["CaloRegions"][:].astype("float32"), (-1, 18, 14, 1))
    for feature, column in (("region_p0_e13", 13), ("region_p1_e0", 14), ("region_p17_e13", 251)):
        assert FEATURES[column].name == feature
    assert np.array_equal(theirs[:, 1, 0, 0], EVENTS[:, 14])
    assert np.array_equal(theirs[:, 17, 13, 0], EVENTS[:, 251])


@pytest.mark.parametrize("shape", [(30, 18, 14, 1), (30, 252), (30, 18, 14)])
@pytest.mark.parametrize("kind", ["float64", "float32", "int32", "uint16"])
def test_shapes_and_types_of_other_programs(tmp_path: Path, shape: tuple[int, ...], kind: str) -> None:
    out = tmp_path / "theirs.h5"
    with h5py.File(out, "w") as file:
        file["CaloRegions"] = EVENTS.reshape(shape).astype(kind)
        file["AcceptanceFlag"] = np.ones(30, bool)
    assert np.array_equal(cicada.read(out), EVENTS)
    assert np.array_equal(cicada.read(out, 5, 9), EVENTS[5:9])


def test_reading_in_blocks_changes_nothing(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cicada, "_BLOCK", 7)
    assert np.array_equal(cicada.read(path, 3), EVENTS[3:])


def put(event: int, phi: int, eta: int, value: float) -> Callable[[Path], None]:
    def damage(path: Path) -> None:
        with h5py.File(path, "r+") as file:
            file["CaloRegions"][event, phi, eta] = value

    return damage


def replace(value: object) -> Callable[[Path], None]:
    def damage(path: Path) -> None:
        with h5py.File(path, "r+") as file:
            del file["CaloRegions"]
            if value is not None:
                file["CaloRegions"] = value

    return damage


MALFORMED = {
    "missing": (lambda path: path.unlink(), "is missing"),
    "not HDF5": (lambda path: path.write_bytes(b"PK" * 5000), "not a whole HDF5"),
    "truncated": (lambda path: path.write_bytes(path.read_bytes()[:-700]), "not a whole HDF5"),
    "no regions": (replace(None), "no dataset CaloRegions"),
    "text": (replace(np.full((5, 18, 14), b"1")), "not numbers"),
    "14 in phi": (replace(np.zeros((5, 14, 18))), r"has the shape \(5, 14, 18\)"),
    "no event": (replace(np.zeros((0, 18, 14))), "holds no event"),
    "a number": (replace(np.float64(3)), r"has the shape \(\)"),
    "NaN": (put(4, 2, 3, np.nan), "event 4, region phi 2 eta 3 is nan"),
    "negative": (put(1, 0, 13, -1), "event 1, region phi 0 eta 13 is -1"),
    "over ten bits": (put(7, 17, 0, 1024), "event 7, region phi 17 eta 0 is 1024"),
    "in GeV": (put(7, 17, 0, 10.5), "is 10.5, not a whole number 0...1023"),
    "infinite": (put(0, 0, 0, np.inf), "is inf"),
}


@pytest.mark.parametrize("case", MALFORMED)
def test_a_malformed_file_is_refused_in_one_sentence(path: Path, case: str) -> None:
    damage, sentence = MALFORMED[case]
    damage(path)
    with pytest.raises(SampleError, match=sentence) as caught:
        cicada.read(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("events", "dtype", "sentence"),
    [
        (np.zeros((2, 251), int), "float32", r"have the shape \(2, 251\)"),
        (np.full((2, 252), 1024), "uint16", "is 1024"),
        (np.full((2, 252), -1), "uint16", "is -1"),
        (np.full((2, 252), 0.5), "float32", "is 0.5"),
        (np.zeros((2, 252), int), "int8", "ask for float32 or uint16"),
    ],
)
def test_nothing_impossible_is_written(tmp_path: Path, events: np.ndarray, dtype: str, sentence: str) -> None:
    out = tmp_path / "out.h5"
    with pytest.raises(SampleError, match=sentence):
        cicada.write(out, events, dtype)
    assert not list(tmp_path.iterdir())


def test_a_range_outside_the_file_is_refused(path: Path) -> None:
    with pytest.raises(SampleError, match="has 30 events, none between 30 and 40"):
        cicada.read(path, 30, 40)
