"""Writing, compiling and running conifer's projects, each time in a process of its own."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trigger_ml import artifact, tools
from trigger_ml.backends.conifer_project.description import configs, described
from trigger_ml.errors import Mismatch
from trigger_ml.ir.graph import Graph
from trigger_ml.ir.interpret import check_inputs
from trigger_ml.ir.io import digest
from trigger_ml.passes.decision import NAME as DECISION
from trigger_ml.passes.decision import decide
from trigger_ml.spec import Target

WRITE_S, RUN_S = 900.0, 3600.0
DESCRIPTION = "trees.json"


def write(graph: Graph, folder: Path, target: Target, projects: Sequence[str]) -> None:
    """Describe the trees in ``trees.json`` and let conifer write ``projects`` (``cpp``, ``hls``, ``vhdl``) beside it.

    Raises:
        GraphError: the graph isn't trees.
        ToolMissing, ToolFailed: conifer, or what it needs.
    """
    wanted = {name: config for name, config in configs(graph, target).items() if name in projects}
    what = {"graph_digest": digest(graph), "trees": described(graph), "config": wanted}
    artifact.write_json(folder / DESCRIPTION, what)
    run(folder, "write", WRITE_S)


def scores(
    folder: Path, graph: Graph, inputs: NDArray[Any] | Mapping[str, NDArray[Any]], project: str
) -> dict[str, NDArray[np.int64]]:
    """Scores by a project, and the decision on them; the project's folder stays as it is.

    Returns:
        Integers ``(events, 1)`` by output name.

    Raises:
        Mismatch: the projects are of another graph, or a score is no integer.
        ToolMissing, ToolFailed: conifer or its simulation.
    """
    built = artifact.read_json(folder / DESCRIPTION)["graph_digest"]
    if built != digest(graph):
        raise Mismatch(f"{folder} was built from graph {built}, not {digest(graph)}: build it again")
    (port,) = graph.inputs
    with tempfile.TemporaryDirectory(prefix="trigger_ml_") as scratch:
        here = Path(scratch)
        shutil.copy(folder / DESCRIPTION, here)
        shutil.copytree(folder / project, here / project)
        np.save(here / "events.npy", check_inputs(graph, inputs)[port.name])
        run(here, project, RUN_S)
        found = np.load(here / "scores.npy")
    score = found.astype(np.int64)[:, None]
    if not np.array_equal(score[:, 0], found):
        raise Mismatch("conifer: a score is no integer, though all leaves are")
    made = {"score": score}
    if DECISION in graph.outputs:
        made[DECISION] = decide(score, int(graph.meta["threshold"]))[:, None]
    return made


def run(folder: Path, verb: str, timeout_s: float) -> None:
    """One verb of ``program.py`` in ``folder``.

    Raises:
        ToolMissing: conifer, its compiler, or a header that its wheel lacks.
        ToolFailed: it failed or took longer than ``timeout_s``.
    """
    tools.package("conifer")
    tools.package("pybind11")
    tools.require("g++")
    here = str(Path(sys.executable).parent)  # conifer calls python3 by name
    environ = {
        "XILINX_AP_INCLUDE": str(Path(str(tools.package("hls4ml").__file__)).parent / "templates/vivado/ap_types"),
        "CPLUS_INCLUDE_PATH": os.pathsep.join([*_json(), *filter(None, [os.environ.get("CPLUS_INCLUDE_PATH")])]),
        "PATH": os.pathsep.join([here, os.environ.get("PATH", os.defpath)]),
    }
    program = Path(__file__).with_name("program.py")
    tools.run([sys.executable, "-P", program, verb], cwd=folder, timeout_s=timeout_s, env_extra=environ)


def _json() -> list[str]:
    """Where the JSON header is; empty if the compiler finds it itself.

    Raises:
        ToolMissing: it is nowhere.
    """
    if Path("/usr/include/nlohmann/json.hpp").is_file():
        return []
    return [str(Path(str(tools.package("nlohmann_json").__file__)).parent / "include")]
