"""The steps that end in the integer graph: training, then freezing, or taking over a graph that is there."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np

from trigger_ml import artifact, plugins
from trigger_ml import frozen as frozen_model
from trigger_ml.depends import EVENTS, MEANING
from trigger_ml.errors import Mismatch
from trigger_ml.frontends import taught
from trigger_ml.ir import io
from trigger_ml.ir.bounds import bounds
from trigger_ml.ir.graph import Graph
from trigger_ml.ir.interpret import interpret
from trigger_ml.passes.decision import decidable, with_decision
from trigger_ml.program import code
from trigger_ml.workspace import Workspace, as_json

FLIPPED = 0.2
"""Where float32 does not hold the sums, at most this part of the framework's outputs may differ from the graph's."""

IMPORTED = (io.FILE, "qgraph.npz", "imported.json")
"""What ``trigger-ml import`` leaves in a model's folder."""


def train(ws: Workspace) -> None:
    """Train the network of the spec, unless it was."""
    inputs = {
        "spec": ws.spec.digest("seed", "model", "train", "physics"),
        "sample": ws.sample.digest,
        "program": code("families", "frontends", *EVENTS, *MEANING),
    }
    frontend = plugins.find("frontends", ws.spec.model.frontend)
    made = ["trained.npz", "float.npz", "history.json", "selfcheck.npz"]
    made += [taught.FILE] if ws.spec.model.score == "distilled" else []

    def work() -> None:
        fresh_checkpoints(ws.folder / "trained" / "checkpoints", inputs["program"])
        frontend.train(ws.spec, ws.sample, ws.folder / "trained", ws.console)

    ws.step(
        "train",
        inputs,
        [f"trained/{name}" for name in made],
        work,
        spinner=False,
    )


def fresh_checkpoints(folder: Path, program: str) -> None:
    """Forget checkpoints that another program has left: going on from them would mix two trainings."""
    mark = folder / "program"
    if not mark.exists() or mark.read_text("utf-8") != program:
        shutil.rmtree(folder, ignore_errors=True)
        artifact.atomic_write(mark, program)


def convert(ws: Workspace, frozen: bool) -> None:
    """Make the graph: of what was trained, of the frozen one beside the spec, or of an imported one.

    Raises:
        Mismatch: the training framework's own forward is another than the graph's.
    """
    if ws.spec.model.imported:
        inputs = {
            "imported": artifact.digest_json({n: artifact.digest_path(ws.model / n) for n in IMPORTED}),
            "spec": ws.spec.digest("name", "physics"),
            "sample": ws.events_digest,
            "program": code("passes", "physics", *EVENTS, *MEANING),
        }
        ws.step("convert", inputs, ["graph"], lambda: _adopt(ws))
        return
    if frozen:
        ws.step(
            "convert",
            {"frozen": frozen_model.digest(ws.model), "name": ws.spec.name},
            ["graph"],
            lambda: frozen_model.thaw(ws),
        )
        return
    inputs = {
        **ws.made("train"),
        "spec": ws.spec.digest("physics"),
        "sample": ws.sample.digest,
        "program": code("frontends", "passes", "physics", *EVENTS, *MEANING),
    }
    ws.step("convert", inputs, ["graph"], lambda: _integers(ws))


def _adopt(ws: Workspace) -> None:
    """An imported graph as it is, with a decision if it has one score and there are events to set its threshold."""
    graph = frozen_model.named(io.load(ws.model), ws.spec.name)
    if ws.vectors(graph) is not None and decidable(graph):
        graph = with_decision(graph, _threshold(ws, graph))
    with artifact.atomic_folder(ws.folder / "graph") as part:
        io.save(graph, part)
        artifact.atomic_write(part / IMPORTED[2], (ws.model / IMPORTED[2]).read_bytes())


def _integers(ws: Workspace) -> None:
    """Freeze, hold the framework's own forward against the graph, set the threshold, add the decision."""
    from trigger_ml.frontends.result import selfcheck

    trained = ws.folder / "trained"
    graph = plugins.find("frontends", ws.spec.model.frontend).freeze(trained, ws.spec, ws.sample)
    checks = selfcheck(trained, graph)
    for check in checks:
        if check.exact and check.mismatches:
            raise Mismatch(
                f"the training framework and the graph differ at {check.node!r} in {check.mismatches} of "
                f"{check.values} values although float32 is exact there: a fault of the front end, please report it"
            )
        if check.mismatches > FLIPPED * check.values:
            raise Mismatch(
                f"the training framework and the graph differ at {check.node!r} in {check.mismatches} of "
                f"{check.values} values, far more than rounding in float32 explains: a fault of the front end, please "
                "report it"
            )
    graph = with_decision(graph, _threshold(ws, graph)).with_meta(
        name=ws.spec.name, sample=ws.sample.digest, frontend=ws.spec.model.frontend
    )
    with artifact.atomic_folder(ws.folder / "graph") as part:
        io.save(graph, part)
        for name in ("float.npz", taught.FILE):
            if (trained / name).exists():
                artifact.atomic_write(part / name, (trained / name).read_bytes())
        history = artifact.read_json(trained / "history.json")
        artifact.write_json(part / "training.json", {**history, "selfcheck": as_json(list(checks))})


def _threshold(ws: Workspace, graph: Graph) -> int:
    """The largest rate not above the spec's, on the background's validation part."""
    from trigger_ml.physics.rates import accepted_share
    from trigger_ml.physics.roc import Background, at_fpr

    score = graph.outputs[0]
    scores = interpret(graph, ws.sample.background.validation)[score][:, 0]
    share = accepted_share(ws.spec.physics, ws.sample.gives_rates)
    found = at_fpr("validation", Background.of(scores, np.arange(len(scores))), share).threshold
    t = bounds(graph)[score]
    return int(np.clip(int(found), int(t.lo[0]) + 1, int(t.hi[0])))
