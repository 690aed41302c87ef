"""A background for rates: written and read a block at a time, by content the same as if it were in memory."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from trigger_ml import artifact, cli
from trigger_ml.emulate import readers
from trigger_ml.emulate.events import Wanted
from trigger_ml.errors import SampleError, SpecError
from trigger_ml.samples import calo_regions, l1_objects, layout, maker, pileup, production, rate_background
from trigger_ml.samples.contents import OBJECTS, REGIONS, Contents
from trigger_ml.samples.features import encode
from trigger_ml.samples.maker import Settings

h5py = pytest.importorskip("h5py")

TINY = Settings("zero_bias", 4300, 0, 10, 2.0, 5)


def events(contents: Contents, count: int, seed: int = 1) -> np.ndarray:
    rng = np.random.default_rng(seed)
    if contents is REGIONS:
        return rng.integers(0, 200, (count, 252)).astype(np.int16)
    pt = rng.exponential(10, (count, 19)) * (rng.random((count, 19)) < 0.6)
    return encode(np.stack([pt, rng.normal(0, 1.5, pt.shape), rng.uniform(0, 6, pt.shape)], -1))


def blocks(x: np.ndarray, source: np.ndarray, size: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    return ((x[i : i + size], source[i : i + size]) for i in range(0, len(x), size))


@pytest.mark.parametrize("contents", [OBJECTS, REGIONS], ids=lambda c: c.sample)
@pytest.mark.parametrize("size", [7, 1000, 4096])
def test_however_it_is_cut_it_is_the_same_file(tmp_path: Path, contents: Contents, size: int) -> None:
    x, source = events(contents, 4096), np.random.default_rng(2).integers(-1, 50, 4096).astype(np.int32)
    whole, cut = tmp_path / "whole.h5", tmp_path / "cut.h5"
    digest = rate_background.write(whole, "zero_bias", 20.0, 4096, [(x, source)], {"seed": 1}, contents)
    rate_background.write(cut, "zero_bias", 20.0, 4096, blocks(x, source, size), {"seed": 1}, contents)
    assert cut.read_bytes() == whole.read_bytes()
    assert digest == artifact.digest_arrays({"background/all": x, "background/source": source})
    made = rate_background.read(cut)
    assert (made.contents, made.events, made.digest, made.pileup) == (contents, 4096, digest, 20.0)
    made.verify()
    read = list(made.blocks(size))
    assert {len(block) for block in read[:-1]} <= {size}
    assert np.array_equal(np.concatenate(read), x)
    assert np.array_equal(np.concatenate(list(made.blocks(size, 100, 3000))), x[100:3000])


@pytest.mark.parametrize("contents", [OBJECTS, REGIONS], ids=lambda c: c.sample)
def test_sources_are_those_that_a_sample_would_have(tmp_path: Path, contents: Contents) -> None:
    x, source = events(contents, 300), np.random.default_rng(2).integers(-1, 50, 300).astype(np.int32)
    path, sample = tmp_path / "background.h5", tmp_path / "sample.h5"
    rate_background.write(path, "zero_bias", 20.0, 300, [(x, source)], {}, contents)
    parts = {f"{group}/{part}": x for group in ("background", "signals/a") for part in layout.PARTS}
    layout.write(sample, "zero_bias", 20.0, parts | {"background/source": source}, {}, contents)
    assert np.array_equal(rate_background.read(path).source(), layout.read(sample, "zero_bias", contents).source)


@pytest.mark.parametrize("given", [0, 99, 101, 250])
def test_another_number_of_events_leaves_nothing(tmp_path: Path, given: int) -> None:
    x, source = events(REGIONS, 250), np.zeros(250, np.int32)
    with pytest.raises(SampleError, match=f"was to have 100 events, and {given} were given"):
        rate_background.write(
            tmp_path / "b.h5", "zero_bias", 20.0, 100, blocks(x[:given], source[:given], 64), {}, REGIONS
        )
    assert not list(tmp_path.iterdir())


def test_impossible_events_are_not_written(tmp_path: Path) -> None:
    x = events(REGIONS, 50)
    x[20, 3] = -1
    with pytest.raises(SampleError, match=r"event 20: region_p0_e3 is -1, allowed 0\.\.\.1023"):
        rate_background.write(tmp_path / "b.h5", "zero_bias", 20.0, 50, [(x, np.zeros(50))], {}, REGIONS)
    assert not list(tmp_path.iterdir())


def change(what: Callable[[object], None]) -> Callable[[Path], None]:
    def damage(path: Path) -> None:
        with h5py.File(path, "r+") as file:
            what(file)

    return damage


def drop(name: str) -> Callable[[Path], None]:
    return change(lambda file: file.__delitem__(name))


def attribute(name: str, value: object) -> Callable[[Path], None]:
    return change(lambda file: file.attrs.__setitem__(name, value))


def short_source(file: object) -> None:
    del file["background/source"]
    file["background/source"] = np.zeros(9, np.int32)


MALFORMED = {
    "missing": (lambda path: path.unlink(), "is missing"),
    "truncated": (lambda path: path.write_bytes(path.read_bytes()[:-200]), "not a whole HDF5"),
    "not HDF5": (lambda path: path.write_bytes(b"x" * 4000), "not a whole HDF5"),
    "other layout": (attribute("layout", "trigger_ml.jets"), "has the layout trigger_ml.jets 1"),
    "future version": (attribute("version", 2), "has the layout trigger_ml.l1_objects 2"),
    "unknown variant": (attribute("variant", "min_bias"), "not a whole HDF5"),
    "no events": (drop("background/all"), "has no dataset background/all"),
    "no source": (drop("background/source"), "has no dataset background/source"),
    "short source": (change(short_source), "differ in length"),
    "no digest": (change(lambda file: file.attrs.__delitem__("digest")), "not a whole HDF5"),
}


@pytest.mark.parametrize("case", MALFORMED)
def test_a_malformed_file_is_refused_in_one_sentence(tmp_path: Path, case: str) -> None:
    path = tmp_path / "b.h5"
    rate_background.write(path, "zero_bias", 20.0, 40, [(events(OBJECTS, 40), np.zeros(40))], {})
    damage, sentence = MALFORMED[case]
    damage(path)
    with pytest.raises(SampleError, match=sentence) as caught:
        rate_background.read(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_changed_event_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "b.h5"
    rate_background.write(path, "zero_bias", 20.0, 40, [(events(REGIONS, 40), np.zeros(40))], {}, REGIONS)
    with h5py.File(path, "r+") as file:
        file["background/all"][7, 7] = 999
    with pytest.raises(SampleError, match="was changed after it was written"):
        rate_background.read(path).verify()
    with h5py.File(path, "r+") as file:
        file["background/all"][7, 7] = 1024
    with pytest.raises(SampleError, match=r"region_p0_e7 is -?\d+, allowed 0\.\.\.1023"):
        list(rate_background.read(path).blocks())


def test_a_flipped_bit_in_the_file_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "b.h5"
    rate_background.write(path, "zero_bias", 20.0, 4000, [(events(REGIONS, 4000), np.zeros(4000))], {}, REGIONS)
    with h5py.File(path) as file:
        place = file["background/all"].id.get_chunk_info(1)
    content = bytearray(path.read_bytes())
    content[place.byte_offset + place.size // 2] ^= 16
    path.write_bytes(content)
    with pytest.raises(SampleError, match="not a whole HDF5"):
        list(rate_background.read(path).blocks())


def test_a_background_is_not_taken_for_a_sample(tmp_path: Path) -> None:
    path = tmp_path / "b.h5"
    rate_background.write(path, "zero_bias", 20.0, 40, [(events(OBJECTS, 40), np.zeros(40))], {})
    with pytest.raises(SampleError, match="is a background for rates, without parts to train on"):
        l1_objects.load("zero_bias", path)


@pytest.mark.parametrize(("contents", "reader"), [(OBJECTS, "l1_objects"), (REGIONS, "hdf5")])
def test_an_emulator_reads_it(tmp_path: Path, contents: Contents, reader: str) -> None:
    path, x = tmp_path / "b.h5", events(contents, 40)
    rate_background.write(path, "zero_bias", 20.0, 40, [(x, np.zeros(40))], {}, contents)
    source = readers.survey(path, Wanted(x.shape[1]))
    assert (source.reader, source.parts) == (reader, (("background/all", 40),))
    assert np.array_equal(np.concatenate([b.x for b in readers.find(reader).read(source, 0, 40)]), x)


# -- how it is made ---------------------------------------------------------------------------------------------------


def fill(folder: Path, settings: Settings) -> dict[str, np.ndarray]:
    """Finished chunks of random events and an empty pool; what they hold, in order."""
    made: dict[str, list[np.ndarray]] = {"hw": [], "regions": [], "source": []}
    for seed, job in enumerate(maker.event_jobs(settings, folder)):
        x = events(REGIONS, job.size, seed).astype(np.uint16).reshape(-1, 18, 14)
        chunk = {"hw": events(OBJECTS, job.size, seed), "regions": x, "source": np.full(job.size, seed, np.int32)}
        artifact.write_npz(job.path, {**chunk, "tried": np.array([0])})
        for name, array in chunk.items():
            made[name].append(array)
    for job in maker.pool_jobs(settings, folder):
        nothing = {name: np.zeros(0, np.float32) for name in ("em", "had", "mu_pt", "mu_eta", "mu_phi")}
        nothing |= {name: np.zeros(0, np.int32) for name in ("event", "mu_event")}
        artifact.write_npz(
            job.path, {**nothing, "cell": np.zeros(0, np.uint16), "generated": np.array([job.size, job.size + 1])}
        )
    return {name: np.concatenate(parts) for name, parts in made.items()}


def test_finished_chunks_become_two_files(tmp_path: Path) -> None:
    assert [job.size for job in maker.event_jobs(TINY, tmp_path)] == [2000, 2000, 300]
    content = fill(tmp_path, TINY)
    made = maker.make(TINY, tmp_path)
    assert {name: path.name for name, path in made.items()} == {
        "l1_objects": "zero_bias_background.h5",
        "calo_regions": "zero_bias_regions_background.h5",
    }
    objects, regions = (rate_background.read(made[name]) for name in ("l1_objects", "calo_regions"))
    objects.verify()
    assert np.array_equal(np.concatenate(list(objects.blocks())), content["hw"])
    assert np.array_equal(np.concatenate(list(regions.blocks())), content["regions"].reshape(-1, 252))
    assert np.array_equal(regions.source(), content["source"])
    about = layout.provenance(made["calo_regions"])
    assert about["settings_digest"] == TINY.digest()
    assert about["settings"]["signals"] == []


def test_what_is_there_is_not_made_again(tmp_path: Path) -> None:
    fill(tmp_path, TINY)
    told: list[tuple[str, int, int]] = []
    first = {k: v.read_bytes() for k, v in maker.make(TINY, tmp_path, 1, lambda *step: told.append(step)).items()}
    assert told == [("pool", 1, 1), ("events", 3, 3)]
    assert {k: v.read_bytes() for k, v in maker.make(TINY, tmp_path).items()} == first


def test_settings_of_a_background() -> None:
    assert production.background("zero_bias", 2_000_000) == Settings("zero_bias", 2_000_000, 0, 300_000, 20.0, 2)
    assert production.background("zero_bias", 10**8).pool == production.POOL_MAX
    assert production.background("zero_bias", 100, 7, 50.0) == Settings("zero_bias", 100, 0, 20_000, 50.0, 7)
    signals = dataclasses.replace(TINY, signals=("ttbar",))
    assert signals.digest() == TINY.digest(), "a background has no signals, whatever their names"


def test_rates_of_a_filtered_background_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SampleError, match="rates mean nothing for adc2021_like"):
        l1_objects.make_background("adc2021_like", tmp_path / "x", 100)
    with pytest.raises(SampleError, match="available are zero_bias"):
        calo_regions.make_background("adc2021_like", tmp_path / "x", 100)
    assert not list(tmp_path.iterdir())


def test_unknown_signals_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SampleError, match="signals are LQ_to_btau, .*, ttbar, not susy"):
        maker.make(dataclasses.replace(TINY, signal=10, signals=("susy",)), tmp_path / "x")


# -- the command ------------------------------------------------------------------------------------------------------

SPEC = """name = "a"
seed = 7
[sample]
name = "{}"
[model]
family = "vae"
frontend = "hgq"
score = "rz"
hidden = [4]
beta = 1.0
"""


def command(tmp_path: Path, sample: str, *options: str) -> int:
    (tmp_path / "spec.toml").write_text(SPEC.format(sample))
    return cli.main(["sample", str(tmp_path / "spec.toml"), "--out", str(tmp_path / "out"), *options])


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ([], ("make", {"seed": 7, "workers": 1, "scheduler": None})),
        (["--pileup", "50", "--seed", "9"], ("make", {"seed": 9, "workers": 1, "scheduler": None, "pileup": 50.0})),
        (["--rates", "5000", "--workers", "2"], ("make_background", {"events": 5000, "workers": 2, "scheduler": None})),
        (
            ["--rates", "5000", "--seed", "4"],
            ("make_background", {"events": 5000, "seed": 4, "workers": 1, "scheduler": None}),
        ),
        (["--scheduler", "tcp://a:1"], ("make", {"seed": 7, "workers": 1, "scheduler": "tcp://a:1"})),
    ],
)
@pytest.mark.parametrize("sample", ["l1_objects", "calo_regions"])
def test_options_reach_the_maker(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sample: str, options: list[str], expected: tuple[str, dict]
) -> None:
    called: list[tuple[str, dict]] = []
    module = {"l1_objects": l1_objects, "calo_regions": calo_regions}[sample]

    def make(variant: str, folder: Path, console: object, **given: object) -> Path:
        called.append(("make", given))
        return folder / variant

    def make_background(variant: str, folder: Path, events: int, console: object, **given: object) -> Path:
        called.append(("make_background", {"events": events, **given}))
        return folder / variant

    monkeypatch.setattr(module, "make", make)
    monkeypatch.setattr(module, "make_background", make_background)
    assert command(tmp_path, sample, "--make", str(tmp_path / "new"), *options) == 0
    assert called == [expected]


def test_rates_without_a_folder_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command(tmp_path, "l1_objects", "--rates", "5000") == 3
    assert "give --make FOLDER too" in capsys.readouterr().err


def test_a_sample_that_is_given_can_not_be_made(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delattr(calo_regions, "make_background")
    from rich.console import Console

    with pytest.raises(SpecError, match="not made as a background for rates"):
        production.Order(tmp_path, rates=100).fulfil("calo_regions", "zero_bias", 1, Console(stderr=True))


@pytest.mark.needs_pythia
def test_a_background_is_made_whatever_happens(tmp_path: Path) -> None:
    settings = Settings("zero_bias", 2040, 0, 10, 2.0, 5)
    fill(tmp_path / "once", settings)
    jobs = maker.event_jobs(settings, tmp_path / "once")
    jobs[1].path.unlink()
    pool = pileup.make_pool_chunk(10, maker.pool_jobs(settings, tmp_path / "once")[0].generator())
    artifact.write_npz(maker.pool_jobs(settings, tmp_path / "once")[0].path, pool)
    once = {k: v.read_bytes() for k, v in maker.make(settings, tmp_path / "once").items()}
    fill(tmp_path / "again", settings)
    again = maker.event_jobs(settings, tmp_path / "again")
    again[1].path.write_bytes(again[1].path.read_bytes()[:50])
    maker.pool_jobs(settings, tmp_path / "again")[0].path.unlink()
    assert {k: v.read_bytes() for k, v in maker.make(settings, tmp_path / "again").items()} == once
