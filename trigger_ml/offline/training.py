"""Training a network of the layer list with the loop that every front end uses: compiled, and resumable to the bit."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from trigger_ml import artifact, samples
from trigger_ml.backends import handwritten
from trigger_ml.frontends.loop import Job, Phase, cosine, fit
from trigger_ml.offline.exact import prove
from trigger_ml.offline.framework import Trained, start_weights
from trigger_ml.offline.layers import Network, Standardize, Weights
from trigger_ml.offline.objectives import Loss
from trigger_ml.offline.onnx.model import digest
from trigger_ml.offline.spec import Row
from trigger_ml.program import code

if TYPE_CHECKING:
    from rich.console import Console


@dataclass(frozen=True)
class Place:
    """Where a training stands.

    Attributes:
        row: the spec.
        folder: for its checkpoint.
        name: of the training in that folder.
        console: for progress; None: silent.
    """

    row: Row
    folder: Path
    name: str
    console: Console | None


def trained(
    place: Place,
    network: Network,
    loss: Callable[[Trained], Loss],
    data: tuple[NDArray[np.float32], ...],
    scaled: Mapping[str, NDArray[np.float32]],
) -> Weights:
    """Train from the row's seed; return the float weights, with the proof that low-bit layers are exact everywhere.

    Args:
        place: see there.
        network: what is trained.
        loss: from the trained form to its loss.
        data: arrays of equal length that the loss takes.
        scaled: port -> events by which that port is standardized.

    Raises:
        ArtifactError: a loss is not finite.
        Mismatch: a low-bit layer gives other bits in some lowering than in the framework.
    """
    row = place.row
    weights = _standardized(network, start_weights(network, row.seed), scaled)
    net = Trained(network, weights)
    arrays = {str(i): array for i, array in enumerate(data)}
    inputs = [row.digest(), place.name, digest(network, weights), artifact.digest_arrays(arrays)]
    key = artifact.digest_json([*inputs, program()])
    rate = cosine(row.train.learning_rate, row.train.epochs)
    phase = Phase(place.name, place.name, row.train.epochs, row.train.batch, rate, row.seed, key)
    variables = list(net.variables.values())
    place.folder.mkdir(parents=True, exist_ok=True)
    fit(phase, Job(data, loss(net), variables, variables), place.folder, place.console)
    prove(network, net.weights(), row.seed)
    return net.weights()


@functools.cache
def program() -> str:
    """sha256 (hexadecimal) of all our code and committed events: what others left half done is not gone on from."""
    events = artifact.digest_path(Path(samples.__file__).parent / "data")
    return artifact.digest_json([code(""), events, handwritten.digest()])


def _standardized(network: Network, weights: Weights, scaled: Mapping[str, NDArray[np.float32]]) -> Weights:
    """Weights with the constants of Standardize layers set to bring events to mean 0 and deviation 1."""
    found = dict(weights)
    for node in network.nodes:
        if isinstance(node.op, Standardize) and node.inputs[0] in scaled:
            events = scaled[node.inputs[0]].reshape(-1, network.shapes[node.name][-1]).astype(np.float64)
            spread = np.maximum(events.std(0), 1e-6)
            found[f"{node.name}.scale"] = (1 / spread).astype(np.float32)
            found[f"{node.name}.shift"] = (-events.mean(0) / spread).astype(np.float32)
    return found
