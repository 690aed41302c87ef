"""Equalities on many random vectors: C++ = ONNX = golden, and the CMSSW plug-in = golden, for every model that ships.

The vectors are random integers over each port's whole range. With ``--bundles`` the C++ library and the plug-in are
compiled from the bundles there (``<model>.zip``), as their users get them, instead of from fresh sources. Exits with 1
if one integer differs.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import numpy as np
from rich.console import Console

from trigger_ml import plugins
from trigger_ml.bundle import open_bundle
from trigger_ml.fuzz import random_events
from trigger_ml.ir import io
from trigger_ml.ir.graph import Graph
from trigger_ml.ir.interpret import interpret
from trigger_ml.spec import Target

ENGINES = ("cpp", "onnx", "cmssw")
CHUNK = 100_000


def built(engine: str, graph: Graph, bundle: Path | None, folder: Path) -> Path:
    """The engine, ready to simulate."""
    backend = plugins.find("backends", engine)
    if bundle is None:
        backend.build(graph, folder / engine, Target())
    else:
        open_bundle(bundle).unpack(f"firmware/{engine}", folder / engine)
        if hasattr(backend, "compile_library"):
            backend.compile_library(folder / engine)
    return folder / engine


def differing(model: Path, bundle: Path | None, events: int) -> dict[str, int]:
    """Events in which each engine differs from golden."""
    graph = io.load(model)
    found = dict.fromkeys(ENGINES, 0)
    with tempfile.TemporaryDirectory() as scratch:
        folders = {engine: built(engine, graph, bundle, Path(scratch)) for engine in ENGINES}
        for start in range(0, events, CHUNK):
            feed = random_events(graph, min(CHUNK, events - start), 1000 + start // CHUNK)
            want = interpret(graph, feed)
            for engine, folder in folders.items():
                got = plugins.find("backends", engine).simulate(folder, graph, feed)
                wrong = [(got[o] != want[o]).reshape(len(want[o]), -1).any(axis=1) for o in want]
                found[engine] += int(np.any(wrong, axis=0).sum())
    return found


def main() -> int:
    """One line a model."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--models", type=Path, default=Path("models"))
    parser.add_argument("--bundles", type=Path)
    asked = parser.parse_args()
    console, total = Console(), 0
    for model in sorted(p.parent for p in asked.models.glob(f"*/{io.FILE}")):
        bundle = asked.bundles / f"{model.name}.zip" if asked.bundles else None
        found = differing(model, bundle, asked.events)
        total += sum(found.values())
        shown = ", ".join(f"{engine} {count}" for engine, count in found.items())
        console.print(f"{model.name}: of {asked.events:,} events differ: {shown}", highlight=False)
    return 1 if total else 0


if __name__ == "__main__":
    sys.exit(main())
