"""What precision costs: one model at several uniform widths, trained and not, beside the widths that it trains itself.

Only the sample, the front ends and the integer graph are involved, no engine: a point takes a minute or two. The float
network is trained once.
"""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trigger_ml import artifact, depends, frozen, plugins
from trigger_ml.errors import SpecError
from trigger_ml.estimators import opcount
from trigger_ml.ir import io
from trigger_ml.ir.graph import Graph
from trigger_ml.ir.interpret import interpret
from trigger_ml.physics import roc
from trigger_ml.spec import PRUNING, Spec
from trigger_ml.to_graph import fresh_checkpoints
from trigger_ml.workspace import Workspace, open_run

if TYPE_CHECKING:
    from rich.console import Console

METHODS = {"ptq": "ptq", "qat": "hgq"}
"""How bits are chosen -> the front end: rounded once after training, or trained at the width."""

FILE = "scan.json"
FLOATS = ("float.npz", "student.npz", "tagger.npz", "tagger-best.npz")
"""Checkpoints of the float networks, which all points share."""


def scan(
    where: Path, console: Console, out: Path, bits: Sequence[int], methods: Sequence[str] = tuple(METHODS)
) -> Mapping[str, Any]:
    """Train and convert the model at each width by each method; write ``scan.json`` into its run folder.

    Args:
        where: a spec file or a model's folder.
        console: for progress.
        out: where run folders are made.
        bits: widths of every weight and activation, 2 to 16.
        methods: some of :data:`METHODS`.

    Returns:
        ``points``, one for each width and method, and ``own`` and ``float``, the model's own widths where its run has a
        graph, and the float twin: each with the AUC of every signal with its error, and EBOPs; ``made_from``, the
        digests by which the report knows whether they are of what is there then.

    Raises:
        SpecError: an imported model, an unknown method, no widths, or a model of trees.
    """
    ws = open_run(where, out, console)
    if ws.spec.model.imported or ws.spec.model.family == "trees":
        raise SpecError(f"{ws.spec.name} has no float network to quantize: scan a model that is trained here")
    for method in methods:
        if method not in METHODS:
            raise SpecError(f'there is no method "{method}": available are {", ".join(METHODS)}')
    if not bits or any(not 2 <= n <= 16 for n in bits):
        raise SpecError(f"the widths {list(bits)} can't be scanned: give some from 2 to 16, such as 2,4,6,8,12,16")
    points = []
    with ws.writing():
        for method in methods:
            points += [_point(ws, method, n) for n in sorted(set(bits))]
        own = frozen.latest(ws)
        made_from = depends.of_scan(ws, ws.spec) | ({} if own is None else {"graph": io.digest(own)})
        measured = None if own is None else {"ebops": _ebops(own), "auc": _auc(ws, own)}
        found = {"made_from": made_from, "points": points, "own": measured, "float": _floating(ws, points[0])}
        artifact.write_json(ws.folder / FILE, found)
    _show(found, console)
    return found


def _point(ws: Workspace, method: str, bits: int) -> dict[str, Any]:
    model = dataclasses.replace(ws.spec.model, frontend=METHODS[method], bits=bits)
    train = ws.spec.train if model.frontend == PRUNING else dataclasses.replace(ws.spec.train, sparsity=0.0)
    spec = dataclasses.replace(ws.spec, model=model, train=train)
    folder, shared = ws.folder / "scan" / f"{method}_{bits}", ws.folder / "scan" / "float"
    step = f"scan_{method}_{bits}"
    inputs = depends.of_scan(ws, spec)
    file = f"scan/{method}_{bits}/point.json"

    def work() -> None:
        _copy_floats(shared, folder / "checkpoints", inputs["program"])
        frontend = plugins.find("frontends", model.frontend)
        frontend.train(spec, ws.sample, folder, ws.console)
        _copy_floats(folder / "checkpoints", shared, inputs["program"])
        graph = frontend.freeze(folder, spec, ws.sample)
        measured = {"method": method, "bits": bits, "ebops": _ebops(graph), "auc": _auc(ws, graph)}
        artifact.write_json(ws.folder / file, measured)

    ws.step(step, inputs, [file], work, spinner=False)
    return dict(artifact.read_json(ws.folder / file))


def _copy_floats(home: Path, target: Path, program: str) -> None:
    """The float networks' checkpoints from one folder to another, where only those of this program may stand."""
    fresh_checkpoints(home, program)
    fresh_checkpoints(target, program)
    for name in FLOATS:
        if (home / name).exists() and not (target / name).exists():
            shutil.copyfile(home / name, target / name)


def _ebops(graph: Graph) -> int:
    return sum(counts["ebops"] for counts in opcount.by_node(graph).values())


def _auc(ws: Workspace, graph: Graph) -> dict[str, Any]:
    score = graph.outputs[0]
    background = interpret(graph, ws.sample.background.test)[score][:, 0]
    return {
        name: dataclasses.asdict(
            roc.auc(background, interpret(graph, split.test)[score][:, 0], ws.sample.source).estimate()
        )
        for name, split in ws.sample.signals.items()
    }


def _floating(ws: Workspace, point: Mapping[str, Any]) -> dict[str, Any]:
    family = plugins.find("families", ws.spec.model.family)
    weights = artifact.read_npz(ws.folder / "scan" / f"{point['method']}_{point['bits']}" / "float.npz")
    spec: Spec = ws.spec
    background = family.float_score(weights, ws.sample.background.test, spec)
    return {
        "auc": {
            name: dataclasses.asdict(
                roc.auc(background, family.float_score(weights, split.test, spec), ws.sample.source).estimate()
            )
            for name, split in ws.sample.signals.items()
        }
    }


def _show(found: Mapping[str, Any], console: Console) -> None:
    from rich.table import Table

    signals = list(found["float"]["auc"])
    table = Table("precision", "EBOPs", *(f"AUC {name}" for name in signals), box=None, pad_edge=False)
    rows = [(f"{p['bits']} bits, {p['method']}", p) for p in found["points"]]
    rows += [("own", found["own"])] if found["own"] else []
    for label, row in (*rows, ("float", found["float"])):
        cells = [
            f"{row['auc'][s]['value']:.4f} ± {row['auc'][s]['high'] - row['auc'][s]['value']:.4f}" for s in signals
        ]
        table.add_row(label, f"{row['ebops']:,}" if "ebops" in row else "", *cells)
    console.print(table)
