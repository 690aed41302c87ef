"""The exact engine of a graph that is not bundled yet: its compiled emulator, or the golden interpreter."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trigger_ml.errors import ArtifactError, ToolMissing
from trigger_ml.ir.bounds import bounds
from trigger_ml.ir.graph import Graph
from trigger_ml.ir.interpret import interpret
from trigger_ml.ir.io import digest
from trigger_ml.spec import Target

CPP, INTERPRETER = "cpp", "interpreter"


@dataclass(frozen=True, eq=False)
class Engine:
    """What evaluates events.

    Attributes:
        name: ``cpp`` or ``interpreter``; both give the same integers.
        said: a sentence on what runs.
        evaluate: hardware integers ``(events, elements)`` in, each output out, ``(events, elements)``.
    """

    name: str
    said: str
    evaluate: Callable[[NDArray[Any]], dict[str, NDArray[np.int64]]]


@contextlib.contextmanager
def exact(graph: Graph, built: Path, target: Target) -> Iterator[Engine]:
    """The fastest engine that runs here.

    Args:
        graph: of one input.
        built: the folder in which the run's emulator may have been built; of another graph, it is left alone.
        target: of the spec.

    Raises:
        ToolFailed: the compiler.
    """
    from trigger_ml.backends import cpp

    ready = _library(built / cpp.LIBRARY, graph) if (built / cpp.LIBRARY).exists() else None
    if ready is not None:
        yield ready
        return
    with tempfile.TemporaryDirectory(prefix="trigger_ml_") as folder:
        try:
            cpp.build(graph, Path(folder) / CPP, target)
        except ToolMissing as missing:
            engine = _interpreter(
                graph, f"{missing}; so the golden interpreter runs, with the same integers but slower"
            )
        else:
            engine = _library(Path(folder) / CPP / cpp.LIBRARY, graph) or _interpreter(graph, "golden interpreter")
        yield engine


def _library(path: Path, graph: Graph) -> Engine | None:
    from trigger_ml.backends.emulator.library import Library

    try:
        library = Library(path)
    except ArtifactError:
        return None
    if library.digest != digest(graph):
        return None
    port = graph.inputs[0].name
    return Engine(CPP, f"C++ emulator, kernel {library.best_kernel}", lambda x: library.evaluate({port: x}))


def _interpreter(graph: Graph, said: str) -> Engine:
    shape = bounds(graph)[graph.inputs[0].name].shape

    def run(x: NDArray[Any]) -> dict[str, NDArray[np.int64]]:
        return {name: y.reshape(len(x), -1) for name, y in interpret(graph, x.reshape(len(x), *shape)).items()}

    return Engine(INTERPRETER, said, run)
