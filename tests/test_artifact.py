from __future__ import annotations

import math
import os
import signal
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from trigger_ml import artifact
from trigger_ml.errors import ArtifactError

SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
JSON = st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=20)
ARRAYS = st.dictionaries(
    st.from_regex("[a-z]{1,6}", fullmatch=True),
    npst.arrays(
        st.sampled_from(["int8", "int64", "uint16", "float32", "float64", "bool", ">i4"]), npst.array_shapes(min_dims=0)
    ),
    max_size=3,
)
SMALL = {"w": np.arange(-6, 6, dtype=np.int64).reshape(3, 4), "b": np.zeros((), np.int8)}

in_folder = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)


@given(JSON)
@in_folder
def test_json_reads_back_equal(tmp_path: Path, value: object) -> None:
    path = tmp_path / "a.json"
    try:
        artifact.write_json(path, value)
    except UnicodeEncodeError:  # a lone surrogate has no UTF-8 form
        return
    assert artifact.read_json(path) == value
    assert artifact.digest_path(path) == artifact.digest_json(value)


def test_json_is_canonical() -> None:
    assert artifact.canonical_json({"b": 0.1, "a": (1, np.int64(2))}) == b'{\n "a": [\n  1,\n  2\n ],\n "b": 0.1\n}\n'
    assert artifact.digest_json({"a": 1, "b": 2}) == artifact.digest_json({"b": 2, "a": 1})
    assert artifact.digest_json(1) != artifact.digest_json("1")


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        ({"a": [1.0, math.nan]}, r"\$\.a\[1\] is nan"),
        (math.inf, r"\$ is inf"),
        ({1: 2}, "has the key 1"),
        ({"a": {1}}, r"\$\.a is a set"),
        (np.zeros(3), "is a ndarray"),
    ],
)
def test_what_has_no_exact_json_is_refused(value: object, sentence: str) -> None:
    with pytest.raises(ArtifactError, match=sentence):
        artifact.canonical_json(value)


@pytest.mark.parametrize("text", ["", "{", '{"a": NaN}', '{"a": 1, "a": 2}', "[1] 2", "\xff"])
def test_what_is_not_strict_json_is_refused(text: str, tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(ArtifactError, match="is damaged or not JSON"):
        artifact.read_json(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    for read, name in ((artifact.read_json, "a.json"), (artifact.read_npz, "a.npz"), (artifact.digest_path, "a.bin")):
        with pytest.raises(ArtifactError, match=f"{name} is missing"):
            read(tmp_path / name)


@given(ARRAYS)
@in_folder
def test_arrays_read_back_equal(tmp_path: Path, arrays: dict[str, np.ndarray]) -> None:
    path = tmp_path / "a.npz"
    artifact.write_npz(path, arrays)
    read = artifact.read_npz(path)
    assert set(read) == set(arrays)
    for name, array in arrays.items():
        assert read[name].dtype == array.dtype.newbyteorder("<")
        assert read[name].shape == array.shape
        assert read[name].tobytes() == array.astype(array.dtype.newbyteorder("<")).tobytes()
    assert artifact.digest_path(path) == artifact.digest_arrays(arrays)


def test_an_npz_depends_on_nothing_but_its_content(tmp_path: Path) -> None:
    artifact.write_npz(tmp_path / "a.npz", SMALL)
    artifact.write_npz(tmp_path / "b.npz", dict(reversed(SMALL.items())))
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    np.savez(tmp_path / "c.npz", **SMALL)
    assert artifact.digest_path(tmp_path / "c.npz") == artifact.digest_arrays(SMALL)


def test_a_digest_tells_shape_type_name_and_value_apart() -> None:
    digests = [
        artifact.digest_arrays(arrays)
        for arrays in (
            {"a": np.zeros(4, np.int8)},
            {"a": np.zeros((2, 2), np.int8)},
            {"a": np.zeros(1, np.int32)},
            {"b": np.zeros(4, np.int8)},
            {"a": np.array([0, 0, 0, 1], np.int8)},
            {},
        )
    ]
    assert len(set(digests)) == len(digests)
    with pytest.raises(ArtifactError, match="holds Python objects"):
        artifact.digest_arrays({"a": np.array([None])})


@pytest.mark.parametrize("suffix", [".json", ".npz"])
def test_no_damage_passes(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / "g.json"
    digest = artifact.save(path, "qgraph", 1, {"nodes": [1, 2.5]}, SMALL)
    victim = path.with_suffix(suffix)
    whole = victim.read_bytes()
    for cut in range(0, len(whole) - 1):
        victim.write_bytes(whole[:cut])
        with pytest.raises(ArtifactError):
            artifact.load(path, "qgraph", 1)
    for at in range(len(whole)):
        victim.write_bytes(whole[:at] + bytes([whole[at] ^ 0x10]) + whole[at + 1 :])
        try:
            read = artifact.load(path, "qgraph", 1)
        except ArtifactError:
            continue
        assert read.digest == digest  # a bit that carries no content, such as a time stamp
        assert read.content == {"nodes": [1, 2.5]}
        assert all(np.array_equal(read.arrays[name], SMALL[name]) for name in SMALL)


def test_kind_and_version_are_checked(tmp_path: Path) -> None:
    path = tmp_path / "g.json"
    artifact.save(path, "qgraph", 2, [1])
    assert artifact.load(path, "qgraph", 2).content == [1]
    with pytest.raises(ArtifactError, match="is a qgraph, not a vectors"):
        artifact.load(path, "vectors", 2)
    with pytest.raises(ArtifactError, match="of version 2, this trigger_ml reads up to version 1"):
        artifact.load(path, "qgraph", 1)
    with pytest.raises(ArtifactError, match="of version 2, this trigger_ml reads up to version 3"):
        artifact.load(path, "qgraph", 3)
    artifact.write_json(path, {"some": "thing"})
    with pytest.raises(ArtifactError, match="is not an artifact of trigger_ml"):
        artifact.load(path, "qgraph", 1)


def test_old_versions_are_brought_up(tmp_path: Path) -> None:
    path = tmp_path / "g.json"
    digest = artifact.save(path, "qgraph", 1, {"a": 1}, SMALL)
    upgrades = {
        1: lambda content, arrays: ({**content, "b": 2}, arrays),
        2: lambda content, arrays: ({**content, "c": 3}, {"all": arrays["w"]}),
    }
    read = artifact.load(path, "qgraph", 3, upgrades)
    assert read.content == {"a": 1, "b": 2, "c": 3}
    assert set(read.arrays) == {"all"}
    assert read.digest == digest


def test_a_pair_from_two_runs_is_refused(tmp_path: Path) -> None:
    artifact.save(tmp_path / "a.json", "qgraph", 1, 1, {"w": np.zeros(2)})
    artifact.save(tmp_path / "b.json", "qgraph", 1, 1, {"w": np.ones(2)})
    (tmp_path / "b.npz").replace(tmp_path / "a.npz")
    with pytest.raises(ArtifactError, match="the digest differs"):
        artifact.load(tmp_path / "a.json", "qgraph", 1)


def test_a_pickle_is_never_opened(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x=np.array([{}], object))
    with pytest.raises(ArtifactError, match="is damaged"):
        artifact.read_npz(tmp_path / "a.npz")
    np.save(tmp_path / "a.npy", np.zeros(2))
    with pytest.raises(ArtifactError, match="is damaged"):
        artifact.read_npz(tmp_path / "a.npy")


def test_a_folder_has_one_digest(tmp_path: Path) -> None:
    for name in ("one", "two"):
        artifact.atomic_write(tmp_path / name / "sub" / "b.v", "module b; endmodule\n")
        artifact.write_npz(tmp_path / name / "w.npz", SMALL)
    with zipfile.ZipFile(tmp_path / "two" / "w.npz") as archive:
        assert archive.testzip() is None
    (tmp_path / "two" / ".hidden").write_text("no matter")
    assert artifact.digest_path(tmp_path / "one") == artifact.digest_path(tmp_path / "two")
    (tmp_path / "two" / "sub" / "b.v").rename(tmp_path / "two" / "sub" / "c.v")
    assert artifact.digest_path(tmp_path / "one") != artifact.digest_path(tmp_path / "two")


def test_a_failed_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.json"
    artifact.write_json(path, 1)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match="No space"):
        artifact.write_json(path, 2)
    assert artifact.read_json(path) == 1
    assert [file.name for file in tmp_path.iterdir()] == ["a.json"]


def test_a_folder_is_replaced_whole_or_not_at_all(tmp_path: Path) -> None:
    folder = tmp_path / "out"
    with artifact.atomic_folder(folder) as part:
        (part / "a").write_text("1")
    with pytest.raises(IsADirectoryError), artifact.atomic_folder(folder) as part:
        part.write_text("fails")
    assert [file.name for file in folder.iterdir()] == ["a"]
    with artifact.atomic_folder(folder) as part:
        (part / "c").write_text("3")
    assert [file.name for file in folder.iterdir()] == ["c"]
    assert [file.name for file in tmp_path.iterdir()] == ["out"]


KILLED = """
import os, signal, sys
from pathlib import Path
from trigger_ml import artifact
with artifact.exclusive(Path(sys.argv[1])), artifact.atomic_folder(Path(sys.argv[1]) / "out") as part:
    (part / "half").write_text("x")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_a_killed_process_leaves_is_swept(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)], check=False)
    assert done.returncode == -signal.SIGKILL
    assert not (tmp_path / "out").exists()
    assert list(tmp_path.glob(".out.*.part"))
    with artifact.exclusive(tmp_path), artifact.atomic_folder(tmp_path / "out") as part:
        (part / "whole").write_text("x")
    assert sorted(os.listdir(tmp_path)) == [".lock", "out"]  # noqa: PTH208 (hidden names too)
    assert [file.name for file in (tmp_path / "out").iterdir()] == ["whole"]


def test_a_folder_has_one_writer(tmp_path: Path) -> None:
    with (
        artifact.exclusive(tmp_path),
        pytest.raises(ArtifactError, match="is in use by another trigger-ml"),
        artifact.exclusive(tmp_path),
    ):
        pass
    with artifact.exclusive(tmp_path):
        pass
