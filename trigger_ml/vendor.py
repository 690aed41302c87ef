"""Where a vendor's tools leave their results in a run folder, and how those made elsewhere are brought there.

The generated projects write into themselves: ``firmware/<verilog|vhdl>/vendor`` for Vivado, and the HLS project's own
``*_prj`` for C synthesis. What is not generated makes nothing stale; a new build moves it to ``kept/``.
"""

from __future__ import annotations

from pathlib import Path

from trigger_ml import artifact
from trigger_ml.backends.hls.made_from import made_from
from trigger_ml.engines import backends
from trigger_ml.errors import ArtifactError
from trigger_ml.estimators import csynth, vivado
from trigger_ml.estimators.quantity import Quantity
from trigger_ml.ir import io
from trigger_ml.ir.graph import Graph
from trigger_ml.workspace import Workspace

RTL = ("verilog", "vhdl")
"""Projects that are routed, the first that was counts."""

HLS = "hls4ml"
FOLDER = "vendor"


def reports(ws: Workspace) -> dict[str, Path]:
    """The reports that are there, each with what it was made from, by path in the run folder.

    While a tool runs, or after it failed, there are some of the files only: that is no report, see :func:`remarks`.
    """
    found: list[Path] = []
    for backend in _rtl(ws):
        files = _routed(ws, backend)
        if not found and all(f.exists() for f in files):
            found = files
    if HLS in backends(ws.spec):
        files = csynth.files(ws.folder / "firmware" / HLS)
        found += files if len(files) == 2 else []
    return {f.relative_to(ws.folder).as_posix(): f for f in found}


def reported(ws: Workspace) -> list[str]:
    """The backends whose reports are there."""
    return list(dict.fromkeys(name.split("/")[1] for name in reports(ws)))


def remarks(ws: Workspace) -> tuple[str, ...]:
    """One sentence on each project whose reports are not complete and so were not read."""
    said = []
    for backend in _rtl(ws):
        gone = [f.name for f in _routed(ws, backend) if not f.exists()]
        if 0 < len(gone) < len(vivado.FILES):
            said.append(
                f"firmware/{backend}/{FOLDER} lacks {' and '.join(gone)}, so nothing there was read: let "
                "vivado/synthesize.tcl run to its end."
            )
    if HLS in backends(ws.spec) and len(files := csynth.files(ws.folder / "firmware" / HLS)) == 1:
        said.append(
            f"{files[0].relative_to(ws.folder)} does not say of which graph it is and was not read: run the project's "
            "build_prj.tcl again."
        )
    return tuple(said)


def _rtl(ws: Workspace) -> list[str]:
    return [b for b in RTL if b in backends(ws.spec)]


def _routed(ws: Workspace, backend: str) -> list[Path]:
    return [ws.folder / "firmware" / backend / FOLDER / name for name in vivado.FILES]


def digest(ws: Workspace) -> str:
    """Of all reports that are there."""
    return artifact.digest_json({name: artifact.digest_path(path) for name, path in reports(ws).items()})


def quantities(ws: Workspace, graph: Graph) -> tuple[Quantity, ...]:
    """What the reports say that are there; empty without any.

    Raises:
        ArtifactError: a report is damaged, or of another graph, build, part or clock.
    """
    names, found = reports(ws), list[Quantity]()
    for backend in RTL:
        project = ws.folder / "firmware" / backend
        if any(name.startswith(f"firmware/{backend}/") for name in names):
            found += vivado.read(project / FOLDER, project, ws.spec.target.part)
    if any(name.startswith(f"firmware/{HLS}/") for name in names):
        found += csynth.read(ws.folder / "firmware" / HLS, made_from(io.digest(graph), ws.spec.target))
    return tuple(found)


def asked(ws: Workspace, routed: Path | None, synthesised: Path | None) -> list[str]:
    """The backends whose reports :func:`bring` is to bring.

    Raises:
        ArtifactError: the spec has no such engine.
    """
    found = []
    if routed is not None:
        if not _rtl(ws):
            raise ArtifactError(f"{ws.spec.name} has no RTL engine: give [engines] verilog or vhdl some events")
        found.append(_rtl(ws)[0])
    if synthesised is not None:
        if HLS not in backends(ws.spec):
            raise ArtifactError(f"{ws.spec.name} has no HLS engine: give [engines] hls4ml some events")
        found.append(HLS)
    return found


def bring(ws: Workspace, graph: Graph, routed: Path | None, synthesised: Path | None) -> None:
    """Copy reports that were made elsewhere to where :func:`quantities` looks; nothing is copied unless all are read.

    Args:
        ws: the run.
        graph: its graph.
        routed: folder with Vivado's reports and the ``ports.json`` beside them.
        synthesised: a copy of the HLS project in which C synthesis ran.

    Raises:
        ArtifactError: as :func:`quantities` and :func:`asked` do, or there is no report.
    """
    found = asked(ws, routed, synthesised)
    wanted: list[tuple[Path, Path]] = []
    if routed is not None:
        project = ws.folder / "firmware" / found[0]
        vivado.read(routed, project, ws.spec.target.part)
        wanted += [(routed / name, project / FOLDER / name) for name in vivado.FILES]
    if synthesised is not None:
        if not csynth.read(synthesised, made_from(io.digest(graph), ws.spec.target)):
            raise ArtifactError(f"{synthesised} holds no report of C synthesis: give a project in which it ran")
        wanted += [(f, ws.folder / "firmware" / HLS / f.relative_to(synthesised)) for f in csynth.files(synthesised)]
    for source, to in wanted:
        if source.resolve() != to.resolve():
            artifact.atomic_write(to, source.read_bytes())
