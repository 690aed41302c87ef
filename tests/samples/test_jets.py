"""Sets of jets: read back as written, refused when malformed, made the same whatever happens."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.samples.test_jet_views import stored
from trigger_ml import artifact, plugins
from trigger_ml.errors import SampleError
from trigger_ml.samples import jet_layout, jet_maker, jet_processes, jets
from trigger_ml.samples.jet_maker import Settings
from trigger_ml.samples.jet_views import VIEWS

h5py = pytest.importorskip("h5py")

PARTS = ("train", "validation", "test")
CLASSES = {"q": stored(1), "g": stored(2), "W": stored(3), "Z": stored(4), "top": stored(5)}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    out = tmp_path / "jets_1tev.h5"
    jet_layout.write(out, "jets_1tev", CLASSES, {"seed": 1})
    return out


def test_found_as_a_plugin() -> None:
    assert plugins.find("samples", "jets") is jets


def slowly(variant: str) -> Any:
    """A case of its own, slow where axes are looked for in many jets."""
    slow = variant.endswith("tau8") and variant != "qg_1tev_tau8"
    return pytest.param(variant, marks=[pytest.mark.slow] if slow else [])


@pytest.mark.parametrize("variant", [slowly(each) for each in jets.VARIANTS])
def test_every_variant_of_the_committed_sets(variant: str) -> None:
    sample = jets.load(variant)
    assert not sample.gives_rates
    assert sample.variant == variant
    for split in (sample.background, *sample.signals.values()):
        sizes = [len(getattr(split, part)) for part in PARTS]
        np.testing.assert_allclose(np.array(sizes) / sum(sizes), (0.6, 0.1, 0.3))
        for part in PARTS:
            x = getattr(split, part)
            assert x.shape[1] == len(sample.features)
            lo, hi = (np.array([getattr(f, end) for f in sample.features]) for end in ("lo", "hi"))
            assert np.all((x >= lo) & (x <= hi)), (variant, part)
    assert len(sample.source) == len(sample.background.test)


def test_no_collision_gives_jets_to_two_parts_of_the_committed_sets() -> None:
    for name, use in jets.USES.items():
        path = jets.default_path(f"{name}_features")
        for kind, found in jet_layout.read(path, use.jets, (*use.background, *use.signals)).items():
            train, validation, test = (set(e.tolist()) for e in np.split(found.event, np.cumsum(found.parts)[:-1]))
            assert not train & test, kind
            assert not train & validation, kind
            assert not validation & test, kind


@pytest.mark.parametrize("view", tuple(VIEWS))
def test_what_is_written_is_read_back(path: Path, view: str) -> None:
    sample = jets.load(f"jets_1tev_{view}", path)
    for name in ("W", "Z", "top"):
        for part, rows in zip(PARTS, (slice(0, 6), slice(6, 7), slice(7, 10)), strict=True):
            assert np.array_equal(getattr(sample.signals[name], part), VIEWS[view].of(CLASSES[name])[rows])
    quarks, gluons = (VIEWS[view].of(CLASSES[name])[7:] for name in ("q", "g"))
    assert np.array_equal(sample.background.test[0::2], quarks)
    assert np.array_equal(sample.background.test[1::2], gluons)
    assert sample.source.tolist() == [14, 15, 16, 17, 18, 19]


def test_the_same_jets_with_other_roles(path: Path) -> None:
    sample = jets.load("qg_1tev_features", path)
    assert list(sample.signals) == ["g"]
    assert np.array_equal(sample.background.train, CLASSES["q"].features[:6])
    assert np.array_equal(sample.signals["g"].train, CLASSES["g"].features[:6])
    assert sample.digest != jets.load("jets_1tev_features", path).digest
    assert sample.digest != jets.load("qg_1tev_tau", path).digest


def test_every_class_by_itself(path: Path) -> None:
    sample = jets.load("five_1tev_features", path)
    assert list(sample.signals) == ["g", "W", "Z", "top"]
    assert np.array_equal(sample.background.test, CLASSES["q"].features[7:])
    for name, split in sample.signals.items():
        assert np.array_equal(split.validation, CLASSES[name].features[6:7])
    assert len(sample.source) == len(sample.background.test)
    assert sample.digest not in (jets.load(f"{use}_features", path).digest for use in ("jets_1tev", "qg_1tev"))


def test_the_bytes_depend_on_the_content_only(path: Path, tmp_path: Path) -> None:
    jet_layout.write(tmp_path / "again.h5", "jets_1tev", CLASSES, {"seed": 1})
    assert (tmp_path / "again.h5").read_bytes() == path.read_bytes()
    assert jet_layout.provenance(path) == {"seed": 1}


def _replaced(name: str, change: Callable[[np.ndarray], np.ndarray]) -> Callable[[Path], None]:
    def spoil(path: Path) -> None:
        with h5py.File(path, "r+") as file:
            values = change(file[name][...])
            del file[name]
            file[name] = values

    return spoil


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:2000])


def _attribute(name: str, value: object, group: str = "/") -> Callable[[Path], None]:
    def spoil(path: Path) -> None:
        with h5py.File(path, "r+") as file:
            file[group].attrs[name] = value

    return spoil


def _without(name: str) -> Callable[[Path], None]:
    def spoil(path: Path) -> None:
        with h5py.File(path, "r+") as file:
            del file[name]

    return spoil


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (Path.unlink, "is missing"),
        (_cut, "not a whole HDF5 sample"),
        (_attribute("layout", "other"), "has the layout other"),
        (_attribute("set", "top_600"), 'holds the set "top_600"'),
        (_attribute("parts", [1, 2, 3], "q"), "parts of"),
        (_without("g"), "no jets of the class g"),
        (_without("q/taus"), "q/taus is missing"),
        (_without("q/event"), "not a whole HDF5 sample"),
        (_replaced("q/jet", lambda v: v.astype(np.int32)), "q/jet is int32"),
        (_replaced("q/features", lambda v: v[:, 1:]), "q/features is int16"),
        (_replaced("q/features", lambda v: v + np.int16(1) * 2000), "leaves its range in zlogz"),
        (_replaced("q/constituents", lambda v: v[:, ::-1]), "range|falling"),
        (_replaced("q/constituents", lambda v: np.where(np.arange(96) % 3 == 1, 128, v).astype(np.int16)), "range"),
    ],
)
def test_a_malformed_file_is_refused_in_one_sentence(path: Path, spoil: Callable[[Path], None], sentence: str) -> None:
    spoil(path)
    with pytest.raises(SampleError, match=sentence) as caught:
        jets.load("jets_1tev_features", path)
    assert "\n" not in str(caught.value)


def test_an_unknown_variant_names_those_that_are_there() -> None:
    with pytest.raises(SampleError, match="available are top_600_constituents"):
        jets.load("top_600")


@pytest.mark.parametrize(
    ("change", "sentence"),
    [({"name": "top"}, "available are top_600"), ({"jets": 3}, "10 to 1000"), ({"jets": 1500}, "whole thousands"),
     ({"seed": -1}, "not negative")],
)  # fmt: skip
def test_impossible_settings_are_refused_before_anything_is_made(
    tmp_path: Path, change: dict[str, object], sentence: str
) -> None:
    with pytest.raises(SampleError, match=sentence):
        jet_maker.make(dataclasses.replace(Settings("jets_1tev", 10, 1), **change), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_pileup_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SampleError, match="jets are made without"):
        jets.make("top_600_tau", tmp_path / "out", pileup=20.0)
    assert not (tmp_path / "out").exists()


def test_a_larger_sample_begins_with_the_smaller_ones_chunks(tmp_path: Path) -> None:
    small, large = (jet_maker.jobs(Settings("top_600", n, 1), tmp_path, "jets") for n in (2000, 5000))
    assert [job.path for job in small] == [job.path for job in large[: len(small)]]
    seeds = {int(job.generator().integers(2**62)) for job in large}
    assert len(seeds) == len(large) == 10


@pytest.mark.needs_pythia
def test_the_same_settings_give_the_same_jets_whatever_happens(tmp_path: Path) -> None:
    settings = Settings("top_600", 10, 3)
    told: list[tuple[str, int, int]] = []
    once = jet_maker.make(settings, tmp_path / "once", 1, lambda *step: told.append(step))
    assert told == [(stage, done, 2) for stage in ("jets", "features") for done in range(3)]
    # Again, from what a killed run left: one chunk whole, one cut short.
    first, second = jet_maker.jobs(settings, tmp_path / "again", "jets")
    for job in (first, second):
        source = tmp_path / "once" / job.path.relative_to(tmp_path / "again")
        artifact.atomic_write(job.path, source.read_bytes())
    second.path.write_bytes(second.path.read_bytes()[:100])
    assert jet_maker.make(settings, tmp_path / "again").read_bytes() == once.read_bytes()
    sample = jets.load("top_600_constituents", once)
    assert len(sample.background.train) == 6
    pt = sample.background.train.reshape(-1, 32, 3)[:, :, 0].sum(1) / 2
    assert np.all((pt > 400) & (pt < 700))


@pytest.mark.needs_pythia
def test_top_jets_hold_their_three_quarks() -> None:
    from trigger_ml.samples import jet_making

    rng = np.random.default_rng(2)
    made = jet_making.make_jets(jet_processes.SETS["top_600"], "top", (10, 5, 5), rng)
    pt, eta, _, mass = made["jet"].T
    assert np.all((pt > 550) & (pt < 650) & (np.abs(eta) < 2))
    assert 140 < np.median(mass) < 210
    assert np.all(np.diff(made["constituents"][..., 0], axis=1) <= 0)
    parts = np.split(made["event"], [10, 15])
    assert not set(parts[0]) & set(parts[1])
    assert not set(parts[1]) & set(parts[2])
    total = made["constituents"][..., 0].sum(1)
    np.testing.assert_allclose(total, pt, rtol=0.1)
