"""The bundle: one zip with all that a firmware group and a software group need, the same bytes for the same run.

``manifest.json`` lists every member with its sha256, the graph's digest, the versions of the tools that made them, and
the licence of each part. Nothing in it says when or where it was made.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from trigger_ml import __version__, archive, artifact, depends, spec, stamps
from trigger_ml import validate as gate
from trigger_ml.boards import layout, patterns
from trigger_ml.collect import compared, quantities
from trigger_ml.engines import backends
from trigger_ml.errors import ArtifactError, TriggerError
from trigger_ml.ir import io
from trigger_ml.ir.bounds import bounds
from trigger_ml.ir.graph import Graph
from trigger_ml.ir.interpret import interpret
from trigger_ml.spec import Spec
from trigger_ml.workspace import Workspace, as_json, open_run

if TYPE_CHECKING:
    from rich.console import Console

KIND, VERSION = "trigger_ml.bundle", 1
MANIFEST, MENU, VECTORS, SPEC = "manifest.json", "menu.toml", "vectors/vectors.npz", "spec.toml"
ELEMENTS = "inputs.json"
"""Name, and size of one hardware unit, of each element of the input; not there if nobody knows them."""

PATTERNS = ("emp2", "apx")
"""Formats of the board files inside; they hold as many events as one file has room for."""

MAKERS = {
    "hls4ml": ("hls4ml",),
    "verilog": ("alkaid",),
    "vhdl": ("alkaid",),
    "onnx": ("onnx",),
    "cpp": (),
    "cmssw": ("hls4ml",),
    "conifer": ("conifer",),
    "conifer_vhdl": ("conifer",),
}
"""Backend -> the packages on whose versions its output depends."""

COMPILED = (".so", ".o")

LICENCES = (
    ("firmware/hls4ml/firmware/ap_types/", "Apache-2.0", "HLS_arbitrary_Precision_Types, Xilinx, copied by hls4ml"),
    ("firmware/cmssw/ap_types/", "Apache-2.0", "HLS_arbitrary_Precision_Types, Xilinx, as hls4ml ships them"),
    ("firmware/hls4ml/firmware/nnet_utils/", "Apache-2.0", "hls4ml, Fast Machine Learning Lab"),
    ("firmware/hls4ml/", "Apache-2.0", "written by hls4ml and trigger_ml"),
    ("firmware/conifer/hls/trees_test.cpp", "GPL-3.0-or-later", "of rfnoc-hls-neuralnet, copied by conifer"),
    ("firmware/conifer", "Apache-2.0", "written by conifer, Summers et al., from trees of trigger_ml"),
    (
        "firmware/",
        "Apache-2.0",
        "written by trigger_ml; alkaid (LGPL-3.0) found the adders, none of its text is inside",
    ),
    ("", "Apache-2.0", "trigger_ml, or made from the model's own training"),
)
"""Start of a path -> licence and origin; the first that fits counts."""


@dataclass(frozen=True, eq=False)
class Bundle:
    """A bundle that was read and found whole.

    Attributes:
        path: the file.
        manifest: see above.
        members: bytes by name, without the manifest.
        graph: the model.
        spec: how it was made.
    """

    path: Path
    manifest: Mapping[str, Any]
    members: Mapping[str, bytes]
    graph: Graph
    spec: Spec

    @property
    def digest(self) -> str:
        """The graph's."""
        return str(self.manifest["graph_digest"])

    def backends(self) -> list[str]:
        """The backends whose projects are inside."""
        return sorted({name.split("/")[1] for name in self.members if name.startswith("firmware/")})

    def unpack(self, prefix: str, folder: Path) -> Path:
        """Write the members below ``prefix`` into ``folder``, which is made."""
        for name, content in self.members.items():
            if name.startswith(f"{prefix}/"):
                artifact.atomic_write(folder / name.removeprefix(f"{prefix}/"), content)
        return folder

    def elements(self) -> tuple[tuple[str, str], ...] | None:
        """Name and unit of each element of the only input; None if they are not inside.

        Raises:
            ArtifactError: they are damaged, or not of this graph's input.
        """
        if ELEMENTS not in self.members:
            return None
        said = artifact.parse_json(self.members[ELEMENTS], f"{self.path}: {ELEMENTS}")
        pairs = isinstance(said, list) and all(
            isinstance(row, list) and len(row) == 2 and all(isinstance(word, str) for word in row) for row in said
        )
        count = bounds(self.graph)[self.graph.inputs[0].name].lo.size
        if not pairs or len(self.graph.inputs) != 1 or len(said) != count:
            raise ArtifactError(f"{self.path}: {ELEMENTS} is no name and unit for each input: get the bundle again")
        return tuple((name, unit) for name, unit in said)

    def vectors(self) -> tuple[dict[str, NDArray[np.int64]], dict[str, NDArray[np.int64]]]:
        """Inputs and expected outputs by port, one event or more.

        Raises:
            ArtifactError: they are damaged, none, or not integers of the graph's ports.
        """
        arrays = artifact.parse_npz(self.members[VECTORS], f"{self.path}: {VECTORS}")
        why = _unfit(self.graph, arrays)
        if why is not None:
            raise ArtifactError(f"{self.path}: {VECTORS} {why}: get the bundle again")
        parts: tuple[dict[str, NDArray[np.int64]], ...] = ({}, {})
        for name, array in arrays.items():
            side, _, port = name.partition(".")
            parts[side == "output"][port] = array.astype(np.int64)
        return parts[0], parts[1]


def _unfit(graph: Graph, arrays: Mapping[str, NDArray[Any]]) -> str | None:
    """Why these are not vectors of a graph; None if they are."""
    known = bounds(graph)
    shapes = {f"input.{port.name}": known[port.name].shape for port in graph.inputs}
    shapes |= {f"output.{name}": known[name].shape for name in graph.outputs}
    for name in sorted(shapes.keys() | arrays.keys()):
        if name not in shapes or name not in arrays:
            return f"holds {name!r}, which the graph has not" if name in arrays else f"lacks {name!r}"
        array = arrays[name]
        if array.dtype.kind not in "iu" or array.ndim == 0 or array.shape[1:] != shapes[name]:
            return f"gives {name!r} as {array.dtype} {array.shape}, not as integers (events, *{shapes[name]})"
    counts = {len(array) for array in arrays.values()}
    if len(counts) > 1:
        return "has not as many events for each port"
    return None if min(counts) else "holds no event"


def bundle(where: Path, console: Console, out: Path, to: Path | None = None) -> Mapping[str, Any]:
    """Pack a finished run.

    Args:
        where: the run, its spec or its model.
        console: for messages.
        out: where run folders are.
        to: the file; by default ``<name>.zip`` in the run folder.

    Raises:
        ArtifactError: the run is not finished, did not pass, or is not what its report says.
    """
    ws = open_run(where, out, console)
    path = to or ws.folder / f"{ws.spec.name}.zip"
    if not ws.folder.is_dir():
        raise _no_report(ws)
    with artifact.exclusive(ws.folder):
        _passed(ws)
        members = dict(_members(ws))
        digest = io.digest(ws.graph)
    manifest = {
        "kind": KIND,
        "version": VERSION,
        "name": ws.spec.name,
        "graph_digest": digest,
        "made_by": {"trigger_ml": __version__, **_versions()},
        "licences": licences(members),
        "members": {name: artifact.digest_bytes(content) for name, content in members.items()},
    }
    archive.write(path, {**members, MANIFEST: artifact.canonical_json(manifest)})
    console.print(f"bundle: {path} ({path.stat().st_size / 1e6:.1f} MB)", highlight=False)
    return {"bundle": str(path), "graph_digest": digest, "sha256": artifact.digest_path(path), "members": len(members)}


def licences(members: Iterable[str]) -> list[dict[str, str]]:
    """The rows of :data:`LICENCES` that count for some member, in their order."""
    used = {next(row for row in LICENCES if name.startswith(row[0])) for name in members}
    return [{"path": row[0], "licence": row[1], "origin": row[2]} for row in LICENCES if row in used]


def open_bundle(path: Path) -> Bundle:
    """Read a bundle; every byte is held against the manifest.

    Raises:
        ArtifactError: it is damaged, hostile, tampered with, or of a later version.
    """
    members = archive.read(path)
    if MANIFEST not in members:
        raise ArtifactError(f"{path} has no {MANIFEST}: it is no bundle")
    manifest = artifact.parse_json(members.pop(MANIFEST), f"{path}: {MANIFEST}")
    if not isinstance(manifest, Mapping) or manifest.get("kind") != KIND or not _shaped(manifest):
        raise ArtifactError(f"{path}: {MANIFEST} is not that of a bundle: get the bundle again")
    if manifest["version"] != VERSION:
        raise ArtifactError(
            f"{path} has version {manifest['version']}; this trigger-ml reads {VERSION}: install another"
        )
    listed = manifest["members"]
    if set(listed) != set(members):
        odd = sorted(set(listed) ^ set(members))[0]
        raise ArtifactError(
            f"{path}: {odd!r} is {'missing' if odd in listed else 'not in the manifest'}: don't trust it"
        )
    for name, content in members.items():
        if artifact.digest_bytes(content) != listed[name]:
            raise ArtifactError(f"{path}: {name!r} is not what the manifest says: don't trust this file")
    graph, spec = _inside(path, members)
    if io.digest(graph) != manifest["graph_digest"]:
        raise ArtifactError(f"{path}: the graph is not the manifest's: don't trust this file")
    return Bundle(path, manifest, members, graph, spec)


def _shaped(manifest: Mapping[str, Any]) -> bool:
    members, made = manifest.get("members"), manifest.get("made_by")
    plain = all(isinstance(manifest.get(k), str) for k in ("name", "graph_digest"))
    return (
        plain
        and isinstance(manifest.get("version"), int)
        and isinstance(made, Mapping)
        and isinstance(members, Mapping)
        and all(isinstance(v, str) for v in members.values())
    )


def _inside(path: Path, members: Mapping[str, bytes]) -> tuple[Graph, Spec]:
    import tempfile

    for name in (f"graph/{io.FILE}", "graph/qgraph.npz", VECTORS, MENU, SPEC):
        if name not in members:
            raise ArtifactError(f"{path} holds no {name}: it is no bundle")
    with tempfile.TemporaryDirectory(prefix="trigger_ml_") as folder:
        for name in (f"graph/{io.FILE}", "graph/qgraph.npz", SPEC):
            artifact.atomic_write(Path(folder) / name, members[name])
        try:
            return io.load(Path(folder) / "graph"), spec.load(Path(folder) / SPEC)
        except TriggerError as error:
            raise ArtifactError(f"{path}: {str(error).replace(folder + '/', '')}") from None


def _no_report(ws: Workspace) -> ArtifactError:
    return ArtifactError(f"{ws.folder} holds no report: run `trigger-ml run` first")


def _passed(ws: Workspace) -> None:
    """Raise ``ArtifactError`` unless the run passed, and its report is of what is there now."""
    if not (ws.folder / "report.json").exists():
        raise _no_report(ws)
    report: Mapping[str, Any] = artifact.read_json(ws.folder / "report.json")
    if report["verdict"] != "PASS":
        raise ArtifactError(
            f"{ws.folder} did not pass ({'; '.join(report['reasons'])}): only a run that did is bundled"
        )
    graph, said = ws.graph, report["provenance"]
    if said["graph"] != io.digest(graph):
        raise ArtifactError(f"the report in {ws.folder} is of another graph than {io.digest(graph)[:12]}: run it again")
    if not said["spec"] == ws.spec.digest() == spec.load(ws.folder / SPEC).digest():
        raise ArtifactError(f"the report in {ws.folder} is of another spec than the one that is there: run it again")
    rows = [[row["engine"], row["events"], row["mismatches"]] for row in report["agreement"]]
    for kind, row in compared(ws, graph):
        if [kind.name, row["events"], row["mismatches"]] not in rows:
            raise ArtifactError(f"the report in {ws.folder} is older than the comparison of {kind.name}: run it again")
    if as_json(quantities(ws)) != report["quantities"]:
        raise ArtifactError(f"the report in {ws.folder} is older than the estimate: run `trigger-ml report` again")


def _members(ws: Workspace) -> Iterator[tuple[str, bytes]]:
    graph = ws.graph
    for name in (SPEC, "report.json", "report.html"):
        yield name, (ws.folder / name).read_bytes()
    if (ws.model / "card.md").exists():
        yield "card.md", (ws.model / "card.md").read_bytes()
    for path in sorted(ws.folder.glob("graph/qgraph.*")):
        yield f"graph/{path.name}", path.read_bytes()
    for backend in backends(ws.spec):
        depends.require_build(ws, graph, backend)
        home = f"firmware/{backend}"
        for path in sorted(ws.folder / home / name for name in stamps.files_of(ws.folder, f"build_{backend}", home)):
            if path.suffix not in COMPILED:
                yield path.relative_to(ws.folder).as_posix(), path.read_bytes()
    feed = gate.vectors(graph, ws.vectors(graph), gate.PACKED, ws.spec.seed)
    arrays = {f"input.{k}": v for k, v in feed.items()} | {f"output.{k}": v for k, v in interpret(graph, feed).items()}
    yield VECTORS, artifact.npz_bytes(arrays)
    elements = ws.elements(graph)
    if elements is not None:
        yield ELEMENTS, artifact.canonical_json([list(pair) for pair in elements])
    yield "vectors/graph_digest.txt", f"{io.digest(graph)}\n".encode()
    yield MENU, menu(ws.spec, graph, ws.events is not None and ws.events.gives_rates).encode()
    plan = layout.default(graph)
    few = {k: v[: plan.events_per_file] for k, v in feed.items()}
    for name, content in patterns.files(graph, plan, few, interpret(graph, few), PATTERNS, ws.spec.name).items():
        yield f"patterns/{name}", content


def menu(asked: Spec, graph: Graph, gives_rates: bool) -> str:
    """The line of a trigger menu: accept an event if ``score >= threshold``, both in the score's integers.

    Args:
        asked: the spec of the run.
        graph: with its threshold.
        gives_rates: whether the sample's background is all that collides; if not, the threshold is for a share.
    """
    if "threshold" not in graph.meta:
        return (
            f"# {asked.name} has no threshold and so gives no seed.\n"
            f'[[model]]\nname = "{asked.name}"\ngraph_digest = "{io.digest(graph)}"\n'
        )
    score, physics = graph.outputs[0], asked.physics
    t = bounds(graph)[score]
    aim = f"rate_khz = {physics.rate_khz:g}" if gives_rates else f"fpr = {max(physics.fpr):g}"
    bunches = f"bunches = {physics.bunches}\n" if gives_rates else ""
    return (
        f'# The seed of {asked.name}: the firmware compares as well and gives the bit "decision".\n'
        f'[[seed]]\nname = "{asked.name}"\ngraph_digest = "{io.digest(graph)}"\nscore = "{score}"\n'
        f"threshold = {int(graph.meta['threshold'])} # integer; accept if score >= threshold\n"
        f"score_frac = {t.frac} # value = integer * 2**-score_frac\nscore_max = {int(t.hi.max())}\n"
        f"{aim} # asked for, on the sample's validation part\n"
        f'sample = "{asked.sample.name}/{asked.sample.variant}"\n{bunches}'
    )


def _versions() -> dict[str, str]:
    found = {}
    for name in sorted({package for packages in MAKERS.values() for package in packages}):
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found
