"""Zip archives that are the same bytes for the same content, and are read only if they can do no harm."""

from __future__ import annotations

import io
import stat
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from trigger_ml.artifact import atomic_write
from trigger_ml.errors import ArtifactError

MEMBERS = 10_000
MEMBER_BYTES = 256 << 20
TOTAL_BYTES = 1 << 30
"""Limits of what is read: no honest bundle comes near them."""

_EPOCH = (1980, 1, 1, 0, 0, 0)
_MODE = (stat.S_IFREG | 0o644) << 16
_LEVEL = 6


def write(path: Path, members: Mapping[str, bytes]) -> None:
    """Write an archive: members in the order of their names, no times, one permission."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in sorted(members):
            info = zipfile.ZipInfo(name, _EPOCH)
            info.external_attr, info.create_system = _MODE, 3
            archive.writestr(info, members[name], zipfile.ZIP_DEFLATED, _LEVEL)
    path.parent.mkdir(parents=True, exist_ok=True)
    atomic_write(path, buffer.getvalue())


def read(path: Path) -> dict[str, bytes]:
    """All members by name.

    Raises:
        ArtifactError: it is missing or damaged, or it holds what no bundle holds: a path that leads out of it, a link,
            two members of one name, an encrypted member, or more bytes than the limits above.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            infos = archive.infolist()
            _check(path, infos)
            return {info.filename: _member(path, archive, info) for info in infos}
    except (OSError, zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, ValueError) as error:
        if isinstance(error, FileNotFoundError):
            raise ArtifactError(f"{path} does not exist: give a bundle") from None
        raise ArtifactError(f"{path} is no intact zip archive ({error}): get the bundle again") from None


def _check(path: Path, infos: list[zipfile.ZipInfo]) -> None:
    if len(infos) > MEMBERS:
        raise ArtifactError(f"{path} has {len(infos)} members, more than {MEMBERS}: it is no bundle")
    if sum(info.file_size for info in infos) > TOTAL_BYTES:
        raise ArtifactError(f"{path} would unpack to more than {TOTAL_BYTES >> 20} MiB: it is no bundle")
    seen: set[str] = set()
    for info in infos:
        why = _harm(info)
        if why is None and info.filename.casefold() in seen:
            why = "has the name of another member"
        if why is not None:
            raise ArtifactError(f"{path}: member {info.filename[:80]!r} {why}: don't trust this file")
        seen.add(info.filename.casefold())


def _harm(info: zipfile.ZipInfo) -> str | None:
    """What is wrong with a member, None if nothing is."""
    name, mode = info.filename, info.external_attr >> 16
    parts = PurePosixPath(name).parts
    # zipfile cuts a name at a null byte; orig_filename shows it.
    if info.orig_filename != name or any(ord(c) < 32 or c in '\\:*?"<>|' for c in info.orig_filename):
        return "has a character in its name that no file should have"
    if not parts or name.startswith("/") or any(p in ("..", ".") for p in name.split("/")) or "//" in name:
        return "leads out of the archive"
    if name.endswith("/"):
        return "is a folder"
    if stat.S_IFMT(mode) not in (0, stat.S_IFREG):
        return "is a link or a device"
    if info.flag_bits & 0x1:
        return "is encrypted"
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        return "is compressed in a way that bundles are not"
    if info.file_size > MEMBER_BYTES:
        return f"is larger than {MEMBER_BYTES >> 20} MiB"
    return None


def _member(path: Path, archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> bytes:
    """The bytes of a member: as many as its header says, whatever the stream would give."""
    with archive.open(info) as stream:
        content = stream.read(info.file_size + 1)
    if len(content) != info.file_size:
        raise ArtifactError(f"{path}: member {info.filename!r} is not as long as it says: don't trust this file")
    return content
