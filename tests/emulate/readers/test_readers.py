"""Every reader gives the events that were written, from any start to any stop; objects against a plain loop."""

from __future__ import annotations

import math
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.emulate import files
from trigger_ml.emulate import readers
from trigger_ml.emulate.events import Source, Wanted
from trigger_ml.errors import SampleError
from trigger_ml.samples import adc2021, cicada, l1_objects
from trigger_ml.samples.features import KINDS, encode

pytestmark = pytest.mark.needs_emulate

X = files.events(1300)


def all_of(source: Source, start: int = 0, stop: int | None = None) -> np.ndarray:
    end = source.events if stop is None else stop
    found = [block.x for block in readers.find(source.reader).read(source, start, end)]
    return np.concatenate(found) if found else np.zeros((0, 57), int)


def survey(path: Path, dataset: str | None = None, elements: int = 57) -> Source:
    return readers.survey(path, Wanted(elements, dataset))


def write(kind: str, path: Path) -> Path:
    if kind == "objects":
        return files.write_objects(path, X)
    if kind == "plain":
        return files.write_hdf5(path, {"a/x": X[:800].astype(">i4"), "b": X[800:].astype(np.int64)}, chunks=(100, 57))
    if kind == "nano":
        return files.write_nano(path, files.branches(files.nano_events(X)), basket=300)
    if kind == "public":
        return files.write_public(path, files.nano_events(X), group=400)
    if kind == "lists":
        return files.write_parquet(path, {"x": files.lists(X)}, row_group_size=400)
    if kind == "columns":
        return files.write_parquet(path, dict(reversed(files.named(X).items())), row_group_size=400)
    physical = X.reshape(-1, 19, 3) * np.array([0.5, 0.0435, 2 * math.pi / 144])
    physical[:, 5:9, 1:] = X.reshape(-1, 19, 3)[:, 5:9, 1:] * np.array([0.010875, 2 * math.pi / 576])
    adc2021.write(path, physical)
    return path


KINDS_OF_FILE = {"objects": "l1_objects", "plain": "hdf5", "nano": "l1_nano", "adc": "adc2021", "public": "l1_parquet"}
KINDS_OF_FILE |= dict.fromkeys(("lists", "columns"), "parquet")


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """One file of each kind, none with a suffix that would tell it."""
    folder = tmp_path_factory.mktemp("files")
    return {kind: write(kind, folder / f"{kind}.dat") for kind in KINDS_OF_FILE}


def expected(kind: str) -> np.ndarray:
    if kind == "objects":  # the parts of background, then of the signals in the order of their names
        parts = np.array_split(X, 9)
        return np.concatenate([*parts[:3], *parts[6:], *parts[3:6]])
    return X


@pytest.mark.parametrize("kind", KINDS_OF_FILE)
def test_events_come_back_and_the_content_tells_the_reader(kind: str, written: dict[str, Path]) -> None:
    source = survey(written[kind])
    assert source.reader == KINDS_OF_FILE[kind]
    assert source.events == len(X)
    assert source.edges[0] == 0
    assert source.edges[-1] == len(X)
    assert np.array_equal(all_of(source), expected(kind))


@settings(max_examples=15)
@given(st.data())
@pytest.mark.parametrize("kind", KINDS_OF_FILE)
def test_any_range(kind: str, written: dict[str, Path], data: st.DataObject) -> None:
    source = survey(written[kind])
    start = data.draw(st.integers(0, len(X) - 1))
    stop = data.draw(st.integers(start + 1, len(X)))
    assert np.array_equal(all_of(source, start, stop), expected(kind)[start:stop])


@pytest.mark.parametrize("piece", [1, 60_000])
def test_small_pieces_change_nothing(written: dict[str, Path], monkeypatch: pytest.MonkeyPatch, piece: int) -> None:
    monkeypatch.setattr("trigger_ml.emulate.readers.hdf5.PIECE", piece)
    monkeypatch.setattr("trigger_ml.emulate.readers.l1_nano.PIECE", piece)
    monkeypatch.setattr("trigger_ml.emulate.readers.l1_nano.BLOCK", 77)
    monkeypatch.setattr("trigger_ml.emulate.readers.parquet.BLOCK", 77)
    monkeypatch.setattr("trigger_ml.emulate.readers.adc2021.BLOCK", 77)
    monkeypatch.setattr("trigger_ml.samples.l1_parquet.BLOCK", 77)
    for kind, path in written.items():
        assert np.array_equal(all_of(survey(path), 200, 420), expected(kind)[200:420])


def test_the_committed_sample() -> None:
    sample = l1_objects.load("adc2021_like")
    source = survey(l1_objects.default_path("adc2021_like"), "background/test")
    assert np.array_equal(all_of(source), sample.background.test)
    whole = survey(l1_objects.default_path("adc2021_like"))
    assert [name for name, _ in whole.parts][:4] == [
        "background/train", "background/validation", "background/test", "signals/A_to_4l/train",
    ]  # fmt: skip
    assert whole.events == 120_000


def test_one_dataset_of_several(written: dict[str, Path], tmp_path: Path) -> None:
    parts = np.array_split(X, 9)
    assert np.array_equal(all_of(survey(written["objects"], "signals/b/test")), parts[5])
    assert np.array_equal(all_of(survey(written["objects"], "background")), np.concatenate(parts[:3]))
    assert np.array_equal(all_of(survey(written["plain"], "b")), X[800:])
    assert np.array_equal(all_of(survey(written["plain"], "/a/")), X[:800])
    path = files.write_parquet(tmp_path / "a", {"x": files.lists(X), "y": files.lists(X[::-1])})
    assert np.array_equal(all_of(survey(path, "y")), X[::-1])


def test_a_model_of_another_width(tmp_path: Path, written: dict[str, Path]) -> None:
    y = np.arange(60, dtype=np.uint8).reshape(20, 3)
    assert np.array_equal(all_of(survey(files.write_hdf5(tmp_path / "a", {"y": y}), elements=3)), y)
    columns = {f"c{i}": y[:, i] for i in range(3)} | {"event": np.arange(20)}
    assert np.array_equal(all_of(survey(files.write_parquet(tmp_path / "b", columns), elements=3)), y)
    for kind in ("objects", "nano", "adc", "public"):
        with pytest.raises(SampleError, match="the model reads 3"):
            survey(written[kind], elements=3)


def test_names_of_events_are_carried(written: dict[str, Path], tmp_path: Path) -> None:
    source = survey(written["nano"])
    ids = [block.ids for block in readers.find("l1_nano").read(source, 500, 510)]
    assert np.array_equal(np.concatenate([i["event"] for i in ids]), np.arange(500, 510) + 2**40)
    assert np.array_equal(np.concatenate([i["luminosityBlock"] for i in ids]), np.arange(500, 510) // 7)
    assert {k: v.dtype for k, v in ids[0].items()} == {"run": "u4", "luminosityBlock": "u4", "event": "u8"}
    ids = [block.ids for block in readers.find("l1_parquet").read(survey(written["public"]), 500, 510)]
    assert np.array_equal(np.concatenate([i["luminosityBlock"] for i in ids]), np.arange(500, 510) // 7)
    assert {k: v.dtype for k, v in ids[0].items()} == {"run": "u4", "luminosityBlock": "u4", "event": "u8"}
    columns = {"x": files.lists(X), "run": np.ones(1300, int), "luminosityBlock": np.ones(1300, int)}
    assert not survey(files.write_parquet(tmp_path / "a", columns)).ids
    path = files.write_parquet(tmp_path / "b", {**columns, "event": np.arange(1300)})
    (block,) = readers.find("parquet").read(survey(path), 7, 9)
    assert block.ids["event"].tolist() == [7, 8]


# -- the selection of L1 objects, against a plain loop ---------------------------------------------------------------


def by_hand(event: files.Event, hardware: bool) -> list[int]:
    """One event's 57 integers, object by object."""
    row: list[float] = []
    for kind in KINDS:
        found = [o for o in event[kind.name] if o[3] == 0 and o[0] - (hardware and kind.name == "mu") > 0]
        found.sort(key=lambda o: -o[0])
        for slot in range(kind.slots):
            if slot >= len(found):
                row += [0, 0, 0]
                continue
            pt, eta, phi, _ = found[slot]
            if kind.name == "met":
                eta = 0
            if hardware:
                pt -= kind.name == "mu"
                row += [min(pt, kind.pt_hi), max(min(eta, kind.eta_hi), -kind.eta_hi), phi % kind.phi_steps]
            else:
                row += [pt, eta, phi]
    if hardware:
        return [int(v) for v in row]
    return encode(np.array(row).reshape(1, 19, 3))[0].tolist()


def objects(hardware: bool, most: int, code: int) -> st.SearchStrategy[list[files.Object]]:
    bx = st.sampled_from([0, 0, 0, -2, -1, 1, 2])
    if hardware:
        one = st.tuples(st.integers(0, 3) | st.integers(0, code), st.integers(-230, 230), st.integers(-144, 576), bx)
    else:
        single = {"width": 32, "allow_nan": False}
        pt = st.floats(0, code / 2, **single) | st.sampled_from([0.125, 0.25, 10.0])
        one = st.tuples(pt, st.floats(-6, 6, **single), st.floats(-3.125, 3.125, **single), bx)
    return st.lists(one, max_size=most)


def nano(hardware: bool) -> st.SearchStrategy[list[files.Event]]:
    def one_met(found: list[files.Object]) -> list[files.Object]:
        at_zero = [o for o in found if o[3] == 0][:1]
        phi = [(pt, 0, phi % 144 if hardware else phi, bx) for pt, _, phi, bx in at_zero]
        return [(5, 0, 1, -1), *phi, *[o for o in found if o[3] != 0]]

    event = st.fixed_dictionaries(
        {
            "met": objects(hardware, 3, 4200).map(one_met),
            "eg": objects(hardware, 8, 600),
            "mu": objects(hardware, 8, 600),
            "jet": objects(hardware, 16, 2100),
        }
    )
    # CMS phi codes of calorimeter objects reach 143; the strategy above is that of muons.
    return st.lists(event, min_size=1, max_size=12).map(
        lambda found: [
            {
                k: [(p, e, f if k == "mu" or not hardware else f % 289 - 144, b) for p, e, f, b in v]
                for k, v in e.items()
            }
            for e in found
        ]
    )


@settings(max_examples=30)
@given(found=nano(True))
def test_hardware_objects_are_selected_ordered_and_cut(found: list[files.Event]) -> None:
    with TemporaryDirectory() as folder:
        source = survey(files.write_nano(Path(folder) / "a", files.branches(found), basket=5))
        assert all_of(source).tolist() == [by_hand(event, True) for event in found]


@settings(max_examples=30)
@given(found=nano(False))
def test_physical_objects_are_selected_ordered_and_encoded(found: list[files.Event]) -> None:
    with TemporaryDirectory() as folder:
        source = survey(files.write_nano(Path(folder) / "a", files.branches(found, hardware=False), basket=5))
        assert all_of(source).tolist() == [by_hand(event, False) for event in found]


def physical(found: list[files.Event]) -> list[files.Event]:
    """The same objects in GeV and rad."""

    def scaled(kind: str, o: files.Object) -> files.Object:
        if kind == "mu":
            return (o[0] - 1) * 0.5, o[1] * 0.010875, o[2] * 2 * math.pi / 576, o[3]
        return o[0] * 0.5, o[1] * 0.0435, o[2] * 2 * math.pi / 144, o[3]

    return [{kind: [scaled(kind, o) for o in event[kind]] for kind in event} for event in found]


def test_hardware_is_preferred_and_kinds_may_differ(tmp_path: Path) -> None:
    found = files.nano_events(X[:50])
    hard, soft = files.branches(found), files.branches(physical(found), hardware=False)
    assert np.array_equal(all_of(survey(files.write_nano(tmp_path / "soft", soft))), X[:50])
    mixed = {**hard, "L1Mu": soft["L1Mu"]}
    source = survey(files.write_nano(tmp_path / "mixed", mixed))
    assert np.array_equal(all_of(source), X[:50])
    assert source.remark.startswith("no hardware integers of L1Mu: central NanoAOD")
    assert not survey(files.write_nano(tmp_path / "hard", hard)).remark
    wrong = {name: {**{n: a * 0 for n, a in soft[name].items()}, **hard[name]} for name in hard}
    assert np.array_equal(all_of(survey(files.write_nano(tmp_path / "both", wrong))), X[:50])


def test_other_sums_are_not_missing_energy(tmp_path: Path) -> None:
    import awkward as ak

    made = files.branches([{"met": [(9, 0, 3, 0)], "eg": [], "mu": [], "jet": []}])
    made["L1EtSum"] = {
        "hwPt": ak.Array([[500, 9, 700, 800]]), "hwPhi": ak.Array([[0, 3, 1, 2]]),
        "bx": ak.Array([[0, 0, 0, -1]]), "etSumType": ak.Array([[0, 2, 8, 2]]),
    }  # fmt: skip
    assert all_of(survey(files.write_nano(tmp_path / "a", made)))[0].tolist() == [9, 0, 3] + 54 * [0]


def test_emulated_twins(tmp_path: Path) -> None:
    made = files.branches(files.nano_events(X[:20])) | files.branches(files.nano_events(X[20:40]), prefix="L1Emul")
    path = files.write_nano(tmp_path / "a", made)
    assert np.array_equal(all_of(survey(path)), X[:20])
    assert np.array_equal(all_of(survey(path, "L1Emul")), X[20:40])


def test_a_file_without_events_is_one(tmp_path: Path) -> None:
    source = survey(files.write_nano(tmp_path / "a", files.branches(files.nano_events(X[:5])), basket=5))
    assert source.events == 5
    empty = files.write_nano(
        tmp_path / "b",
        {k: {n: a[:0] for n, a in c.items()} for k, c in files.branches(files.nano_events(X[:5])).items()},
    )
    assert survey(empty).events == 0
    assert survey(files.write_parquet(tmp_path / "c", {"x": files.lists(X)[:0]})).events == 0


def test_regions_of_cicada(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    x = np.random.default_rng(5).integers(0, 1024, (300, 252))
    cicada.write(tmp_path / "a", x)
    source = survey(tmp_path / "a", elements=252)
    monkeypatch.setattr("trigger_ml.emulate.readers.cicada.BLOCK", 77)
    assert (source.reader, source.parts) == ("cicada", (("CaloRegions", 300),))
    assert np.array_equal(all_of(source), x)
    assert np.array_equal(all_of(source, 50, 220), x[50:220])
    assert np.array_equal(all_of(survey(tmp_path / "a", "CaloRegions", 252)), x)
    with pytest.raises(SampleError, match="the model reads 57"):
        survey(tmp_path / "a")
    with pytest.raises(SampleError, match="leave --dataset out"):
        survey(tmp_path / "a", "x", 252)


def test_public_data_has_one_part_and_names_of_its_events(tmp_path: Path, written: dict[str, Path]) -> None:
    with pytest.raises(SampleError, match="leave --dataset out"):
        survey(written["public"], "jets_jetIEt")
    files.write_public(tmp_path / "a", files.nano_events(X[:20]), lambda made: made.pop("lumi"))
    with pytest.raises(SampleError, match="has no column lumi"):
        survey(tmp_path / "a")
