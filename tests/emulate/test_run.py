"""The whole of ``emulate``: equal to golden, the same bytes however the work was cut, stopped or shared."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.emulate import files
from tests.test_pipeline import quiet
from trigger_ml import bundle, cli, tools
from trigger_ml.emulate import output, run
from trigger_ml.errors import ArtifactError, SampleError, SpecError
from trigger_ml.ir.interpret import interpret

pytestmark = pytest.mark.needs_emulate
pq = pytest.importorskip("pyarrow.parquet")

X = files.events(3000)


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Four files of 3,000 events in all, the second with names of events."""
    folder = tmp_path_factory.mktemp("inputs")
    return [
        files.write_objects(folder / "a.h5", X[:900]),
        files.write_nano(folder / "b.root", files.branches(files.nano_events(X[900:1700])), basket=150),
        files.write_parquet(folder / "c.parquet", {"x": files.lists(X[1700:2500])}, row_group_size=130),
        files.write_hdf5(folder / "d.h5", {"x": X[2500:].astype(np.int32)}, chunks=(64, 57)),
    ]


def in_order() -> np.ndarray:
    parts = np.array_split(X[:900], 9)
    return np.concatenate([*parts[:3], *parts[6:], *parts[3:6], X[900:]])


def do(packed: Path, inputs: list[Path], to: Path, **asked: Any) -> dict[str, Any]:
    return dict(run.emulate(packed, inputs, quiet(), to, run.Asked(**asked)))


def test_scores_and_decisions_are_golden(packed: Path, inputs: list[Path], tmp_path: Path) -> None:
    made = do(packed, inputs, tmp_path / "a.parquet")
    golden = interpret(bundle.open_bundle(packed).graph, in_order())
    table = pq.read_table(tmp_path / "a.parquet")
    assert table["score"].to_pylist() == golden["score"][:, 0].tolist()
    assert table["decision"].to_pylist() == (golden["decision"][:, 0] == 1).tolist()
    assert 0 < golden["decision"].sum() < 3000
    assert table["file"].to_pylist() == [0] * 900 + [1] * 800 + [2] * 800 + [3] * 500
    assert table["index"].to_pylist() == [*range(900), *range(800), *range(800), *range(500)]
    assert table["event"].to_pylist() == [None] * 900 + [i + 2**40 for i in range(800)] + [None] * 1300
    assert table["run"].to_pylist() == [None] * 900 + [380_001] * 800 + [None] * 1300
    assert (made["events"], made["accepted"]) == (3000, int(golden["decision"].sum()))
    assert [f["events"] for f in made["files"]] == [900, 800, 800, 500]
    assert sum(f["accepted"] for f in made["files"]) == made["accepted"]
    assert made["engine"] == "cpp"
    assert not (tmp_path / "a.parquet.parts").exists()


def test_root_holds_the_same(packed: Path, inputs: list[Path], tmp_path: Path) -> None:
    uproot = pytest.importorskip("uproot")
    do(packed, inputs, tmp_path / "a.parquet")
    do(packed, inputs, tmp_path / "a.root")
    table = pq.read_table(tmp_path / "a.parquet")
    with uproot.open(tmp_path / "a.root") as file:
        tree = file["scores"].arrays(library="np")
        about = json.loads(str(file["trigger_ml"]))
    assert set(tree) == set(table.column_names)
    for name in tree:
        assert tree[name].tolist() == [v or 0 for v in table[name].to_pylist()]
    assert about == json.loads(table.schema.metadata[b"trigger_ml"])
    assert about["graph_digest"] == bundle.open_bundle(packed).digest
    assert about["bundle"] == "small"
    assert [f["name"] for f in about["files"]] == ["a.h5", "b.root", "c.parquet", "d.h5"]


@pytest.mark.parametrize("suffix", [".parquet", ".root"])
def test_neither_time_nor_place_is_in_the_bytes(packed: Path, inputs: list[Path], tmp_path: Path, suffix: str) -> None:
    first = tmp_path / f"a{suffix}"
    do(packed, inputs, first)
    (tmp_path / "elsewhere").mkdir()
    moved = [Path(shutil.copy(path, tmp_path / "elsewhere" / path.name)) for path in inputs]
    time.sleep(1.1)
    do(packed, moved, tmp_path / "deep" / f"b{suffix}", chunk=100)
    assert first.read_bytes() == (tmp_path / "deep" / f"b{suffix}").read_bytes()
    assert str(tmp_path).encode() not in first.read_bytes()


@settings(max_examples=15)
@given(chunk=st.integers(20, 4000), rows=st.sampled_from([700, 5000]))
@pytest.mark.parametrize("suffix", [".parquet", ".root"])
def test_no_byte_depends_on_the_chunks(
    packed: Path, inputs: list[Path], tmp_path_factory: pytest.TempPathFactory, suffix: str, chunk: int, rows: int
) -> None:
    folder = tmp_path_factory.mktemp("chunks")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(output, "ROWS", rows)
        do(packed, inputs, folder / f"a{suffix}")
        do(packed, inputs, folder / f"b{suffix}", chunk=chunk)
    assert (folder / f"a{suffix}").read_bytes() == (folder / f"b{suffix}").read_bytes()


def test_onnx_stands_in_for_the_compiler(
    packed: Path,
    inputs: list[Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    do(packed, inputs, tmp_path / "a.parquet")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "empty"))
    real = tools.find
    monkeypatch.setattr(tools, "find", lambda name: None if name == "g++" else real(name))
    argv = ["emulate", str(packed), *map(str, inputs), "--to", str(tmp_path / "b.parquet"), "--json"]
    assert cli.main(argv) == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["engine"] == "onnx"
    assert "ONNX" in err
    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()


# -- stopped, and going on -------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Enough events that something can happen in the middle."""
    x = np.tile(X, (40, 1))
    return files.write_hdf5(tmp_path_factory.mktemp("many") / "many.h5", {"x": x}, chunks=(500, 57))


def command(packed: Path, many: Path, to: Path, *more: str) -> list[str]:
    argv = [sys.executable, "-m", "trigger_ml", "emulate", str(packed), str(many), "--to", str(to), "--json"]
    return [*argv, "--chunk", "500", *more]


def until(condition: Callable[[], Any], process: subprocess.Popen[bytes], seconds: float = 120.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None, "it ended before anything could happen to it"
        assert time.monotonic() < end
        time.sleep(0.002)


def parts(to: Path) -> list[Path]:
    return list(to.with_name(f"{to.name}.parts").glob("*/*.npz"))


def test_killed_it_goes_on_to_the_same_bytes(packed: Path, many: Path, tmp_path: Path) -> None:
    do(packed, [many], tmp_path / "whole.parquet")
    to = tmp_path / "killed.parquet"
    process = subprocess.Popen(command(packed, many, to), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    until(lambda: len(parts(to)) >= 20, process)
    process.kill()
    process.wait()
    assert not to.exists()
    left = len(parts(to))
    assert 20 <= left < 240
    damaged = parts(to)[0]
    damaged.write_bytes(damaged.read_bytes()[:-40])
    done = subprocess.run(command(packed, many, to), capture_output=True, check=True)
    assert json.loads(done.stdout)["parts_found"] == left - 1
    assert to.read_bytes() == (tmp_path / "whole.parquet").read_bytes()
    assert not to.with_name(f"{to.name}.parts").exists()


def children(pid: int) -> list[int]:
    return [int(c) for t in Path(f"/proc/{pid}/task").iterdir() for c in (t / "children").read_text().split()]


def test_a_lost_worker_costs_its_chunk_only(packed: Path, many: Path, tmp_path: Path) -> None:
    do(packed, [many], tmp_path / "whole.parquet")
    to = tmp_path / "two.parquet"
    argv = command(packed, many, to, "--workers", "2")
    process = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    until(lambda: len(parts(to)) >= 20, process)
    workers = [c for c in children(process.pid) if b"spawn_main" in Path(f"/proc/{c}/cmdline").read_bytes()]
    assert len(workers) == 2
    os.kill(workers[0], signal.SIGKILL)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err.decode()
    assert json.loads(out)["events"] == 120_000
    assert to.read_bytes() == (tmp_path / "whole.parquet").read_bytes()
    assert b"Traceback" not in err


def test_a_scheduler_elsewhere(packed: Path, many: Path, tmp_path: Path) -> None:
    scheduler = subprocess.Popen(
        [sys.executable, "-m", "distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", "0",
         "--dashboard-address", "127.0.0.1:0", "--scheduler-file", str(tmp_path / "address.json")],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    worker = None
    try:
        until(lambda: (tmp_path / "address.json").exists() and (tmp_path / "address.json").stat().st_size, scheduler)
        address = json.loads((tmp_path / "address.json").read_text())["address"]
        worker = subprocess.Popen(
            [sys.executable, "-m", "distributed.cli.dask_worker", address, "--no-nanny", "--no-dashboard"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        )  # fmt: skip
        done = subprocess.run(
            command(packed, many, tmp_path / "a.parquet", "--chunk", "5000", "--scheduler", address),
            capture_output=True, check=True,
        )  # fmt: skip
    finally:
        for process in (worker, scheduler):
            if process is not None:
                process.terminate()
                process.wait()
    assert json.loads(done.stdout)["events"] == 120_000
    do(packed, [many], tmp_path / "b.parquet")
    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()


def test_no_scheduler_there(
    packed: Path, many: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("trigger_ml.scheduling.CONNECT_S", 0.5)
    argv = command(packed, many, tmp_path / "a.parquet", "--scheduler", "tcp://127.0.0.1:1")
    assert cli.main(argv[3:]) == 4
    assert "no Dask scheduler answers at tcp://127.0.0.1:1" in capsys.readouterr().err


def test_done_is_done_and_a_changed_file_is_not(packed: Path, tmp_path: Path) -> None:
    path, to = files.write_hdf5(tmp_path / "x.h5", {"x": X}), tmp_path / "a.parquet"
    first = do(packed, [path], to)
    before, when = to.read_bytes(), to.stat().st_mtime_ns
    again = do(packed, [path], to)
    assert to.stat().st_mtime_ns == when
    assert {k: again[k] for k in ("events", "accepted", "files")} == {
        k: first[k] for k in ("events", "accepted", "files")
    }
    files.write_hdf5(path, {"x": X[:2000]})
    assert do(packed, [path], to)["events"] == 2000
    assert to.read_bytes() != before


def test_names_are_text_and_not_markup(packed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = files.write_hdf5(tmp_path / "[bold]a.h5", {"x": X[:50]})
    argv = ["emulate", str(packed), str(path), str(tmp_path / "[/b].h5"), "--to", str(tmp_path / "[red]a.parquet")]
    assert cli.main([*argv, "--on-error", "skip", "--json"]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["files"][0]["name"] == "[bold]a.h5"
    assert "[/b].h5 does not exist" in " ".join(err.split())


def test_what_was_skipped_is_no_success_when_asked_to_fail(packed: Path, tmp_path: Path) -> None:
    spoiled = X[:60].copy()
    spoiled[7, 0] = 2**14
    both = [files.write_hdf5(tmp_path / "a.h5", {"x": X[:50]}), files.write_hdf5(tmp_path / "b.h5", {"x": spoiled})]
    assert do(packed, both, tmp_path / "a.parquet", on_error="skip")["events"] == 50
    with pytest.raises(SampleError, match=r"made without b.h5 .it is damaged"):
        do(packed, both, tmp_path / "a.parquet")
    assert do(packed, both, tmp_path / "a.parquet", on_error="skip")["events"] == 50


def test_a_file_that_changes_while_it_is_read(packed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = files.write_hdf5(tmp_path / "a.h5", {"x": X[:500]})
    other = files.write_hdf5(tmp_path / "b.h5", {"x": X[500:1000]})
    real = run.scheduling.results

    def meanwhile(*given: Any) -> Any:
        yield from real(*given)
        shutil.copy(other, path)

    monkeypatch.setattr(run.scheduling, "results", meanwhile)
    with pytest.raises(SampleError, match=r"a.h5 has changed while it was read"):
        do(packed, [path], tmp_path / "a.parquet")
    assert not (tmp_path / "a.parquet").exists()


# -- what is refused -------------------------------------------------------------------------------------------------


def test_two_at_once_do_not_mix(packed: Path, inputs: list[Path], tmp_path: Path) -> None:
    from trigger_ml import artifact

    with artifact.exclusive(tmp_path / "a.parquet.parts"), pytest.raises(ArtifactError, match="in use by another"):
        do(packed, inputs, tmp_path / "a.parquet")


def test_what_makes_no_sense_is_refused(packed: Path, inputs: list[Path], tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="given twice"):
        do(packed, [*inputs, inputs[0].parent / ".." / inputs[0].parent.name / inputs[0].name], tmp_path / "a.parquet")
    with pytest.raises(SpecError, match="one of the files to read"):
        do(packed, inputs, inputs[2])
    with pytest.raises(SpecError, match=r"neither with .parquet nor with .root"):
        do(packed, inputs, tmp_path / "a.csv")
    with pytest.raises(SpecError, match="give fail or skip"):
        do(packed, inputs, tmp_path / "a.parquet", on_error="ignore")
    with pytest.raises(SpecError, match="give one of them"):
        do(packed, inputs, tmp_path / "a.parquet", workers=2, scheduler="tcp://127.0.0.1:1")
    precious = files.write_parquet(tmp_path / "precious.parquet", {"x": files.lists(X)})
    with pytest.raises(SpecError, match="was not written by emulate"):
        do(packed, inputs, precious)
    with pytest.raises(SampleError, match="none of the 2 files"):
        do(packed, [tmp_path / "a", tmp_path / "b"], tmp_path / "a.parquet", on_error="skip")
    assert not (tmp_path / "a.parquet").exists()
