"""A whole sampler as one ONNX model: the step network inside a Scan over the times of a fixed grid."""

from __future__ import annotations

from typing import Any

import numpy as np

from trigger_ml import artifact
from trigger_ml.errors import GraphError
from trigger_ml.offline.layers import Network, Weights
from trigger_ml.offline.onnx.ends import Ends
from trigger_ml.offline.onnx.model import DIGEST, Model, digest
from trigger_ml.offline.onnx.rules import emit
from trigger_ml.offline.onnx.writer import Lowering, Writer
from trigger_ml.offline.paths import FLOW, Path
from trigger_ml.offline.solvers import SOLVERS, Method, step


def sampler(
    network: Network, weights: Weights, lowering: Lowering, method: Method, steps: int, path: Path = FLOW,
    ends: Ends | None = None,
) -> Model:  # fmt: skip
    """Inputs ``noise`` (the state at the path's start) and the network's other ports; output: the state at its end.

    The network takes ports ``x`` and ``time`` and gives what the path makes a slope of; no randomness is inside. With
    ``ends`` what is given passes a network before the loop, and the state another one after it.

    Raises:
        GraphError: the network has no such ports, its output is no slope, or the ends don't fit.
    """
    network.check(weights)
    check_step(network)
    w, solver = Writer(lowering), SOLVERS[method]
    state: list[int | str | None] = ["batch", *network.shapes["x"]]
    noise = w.port("noise", state)
    ends = ends or Ends()
    inputs, made = ends.shapes(network)
    others = {name: w.port(name, ["batch", *shape]) for name, shape in inputs.items()}
    told = ends.told(w, others)
    x, times = w.port("state", state), w.port("times", [len(solver.at)])
    grid = solver.times(steps, path.start, path.stop)
    table = path.table(grid)
    factors = [] if table is None else [w.port("factors", [len(solver.at), 3])]
    begin = w.op("Mul", noise, w.const(np.float32(path.scale))) if path.scale != 1 else noise
    outer, w.nodes = w.nodes, []

    def factor(stage: int, which: int) -> Any:
        row = w.op("Gather", factors[0], w.const(stage, np.int64))
        return w.op("Gather", row, w.const(which, np.int64))

    def slope(stage: int, y: Any) -> Any:
        time = w.op("Reshape", w.op("Gather", times, w.const(stage, np.int64)), w.const([1, 1], np.int64))
        if table is None:
            return emit(w, network, weights, {"x": y, "time": time, **told})
        near = emit(w, network, weights, {"x": w.op("Mul", y, factor(stage, 2)), "time": time, **told})
        return w.op("Add", w.op("Mul", y, factor(stage, 0)), w.op("Mul", near, factor(stage, 1)))

    def add(y: Any, k: Any, c: float) -> Any:
        return w.op("Add", y, w.op("Mul", k, w.const(c)))

    h = (path.stop - path.start) / steps
    after = w.named(step(solver, h, x, slope, add), "next", state)
    body = w.ir.Graph([x, times, *factors], [after], nodes=w.nodes, name="step")
    w.nodes = outer
    scanned = [w.const(grid), *([] if table is None else [w.const(table)])]
    end = w.op("Scan", begin, *scanned, body=body, num_scan_inputs=len(scanned))
    kind = [path.start, path.stop, path.scale, [] if table is None else table.ravel().tolist()]
    found = artifact.digest_json([digest(network, weights), method, steps, *kind, *ends.digests()])
    output = w.named(ends.decoded(w, end), "output", ["batch", *made])
    return Model(w.model([noise, *others.values()], output, {DIGEST: found}), found, w.kernel_bytes)


def check_step(network: Network) -> None:
    """Refuse a network that gives no slope.

    Raises:
        GraphError: it has no ports x and time, or its output has another shape than x.
    """
    shapes = network.shapes
    if "x" not in shapes or shapes.get("time") != (1,) or shapes[network.output] != shapes["x"]:
        raise GraphError("a sampler needs a network with ports x and time, and an output of the shape of x")
