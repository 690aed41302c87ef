"""The maker: same settings, same events, whatever the workers and interruptions; and what its parts must conserve."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from trigger_ml import artifact
from trigger_ml.errors import SampleError
from trigger_ml.samples import l1_objects, maker, pileup
from trigger_ml.samples.detector import ETA, PHI, Deposits, Leptons
from trigger_ml.samples.features import OBJECTS, encode
from trigger_ml.samples.maker import Settings

TINY = Settings("zero_bias", 20, 10, 40, 2.0, 5)


def collisions(count: int, rng: np.random.Generator) -> Deposits:
    """Random deposits, sorted by collision."""
    entries, muons = rng.poisson(8, count), rng.poisson(0.5, count)
    event, mu_event = np.repeat(np.arange(count), entries), np.repeat(np.arange(count), muons)
    draw = lambda n: rng.exponential(2, n).astype(np.float32)  # noqa: E731
    return Deposits(
        count,
        event,
        rng.integers(0, ETA * PHI, len(event)).astype(np.uint16),
        draw(len(event)),
        draw(len(event)),
        Leptons(
            mu_event,
            draw(len(mu_event)),
            rng.uniform(-2, 2, len(mu_event)).astype(np.float32),
            rng.uniform(-3, 3, len(mu_event)).astype(np.float32),
        ),
    )


def a_pool(count: int, rng: np.random.Generator) -> pileup.Pool:
    deposits = collisions(count, rng)
    return pileup.Pool(deposits, *pileup.offsets(deposits), deposits.activity(), count + 1)


def test_drawn_collisions_keep_their_energy_and_come_from_the_right_part() -> None:
    rng = np.random.default_rng(1)
    pool = a_pool(50, rng)
    drawn, event, number = pileup.draw(pool, 20, 50, 7, 4.0, rng)
    assert number.min() >= 20
    assert event.max() < 7
    per_collision = np.bincount(pool.deposits.event, pool.deposits.em, 50)
    expected = np.bincount(event, per_collision[number], 7)
    np.testing.assert_allclose(np.bincount(drawn.event, drawn.em, 7), expected)
    muons = np.bincount(pool.deposits.muons.event, minlength=50)
    assert np.array_equal(np.bincount(drawn.muons.event, minlength=7), np.bincount(event, muons[number], 7))
    rings = np.unique(pool.deposits.cell // PHI)
    assert np.isin(drawn.cell // PHI, np.union1d(rings, ETA - 1 - rings)).all()


def test_the_dominant_collision_is_the_most_active() -> None:
    event, activity = np.array([0, 0, 2, 2, 2]), np.array([1.0, 3.0, 5.0, 9.0, 2.0])
    assert pileup.dominant(4, event, activity, np.arange(10, 15)).tolist() == [11, pileup.FRESH, 13, pileup.FRESH]


def test_a_pool_is_its_chunks_in_order() -> None:
    rng = np.random.default_rng(2)
    parts = [collisions(5, rng), collisions(3, rng)]
    chunks = [{**pileup._arrays(p), "generated": np.array([p.collisions, p.collisions + 2])} for p in parts]
    pool = pileup.assemble(chunks)
    assert pool.deposits.collisions == 8
    assert pool.hard_fraction == pytest.approx(4 / 12)
    for i, (part, first) in enumerate(((parts[0], 0), (parts[1], 5))):
        for event in range(part.collisions):
            entries = slice(pool.entry[first + event], pool.entry[first + event + 1])
            assert np.array_equal(pool.deposits.em[entries], part.em[part.event == event]), i


def test_parts_add_up_and_every_chunk_has_its_own_seed(tmp_path: Path) -> None:
    settings = l1_objects.settings("zero_bias")
    assert settings.sizes("background") == (160_000, 40_000, 200_000)
    assert settings.sizes("A_to_4l") == (2_000, 2_000, 16_000)
    jobs = maker.event_jobs(settings, tmp_path) + maker.pool_jobs(settings, tmp_path)
    assert sum(job.size for job in jobs if job.process != "pool") == 480_000
    seeds = {int(job.generator().integers(2**62)) for job in jobs}
    assert len(seeds) == len(jobs)


def test_a_seed_does_not_depend_on_the_folder(tmp_path: Path) -> None:
    first, second = (maker.event_jobs(TINY, tmp_path / name)[0].generator() for name in ("a", "b"))
    assert first.integers(2**62) == second.integers(2**62)


def test_the_digest_follows_every_setting() -> None:
    others = [dataclasses.replace(TINY, **{name: value}) for name, value in (
        ("variant", "adc2021_like"), ("background", 21), ("signal", 11), ("pool", 41), ("pileup", 4.0), ("seed", 6)
    )]  # fmt: skip
    assert len({TINY.digest(), *(other.digest() for other in others)}) == 7


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"variant": "min_bias"}, "available are zero_bias"),
        ({"background": 3}, "at least 10"),
        ({"signal": 3}, "at least 10"),
        ({"pileup": -1.0}, "not negative"),
        ({"seed": -1}, "not negative"),
    ],
)
def test_impossible_settings_are_refused_before_anything_is_made(
    tmp_path: Path, change: dict[str, object], sentence: str
) -> None:
    folder = tmp_path / "out"
    with pytest.raises(SampleError, match=sentence):
        maker.make(dataclasses.replace(TINY, **change), folder)
    assert not folder.exists()


def fill(folder: Path, leave: set[str]) -> list[maker.Job]:
    """Finished chunks of random events, but for the process-parts in ``leave``; returns those left."""
    jobs = maker.event_jobs(TINY, folder)
    for job in jobs:
        rng = job.generator()
        events = encode(rng.exponential(10, (job.size, OBJECTS, 3)) * (1, 0, 0.1))
        source = np.zeros(job.size, np.int32)
        if f"{job.process}-{job.part}" not in leave:
            regions = rng.integers(0, 50, (job.size, 18, 14), np.uint16)
            chunk = {"hw": events, "regions": regions, "source": source, "tried": np.array([job.size])}
            artifact.write_npz(job.path, chunk)
    return [job for job in jobs if f"{job.process}-{job.part}" in leave]


@pytest.mark.needs_pythia
def test_the_same_settings_give_the_same_sample_whatever_happens(tmp_path: Path) -> None:
    leave = {"background-test", "A_to_4l-train", "A_to_4l-validation"}
    fill(tmp_path / "once", leave)
    told: list[tuple[str, int, int]] = []
    files = maker.make(TINY, tmp_path / "once", 1, lambda *step: told.append(step))
    once = files["l1_objects"]
    assert told == [("pool", 0, 1), ("pool", 1, 1), *(("events", done, 15) for done in (12, 13, 14, 15))]
    sample = l1_objects.load("zero_bias", once)
    assert len(sample.background.test) == 10
    # Again in two processes, from what a killed run left: a chunk missing, one cut short, one half-written.
    missing, short, made = fill(tmp_path / "again", leave)
    for job, whole in ((short, short.path), (made, made.path)):
        artifact.atomic_write(job.path, (tmp_path / "once" / whole.relative_to(tmp_path / "again")).read_bytes())
    short.path.write_bytes(short.path.read_bytes()[:100])
    missing.path.with_name(f".{missing.path.name}.1.part").write_bytes(b"half")
    again = maker.make(TINY, tmp_path / "again", 2)
    assert {name: path.read_bytes() for name, path in again.items()} == {
        name: path.read_bytes() for name, path in files.items()
    }


@pytest.mark.needs_pythia
def test_the_filtered_sample_has_a_lepton_in_every_event(tmp_path: Path) -> None:
    settings = dataclasses.replace(TINY, variant="adc2021_like", background=10)
    pool = pileup.assemble([pileup.make_pool_chunk(40, np.random.default_rng(1))])
    from trigger_ml.samples import crossing

    chunk = crossing.make_chunk(settings.variant, "A_to_4l", "test", 3, pool, 3.0, np.random.default_rng(4))
    pt = chunk["hw"].reshape(-1, 19, 3)[:, 1:9, 0]
    assert np.all(pt.max(1) >= 46)
    assert chunk["tried"][0] >= 6


@pytest.mark.needs_pythia
def test_a_setting_that_pythia_refuses_is_named() -> None:
    from trigger_ml.samples.collide import Collider

    with pytest.raises(SampleError, match="HardQCD:al = on"):
        Collider(("HardQCD:al = on",), 1).particles(1)
