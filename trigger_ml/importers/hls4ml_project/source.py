"""The files of a project: found, copied to a place of our own, and never trusted."""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from trigger_ml import tools
from trigger_ml.errors import ImportRefused
from trigger_ml.importers.hls4ml_project.tokens import Token, refused

PLACES = ("firmware", ".", "NN")
"""Where ``parameters.h`` may be: hls4ml's layout, a bare firmware folder, the layout of cms-hls4ml's emulators."""

KINDS = (".h", ".hpp", ".cpp", ".txt", ".def", ".inc")
MAX_FILE = 64 << 20
MAX_FILES = 20_000
MAX_TOTAL = 512 << 20

FOREIGN = re.compile(r"(.*/)?(nnet_utils/.*|ap_[a-z0-9_]+\.h|hls_[a-z0-9_]+\.h)")
"""Headers that are compiled and not read."""

_INCLUDE = re.compile(r"^[ \t]*(?:#|%:|\?\?=)[ \t]*(?:include|include_next|import|embed)\b[ \t]*(.*)$", re.MULTILINE)


def firmware_of(path: Path) -> Path | None:
    """The folder that holds the sources, or None if this is no hls4ml project."""
    for place in PLACES:
        folder = path / place
        if (folder / "parameters.h").is_file() and (folder / "defines.h").is_file():
            return folder
    return None


@dataclass(frozen=True)
class Source:
    """A copy of the sources.

    Attributes:
        folder: the copy.
        top: name of the file with the top function.
    """

    folder: Path
    top: str

    def load(self, name: str, at: Token) -> str | None:
        """The text of a local include, None for a header that is only compiled."""
        inside = PurePosixPath(name)
        if FOREIGN.fullmatch(name):
            return None
        if inside.is_absolute() or ".." in inside.parts or not (self.folder / inside).is_file():
            raise refused(at, f"it includes {name!r}, which is not in the project's firmware folder")
        return self.text(name)

    def text(self, name: str) -> str:
        """The text of a file."""
        try:
            return (self.folder / name).read_text("utf-8")
        except (OSError, UnicodeDecodeError):
            raise ImportRefused(f"{name} is missing or is no text: an hls4ml project holds UTF-8 sources") from None

    def weights(self, name: str, at: Token) -> str:
        """The text of a weights file."""
        if PurePosixPath(name).name != name or not (self.folder / "weights" / name).is_file():
            raise refused(at, f"the weights file {name!r} is not in the project's weights folder")
        return self.text(f"weights/{name}")


def copied(path: Path, to: Path) -> Source:
    """Copy the sources of a project; links, odd names and large files are refused, everything else is left behind.

    Raises:
        ImportRefused: if the folder is no project, or holds what a project doesn't.
    """
    firmware = firmware_of(path)
    if firmware is None:
        raise ImportRefused(
            f"{path.name or path} holds no firmware/parameters.h and defines.h: it is no hls4ml project"
        )
    if firmware.is_symlink():
        raise ImportRefused(f"{firmware.name} is a link: give the project without links")
    folder, total, count = to / "firmware", 0, 0
    folder.mkdir(parents=True)
    for file in sorted(firmware.rglob("*")):
        inside = file.relative_to(firmware)
        if file.is_symlink():
            raise ImportRefused(f"{inside.as_posix()} is a link: give the project without links")
        if not file.is_file() or file.suffix not in KINDS:
            continue
        total, count = total + file.stat().st_size, count + 1
        if file.stat().st_size > MAX_FILE or total > MAX_TOTAL or count > MAX_FILES:
            raise ImportRefused(f"{inside.as_posix()}: the project is too large ({MAX_TOTAL >> 20} MiB at most)")
        (folder / inside).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, folder / inside)
    source = Source(folder, _top(folder))
    _check_includes(folder)
    return source


def _top(folder: Path) -> str:
    """The one source that includes ``parameters.h`` and calls layers."""
    found = []
    for file in sorted(folder.glob("*.cpp")):
        text = file.read_text("utf-8", "replace")
        if re.search(r'#\s*include\s+"parameters\.h"', text) and re.search(r"^\s*[\w:]+<.*\w+\);", text, re.MULTILINE):
            found.append(file.name)
    if len(found) != 1:
        what = ", ".join(found) if found else "none"
        raise ImportRefused(f"one source has to include parameters.h and call layers, here: {what}")
    return found[0]


def _check_includes(folder: Path) -> None:
    """No include may reach out of the folder: what is compiled is what was copied and the compiler's own headers."""
    for file in sorted(p for p in folder.rglob("*") if p.suffix != ".txt" and p.is_file()):
        inside = file.relative_to(folder)
        for match in _INCLUDE.finditer(file.read_text("utf-8", "replace").replace("\\\n", "")):
            quoted = re.match(r'"([^"\n]*)"|<([^>\n]*)>', match[1])
            name = (quoted[1] or quoted[2] or "") if quoted else ""
            if not name or name.startswith("/") or "\\" in name or ".." in PurePosixPath(name).parts:
                raise ImportRefused(
                    f"{inside.as_posix()} includes {match[1].strip()[:60]!r}: only files inside the project"
                )


def ap_types(source: Source) -> tuple[Path, str]:
    """The folder with ``ap_fixed.h``: the project's own, else hls4ml's.

    Raises:
        ToolMissing: if neither is there.
    """
    for folder in (source.folder / "ap_types", source.folder):
        if (folder / "ap_fixed.h").is_file():
            return folder, "its own ap_types"
    package = tools.package("hls4ml")
    return Path(str(package.__file__)).parent / "templates" / "vivado" / "ap_types", (
        f"the ap_types of hls4ml {tools.package_version('hls4ml')}, since it has none"
    )
