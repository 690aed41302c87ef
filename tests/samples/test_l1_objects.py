"""The sample file: what is written is read back, and every malformed file is refused in one sentence."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from trigger_ml import plugins
from trigger_ml.errors import SampleError
from trigger_ml.samples import l1_objects, layout
from trigger_ml.samples.features import FEATURES, INPUT_FORMAT, KINDS, OBJECTS, encode
from trigger_ml.samples.processes import SIGNALS

h5py = pytest.importorskip("h5py")

PARTS = ("train", "validation", "test")


def events(rng: np.random.Generator, count: int) -> NDArray[np.int16]:
    pt = rng.exponential(20, (count, OBJECTS)) * (rng.random((count, OBJECTS)) < 0.6)
    return encode(np.stack([pt, rng.normal(0, 1.5, pt.shape), rng.uniform(-4, 4, pt.shape)], -1) * [1, 1, 1])


def arrays() -> dict[str, NDArray]:
    rng = np.random.default_rng(3)
    content = {f"background/{part}": events(rng, n) for part, n in zip(PARTS, (40, 10, 50), strict=True)}
    content["background/source"] = rng.integers(-1, 9, 50).astype(np.int32)
    for name in SIGNALS:
        content |= {f"signals/{name}/{part}": events(rng, 5) for part in PARTS}
    for array in content.values():
        if array.ndim == 2:
            array[:, 1] = 0  # the missing transverse energy has no eta
    return content


@pytest.fixture
def path(tmp_path: Path) -> Path:
    out = tmp_path / "sample.h5"
    layout.write(out, "zero_bias", 20.0, arrays(), {"seed": 1})
    return out


def test_found_as_a_plugin() -> None:
    assert plugins.find("samples", "l1_objects") is l1_objects


def test_what_is_written_is_read_back(path: Path) -> None:
    content, sample = arrays(), l1_objects.load("zero_bias", path)
    for part in PARTS:
        assert np.array_equal(getattr(sample.background, part), content[f"background/{part}"])
        for name in SIGNALS:
            assert np.array_equal(getattr(sample.signals[name], part), content[f"signals/{name}/{part}"])
    assert sample.gives_rates
    assert sample.pileup == 20.0
    assert layout.provenance(path) == {"seed": 1}


def test_events_with_a_collision_of_their_own_get_their_own_source(tmp_path: Path) -> None:
    path, content = tmp_path / "sample.h5", arrays()
    layout.write(path, "adc2021_like", 20.0, content, {"seed": 1})
    stored, source = content["background/source"], l1_objects.load("adc2021_like", path).source
    shared = stored >= 0
    assert np.array_equal(source[shared], stored[shared])
    own = source[~shared]
    assert len(np.unique(own)) == len(own) > 0
    assert not np.isin(own, source[shared]).any()


def test_zero_bias_events_that_share_a_muon_share_their_source(tmp_path: Path) -> None:
    path, content = tmp_path / "sample.h5", arrays()
    test, first = content["background/test"], 3 * 5  # the leading muon's columns
    test[:, first : first + 12] = 0
    test[4, first : first + 3] = [13, 80, 7]
    test[9, first : first + 3] = [13, -80, 500]  # the same, rotated and mirrored
    test[11, first : first + 3] = [13, 81, 7]
    layout.write(path, "zero_bias", 20.0, content, {"seed": 1})
    source = l1_objects.load("zero_bias", path).source
    assert source[4] == source[9]
    assert np.count_nonzero(source == source[4]) == 2
    assert np.count_nonzero(source == source[11]) == 1
    others = np.setdiff1d(np.flatnonzero(content["background/source"] >= 0), [4, 9, 11])
    assert np.array_equal(source[others], content["background/source"][others])


def test_the_digest_is_of_the_content(path: Path, tmp_path: Path) -> None:
    again, other = tmp_path / "again.h5", tmp_path / "other.h5"
    layout.write(again, "zero_bias", 20.0, arrays(), {"seed": 2})
    changed = arrays()
    changed["background/test"][7, 0] += 1
    layout.write(other, "zero_bias", 20.0, changed, {"seed": 1})
    digest = l1_objects.load("zero_bias", path).digest
    assert l1_objects.load("zero_bias", again).digest == digest
    assert l1_objects.load("zero_bias", other).digest != digest


def test_writing_twice_gives_the_same_bytes(path: Path, tmp_path: Path) -> None:
    again = tmp_path / "again.h5"
    layout.write(again, "zero_bias", 20.0, arrays(), {"seed": 1})
    assert again.read_bytes() == path.read_bytes()
    assert not list(tmp_path.glob(".*"))


def replace(name: str, value: NDArray) -> Callable[[Path], None]:
    def damage(path: Path) -> None:
        with h5py.File(path, "r+") as file:
            del file[name]
            file[name] = value

    return damage


def change(column: str, value: int) -> Callable[[Path], None]:
    index = [feature.name for feature in FEATURES].index(column)

    def damage(path: Path) -> None:
        with h5py.File(path, "r+") as file:
            file["background/test"][3, index] = value

    return damage


def attribute(name: str, value: object) -> Callable[[Path], None]:
    def damage(path: Path) -> None:
        with h5py.File(path, "r+") as file:
            file.attrs[name] = value

    return damage


def remove(name: str) -> Callable[[Path], None]:
    def damage(path: Path) -> None:
        with h5py.File(path, "r+") as file:
            del file[name]

    return damage


def empty_slot_with_eta(path: Path) -> None:
    with h5py.File(path, "r+") as file:
        file["background/test"][3, 3:6] = [0, 4, 0]


def nonsense_pileup(path: Path) -> None:
    with h5py.File(path, "r+") as file:
        file.attrs["pileup"] = float("nan")


def no_pileup(path: Path) -> None:
    with h5py.File(path, "r+") as file:
        del file.attrs["pileup"]


MALFORMED = {
    "missing": (lambda path: path.unlink(), "is missing"),
    "a folder": (lambda path: (path.unlink(), path.mkdir()), "is missing"),
    "empty file": (lambda path: path.write_bytes(b""), "not a whole HDF5 sample"),
    "not HDF5": (lambda path: path.write_bytes(b"pt,eta,phi\n" * 400), "not a whole HDF5 sample"),
    "truncated": (lambda path: path.write_bytes(path.read_bytes()[:-900]), "not a whole HDF5 sample"),
    "half": (lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]), "not a whole HDF5 sample"),
    "other layout": (attribute("layout", "jets"), "has the layout jets"),
    "future version": (attribute("version", 2), "has the layout trigger_ml.l1_objects 2"),
    "other variant": (attribute("variant", "adc2021_like"), 'holds the variant "adc2021_like"'),
    "no pileup": (no_pileup, "not a whole HDF5 sample"),
    "a pileup that is no number": (nonsense_pileup, "the attribute pileup is nan: it must be the mean"),
    "no signals": (remove("signals"), "has no signals"),
    "no test part": (remove("background/test"), "no dataset background/test"),
    "no part of a signal": (remove("signals/A_to_4l/train"), "no dataset signals/A_to_4l/train"),
    "no source": (remove("background/source"), "no dataset background/source"),
    "short source": (replace("background/source", np.zeros(49, np.int32)), "differ in length"),
    "floats": (replace("background/test", np.zeros((50, 57))), "is float64, not int16"),
    "NaN": (replace("background/test", np.full((50, 57), np.nan)), "is float64, not int16"),
    "wide integers": (replace("background/test", np.zeros((50, 57), np.int64)), "is int64, not int16"),
    "56 columns": (replace("background/test", np.zeros((50, 56), np.int16)), r"has the shape \(50, 56\)"),
    "objects, not columns": (replace("background/test", np.zeros((50, 19, 3), np.int16)), r"shape \(50, 19, 3\)"),
    "no event": (replace("background/train", np.zeros((0, 57), np.int16)), r"has the shape \(0, 57\)"),
    "negative pT": (change("jet2_pt", -1), "jet2_pt is -1, allowed 0...2047"),
    "pT beyond its field": (change("eg1_pt", 512), "eg1_pt is 512, allowed 0...511"),
    "eta beyond the detector": (change("jet0_eta", 116), "jet0_eta is 116, allowed -115...115"),
    "phi of a full turn": (change("met_phi", 144), "met_phi is 144, allowed 0...143"),
    "signed phi": (change("mu3_phi", -1), "mu3_phi is -1, allowed 0...575"),
    "eta of the missing energy": (change("met_eta", 1), "met_eta is 1, allowed 0...0"),
    "eta in an empty slot": (empty_slot_with_eta, "an empty slot"),
}


@pytest.mark.parametrize("case", MALFORMED)
def test_a_malformed_file_is_refused_in_one_sentence(path: Path, case: str) -> None:
    damage, sentence = MALFORMED[case]
    damage(path)
    with pytest.raises(SampleError, match=sentence) as caught:
        l1_objects.load("zero_bias", path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_unknown_variant_lists_the_known_ones() -> None:
    with pytest.raises(SampleError, match="available are zero_bias, adc2021_like"):
        l1_objects.load("minbias")


def test_the_input_format_is_the_narrowest_that_holds_every_feature() -> None:
    assert len(FEATURES) == 57
    holding = INPUT_FORMAT.holding(min(f.lo for f in FEATURES), max(f.hi for f in FEATURES), 0)
    assert holding == INPUT_FORMAT


@pytest.mark.parametrize("variant", l1_objects.VARIANTS)
def test_committed_sample(variant: str) -> None:
    path = l1_objects.default_path(variant)
    if not path.exists():
        pytest.skip(f"{path.name} is not in this checkout")
    sample = l1_objects.load(variant)
    background, signal = {"zero_bias": (400_000, 20_000), "adc2021_like": (100_000, 5_000)}[variant]
    assert [len(getattr(sample.background, part)) for part in PARTS] == [
        background * 4 // 10,
        background // 10,
        background // 2,
    ]
    assert set(sample.signals) == set(SIGNALS)
    for split in sample.signals.values():
        assert [len(getattr(split, part)) for part in PARTS] == [signal // 10, signal // 10, signal * 8 // 10]
    for split in (sample.background, *sample.signals.values()):
        test = split.test
        every = np.concatenate([split.train, split.validation, test])
        busy = every[(every[:, 3::3] > 0).sum(1) >= 2]
        assert len(np.unique(busy, axis=0)) == len(busy), "no event with two objects comes twice, in any part"
        pt = test.reshape(len(test), OBJECTS, 3)[..., 0].astype(int)
        edges = np.cumsum([0, *(kind.slots for kind in KINDS)])
        for lo, hi in zip(edges[:-1], edges[1:], strict=True):
            assert np.all(np.diff(pt[:, lo:hi]) <= 0), "each kind falls in pT"


def test_committed_samples_are_small() -> None:
    sizes = [
        l1_objects.default_path(v).stat().st_size for v in l1_objects.VARIANTS if l1_objects.default_path(v).exists()
    ]
    assert sum(sizes) <= 22_000_000
