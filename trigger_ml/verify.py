"""Verifying a bundle from itself alone: its digests, its sources against a fresh build, its engines against golden."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from trigger_ml import artifact, plugins
from trigger_ml import validate as gate
from trigger_ml.boards import layout, patterns
from trigger_ml.bundle import COMPILED, MAKERS, MENU, PATTERNS, Bundle, open_bundle
from trigger_ml.engines import KINDS, Kind
from trigger_ml.errors import ArtifactError, Mismatch, ToolFailed, ToolMissing, TriggerError
from trigger_ml.ir.interpret import interpret

if TYPE_CHECKING:
    from rich.console import Console

RANDOM = 20_000
SLOW = 1_000
"""Events for each engine: those inside and random ones; fewer for the interpreted simulators."""

COMPILES = ("cpp", "cmssw", "conifer")
"""Backends whose library is left out of the bundle, to be compiled from the sources inside."""

SHOWS_DIGEST = re.compile(
    r"firmware/(verilog|vhdl)/rtl/(?!event_valid\.v$).*|firmware/\w+/interface\.md|firmware/cmssw/\w+_types\.h"
    r"|.*/model\.h|firmware/hls4ml/\w+_test\.cpp|firmware/conifer\w*/trees\.json"
)
"""Members whose first text that looks like a digest is the graph's."""

INSIDE = "of what is inside"
"""End of the name of the checks that compare an engine."""


@dataclass(frozen=True)
class Check:
    """One line of the result.

    Attributes:
        what: was checked.
        ok: True, False, or None if it could not be checked here.
        remark: figures, or the reason.
    """

    what: str
    ok: bool | None
    remark: str


def verify(path: Path, console: Console, events: int = RANDOM) -> Mapping[str, Any]:
    """Check everything that can be checked on this machine; see :class:`Check`.

    Raises:
        ArtifactError: the file is damaged, hostile or tampered with.
        Mismatch: a check failed, or there is no engine inside.
        ToolMissing: nothing is wrong, but no engine can be compared here.
    """
    found = open_bundle(path)
    checks = [Check("members", True, f"{len(found.members)} members are what the manifest says")]
    console.print(f"{path}: {found.manifest['name']}, graph {found.digest}", highlight=False)
    with tempfile.TemporaryDirectory(prefix="trigger_ml_") as folder, console.status("verifying ..."):
        for check in _checks(found, Path(folder), events):
            checks.append(check)
            mark = {True: "[green]ok[/]", False: "[red]WRONG[/]", None: "[yellow]not checked[/]"}[check.ok]
            console.print(f"{mark} {check.what}: {check.remark}", highlight=False)
    wrong = [check for check in checks if check.ok is False]
    if wrong:
        raise Mismatch(f"{path}: " + "; ".join(f"{check.what}: {check.remark}" for check in wrong))
    if not any(check.ok for check in checks if check.what.endswith(INSIDE)):
        why = next((check.remark for check in checks if check.ok is None), "each was left out")
        raise ToolMissing(f"{path}: no engine inside could be compared here: {why}")
    return {"name": found.manifest["name"], "graph_digest": found.digest, "checks": [asdict(c) for c in checks]}


def _checks(found: Bundle, folder: Path, events: int) -> Iterator[Check]:
    shown, odd = _digests(found)
    yield shown
    feed, expected = found.vectors()
    same = all(np.array_equal(y, expected[o]) for o, y in interpret(found.graph, feed).items())
    yield Check("vectors", same, f"{len(next(iter(feed.values())))} events, expected outputs by the golden interpreter")
    yield from _patterns(found)
    trusted = []
    for backend in found.backends():
        found.unpack(f"firmware/{backend}", folder / backend)
        check = _rebuilt(found, backend, folder)
        yield check
        # Sources that are shown not to be the graph's are neither compiled nor run.
        if check.ok is False or any(name.startswith(f"firmware/{backend}/") for name in odd):
            continue
        if backend in COMPILES:
            try:
                plugins.find("backends", backend).compile_library(folder / backend)
            except ToolMissing as missing:
                yield Check(f"{backend}, compiled", None, str(missing))
                continue
        trusted.append(backend)
    if not any(kind.backend in found.backends() for kind in KINDS):
        yield Check("engines", False, "there is none inside, so nothing was compared")
    for kind in KINDS:
        if kind.backend in trusted:
            yield _gate(found, kind, folder / kind.backend, events)


def _patterns(found: Bundle) -> Iterator[Check]:
    """The board files, read back through the layout inside."""
    files = {n.removeprefix("patterns/"): c for n, c in found.members.items() if n.startswith("patterns/")}
    if not files:
        return
    try:
        plan = layout.parse(files[patterns.LAYOUT].decode("utf-8", "replace"))
        inputs, _ = patterns.read(found.graph, plan, files, PATTERNS[0])
        golden = interpret(found.graph, inputs)
        again = patterns.files(found.graph, plan, inputs, golden, PATTERNS, found.spec.name)
        odd = sorted(n for n in again.keys() | files.keys() if again.get(n) != files.get(n))
        count = len(next(iter(inputs.values())))
        remark = f"{odd[0]} is not what inputs and layout give" if odd else f"{count} events in {', '.join(PATTERNS)}"
        yield Check("patterns", not odd and count > 0, f"{remark}, expected outputs by the golden interpreter")
    except (TriggerError, KeyError) as error:
        yield Check("patterns", False, str(error))


def _digests(found: Bundle) -> tuple[Check, list[str]]:
    """The graph's digest, as each part shows it, and the parts that show another."""
    shown: dict[str, str | None] = {}
    for name, content in found.members.items():
        if SHOWS_DIGEST.fullmatch(name):
            shown[name] = _first(rb"\b[0-9a-f]{64}\b", content)
        elif name.endswith(".onnx"):
            shown[name] = _first(rb"graph_digest\x12\x40([0-9a-f]{64})", content)
        elif name.endswith("/ports.json"):
            shown[name] = _of_ports(content, name)
        elif name in (MENU, "vectors/graph_digest.txt") or name.startswith("patterns/emp"):
            shown[name] = _first(rb"[0-9a-f]{64}", content)
    wrong = sorted(name for name, digest in shown.items() if digest != found.digest)
    remark = f"{', '.join(wrong)} show another digest, or none" if wrong else f"{len(shown)} parts show the graph's"
    return Check("digests", not wrong, remark), wrong


def _of_ports(content: bytes, name: str) -> str | None:
    """The digest in a ``ports.json``; None where it has none or is none."""
    try:
        described = artifact.parse_json(content, name)
    except ArtifactError:
        return None
    return str(described.get("graph_digest")) if isinstance(described, Mapping) else None


def _first(pattern: bytes, content: bytes) -> str | None:
    hit = re.search(pattern, content)
    return hit.group(hit.lastindex or 0).decode() if hit else None


def _rebuilt(found: Bundle, backend: str, folder: Path) -> Check:
    """Whether a build from the graph gives the same files, byte for byte."""
    what = f"{backend}, built again"
    made_by = found.manifest["made_by"]
    for package in ("trigger_ml", *MAKERS.get(backend, ())):
        here = _version(package)
        if here != made_by.get(package):
            return Check(what, None, f"made by {package} {made_by.get(package)}, here is {here or 'none'}")
    again, module = folder / f"{backend} again", plugins.find("backends", backend)
    try:
        module.build(found.graph, again, found.spec.layout)
        elements = found.elements()
        if hasattr(module, "write_names") and elements is not None:
            module.write_names(again, found.graph, elements)
        if hasattr(module, "write_vectors"):
            feed, _ = found.vectors()
            module.write_vectors(again, found.graph, feed, interpret(found.graph, feed))
    except (ToolMissing, ToolFailed) as error:
        return Check(what, None, str(error))
    files = {f.relative_to(again).as_posix(): f.read_bytes() for f in again.rglob("*") if f.is_file()}
    files = {n: c for n, c in files.items() if _source(n)}
    prefix = f"firmware/{backend}/"
    inside = {n.removeprefix(prefix): c for n, c in found.members.items() if n.startswith(prefix)}
    inside = {n: c for n, c in inside.items() if _source(n)}
    odd = sorted(n for n in files.keys() | inside.keys() if files.get(n) != inside.get(n))
    if odd:
        return Check(
            what, False, f"{odd[0]} is not what the graph gives" + (f", nor {len(odd) - 1} others" * (len(odd) > 1))
        )
    return Check(what, True, f"{len(files)} files are the same bytes")


def _source(name: str) -> bool:
    return not name.startswith(".") and "/." not in name and not name.endswith(COMPILED)


def _version(package: str) -> str | None:
    from importlib import metadata

    from trigger_ml import __version__

    if package == "trigger_ml":
        return __version__
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _gate(found: Bundle, kind: Kind, folder: Path, events: int) -> Check:
    """One engine, made of what is in the bundle, against the golden interpreter."""
    inside, _ = found.vectors()
    count = min(events, SLOW) if kind.second or kind.backend == "vhdl" else events
    feed = gate.vectors(found.graph, None, count, found.spec.seed)
    feed = {k: np.concatenate([inside[k], v])[:count] for k, v in feed.items()}
    what = f"{kind.label} {INSIDE}"
    try:
        engine, measured = kind.open(folder, found.graph, found.spec.layout)
        row = gate.compare(found.graph, engine, feed)
    except ToolMissing as missing:
        return Check(what, None, str(missing))
    remark = f"{row.mismatches} of {row.events} events differ"
    if measured:
        remark += f", latency {measured[0].latency_cycles} cycles, II {measured[0].initiation_interval}"
    return Check(what, row.exact, remark)
