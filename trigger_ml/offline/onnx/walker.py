"""A walk as one ONNX model: the step network inside a Scan; kicks, if it has any, are an input."""

from __future__ import annotations

from typing import Any

import numpy as np

from trigger_ml import artifact
from trigger_ml.offline.layers import Network, Weights
from trigger_ml.offline.onnx.model import DIGEST, Model, digest
from trigger_ml.offline.onnx.rules import emit
from trigger_ml.offline.onnx.sampler import check_step
from trigger_ml.offline.onnx.writer import Lowering, Writer
from trigger_ml.offline.walks import Walk


def walker(network: Network, weights: Weights, lowering: Lowering, walk: Walk) -> Model:
    """Inputs ``noise`` (the state at the start), ``kicks`` ``(batch, steps, ...)`` if the walk has any, other ports.

    The batch comes first in every input, the kicks' too, so that events can be cut from all alike.

    Raises:
        GraphError: the network has no ports x and time, or its output has another shape than x.
    """
    network.check(weights)
    check_step(network)
    w, shape = Writer(lowering), network.shapes["x"]
    state: list[int | str | None] = ["batch", *shape]
    noise = w.port("noise", state)
    kicks = [w.port("kicks", ["batch", walk.steps, *shape])] if walk.kicked else []
    others = {p.name: w.port(p.name, ["batch", *p.shape]) for p in network.ports if p.name not in ("x", "time")}
    begin = w.op("Mul", noise, w.const(np.float32(walk.scale))) if walk.scale != 1 else noise
    x, time, row = w.port("state", state), w.port("now", [1]), w.port("row", [4])
    kick = [w.port("kick", state)] if walk.kicked else []
    outer, w.nodes = w.nodes, []

    def factor(which: int) -> Any:
        return w.op("Gather", row, w.const(which, np.int64))

    at = w.op("Reshape", time, w.const([1, 1], np.int64))
    near = emit(w, network, weights, {"x": w.op("Mul", x, factor(3)), "time": at, **others})
    after = w.op("Add", w.op("Mul", x, factor(0)), w.op("Mul", near, factor(1)))
    after = w.op("Add", after, w.op("Mul", kick[0], factor(2))) if kick else after
    body = w.ir.Graph([x, time, row, *kick], [w.named(after, "next", state)], nodes=w.nodes, name="step")
    w.nodes = outer
    scanned = [w.const(walk.times[:, None]), w.const(walk.table), *kicks]
    axes = [0, 0, 1][: len(scanned)]
    end = w.op("Scan", begin, *scanned, body=body, num_scan_inputs=len(scanned), scan_input_axes=axes)
    steps = [walk.table.ravel().tolist(), walk.times.tolist(), walk.scale]
    found = artifact.digest_json([digest(network, weights), *steps, axes])
    output = w.named(end, "output", state)
    return Model(w.model([noise, *kicks, *others.values()], output, {DIGEST: found}), found, w.kernel_bytes)
