"""A whole sampler as one ONNX model: the step network inside a Scan over the times of a fixed grid."""

from __future__ import annotations

from typing import Any

import numpy as np

from trigger_ml import artifact
from trigger_ml.errors import GraphError
from trigger_ml.offline.layers import Network, Weights
from trigger_ml.offline.onnx.model import DIGEST, Model, digest
from trigger_ml.offline.onnx.rules import emit
from trigger_ml.offline.onnx.writer import Lowering, Writer
from trigger_ml.offline.solvers import SOLVERS, Method, step


def sampler(network: Network, weights: Weights, lowering: Lowering, method: Method, steps: int) -> Model:
    """Inputs ``noise`` (the state at time 0) and the network's other ports; output: the state at time 1.

    The network gives the slope of its port ``x`` at its port ``time``; no randomness is inside.

    Raises:
        GraphError: the network has no such ports, or its output is no slope.
    """
    network.check(weights)
    shapes = network.shapes
    if "x" not in shapes or shapes.get("time") != (1,) or shapes[network.output] != shapes["x"]:
        raise GraphError("a sampler needs a network with ports x and time, and an output of the shape of x")
    w, solver = Writer(lowering), SOLVERS[method]
    state: list[int | str | None] = ["batch", *shapes["x"]]
    noise = w.port("noise", state)
    others = {p.name: w.port(p.name, ["batch", *p.shape]) for p in network.ports if p.name not in ("x", "time")}
    x, times = w.port("state", state), w.port("times", [len(solver.at)])
    outer, w.nodes = w.nodes, []

    def slope(stage: int, y: Any) -> Any:
        time = w.op("Reshape", w.op("Gather", times, w.const(stage, np.int64)), w.const([1, 1], np.int64))
        return emit(w, network, weights, {"x": y, "time": time, **others})

    def add(y: Any, k: Any, c: float) -> Any:
        return w.op("Add", y, w.op("Mul", k, w.const(c)))

    after = w.named(step(solver, 1 / steps, x, slope, add), "next", state)
    body = w.ir.Graph([x, times], [after], nodes=w.nodes, name="step")
    w.nodes = outer
    table = w.const(solver.times(steps))
    end = w.op("Scan", noise, table, body=body, num_scan_inputs=1)
    found = artifact.digest_json([digest(network, weights), method, steps])
    output = w.named(end, "output", state)
    return Model(w.model([noise, *others.values()], output, {DIGEST: found}), found, w.kernel_bytes)
