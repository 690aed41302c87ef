"""What sharing multipliers costs and gives: the HLS project of one graph at several reuse factors.

Nothing is trained. Every project is built and simulated; its integers must be the golden ones whatever is shared.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from trigger_ml import artifact, frozen, plugins
from trigger_ml import validate as gate
from trigger_ml.backends import handwritten
from trigger_ml.backends.hls.made_from import made_from
from trigger_ml.errors import ArtifactError, Mismatch, SpecError
from trigger_ml.estimators import csynth, opcount, sharing
from trigger_ml.ir import io
from trigger_ml.program import code
from trigger_ml.workspace import Workspace, as_json, open_run

if TYPE_CHECKING:
    from pathlib import Path

    from rich.console import Console

    from trigger_ml.ir.graph import Graph

FILE = "reuse.json"
ENGINE = "hls4ml"


def reuse(where: Path, console: Console, out: Path, factors: Sequence[int]) -> Mapping[str, Any]:
    """Build, compare and estimate the graph's HLS project at each reuse factor; write ``reuse.json``.

    The projects stay in ``scan/reuse_<n>/project`` of the run folder: synthesise them there and scan again, and the
    vendor's figures stand beside the estimates.

    Args:
        where: a spec file, a model's folder or a run folder.
        console: for progress.
        out: where run folders are made.
        factors: multiplications that share one multiplier, each at least 1.

    Raises:
        SpecError: no factors, one below 1, a model without multiplications, or a strategy that shares none.
        ArtifactError: there is no graph yet.
        Mismatch: a project's C simulation differs.
    """
    ws = open_run(where, out, console)
    if not factors or min(factors) < 1:
        raise SpecError(f"the reuse factors {list(factors)} can't be scanned: give some from 1, such as 1,2,4,8")
    if ws.spec.engines.hls4ml < 1:
        raise SpecError("[engines] hls4ml is 0: give the number of events on which each project is compared")
    graph = frozen.latest(ws)
    if graph is None:
        raise ArtifactError(f"{ws.folder} holds no converted graph: run `trigger-ml run` first")
    if not any(c["multiplications"] for c in opcount.by_node(graph).values()):
        raise SpecError(f"{ws.spec.name} multiplies by no weight: there is nothing to share")
    with ws.writing():
        points = [_point(ws, graph, n) for n in sorted(set(factors))]
        found = {"graph": io.digest(graph), "points": points}
        artifact.write_json(ws.folder / FILE, found)
    _show(sharing.read(found), console)
    wrong = [p for p in points if p["mismatches"]]
    if wrong:
        raise Mismatch(
            f"hls4ml at reuse factor {wrong[0]['reuse']} differs in {wrong[0]['mismatches']} of {wrong[0]['events']} "
            "events: a fault of the adapter, please report it"
        )
    return found


def _point(ws: Workspace, graph: Graph, factor: int) -> dict[str, Any]:
    target = dataclasses.replace(ws.spec.target, reuse_factor=factor)
    spec = dataclasses.replace(ws.spec, target=target)
    home = f"scan/reuse_{factor}"
    project = ws.folder / home / "project"
    inputs = {
        "graph": io.digest(graph),
        "spec": spec.digest("seed", "target", "engines.hls4ml"),
        "sample": ws.events_digest,
        "program": code("backends", "validate.py", "ir", "fixed.py"),
        "firmware": handwritten.digest(),
    }

    def work() -> None:
        backend = plugins.find("backends", ENGINE)
        ws.keep(f"scan_reuse_{factor}", f"{home}/project")
        backend.build(graph, project, target)
        feed = gate.vectors(graph, ws.mixture(graph), spec.engines.hls4ml, spec.seed)
        row = gate.compare(graph, gate.engine(ENGINE, backend, project, graph, target), feed)
        artifact.write_json(ws.folder / home / "agreement.json", as_json(row))

    ws.step(f"scan_reuse_{factor}", inputs, [f"{home}/agreement.json", f"{home}/project"], work)
    row = artifact.read_json(ws.folder / home / "agreement.json")
    return {
        "reuse": factor,
        "io_type": target.io_type,
        "events": row["events"],
        "mismatches": row["mismatches"],
        "quantities": as_json(
            [*sharing.quantities(graph, target), *csynth.read(project, made_from(inputs["graph"], target))]
        ),
    }


def _show(found: sharing.ReuseScan, console: Console) -> None:
    from rich.table import Table

    names = list(dict.fromkeys((q.name, q.source) for p in found.points for q in p.quantities))
    heads = [f"{name.replace('_', ' ')} ({source})" for name, source in names]
    table = Table("reuse", "events", "differing", *heads, box=None, pad_edge=False)
    for p in found.points:
        values = {(q.name, q.source): f"{q.value:,}" for q in p.quantities}
        table.add_row(str(p.reuse), f"{p.events:,}", str(p.mismatches), *(values.get(key, "") for key in names))
    console.print(table)
