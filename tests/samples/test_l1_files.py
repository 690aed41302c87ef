"""Files of others as a sample: each layout gives the events that were written, in seeded parts, or one sentence."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.emulate import files
from trigger_ml import plugins
from trigger_ml.errors import SampleError
from trigger_ml.samples import adc2021, cicada, l1_files, l1_parquet, slots
from trigger_ml.samples.features import KINDS
from trigger_ml.samples.l1_parquet import COLUMNS

pytest.importorskip("h5py")

PARTS = ("train", "validation", "test")
X, Y = files.events(600, 1), files.events(80, 2)

TOML = """pileup = 57
gives_rates = true
notes = "From files."
[background]
files = ["zb*"]
[signals.a]
files = ["a"]
"""


def public(path: Path, x: np.ndarray) -> Path:
    return files.write_public(path, files.nano_events(x))


def nano(path: Path, x: np.ndarray) -> Path:
    return files.write_nano(path, files.branches(files.nano_events(x)), basket=100)


def physical(path: Path, x: np.ndarray) -> Path:
    scale = np.repeat(
        [[0.5, k.eta_lsb, k.phi_lsb] for k in KINDS], [k.slots for k in KINDS], axis=0
    )  # of each object's pT, eta, phi
    adc2021.write(path, x.reshape(len(x), 19, 3) * scale)
    return path


needs_emulate = pytest.mark.needs_emulate
WRITERS = {
    "public": pytest.param(public, marks=needs_emulate),
    "nano": pytest.param(nano, marks=needs_emulate),
    "adc2021": pytest.param(physical),
}


def sample_of(folder: Path, text: str = TOML, variant: str = "objects") -> Any:
    (folder / "files.toml").write_text(text)
    return l1_files.load(variant, folder / "files.toml")


@pytest.mark.parametrize("write", WRITERS.values(), ids=WRITERS)
def test_every_event_comes_back_in_exactly_one_part(tmp_path: Path, write: Callable[..., Path]) -> None:
    if write is physical:  # ADC2021 has no slot for MET of 0 with an angle
        x, y = X * (np.arange(57) > 2), Y * (np.arange(57) > 2)
    else:
        x, y = X, Y
    write(tmp_path / "zb1", x[:400])
    write(tmp_path / "zb2", x[400:])
    write(tmp_path / "a", y)
    made = sample_of(tmp_path)
    part = l1_files.parts_of(600, 1, "background")
    for i, name in enumerate(PARTS):
        assert np.array_equal(getattr(made.background, name), x[part == i])
    assert sum(len(getattr(made.signals["a"], name)) for name in PARTS) == 80
    assert (made.name, made.variant, made.pileup, made.gives_rates) == ("l1_files", "objects", 57.0, True)
    assert len(np.unique(made.source)) == len(made.background.test) == len(made.source)
    assert made.shape == (19, 3)


def test_regions_of_cicada(tmp_path: Path) -> None:
    rng = np.random.default_rng(4)
    events = {name: rng.integers(0, 1024, (90, 252)) for name in ("zb", "a")}
    for name, x in events.items():
        cicada.write(tmp_path / name, x, "uint16")
    made = sample_of(tmp_path, variant="regions")
    part = l1_files.parts_of(90, 1, "background")
    assert np.array_equal(made.background.test, events["zb"][part == 2])
    assert made.shape == (18, 14)
    with pytest.raises(SampleError, match="no dataset Particles"):
        sample_of(tmp_path, variant="objects")


def test_parts_that_are_given_are_kept(tmp_path: Path) -> None:
    rng = np.random.default_rng(4)
    events = {name: rng.integers(0, 1024, (20, 252)) for name in ("t1", "t2", "v", "e", "a")}
    for name, x in events.items():
        cicada.write(tmp_path / name, x, "uint16")
    text = TOML.replace('files = ["zb*"]', 'train = ["t*"]\nvalidation = ["v"]\ntest = ["e"]')
    made = sample_of(tmp_path, text, "regions")
    assert np.array_equal(made.background.train, np.concatenate([events["t1"], events["t2"]]))
    assert np.array_equal(made.background.test, events["e"])
    limited = sample_of(tmp_path, f"limit = 25\n{text}", "regions").background
    assert [len(getattr(limited, part)) for part in PARTS] == [25, 20, 20]


@pytest.mark.needs_emulate
def test_a_limit_takes_the_first_events(tmp_path: Path) -> None:
    for write, name in ((nano, "zb1"), (public, "zb2"), (public, "a")):
        write(tmp_path / name, X[:300])
    made = sample_of(tmp_path, f"limit = 450\n{TOML}").background
    part = l1_files.parts_of(450, 1, "background")
    assert np.array_equal(made.test, np.concatenate([X[:300], X[:150]])[part == 2])


def test_the_digest_is_of_the_events_and_of_what_is_said_of_them(tmp_path: Path) -> None:
    for name in ("zb", "a"):
        cicada.write(tmp_path / name, np.zeros((90, 252), int))
    texts = [
        TOML,
        TOML.replace("57", "58"),
        TOML.replace("true", "false"),
        TOML.replace("From", "Of"),
        f"seed = 2\n{TOML}",
    ]
    first = [sample_of(tmp_path, text, "regions").digest for text in texts]
    assert len(set(first)) == len(texts)
    (tmp_path / "a").rename(tmp_path / "b")
    assert sample_of(tmp_path, TOML.replace('["a"]', '["b"]'), "regions").digest == first[0]


# -- parts ------------------------------------------------------------------------------------------------------------


@settings(max_examples=50)
@given(
    st.integers(0, 5000), st.integers(0, 300), st.integers(0, 2**31 - 1), st.sampled_from(["background", "signals/x"])
)
def test_an_event_keeps_its_part_when_others_are_added(events: int, more: int, seed: int, process: str) -> None:
    first = l1_files.parts_of(events, seed, process)
    assert np.array_equal(l1_files.parts_of(events + more, seed, process)[:events], first)


@pytest.mark.parametrize(("process", "shares"), [("background", (0.4, 0.1, 0.5)), ("signals/a", (0.1, 0.1, 0.8))])
def test_parts_have_their_shares_and_know_nothing_of_each_other(process: str, shares: tuple[float, ...]) -> None:
    events = 100_000
    part = l1_files.parts_of(events, 1, process)
    expected = events * np.array(shares)
    assert np.all(np.abs(np.bincount(part, minlength=3) - expected) < 4.5 * np.sqrt(expected))
    table = np.zeros((3, 3))
    np.add.at(table, (part[:-1], part[1:]), 1)  # neighbours
    chi2 = ((table - np.outer(expected, expected) / events) ** 2 / (np.outer(expected, expected) / events)).sum()
    assert chi2 < 40
    other = l1_files.parts_of(events, 2, process)
    assert np.mean(part == other) == pytest.approx(sum(s * s for s in shares), abs=0.01)


def test_splitmix_by_its_definition() -> None:
    """One value at a time, with Python's integers."""
    import hashlib

    mask, key = 2**64 - 1, int.from_bytes(hashlib.sha256(b"5/background").digest()[:8], "little")
    expected = []
    for index in range(1, 200):
        z = (index * 0x9E3779B97F4A7C15 + key) & mask
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9 & mask
        z = (z ^ (z >> 27)) * 0x94D049BB133111EB & mask
        z ^= z >> 31
        expected.append(0 if z / 2**64 < 0.4 else 1 if z / 2**64 < 0.5 else 2)
    assert l1_files.parts_of(199, 5, "background").tolist() == expected


# -- slots ------------------------------------------------------------------------------------------------------------


@settings(max_examples=60)
@given(st.integers(0, 2**32), st.sampled_from(KINDS))
def test_the_leading_objects_are_taken_whatever_their_order(seed: int, kind: Any) -> None:
    rng = np.random.default_rng(seed)
    counts = rng.integers(0, 14, 6)
    event = np.repeat(np.arange(6), counts)
    values = np.stack(
        [rng.integers(0, 40, len(event)), rng.integers(-50, 50, len(event)), rng.integers(0, 144, len(event))], -1
    )
    made = slots.rows([slots.Objects(kind, event, values, True)], 6)
    column = slots.first_column(kind)
    for number in range(6):
        own = [v for e, v in zip(event, values.tolist(), strict=True) if e == number and v[0] > 0]
        own.sort(key=lambda v: -v[0])  # stable
        own = [[v[0], np.clip(v[1], -kind.eta_hi, kind.eta_hi), v[2]] for v in own[: kind.slots]]
        expected = np.zeros((kind.slots, 3), int)
        expected[: len(own)] = own or np.zeros((0, 3))
        assert np.array_equal(made[number, column : column + 3 * kind.slots], expected.ravel())
    rest = np.delete(made, slice(column, column + 3 * kind.slots), axis=1)
    assert not rest.any()


# -- what is refused --------------------------------------------------------------------------------------------------


def lists(rows: list[list[int]]) -> Any:
    return files.pa_lists(rows)


def drop(name: str) -> Callable[[dict[str, Any]], None]:
    return lambda made: made.pop(name)


def put(name: str, rows: Callable[[int], list[list[int]]]) -> Callable[[dict[str, Any]], None]:
    return lambda made: made.update({name: lists(rows(len(made["order"])))})


def hole(made: dict[str, Any]) -> None:
    import pyarrow as pa

    rows = made["MET_Et"].to_pylist()
    made["MET_Et"] = pa.array([None, *rows[1:]], pa.list_(pa.int16()))


def floats(made: dict[str, Any]) -> None:
    import pyarrow as pa

    made["jets_jetIEt"] = made["jets_jetIEt"].cast(pa.list_(pa.float32()))


DAMAGED = {
    "a column missing": (drop("egammas_egIEta"), "has no column egammas_egIEta"),
    "numbers, not lists": (lambda made: made.update({"MET_Et": np.zeros(len(made["order"]), int)}), "not lists of"),
    "floating point": (floats, "jets_jetIEt is list<.*float>, not lists of integers"),
    "two MET": (
        lambda made: [put(c, lambda n: [[3, 3], *[[3]] * (n - 1)])(made) for c in ("MET_Et", "MET_phi")],
        "event 0 has more than one MET_Et",
    ),
    "a phi missing": (put("MET_phi", lambda n: [[]] * n), "MET_phi and MET_Et have different numbers"),
    "negative pT": (
        lambda made: [put(c, lambda n: [[]] * 7 + [[-4]] + [[]] * (n - 8))(made) for c in COLUMNS["jet"]],
        "event 7 has an impossible object in jets_jetIEt: pT, eta, phi -4, -4, -4",
    ),
    "an empty cell": (hole, "column MET_Et has empty cells"),
}


@pytest.mark.needs_emulate
@pytest.mark.parametrize("case", DAMAGED)
def test_a_malformed_public_file_is_refused_in_one_sentence(tmp_path: Path, case: str) -> None:
    change, sentence = DAMAGED[case]
    path = files.write_public(tmp_path / "x.parquet", files.nano_events(X[:20]), change)
    with pytest.raises(SampleError, match=sentence) as caught:
        l1_parquet.read(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.needs_emulate
def test_a_damaged_parquet_file_is_refused(tmp_path: Path) -> None:
    path = public(tmp_path / "x.parquet", X)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(SampleError, match="is not a whole Parquet file"):
        l1_parquet.read(path)
    with pytest.raises(SampleError, match="is missing"):
        l1_parquet.read(tmp_path / "nothing")
    public(path, X[:0])
    with pytest.raises(SampleError, match="holds no event"):
        l1_parquet.read(path)


@pytest.mark.needs_emulate
def test_blocks_change_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = public(tmp_path / "x.parquet", X)
    monkeypatch.setattr(l1_parquet, "BLOCK", 77)
    assert np.array_equal(l1_parquet.read(path), X)
    assert np.array_equal(l1_parquet.read(path, 200), X[:200])
    assert np.array_equal(l1_parquet.read(path, 10**6), X)


def toml(old: str, new: str) -> str:
    assert old in TOML
    return TOML.replace(old, new)


WRONG = {
    "no TOML": ("pileup", "is not TOML"),
    "unknown key": ("rates = 1\n" + TOML, 'unknown key "rates" in the top level: it takes pileup'),
    "unknown key of a process": (toml('files = ["a"]', 'file = ["a"]'), r'unknown key "file" in \[signals.a\]'),
    "no pileup": (toml("pileup = 57", ""), "pileup is missing"),
    "pileup of many": (toml("57", "5700"), "pileup is 5700: it must be at most 1000"),
    "rates of 1": (toml("true", "1"), "gives_rates is 1: it must be true or false"),
    "no notes": (toml('"From files."', '""'), "notes is"),
    "no signals": (TOML.partition("[signals")[0], "signals is missing"),
    "signals of nothing": (TOML.partition("[signals")[0] + "[signals]\n", "it must hold a table for each signal"),
    "a signal named background": (toml("[signals.a]", "[signals.background]"), 'one "background": use letters, digits'),
    "a signal of two words": (toml("[signals.a]", '[signals."a, b"]'), 'one "a, b": use letters, digits and _ '),
    "one file, no list": (toml('["a"]', '"a"'), 'is "a": it must be a list of paths'),
    "no such file": (toml('["a"]', '["b*"]'), r"there is no file b\*: correct it"),
    "no pattern": (toml('["a"]', '["a**"]'), r'"a\*\*" is no path or pattern'),
    "a file twice": (toml('["a"]', '["a", "?"]'), "twice: take one out"),
    "two of three parts": (toml('files = ["a"]', 'train = ["a"]\ntest = ["zb"]'), "has train, test: give files, or"),
    "files and parts": (toml('files = ["a"]', 'files = ["a"]\ntest = ["zb"]'), "has files, test: give files, or"),
    "a limit of one": ("limit = 1\n" + TOML, "limit is 1: it must be at least 10"),
    "a folder": (toml('["a"]', '["."]'), '"." is no path or pattern'),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_toml_file_is_refused_in_one_sentence(tmp_path: Path, case: str) -> None:
    for name in ("zb", "a"):
        cicada.write(tmp_path / name, np.zeros((50, 252), int))
    text, sentence = WRONG[case]
    with pytest.raises(SampleError, match=sentence) as caught:
        sample_of(tmp_path, text, "regions")
    assert str(tmp_path / "files.toml") in str(caught.value)
    assert "\n" not in str(caught.value)


def test_too_few_events_for_three_parts(tmp_path: Path) -> None:
    for name in ("zb", "a"):
        cicada.write(tmp_path / name, np.zeros((2, 252), int))
    with pytest.raises(SampleError, match="leave no event for the part"):
        sample_of(tmp_path, variant="regions")


def test_files_of_no_known_kind(tmp_path: Path) -> None:
    for name in ("zb", "a"):
        (tmp_path / name).write_bytes(b"pt,eta,phi")
    with pytest.raises(SampleError, match="begins like no HDF5, ROOT or Parquet file"):
        sample_of(tmp_path)


def test_nothing_is_shipped_and_nothing_else_is_a_sample(tmp_path: Path) -> None:
    assert plugins.find("samples", "l1_files") is l1_files
    assert set(plugins.names("samples")) >= {"l1_objects", "calo_regions", "l1_files"}
    assert not {"given", "layout", "l1_nano", "l1_parquet", "cicada", "adc2021"} & set(plugins.names("samples"))
    with pytest.raises(SampleError, match=r"give \[sample\] path"):
        l1_files.load("objects")
    with pytest.raises(SampleError, match="available are objects, regions"):
        l1_files.load("zero_bias", tmp_path)
    with pytest.raises(SampleError, match="can't be read"):
        l1_files.load("objects", tmp_path / "nothing.toml")
