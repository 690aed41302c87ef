"""The public ADC2021 layout: files written in it are read, malformed ones refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from trigger_ml.errors import SampleError
from trigger_ml.samples import adc2021
from trigger_ml.samples.features import FEATURES, OBJECTS, encode

h5py = pytest.importorskip("h5py")


def objects(events: int = 30) -> np.ndarray:
    rng = np.random.default_rng(8)
    out = np.stack(
        [
            rng.exponential(40, (events, OBJECTS)),
            rng.uniform(-2.4, 2.4, (events, OBJECTS)),
            rng.uniform(-np.pi, np.pi, (events, OBJECTS)),
        ],
        -1,
    )
    for lo, hi in ((1, 5), (5, 9), (9, 19)):
        out[:, lo:hi, 0] = -np.sort(-out[:, lo:hi, 0], 1)
        out[:, lo:hi] *= np.arange(hi - lo)[:, None] < rng.integers(0, hi - lo + 1, (events, 1, 1))
    out[:, 0, 1] = 0
    return out


@pytest.fixture
def path(tmp_path: Path) -> Path:
    out = tmp_path / "events.h5"
    adc2021.write(out, objects())
    return out


def test_what_is_written_is_read_back(path: Path) -> None:
    assert np.array_equal(adc2021.read(path), encode(objects()))


def test_a_range_of_events(path: Path) -> None:
    assert np.array_equal(adc2021.read(path, 5, 9), encode(objects())[5:9])
    assert np.array_equal(adc2021.read(path, 25), encode(objects())[25:])


def test_single_precision_and_the_order_within_a_kind(tmp_path: Path, path: Path) -> None:
    shuffled = tmp_path / "shuffled.h5"
    with h5py.File(path) as old, h5py.File(shuffled, "w") as new:
        rows = old["Particles"][...]
        rows[:, 9:19] = rows[:, 9:19][:, ::-1]
        new["Particles"] = rows.astype(np.float32)
        new["Particles_Names"], new["Particles_Classes"] = old["Particles_Names"][...], old["Particles_Classes"][...]
    single = objects().astype(np.float32)
    assert np.array_equal(adc2021.read(shuffled), encode(single))


def test_worked_by_hand(tmp_path: Path) -> None:
    event = np.zeros((1, OBJECTS, 3))
    event[0, 0], event[0, 5] = [20.0, 0.0, 1.0], [30.0, -1.0, -1.0]
    out = tmp_path / "one.h5"
    adc2021.write(out, event)
    hw = dict(zip([f.name for f in FEATURES], adc2021.read(out)[0].tolist(), strict=True))
    filled = {name: value for name, value in hw.items() if value}
    assert filled == {"met_pt": 40, "met_phi": 23, "mu0_pt": 60, "mu0_eta": -92, "mu0_phi": 484}


def put(event: int, row: int, column: int, value: float) -> Callable[[Path], None]:
    def damage(path: Path) -> None:
        with h5py.File(path, "r+") as file:
            rows = file["Particles"][...]
            rows[event, row, column] = value
            file["Particles"][...] = rows

    return damage


def swap_kinds(path: Path) -> None:
    """Muons before electrons."""
    with h5py.File(path, "r+") as file:
        rows = file["Particles"][...]
        rows[:, 1:5, 3], rows[:, 5:9, 3] = 2, 3
        rows[:, 1:9, 0] += 1
        file["Particles"][...] = rows[:, [0, *range(5, 9), *range(1, 5), *range(9, 19)]]


def replace(name: str, value: object) -> Callable[[Path], None]:
    def damage(path: Path) -> None:
        with h5py.File(path, "r+") as file:
            del file[name]
            if value is not None:
                file[name] = value

    return damage


def group_instead(path: Path) -> None:
    with h5py.File(path, "r+") as file:
        del file["Particles"]
        file.create_group("Particles")


MALFORMED = {
    "missing": (lambda path: path.unlink(), "is missing"),
    "not HDF5": (lambda path: path.write_bytes(b"PK" * 5000), "not a whole HDF5 file"),
    "empty file": (lambda path: path.write_bytes(b""), "not a whole HDF5 file"),
    "truncated": (lambda path: path.write_bytes(path.read_bytes()[:-700]), "not a whole HDF5 file"),
    "no Particles": (replace("Particles", None), "no dataset Particles"),
    "no Particles_Names": (replace("Particles_Names", None), "no dataset Particles_Names"),
    "no Particles_Classes": (replace("Particles_Classes", None), "no dataset Particles_Classes"),
    "a group": (group_instead, "no dataset Particles"),
    "integers": (replace("Particles", np.zeros((5, 19, 4), int)), "is int64, not floating point"),
    "text": (replace("Particles", np.full((5, 19, 4), b"1")), "not floating point"),
    "flat": (replace("Particles", np.zeros((5, 76))), r"has the shape \(5, 76\)"),
    "18 objects": (replace("Particles", np.zeros((5, 18, 4))), r"has the shape \(5, 18, 4\)"),
    "no class": (replace("Particles", np.zeros((5, 19, 3))), r"has the shape \(5, 19, 3\)"),
    "no event": (replace("Particles", np.zeros((0, 19, 4))), "holds no event"),
    "NaN": (put(4, 0, 0, np.nan), r"event 4, row 0 \(met\) is NaN"),
    "infinite": (put(2, 9, 0, np.inf), r"event 2, row 9 \(jet\) is NaN or infinite"),
    "negative pT": (put(1, 0, 0, -3.0), r"event 1, row 0 \(met\) has a negative pT"),
    "eta out of any detector": (put(0, 0, 1, 99.0), r"abs\(eta\) above 10"),
    "phi in degrees": (put(0, 0, 2, 180.0), "phi outside"),
    "unknown class": (put(3, 2, 3, 5.0), r"event 3, row 2 \(eg\) has the class of another row"),
    "fractional class": (put(3, 2, 3, 2.5), "has the class of another row"),
    "no missing energy": (put(6, 0, 3, 0.0), r"event 6, row 0 \(met\) has the class of another row"),
    "eta of the missing energy": (put(6, 0, 1, 0.5), r"row 0 \(met\) has an eta"),
    "kinds in another order": (swap_kinds, "has the class of another row"),
}


@pytest.mark.parametrize("case", MALFORMED)
def test_a_malformed_file_is_refused_in_one_sentence(path: Path, case: str) -> None:
    damage, sentence = MALFORMED[case]
    damage(path)
    with pytest.raises(SampleError, match=sentence) as caught:
        adc2021.read(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_empty_row_with_content_is_refused(tmp_path: Path, path: Path) -> None:
    with h5py.File(path, "r+") as file:
        rows = file["Particles"][...]
        event, row = np.argwhere(rows[:, :, 3] == 0)[0]
        rows[event, row, 1] = 1.0
        file["Particles"][...] = rows
    with pytest.raises(SampleError, match=f"event {event}, row {row} .* isn't zero"):
        adc2021.read(path)


def test_a_range_outside_the_file_is_refused(path: Path) -> None:
    with pytest.raises(SampleError, match="has 30 events, none between 30 and 40"):
        adc2021.read(path, 30, 40)
