"""The ONNX engine: the integer graph as plain ONNX operators on integer-valued floats, exact by proof.

Each node runs in float32 where ``bounds`` proves every partial sum below 2**24, in float64 below 2**53; what needs
more is refused. So the result does not depend on the order in which a runtime adds, nor on its fusions of multiply and
add. Two models are written: ``model.onnx`` reads hardware integers as int32, ``model_float.onnx`` the same integers as
float32 (no conversion: the faster one). Both give each output as integers in float; fraction lengths are metadata.
Opset 18 and IR version 8, which ONNX Runtime 1.17 and later read.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trigger_ml import artifact
from trigger_ml.backends.onnx_graph.model import model
from trigger_ml.backends.onnx_graph.writer import Held, Writer, reach
from trigger_ml.errors import Mismatch, ToolMissing, Unsupported
from trigger_ml.ir import ops
from trigger_ml.ir.bounds import FLOAT64_EXACT, bounds
from trigger_ml.ir.graph import Graph
from trigger_ml.ir.interpret import check_inputs
from trigger_ml.ir.io import digest
from trigger_ml.spec import Target

BATCH = 4096
INT_MODEL, FLOAT_MODEL = "model.onnx", "model_float.onnx"


def check(graph: Graph, target: Target) -> None:
    """Refuse a graph of which some node needs more than float64's 53 bits.

    Raises:
        Unsupported: naming the node.
    """
    for node in graph.nodes:
        most = reach(graph, node)
        if most >= FLOAT64_EXACT:
            raise Unsupported(
                f"onnx: node {node.name!r} may reach {most.bit_length()} bits and float64 is exact to 53: "
                "requantize its inputs to fewer bits"
            )


def build(graph: Graph, folder: Path, target: Target) -> None:
    """Write ``model.onnx`` and ``model_float.onnx`` into ``folder``.

    Raises:
        Unsupported: see :func:`check`; nothing is written.
        ToolMissing: without the ``onnx`` package.
    """
    check(graph, target)
    with artifact.atomic_folder(folder) as part:
        for name, integer_input in ((INT_MODEL, True), (FLOAT_MODEL, False)):
            artifact.atomic_write(part / name, model(graph, integer_input).content)


def simulate(
    folder: Path, graph: Graph, inputs: NDArray[Any] | Mapping[str, NDArray[Any]]
) -> dict[str, NDArray[np.int64]]:
    """Run ``model_float.onnx`` in ONNX Runtime, one thread, in batches.

    Returns:
        Integers ``(events, *shape)`` for each output.

    Raises:
        Mismatch: the model holds another graph's digest, or an output is not an integer.
        ToolMissing: without the ``onnxruntime`` package.
    """
    return evaluate(checked(folder / FLOAT_MODEL, graph), graph, inputs)


def checked(model: Path | bytes, graph: Graph) -> Any:
    """A session of ``model_float.onnx``, a file or its content, that was built from ``graph``.

    Raises:
        Mismatch: the model holds another graph's digest.
        ToolMissing: without the ``onnxruntime`` package.
    """
    what = model if isinstance(model, Path) else FLOAT_MODEL
    return verified(open_session(model), "graph_digest", digest(graph), what)


def verified(session: Any, key: str, want: str, what: object) -> Any:
    """A session whose model's metadata hold ``want`` under ``key``.

    Raises:
        Mismatch: they hold something else.
    """
    found = session.get_modelmeta().custom_metadata_map.get(key)
    if found != want:
        raise Mismatch(f"{what} was built from {key.removesuffix('_digest')} {found}, not {want}: build it again")
    return session


def evaluate(
    session: Any, graph: Graph, inputs: NDArray[Any] | Mapping[str, NDArray[Any]]
) -> dict[str, NDArray[np.int64]]:
    """Integers ``(events, *shape)`` for each output, computed in batches.

    Raises:
        Mismatch: an output is not an integer.
    """
    writer = Writer(graph, integer_input=False)
    feed: dict[str, NDArray[Any]] = {k: v.astype(writer.port(k)) for k, v in check_inputs(graph, inputs).items()}
    count, known = len(next(iter(feed.values()))), bounds(graph)
    out = {o: np.empty((count, *known[o].shape), np.int64) for o in graph.outputs}
    for start in range(0, count, BATCH):
        answers = session.run(list(graph.outputs), {k: v[start : start + BATCH] for k, v in feed.items()})
        for name, y in zip(graph.outputs, answers, strict=True):
            whole = y.astype(np.int64)
            if not np.array_equal(whole, y):
                raise Mismatch(f"onnx: output {name!r} holds a number that is not an integer near event {start}")
            out[name][start : start + BATCH] = whole
    return out


def probe(
    folder: Path, graph: Graph, inputs: NDArray[Any] | Mapping[str, NDArray[Any]]
) -> dict[str, NDArray[np.float64]]:
    """Every node's tensor as the built model computes it: to find the first one that differs."""
    import onnx

    built = onnx.load(folder / FLOAT_MODEL)
    inner = {f"{n.name}.v": n.name for n in graph.nodes if not isinstance(n.op, ops.Input)}
    built.graph.output.extend(onnx.ValueInfoProto(name=v) for v in inner)
    writer, held = Writer(graph, integer_input=False), model(graph, integer_input=False).held
    feed: dict[str, NDArray[Any]] = {k: v.astype(writer.port(k)) for k, v in check_inputs(graph, inputs).items()}
    answers = open_session(built.SerializeToString()).run(list(inner), feed)
    return {name: _integers(y, held[name]) for name, y in zip(inner.values(), answers, strict=True)}


def _integers(y: NDArray[Any], held: Held) -> NDArray[np.float64]:
    """``(*shape, events)`` as the model holds it -> integers ``(events, *shape)``."""
    first = np.moveaxis(np.asarray(y, np.float64), -1, 0)
    return np.asarray((first - held.offset) * np.exp2(-held.scale.astype(np.float64)))


def open_session(model: Path | bytes, threads: int = 1, operators: Path | None = None) -> Any:
    """An ONNX Runtime session on the CPU, with the operators of a shared library if one is given."""
    try:
        import onnxruntime
    except ImportError as e:
        raise ToolMissing("onnxruntime is not installed: pip install 'trigger_ml[onnx]'") from e
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    if operators is not None:
        options.register_custom_ops_library(str(operators))
    return onnxruntime.InferenceSession(
        model if isinstance(model, bytes) else str(model), options, providers=["CPUExecutionProvider"]
    )
