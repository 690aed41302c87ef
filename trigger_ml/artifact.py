"""Files that steps hand to each other: canonical JSON, npz with a digest of its content, atomic writes.

A digest depends on content only: the numbers, names, types and shapes, never on compression, time or place.
Every file appears whole or not at all: it is written under a temporary name beside its place, then renamed.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import shutil
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trigger_ml.errors import ArtifactError

Json = Any
"""None, bool, int, finite float, str, or lists and string-keyed dicts of them."""

Arrays = Mapping[str, NDArray[Any]]

_REMAKE = "run the step that makes it again"


# -- canonical content ------------------------------------------------------------------------------------------------


def canonical_json(value: Json) -> bytes:
    """One text for one value: keys sorted, floats as the shortest text that reads back equal, no NaN, a final newline.

    Raises:
        ArtifactError: if a value has no exact JSON form (NaN, infinity, a key that isn't a string, an unknown type).
    """
    return (json.dumps(_plain(value), sort_keys=True, indent=1, allow_nan=False, ensure_ascii=False) + "\n").encode()


def _plain(value: Json, where: str = "$") -> Json:
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        if value != value or value in (float("inf"), float("-inf")):
            raise ArtifactError(f"{where} is {value}: JSON holds finite numbers only, give None or leave the key out")
        return value
    if isinstance(value, Mapping):
        for key in value:
            if not isinstance(key, str):
                raise ArtifactError(f"{where} has the key {key!r}: keys of JSON objects are strings")
        return {key: _plain(item, f"{where}.{key}") for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item, f"{where}[{i}]") for i, item in enumerate(value)]
    raise ArtifactError(f"{where} is a {type(value).__name__}, which has no JSON form: convert it first")


def digest_json(value: Json) -> str:
    """sha256 (hexadecimal) of the canonical JSON of ``value``."""
    return hashlib.sha256(canonical_json(value)).hexdigest()


def digest_bytes(content: bytes) -> str:
    """sha256 (hexadecimal) of bytes."""
    return hashlib.sha256(content).hexdigest()


def digest_arrays(arrays: Arrays) -> str:
    """sha256 (hexadecimal) over name, dtype, shape and little-endian C-order bytes of each array, sorted by name.

    Raises:
        ArtifactError: if an array holds Python objects.
    """
    total = hashlib.sha256()
    for name in sorted(arrays):
        array = _little_endian(name, arrays[name])
        total.update(f"{name}\0{array.dtype.str}\0{array.shape}\0".encode())
        total.update(array.tobytes())
    return total.hexdigest()


def digest_path(path: Path) -> str:
    """sha256 (hexadecimal) of a file's or folder's content.

    ``.json`` and ``.npz`` files count by their values, other files by their bytes, a folder by the relative names and
    digests of its files; names that start with a dot don't count.

    Raises:
        ArtifactError: if it is missing or damaged.
    """
    if path.is_dir():
        return digest_json(digest_files(path))
    if path.suffix == ".npz":
        return digest_arrays(read_npz(path))
    if path.suffix == ".json":
        return digest_json(read_json(path))
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise _unreadable(path, error) from None


def digest_files(folder: Path) -> dict[str, str]:
    """Digest of each file of a folder by its relative name; names that start with a dot don't count.

    Raises:
        ArtifactError: if one is damaged.
    """
    return {name: digest_path(folder / name) for name in names_of(folder)}


def names_of(folder: Path) -> list[str]:
    """The files of a folder by relative name, unread; names that start with a dot don't count."""
    files = sorted(file for file in folder.rglob("*") if file.is_file() and not _hidden(file.relative_to(folder)))
    return [file.relative_to(folder).as_posix() for file in files]


def _hidden(relative: Path) -> bool:
    return any(part.startswith(".") for part in relative.parts)


def _little_endian(name: str, array: NDArray[Any]) -> NDArray[Any]:
    array = np.asarray(array)
    if array.dtype.hasobject:
        raise ArtifactError(f"array {name} holds Python objects: give it a numeric dtype")
    return np.ascontiguousarray(array, array.dtype.newbyteorder("<")).reshape(array.shape)


def _unreadable(path: Path, error: OSError) -> ArtifactError:
    if isinstance(error, FileNotFoundError):
        return ArtifactError(f"{path} is missing: {_REMAKE}")
    return ArtifactError(f"{path} can't be read ({error.strerror}): check its permissions, or {_REMAKE}")


# -- whole files, or none ---------------------------------------------------------------------------------------------


def atomic_write(path: Path, content: bytes | str) -> None:
    """Write ``content`` (text as UTF-8) to ``path``, whole or not at all; folders above it are made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = _part(path)
    try:
        part.write_bytes(content.encode() if isinstance(content, str) else content)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


@contextlib.contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """Yield an empty temporary folder beside ``path``; if the block ends well it takes the place of ``path``.

    A block that raises leaves ``path`` as it was. What a killed process left behind is removed by the next one.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    sweep(path.parent, path.name)
    part = _part(path)
    part.mkdir()
    try:
        yield part
        if path.exists():
            old = path.with_name(f".{path.name}.{os.getpid()}-old.part")
            path.replace(old)
            part.replace(path)
            shutil.rmtree(old)
        else:
            part.replace(path)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def sweep(folder: Path, name: str = "*") -> None:
    """Remove what killed processes left half-written in ``folder``; only its one writer may call it."""
    for part in folder.glob(f".{name}.*.part"):
        if part.is_dir():
            shutil.rmtree(part, ignore_errors=True)
        else:
            part.unlink(missing_ok=True)


@contextlib.contextmanager
def exclusive(folder: Path) -> Iterator[None]:
    """Hold ``folder`` as its one writer; the operating system lets go of it if the process is killed.

    Raises:
        ArtifactError: if another process holds it.
    """
    import fcntl

    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise ArtifactError(f"{folder} is in use by another trigger-ml: wait for it, or stop it") from None
        sweep(folder)
        yield


def _part(path: Path) -> Path:
    return path.with_name(f".{path.name}.{os.getpid()}.part")


# -- JSON and npz -----------------------------------------------------------------------------------------------------


def write_json(path: Path, value: Json) -> None:
    """Write the canonical JSON of ``value``."""
    atomic_write(path, canonical_json(value))


def read_json(path: Path) -> Json:
    """Read strict JSON: no NaN, no key given twice.

    Raises:
        ArtifactError: if the file is missing, truncated or not JSON.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise _unreadable(path, error) from None
    return parse_json(content, str(path))


def parse_json(content: bytes, where: str) -> Json:
    """Strict JSON from bytes; ``where`` names them in errors.

    Raises:
        ArtifactError: if they are not JSON.
    """
    try:
        return json.loads(content, object_pairs_hook=_unique, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise ArtifactError(f"{where} is damaged or not JSON ({error}): {_REMAKE}") from None


def _unique(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    content = dict(pairs)
    if len(content) < len(pairs):
        raise ValueError("a key is given twice")
    return content


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no number")


def write_npz(path: Path, arrays: Arrays) -> None:
    """Write arrays (no Python objects) as a compressed npz whose bytes don't depend on the time of writing."""
    atomic_write(path, npz_bytes(arrays))


def npz_bytes(arrays: Arrays) -> bytes:
    """The bytes of that npz."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in sorted(arrays):
            member = io.BytesIO()
            np.lib.format.write_array(member, _little_endian(name, arrays[name]), allow_pickle=False)
            entry = zipfile.ZipInfo(f"{name}.npy", date_time=(1980, 1, 1, 0, 0, 0))
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, member.getvalue())
    return buffer.getvalue()


def read_npz(path: Path) -> dict[str, NDArray[Any]]:
    """Read an npz; each member's checksum is verified, Python objects are refused.

    Raises:
        ArtifactError: if the file is missing, truncated or damaged.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise _unreadable(path, error) from None
    return parse_npz(content, str(path))


def parse_npz(content: bytes, where: str) -> dict[str, NDArray[Any]]:
    """The arrays of an npz in memory; ``where`` names it in errors.

    Raises:
        ArtifactError: if it is truncated or damaged.
    """
    arrays = {}
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            for entry in archive.namelist():
                member = io.BytesIO(archive.read(entry))
                arrays[entry.removesuffix(".npy")] = np.lib.format.read_array(member, allow_pickle=False)
    except (OSError, ValueError, EOFError, KeyError, RuntimeError, zipfile.BadZipFile, zlib.error) as error:
        raise ArtifactError(f"{where} is damaged ({error}): {_REMAKE}") from None
    return arrays


# -- versioned artifacts ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Artifact:
    """What :func:`load` read.

    Attributes:
        content: the JSON part, upgraded to the current version.
        arrays: the arrays, empty if the artifact has none.
        digest: sha256 over kind, version, content and arrays as they stand in the file.
    """

    content: Json
    arrays: dict[str, NDArray[Any]]
    digest: str


Upgrade = Callable[[Json, dict[str, NDArray[Any]]], tuple[Json, dict[str, NDArray[Any]]]]
"""From the content and arrays of one version to those of the next."""


def save(path: Path, kind: str, version: int, content: Json, arrays: Arrays | None = None) -> str:
    """Write ``path`` (``.json``) and, unless ``arrays`` is None, ``path`` with ``.npz``; return the digest.

    A kind of artifact that has arrays always has both files, though one may happen to hold no array.
    The JSON is written last and holds the digest of both, so that a pair from two different runs is never accepted.
    """
    digest = content_digest(kind, version, content, arrays or {})
    if arrays is not None:
        write_npz(path.with_suffix(".npz"), arrays)
    envelope = {"kind": kind, "version": version, "digest": digest, "arrays": sorted(arrays or {}), "content": content}
    write_json(path, envelope)
    return digest


def load(path: Path, kind: str, version: int, upgrades: Mapping[int, Upgrade] | None = None) -> Artifact:
    """Read what :func:`save` wrote.

    Args:
        path: the ``.json`` file.
        kind: what it must be, e.g. ``qgraph``.
        version: the current version of that kind; older files are brought up to it by ``upgrades``.
        upgrades: version -> the function from that version to the next.

    Raises:
        ArtifactError: if a file is missing, truncated, tampered with, of another kind or of an unknown version.
    """
    envelope = read_json(path)
    if not isinstance(envelope, dict) or set(envelope) != {"kind", "version", "digest", "arrays", "content"}:
        raise ArtifactError(f"{path} is not an artifact of trigger_ml: give the {kind} that an earlier step wrote")
    if envelope["kind"] != kind:
        raise ArtifactError(f"{path} is a {envelope['kind']}, not a {kind}: give the {kind} that an earlier step wrote")
    found, content = envelope["version"], envelope["content"]
    arrays = read_npz(path.with_suffix(".npz")) if envelope["arrays"] else {}
    chain = upgrades or {}
    if not isinstance(found, int) or found > version or any(step not in chain for step in range(found, version)):
        raise ArtifactError(
            f"{path} is a {kind} of version {found}, this trigger_ml reads up to version {version}: "
            f"use the trigger_ml that wrote it, or {_REMAKE}"
        )
    digest = content_digest(kind, found, content, arrays)
    if digest != envelope["digest"] or sorted(arrays) != envelope["arrays"]:
        raise ArtifactError(f"{path} or its npz was changed after it was written (the digest differs): {_REMAKE}")
    for step in range(found, version):
        content, arrays = chain[step](content, arrays)
    return Artifact(content, arrays, digest)


def content_digest(kind: str, version: int, content: Json, arrays: Arrays) -> str:
    """sha256 (hexadecimal) of an artifact's meaning: kind, version, JSON content and arrays."""
    return digest_json({"kind": kind, "version": version, "content": content, "arrays": digest_arrays(arrays)})
