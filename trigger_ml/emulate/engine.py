"""The model that runs: a bundle's own C++ emulator, compiled once for each machine, or else its ONNX model."""

from __future__ import annotations

import fcntl
import functools
import os
import platform
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trigger_ml import artifact
from trigger_ml.bundle import Bundle, open_bundle
from trigger_ml.errors import ArtifactError, GraphError, Mismatch, ToolMissing
from trigger_ml.ir.bounds import bounds
from trigger_ml.ir.columns import columns
from trigger_ml.passes.decision import NAME as DECISION

Evaluate = Callable[[NDArray[np.signedinteger]], Mapping[str, NDArray[np.int64]]]

CPP, ONNX = "cpp", "onnx"


@dataclass(frozen=True)
class Model:
    """What a worker has to know of a bundle.

    Attributes:
        bundle: the file, which all workers see.
        digest: of the graph.
        sources: digest of the engine's files in the bundle, which names its place in the cache.
        engine: ``cpp`` or ``onnx``.
        input: name of the input.
        elements: integers an event.
        outputs: name and number of elements of each output.
        name: of the bundle.
        columns: output -> names of its elements, where they have names.
    """

    bundle: Path
    digest: str
    sources: str
    engine: str
    input: str
    elements: int
    outputs: tuple[tuple[str, int], ...]
    name: str
    columns: tuple[tuple[str, tuple[str, ...]], ...] = ()

    @property
    def decides(self) -> bool:
        """True if the graph has a decision of its own."""
        return (DECISION, 1) in self.outputs


def prepare(path: Path) -> tuple[Model, str]:
    """Read a bundle, compile its emulator if the cache has it not, and hold it against the bundle's own vectors.

    Returns:
        The model, and a sentence that says what runs.

    Raises:
        ArtifactError: the bundle is damaged, or has no engine that runs here.
        GraphError: its graph has several inputs.
        ToolMissing, ToolFailed: the compiler.
        Mismatch: the engine doesn't give what the bundle's vectors say.
    """
    found = open_bundle(path)
    graph = found.graph
    if len(graph.inputs) != 1:
        raise GraphError(f"{path} is a graph of {len(graph.inputs)} inputs: emulate reads events into one")
    port, known = graph.inputs[0].name, bounds(graph)
    size = {name: int(np.prod(known[name].shape, dtype=int)) for name in (port, *graph.outputs)}
    outputs = tuple((name, size[name]) for name in graph.outputs)
    named = tuple(columns(graph).items())
    name, sources = str(found.manifest["name"]), _sources_digest(found, ONNX)
    model = Model(path.resolve(), found.digest, sources, ONNX, port, size[port], outputs, name, named)
    said, made = f"the bundle has no C++ emulator, its ONNX model runs ({path.name})", found.backends()
    if CPP in made:
        compiled = replace(model, sources=_sources_digest(found, CPP), engine=CPP)
        try:
            library = _library(compiled, found)
            model, said = compiled, f"C++ emulator of {path.name}, kernel {_load(library, compiled).best_kernel}"
        except ToolMissing as missing:
            said = f"{missing}; so the bundle's ONNX model runs, with the same bits but slower"
    if model.engine == ONNX and ONNX not in made:
        raise ArtifactError(f"{path} holds no engine that runs here ({said}): bundle a run with cpp or onnx")
    _hold_against_vectors(found, model)
    return model, said


@functools.lru_cache(maxsize=2)
def evaluator(model: Model) -> Evaluate:
    """The engine, ready to run in this process: rows of integers in, integers by output name out.

    Raises:
        ArtifactError: the bundle is not, or no longer, that of the model.
    """
    if model.engine == CPP:
        library = _load(_library(model), model)
        return lambda x: library.evaluate({model.input: x})
    return _onnx(model)


def cache_folder() -> Path:
    """Where compiled emulators are kept: ``$XDG_CACHE_HOME/trigger_ml/emulators``."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "trigger_ml" / "emulators"


def _hold_against_vectors(found: Bundle, model: Model) -> None:
    feed, expected = found.vectors()
    if set(feed) != {model.input} or set(expected) != {name for name, _ in model.outputs}:
        raise ArtifactError(f"{found.path}: its vectors are of other ports than its graph: don't trust this file")
    x = feed[model.input]
    got = evaluator(model)(x.reshape(len(x), -1))
    for name, y in expected.items():
        if not np.array_equal(got[name].ravel(), y.ravel()):
            raise Mismatch(f"{found.path}: its {model.engine} engine and its vectors differ in {name!r}: verify it")


def _sources_digest(found: Bundle, engine: str) -> str:
    inside = {n: artifact.digest_bytes(c) for n, c in found.members.items() if n.startswith(f"firmware/{engine}/")}
    return artifact.digest_json(inside)


def _library(model: Model, found: Bundle | None = None) -> Path:
    """The compiled emulator in the cache."""
    from trigger_ml.backends import cpp

    machine = "-".join((platform.machine(), *platform.libc_ver())).strip("-")
    return _kept(model, machine, found, cpp.compile_library) / cpp.LIBRARY


def _kept(model: Model, name: str, found: Bundle | None, finish: Callable[[Path], None]) -> Path:
    """A folder of the cache with the engine's files from the bundle; one process makes it, others wait for it."""
    folder = cache_folder() / f"{model.sources[:32]}-{name}"
    if folder.exists():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_name(f".{folder.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            source = found if found is not None else open_bundle(model.bundle)
            if _sources_digest(source, model.engine) != model.sources:
                raise ArtifactError(f"{model.bundle} has changed since the work began: start again")
            with artifact.atomic_folder(folder) as part:
                source.unpack(f"firmware/{model.engine}", part)
                finish(part)
    return folder


def _load(path: Path, model: Model) -> Any:
    from trigger_ml.backends.emulator.library import Library

    library = Library(path)
    if library.digest != model.digest:
        raise Mismatch(f"{path} holds graph {library.digest[:12]}, the bundle {model.digest[:12]}: verify the bundle")
    if (library.inputs, library.outputs) != ({model.input: model.elements}, dict(model.outputs)):
        raise Mismatch(f"{path} has other ports than the bundle's graph: verify the bundle")
    return library


def _onnx(model: Model) -> Evaluate:
    from trigger_ml.backends import onnx

    found = open_bundle(model.bundle)
    if found.digest != model.digest:
        raise ArtifactError(f"{model.bundle} has changed since the work began: start again")
    name = f"firmware/{ONNX}/{onnx.FLOAT_MODEL}"
    if name not in found.members:
        raise ArtifactError(f"{model.bundle} holds no {name}: get the bundle again")
    session, shape = onnx.checked(found.members[name], found.graph), bounds(found.graph)[model.input].shape

    def run(x: NDArray[np.signedinteger]) -> Mapping[str, NDArray[np.int64]]:
        answers = onnx.evaluate(session, found.graph, x.reshape(len(x), *shape))
        return {name: y.reshape(len(y), -1) for name, y in answers.items()}

    return run
