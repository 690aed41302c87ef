"""A network as an ONNX model in one of the lowerings, opened and verified like the trigger graphs' models."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trigger_ml import artifact
from trigger_ml.backends.onnx import open_session, verified
from trigger_ml.offline.layers import Network, Weights
from trigger_ml.offline.onnx.operator import library
from trigger_ml.offline.onnx.rules import emit
from trigger_ml.offline.onnx.writer import Lowering, Writer

DIGEST = "network_digest"


@dataclass(frozen=True, eq=False)
class Model:
    """What was written.

    Attributes:
        content: the serialised model.
        digest: of the network and its weights, also in the model's metadata.
        kernel_bytes: of the stored matrices of linear layers.
    """

    content: bytes
    digest: str
    kernel_bytes: int


def model(network: Network, weights: Weights, lowering: Lowering) -> Model:
    """The step network: inputs as its ports, each with a batch of its own, output ``output``.

    Raises:
        GraphError: the weights don't fit.
        Unsupported: a sum needs too many bits.
        ToolMissing: without the onnx packages.
    """
    network.check(weights)
    w = Writer(lowering)
    ports = {p.name: w.port(p.name, [f"batch_{p.name}", *p.shape]) for p in network.ports}
    made = emit(w, network, weights, ports)
    output = w.named(made, "output", ["batch", *network.shapes[network.output]])
    found = digest(network, weights)
    return Model(w.model(list(ports.values()), output, {DIGEST: found}), found, w.kernel_bytes)


def digest(network: Network, weights: Weights) -> str:
    """sha256 (hexadecimal) of the layers and their weights."""
    parts = [{"name": n.name, "op": type(n.op).__name__, **dataclasses.asdict(n.op)} for n in network.nodes]
    wires = [list(n.inputs) for n in network.nodes]
    ports = [dataclasses.asdict(p) for p in network.ports]
    used = {name: weights[name] for name in network.parts}
    return artifact.digest_json({"ports": ports, "nodes": parts, "wires": wires, "w": artifact.digest_arrays(used)})


def opened(content: bytes | Path, network_digest: str, threads: int = 1) -> Any:
    """A session of a model that was written from that network; the ternary operator is loaded where it is used.

    Raises:
        Mismatch: the model is of another network.
        ToolMissing: without onnxruntime; without g++ for a model in the lowering ternary.
    """
    from onnx import load_model_from_string

    data = content if isinstance(content, bytes) else content.read_bytes()
    held = {p.key: p.value for p in load_model_from_string(data).metadata_props}
    operators = library() if held.get("lowering") == "ternary" else None
    return verified(open_session(data, threads, operators), DIGEST, network_digest, "this ONNX model")


def evaluate(session: Any, feed: dict[str, NDArray[np.float32]]) -> NDArray[np.float32]:
    """The output for a batch."""
    return session.run(None, feed)[0]
