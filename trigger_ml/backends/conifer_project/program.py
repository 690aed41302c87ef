"""Run in a process of its own, in a project's folder: conifer changes the working folder and calls a shell.

``python -P program.py write`` writes the projects that ``trees.json`` lists; ``compile`` compiles the C++; ``cpp`` and
``vhdl`` read ``events.npy`` and write ``scores.npy``.
"""

from __future__ import annotations

import importlib.util
import json
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np

PROJECT = "trees"
LIBRARY = "conifer_bridge_0"
BACKENDS = {"cpp": "cpp", "vhdl": "vhdl", "hls": "xilinxhls"}
"""Folder -> conifer's name of the backend."""


def main(verb: str) -> None:
    """Do what the module's docstring says."""
    described = json.loads(Path("trees.json").read_text("utf-8"))
    match verb:
        case "write":
            for folder in described["config"]:
                Path(folder).mkdir()
                _model(described, folder).write()
                _scrub(folder)
        case "compile":
            _model(described, "cpp").compile()
            _scrub("cpp")
        case _:
            np.save("scores.npy", _scores(described, verb, np.load("events.npy").astype(np.float64)))


def _model(described: dict[str, Any], folder: str) -> Any:
    from conifer.backends.vhdl import set_simulator
    from conifer.model import make_model

    set_simulator("ghdl")
    config = {"backend": BACKENDS[folder], "output_dir": folder, "project_name": PROJECT}
    model = make_model(described["trees"], {**config, **described["config"][folder]})
    model._metadata, model._stamp = [], 0  # no times, hosts or users in files, no times in names
    return model


def _scrub(folder: str) -> None:
    """Take this machine's paths out of what conifer saved, and its scratch away."""
    saved = Path(folder, f"{PROJECT}.json")
    content = json.loads(saved.read_text("utf-8"))
    content["config"]["output_dir"] = "."
    saved.write_text(json.dumps(content, indent=2), "utf-8")
    for scratch in Path().glob(".fp_converter_*"):
        shutil.rmtree(scratch)


def _scores(described: dict[str, Any], folder: str, x: Any) -> Any:
    model = _model(described, folder)
    if folder == "cpp":
        model.bridge = _library(Path("cpp", f"{LIBRARY}.so")).BDT(f"cpp/{PROJECT}.json")
    else:
        from conifer.backends.vhdl import get_simulator

        if not get_simulator().compile(folder):
            raise SystemExit("GHDL refused conifer's VHDL")
    found = model.decision_function(x)
    if found is None:
        raise SystemExit("GHDL failed on conifer's VHDL")
    return np.asarray(found).reshape(len(x), -1)[:, 0]


def _library(path: Path) -> Any:
    spec = importlib.util.spec_from_file_location(LIBRARY, path.resolve())
    if spec is None or spec.loader is None:
        raise SystemExit(f"{path} is no Python extension")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


if __name__ == "__main__":
    main(*sys.argv[1:])
