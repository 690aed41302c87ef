"""The formats of board files by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from trigger_ml.boards import apx, emp
from trigger_ml.boards.frames import Frames
from trigger_ml.errors import ArtifactError, SpecError


@dataclass(frozen=True)
class Format:
    """How a file is written and read.

    Attributes:
        name: on the command line.
        flags: those that it holds.
        named: whether it holds a name.
        write: the text of a file.
        read: from content and the file's name in errors.
    """

    name: str
    flags: tuple[str, ...]
    named: bool
    write: Callable[[Frames], str]
    read: Callable[[bytes, str], Frames]


FORMATS = {
    f.name: f
    for f in (
        Format("emp2", emp.FLAGS_2, True, emp.write_2, emp.read_2),
        Format("emp1", emp.FLAGS_1, True, emp.write_1, emp.read_1),
        Format("apx", apx.FLAGS, False, apx.write, apx.read),
    )
}


def find(name: str) -> Format:
    """A format by its name.

    Raises:
        SpecError: there is none; the sentence lists them.
    """
    if name not in FORMATS:
        raise SpecError(f"there is no format {name!r} of board files: give {', '.join(FORMATS)}")
    return FORMATS[name]


def load(path: Path, name: str) -> Frames:
    """Read a file.

    Raises:
        SpecError: no such format.
        ArtifactError: it is missing, or malformed; with line and reason.
    """
    kind = find(name)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ArtifactError(f"{path} can't be read ({error.strerror}): give a pattern file") from None
    return kind.read(content, str(path))
