"""Files that are no good: each named in one line, fatal or skipped as asked, never silently short."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.emulate import files
from trigger_ml import cli
from trigger_ml.emulate import readers
from trigger_ml.emulate.events import Wanted
from trigger_ml.errors import TriggerError
from trigger_ml.samples.features import COLUMN, FEATURES

pytestmark = pytest.mark.needs_emulate
pytest.importorskip("uproot")
pq = pytest.importorskip("pyarrow.parquet")

X = files.events(400)


def nano(path: Path, change: Callable[[dict[str, dict[str, Any]]], None] | None = None) -> Path:
    made = files.branches(files.nano_events(X))
    if change is not None:
        change(made)
    return files.write_nano(path, made, basket=100)


def overwritten(path: Path, at: float, length: int = 64, by: bytes = b"\xa5") -> Path:
    """The file with some bytes in the middle replaced."""
    content = bytearray(path.read_bytes())
    start = int(at * len(content))
    content[start : start + length] = by * length
    path.write_bytes(content)
    return path


def cut(path: Path, share: float) -> Path:
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    return path


def basket_destroyed(path: Path) -> Path:
    """The compressed bytes of one basket of one branch that is read."""
    import uproot

    with uproot.open(path) as file:
        branch = file["Events"]["L1Jet_hwPt"]
        key = branch.basket_key(2)
        at = int(key.fSeekKey) + int(key.fKeylen)
    content = bytearray(path.read_bytes())
    content[at + 12 : at + 40] = b"\xa5" * 28
    path.write_bytes(content)
    return path


def with_value(column: str, value: int, kind: Any = np.int16) -> np.ndarray:
    x = X.astype(kind)
    x[333, COLUMN[column]] = value
    return x


def adc(path: Path, change: Callable[[np.ndarray], np.ndarray]) -> Path:
    from trigger_ml.samples import adc2021

    adc2021.write(path, X.reshape(-1, 19, 3) * np.array([0.5, 0.0, 0.01]))
    import h5py

    with h5py.File(path, "r+") as file:
        data = file["Particles"][...]
        del file["Particles"]
        file["Particles"] = change(data)
    return path


def one_nan(data: np.ndarray) -> np.ndarray:
    data[123, 9, 0] = np.nan
    return data


def pop(collection: str, branch: str) -> Callable[[dict[str, dict[str, Any]]], None]:
    def change(made: dict[str, dict[str, Any]]) -> None:
        del made[collection][branch]

    return change


def replaced(collection: str, branch: str, by: Callable[[Any], Any]) -> Callable[[dict[str, dict[str, Any]]], None]:
    def change(made: dict[str, dict[str, Any]]) -> None:
        made[collection][branch] = by(made[collection][branch])

    return change


def two_met(made: dict[str, dict[str, Any]]) -> None:
    import awkward as ak

    made["L1EtSum"] = {
        name: ak.Array([[value, value]] * 400) for name, value in
        {"hwPt": 9, "hwPhi": 1, "bx": 0, "etSumType": 2}.items()
    }  # fmt: skip


def flat_branches(path: Path) -> Path:
    import uproot

    names = [f"{c}_{n}" for c, columns in files.branches(files.nano_events(X[:2])).items() for n in columns]
    with uproot.recreate(path) as file:
        file.mktree("Events", dict.fromkeys(names, np.dtype("i4"))).extend(dict.fromkeys(names, np.zeros(5, np.int32)))
    return path


def ntuple(path: Path) -> Path:
    import uproot

    with uproot.recreate(path) as file:
        file.mkrntuple("Events", {"x": np.arange(5)})
    return path


def other_tree(path: Path) -> Path:
    import uproot

    with uproot.recreate(path) as file:
        file.mktree("Runs", {"x": "i4"}).extend({"x": np.arange(5, dtype=np.int32)})
    return path


def counts_differ(path: Path) -> Path:
    import awkward as ak
    import uproot

    made = files.branches(files.nano_events(X[:4]))
    flat = {f"{c}_{n}": a for c, columns in made.items() for n, a in columns.items()}
    flat["L1Jet_hwEta"] = ak.Array([[np.int16(1)] * (int(n) + 1) for n in ak.num(flat["L1Jet_hwPt"])])
    with uproot.recreate(path) as file:
        file.mktree("Events", {name: a.type.content for name, a in flat.items()}).extend(flat)
    return path


def holes(path: Path, **options: Any) -> Path:
    """A dataset of which only the first 100 events were written."""
    import h5py

    with h5py.File(path, "w") as file:
        data = file.create_dataset("x", (400, 57), np.int16, **options)
        if options:
            data[:100] = X[:100]
    return path


def ragged(path: Path) -> Path:
    return files.write_parquet(path, {"x": [[1] * 57, [1] * 56]})


MALFORMED: dict[str, tuple[Callable[[Path], Any], str]] = {
    "missing": (lambda p: None, "does not exist"),
    "empty": (lambda p: p.write_bytes(b""), "is empty"),
    "text": (lambda p: p.write_text("run,event\n1,2\n"), "begins like no HDF5, ROOT or Parquet file"),
    "folder": (lambda p: p.mkdir(), "can't be read"),
    "hdf5 magic only": (lambda p: p.write_bytes(b"\x89HDF\r\n\x1a\n"), "is not a whole HDF5 file"),
    "hdf5 truncated": (lambda p: cut(files.write_objects(p, X), 0.6), "is not a whole HDF5 file"),
    "hdf5 damaged chunk": (
        lambda p: overwritten(files.write_hdf5(p, {"x": X}, compression="gzip", chunks=(400, 57)), 0.6),
        "is not a whole HDF5 file",
    ),
    "hdf5 without data": (lambda p: files.write_hdf5(p, {}), "and holds: none"),
    "hdf5 of another width": (lambda p: files.write_hdf5(p, {"x": X[:, :56]}), "should hold integer datasets of 57"),
    "hdf5 of floats": (lambda p: files.write_hdf5(p, {"x": X.astype(float)}), "x float64 (400, 57)"),
    "hdf5 outside the input": (
        lambda p: files.write_hdf5(p, {"x": with_value("jet3_pt", 5000)}),
        "bad: event 333 holds 5000 in column 36 (the first is 0), outside the model's input range -4096...4095: ",
    ),
    "parquet outside the input": (
        lambda p: files.write_parquet(p, {f.name: with_value("mu0_eta", -5000)[:, i] for i, f in enumerate(FEATURES)}),
        "bad: event 333 holds -5000 in column mu0_eta, outside the model's input range -4096...4095: ",
    ),
    "hdf5 of 64 bits": (
        lambda p: files.write_hdf5(p, {"x": np.full((9, 57), 2**64 - 1, np.uint64)}), "holds an integer of 64 bits"
    ),
    "hdf5 with holes": (lambda p: holes(p, chunks=(100, 57)), "x was never written to its end"),
    "hdf5 never written": (holes, "x was never written to its end"),
    "objects without a part": (lambda p: files.write_objects(p, X, drop="signals/a/test"), "no dataset signals/a/test"),
    "objects of a later version": (lambda p: files.write_objects(p, X, version=9), "has version 9"),
    "objects out of range": (lambda p: files.write_objects(p, with_value("mu0_phi", 576)), "has mu0_phi 576"),
    "adc of another shape": (lambda p: adc(p, lambda d: d[:, :18]), "has the shape (400, 18, 4)"),
    "adc without events": (lambda p: adc(p, lambda d: d[:0]), "holds no event"),
    "adc with nan": (lambda p: adc(p, one_nan), "event 123, row 9 (jet) is NaN"),
    "root magic only": (lambda p: p.write_bytes(b"root\x00\x00\xf2\x00"), "is not a whole ROOT file"),
    "root truncated": (lambda p: cut(nano(p), 0.7), "is truncated"),
    "root cut in its header": (lambda p: cut(nano(p), 0.001), "is not a whole ROOT file"),
    "root with a destroyed basket": (lambda p: basket_destroyed(nano(p)), "is not a whole ROOT file in events"),
    "root without Events": (other_tree, "has no TTree Events but Runs (TTree)"),
    "root ntuple": (ntuple, "has no TTree Events"),
    "root without bx": (lambda p: nano(p, pop("L1Jet", "bx")), "no branch L1Jet_bx"),
    "root without pt": (lambda p: nano(p, pop("L1EG", "hwPt")), "no branch L1EG_..."),
    "root without types": (lambda p: nano(p, pop("L1EtSum", "etSumType")), "no branch L1EtSum_etSumType"),
    "root of flat branches": (flat_branches, "has the type int32_t"),
    "root of float integers": (
        lambda p: nano(p, replaced("L1Mu", "hwPt", lambda a: a * 1.5)), "branch L1Mu_hwPt has the type double[]"
    ),
    "root with negative pt": (lambda p: nano(p, replaced("L1Jet", "hwPt", lambda a: a - 30)), "impossible object"),
    "root with impossible eta": (lambda p: nano(p, replaced("L1EG", "hwEta", lambda a: a + 500)), "impossible object"),
    "root with two MET": (lambda p: nano(p, two_met), "event 0 has two sums of type 2"),
    "root of unequal counts": (counts_differ, "have different numbers of objects"),
    "parquet magic only": (lambda p: p.write_bytes(b"PAR1PAR1"), "is not a whole Parquet file"),
    "parquet truncated": (lambda p: cut(files.write_parquet(p, {"x": files.lists(X)}), 0.8), "not a whole Parquet"),
    "parquet damaged page": (
        lambda p: overwritten(files.write_parquet(p, {"x": files.lists(X)}, write_page_checksum=True), 0.5),
        "is not a whole Parquet file",
    ),
    "parquet of another width": (lambda p: files.write_parquet(p, {"x": files.lists(X[:, :19])}), "lists of 57"),
    "parquet of too few columns": (lambda p: files.write_parquet(p, {"a": X[:, 0], "b": X[:, 1]}), "has 2 columns"),
    "parquet of floats": (lambda p: files.write_parquet(p, {"x": files.lists(X * 1.0)}), "one column of lists"),
    "parquet with nulls": (lambda p: files.write_parquet(p, {"x": [[1] * 57, None]}), "has empty cells"),
    "parquet with inner nulls": (lambda p: files.write_parquet(p, {"x": [[1] * 56 + [None]]}), "has empty cells"),
    "parquet of ragged lists": (ragged, "different lengths"),
    "parquet of long lists": (lambda p: files.write_parquet(p, {"x": [[1] * 58] * 3}), "has 58 integers"),
    "parquet of empty lists": (
        lambda p: files.write_parquet(p, {"x": files.pa_lists([[], []])}), "has 0 integers"
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return files.write_hdf5(tmp_path_factory.mktemp("good") / "good.h5", {"x": X})


@pytest.mark.parametrize("kind", MALFORMED)
def test_a_bad_file_is_fatal(
    kind: str, packed: Path, good: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make, says = MALFORMED[kind]
    make(tmp_path / "bad")
    argv = ["emulate", str(packed), str(good), str(tmp_path / "bad"), "--to", str(tmp_path / "a.parquet")]
    assert cli.main([*argv, "--chunk", "100"]) == 3
    (line,) = [text for text in capsys.readouterr().err.splitlines() if text.startswith("trigger-ml:")]
    assert says in line
    assert str(tmp_path / "bad") in line
    assert len(line) < 500
    assert not (tmp_path / "a.parquet").exists()


@pytest.mark.parametrize("kind", MALFORMED)
def test_a_bad_file_is_skipped_whole_and_listed(
    kind: str, packed: Path, good: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make, says = MALFORMED[kind]
    make(tmp_path / "bad")
    argv = ["emulate", str(packed), str(tmp_path / "bad"), str(good), "--to", str(tmp_path / "a.parquet")]
    assert cli.main([*argv, "--chunk", "100", "--on-error", "skip", "--json"]) == 0
    made = json.loads(capsys.readouterr().out)
    (skipped,) = made["skipped"]
    assert skipped["name"] == "bad"
    assert says in skipped["reason"]
    assert made["events"] == 400
    table = pq.read_table(tmp_path / "a.parquet")
    assert table["file"].to_pylist() == [1] * 400
    assert str(tmp_path).encode() not in (tmp_path / "a.parquet").read_bytes()


@pytest.mark.parametrize("kind", ["root with a destroyed basket", "hdf5 outside the input", "root with negative pt"])
def test_damage_in_the_middle_leaves_the_same_bytes(kind: str, packed: Path, good: Path, tmp_path: Path) -> None:
    MALFORMED[kind][0](tmp_path / "bad")
    for chunk in ("60", "170", "1000"):
        argv = ["emulate", str(packed), str(tmp_path / "bad"), str(good), "--to", str(tmp_path / f"{chunk}.parquet")]
        assert cli.main([*argv, "--chunk", chunk, "--on-error", "skip"]) == 0
    assert len({path.read_bytes() for path in tmp_path.glob("*.parquet")}) == 1


@pytest.mark.parametrize("dataset", ["signals/c", "background/tes", "x"])
def test_a_dataset_that_is_not_there(dataset: str, packed: Path, tmp_path: Path) -> None:
    for path in (
        files.write_objects(tmp_path / "a", X),
        files.write_hdf5(tmp_path / "b", {"y": X}),
        files.write_parquet(tmp_path / "c", {"y": files.lists(X)}),
        nano(tmp_path / "d"),
        adc(tmp_path / "e", lambda data: data),
    ):
        argv = ["emulate", str(packed), str(path), "--dataset", dataset, "--to", str(tmp_path / "a.parquet")]
        assert cli.main(argv) == 3


# -- bytes changed at random -----------------------------------------------------------------------------------------

WRITERS: dict[str, Callable[[Path], Any]] = {
    "objects": lambda p: files.write_objects(p, X),
    "plain": lambda p: files.write_hdf5(p, {"a": X, "b/c": X.astype(">i4")}, chunks=(64, 57), compression="gzip"),
    "nano": nano,
    "adc": lambda p: adc(p, lambda data: data),
    "lists": lambda p: files.write_parquet(p, {"x": files.lists(X)}, row_group_size=150),
    "columns": lambda p: files.write_parquet(p, files.named(X)),
}


@settings(max_examples=80)
@given(st.data())
@pytest.mark.parametrize("kind", WRITERS)
def test_no_damage_is_a_crash(kind: str, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    """A damaged file is refused, or gives as many events as it says: never fewer, never another exception."""
    base = tmp_path_factory.getbasetemp() / f"{kind}.base"
    if not base.exists():
        WRITERS[kind](base)
    content = bytearray(base.read_bytes())
    for at, value in data.draw(st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), max_size=9)):
        content[int(at * len(content))] = value
    if data.draw(st.booleans()):
        del content[int(data.draw(st.floats(0, 1)) * len(content)) :]
    path = base.with_name(f"{kind}.damaged")
    path.write_bytes(content)
    try:
        source = readers.survey(path, Wanted(57))
        found = sum(len(block.x) for block in readers.find(source.reader).read(source, 0, source.events))
    except TriggerError as error:
        reason = str(error)
    else:
        reason = "" if found == source.events else f"{found} of {source.events} events without a word: " * 100
    assert len(reason) < 600
