"""The file of results, Parquet or ROOT: the same bytes for the same events, however these were divided.

Columns: ``file`` (number among the inputs, from 0), ``index`` (of the event in its file), one for each element of each
output of the graph (integers; ``decision`` a boolean), and ``run``, ``luminosityBlock``, ``event`` if a file has them:
null in Parquet and 0 in ROOT for files that have not. The entry ``trigger_ml`` of the file says what it was made of.
"""

from __future__ import annotations

import contextlib
import tempfile
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trigger_ml import artifact, tools
from trigger_ml.emulate.events import IDS
from trigger_ml.errors import SpecError

ROWS = 500_000
"""Events in a row group, or in a basket."""

KEY = "trigger_ml"
TREE = "scores"
VALID = "id.valid"
"""A column that is not written: whether an event has the ids."""

Columns = Mapping[str, NDArray[Any]]


def check_format(path: Path) -> None:
    """Refuse a file whose name doesn't say which format it should have.

    Raises:
        SpecError: it ends neither with .parquet nor with .root.
    """
    if path.suffix not in _WRITERS:
        raise SpecError(f"{path} ends neither with .parquet nor with .root: name the output so")


def write(path: Path, batches: Iterable[Columns], about: Mapping[str, Any]) -> None:
    """Write all events, whole or not at all.

    Args:
        path: ``.parquet`` or ``.root``.
        batches: columns of equal length, at least one batch.
        about: what stands in the file's entry ``trigger_ml``; also names the file's UUID in ROOT.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{path.name}.", suffix=".part", dir=path.parent) as folder:
        part = Path(folder) / f"{TREE}{path.suffix}"  # ROOT files hold the name that they are made under
        _WRITERS[path.suffix](part, regrouped(batches, ROWS), artifact.canonical_json(about).decode())
        part.replace(path)


def read_about(path: Path) -> dict[str, Any] | None:
    """What :func:`write` was told about a file, None if the file is none of ours, or not whole."""
    try:
        found = artifact.parse_json(_READERS[path.suffix](path), str(path))
    except Exception:  # whatever is wrong with it, it is no finished output
        return None
    return found if isinstance(found, dict) else None


def regrouped(batches: Iterable[Columns], rows: int) -> Iterator[Columns]:
    """The same events in batches of ``rows``, but for the last; at least one batch, if only an empty one."""
    held: list[Columns] = []
    count, given = 0, False
    for batch in batches:
        held.append(batch)
        count += _length(batch)
        while count >= rows:
            whole = _joined(held)
            yield {name: a[:rows] for name, a in whole.items()}
            given = True
            held, count = [{name: a[rows:] for name, a in whole.items()}], count - rows
    if held and (count or not given):
        yield _joined(held)


def _length(batch: Columns) -> int:
    return len(next(iter(batch.values())))


def _joined(batches: list[Columns]) -> Columns:
    return batches[0] if len(batches) == 1 else {n: np.concatenate([b[n] for b in batches]) for n in batches[0]}


# -- Parquet ----------------------------------------------------------------------------------------------------------


def _parquet(path: Path, batches: Iterator[Columns], about: str) -> None:
    arrow, parquet = tools.package("pyarrow"), tools.package("pyarrow.parquet")
    with contextlib.ExitStack() as stack:
        writer = None
        for batch in batches:
            arrays = {
                name: arrow.array(values, mask=~batch[VALID] if name in IDS else None)
                for name, values in batch.items()
                if name != VALID
            }
            table = arrow.table(arrays).replace_schema_metadata({KEY: about})
            if writer is None:
                options = {"compression": "zstd", "use_dictionary": ["file"], "write_page_checksum": True}
                writer = stack.enter_context(parquet.ParquetWriter(path, table.schema, **options))
            writer.write_table(table, row_group_size=ROWS)


def _parquet_about(path: Path) -> bytes:
    return bytes(tools.package("pyarrow.parquet").read_schema(path).metadata[KEY.encode()])


# -- ROOT -------------------------------------------------------------------------------------------------------------


def _root(path: Path, batches: Iterator[Columns], about: str) -> None:
    uproot = tools.package("uproot")
    name = uuid.UUID(hex=artifact.digest_bytes(about.encode())[:32])
    options = {"compression": uproot.ZLIB(4), "uuid_function": lambda: name}
    with _timeless(uproot), uproot.recreate(path, **options) as file:
        tree = None
        for batch in batches:
            columns = {n: a for n, a in batch.items() if n != VALID}
            if tree is None:
                tree = file.mktree(TREE, {n: a.dtype for n, a in columns.items()})
            if _length(columns):
                tree.extend(columns)
        file[KEY] = about


@contextlib.contextmanager
def _timeless(uproot: Any) -> Iterator[None]:
    """While a file is written, its times are the first that ROOT knows: uproot asks nobody and writes the present."""
    real = uproot._util.datetime_to_code
    uproot._util.datetime_to_code = lambda _: (1 << 22) | (1 << 17)  # 1 January 1995, 0:00
    try:
        yield
    finally:
        uproot._util.datetime_to_code = real


def _root_about(path: Path) -> bytes:
    with tools.package("uproot").open(path) as file:
        if int(file.file.fEND) > path.stat().st_size:
            return b""
        return str(file[KEY]).encode()


_WRITERS: dict[str, Callable[[Path, Iterator[Columns], str], None]] = {".parquet": _parquet, ".root": _root}
_READERS: dict[str, Callable[[Path], bytes]] = {".parquet": _parquet_about, ".root": _root_about}
