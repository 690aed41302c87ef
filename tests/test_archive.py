"""An archive is a function of its content, and one that could do harm is not read."""

from __future__ import annotations

import io
import stat
import struct
import warnings
import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trigger_ml import archive
from trigger_ml.errors import ArtifactError, TriggerError

names = st.from_regex(r"[a-z0-9_]{1,8}(/[a-z0-9_.]{0,6}[a-z0-9]){0,3}", fullmatch=True)


@given(st.dictionaries(names, st.binary(max_size=300), max_size=8))
def test_what_is_written_is_read(tmp_path_factory, members):
    path = tmp_path_factory.mktemp("zip") / "a.zip"
    archive.write(path, members)
    first = path.read_bytes()
    assert archive.read(path) == members
    archive.write(path, dict(reversed(list(members.items()))))
    assert path.read_bytes() == first


def zipped(path, entries):
    """A zip of (ZipInfo or name, content) pairs."""
    with warnings.catch_warnings(), zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as z:
        warnings.simplefilter("ignore")
        for name, content in entries:
            z.writestr(name, content)
    return path


def entry(name, mode=0o100644, **more):
    info = zipfile.ZipInfo(name)
    info.external_attr = mode << 16
    for key, value in more.items():
        setattr(info, key, value)
    return info


HOSTILE = {
    "parent": ([("../evil", b"x")], "leads out"),
    "parent inside": ([("a/../../evil", b"x")], "leads out"),
    "absolute": ([("/etc/evil", b"x")], "leads out"),
    "dot": ([("./a", b"x")], "leads out"),
    "double slash": ([("a//b", b"x")], "leads out"),
    "backslash": ([("..\\evil", b"x")], "character"),
    "drive": ([("C:evil", b"x")], "character"),
    "newline": ([("a\nb", b"x")], "character"),
    "link": ([(entry("link", stat.S_IFLNK | 0o777), b"/etc/passwd")], "link or a device"),
    "device": ([(entry("tty", stat.S_IFCHR | 0o666), b"")], "link or a device"),
    "folder": ([(entry("folder/", stat.S_IFDIR | 0o755), b"")], "folder"),
    "twice": ([("a", b"1"), ("a", b"2")], "name of another"),
    "case": ([("Readme", b"1"), ("README", b"2")], "name of another"),
    "bzip2": ([(entry("a", compress_type=zipfile.ZIP_BZIP2), b"x" * 100)], "compressed in a way"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_members_are_refused(tmp_path, case):
    entries, why = HOSTILE[case]
    with pytest.raises(ArtifactError, match=why):
        archive.read(zipped(tmp_path / "a.zip", entries))


def test_too_much_is_refused(tmp_path, monkeypatch):
    path = zipped(tmp_path / "a.zip", [(f"m{i}", b"\0" * 1000) for i in range(20)])
    monkeypatch.setattr(archive, "MEMBERS", 19)
    with pytest.raises(ArtifactError, match="20 members, more than 19"):
        archive.read(path)
    monkeypatch.setattr(archive, "MEMBERS", 100)
    monkeypatch.setattr(archive, "MEMBER_BYTES", 999)
    with pytest.raises(ArtifactError, match="is larger than"):
        archive.read(path)
    monkeypatch.setattr(archive, "TOTAL_BYTES", 10_000)
    with pytest.raises(ArtifactError, match="would unpack to more than"):
        archive.read(path)


def test_a_member_longer_than_it_says_is_refused(tmp_path):
    path = zipped(tmp_path / "a.zip", [("a", b"x" * 5000)])
    content = bytearray(path.read_bytes())
    for signature, offset in ((b"PK\x01\x02", 24), (b"PK\x03\x04", 22)):
        struct.pack_into("<I", content, content.index(signature) + offset, 10)
    path.write_bytes(content)
    with pytest.raises(ArtifactError):
        archive.read(path)


def test_an_encrypted_member_is_refused(tmp_path):
    path = zipped(tmp_path / "a.zip", [("a", b"x" * 50)])
    content = bytearray(path.read_bytes())
    for signature, offset in ((b"PK\x01\x02", 8), (b"PK\x03\x04", 6)):
        content[content.index(signature) + offset] |= 1
    path.write_bytes(content)
    with pytest.raises(ArtifactError, match="encrypted"):
        archive.read(path)


def sentence(path) -> str:
    """What a reader says of a file; nothing if it takes it."""
    try:
        archive.read(path)
    except TriggerError as error:
        return str(error)
    return ""


@given(st.data())
def test_damaged_bytes_never_crash(tmp_path_factory, data):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as z:
        for i in range(3):
            z.writestr(f"m{i}", bytes(range(100)) * 3)
    content = bytearray(buffer.getvalue())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.mktemp("zip") / "a.zip"
    path.write_bytes(bytes(content[: data.draw(st.integers(0, len(content)))]))
    assert "\n" not in sentence(path)


def test_what_is_not_there_is_said(tmp_path):
    with pytest.raises(ArtifactError, match="does not exist"):
        archive.read(tmp_path / "nothing.zip")
