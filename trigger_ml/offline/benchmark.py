"""What a lowering costs and saves: time and size beside the float network, on one core, each proved exact first.

Times are CPU time of this process, the least of several interleaved rounds; they include the call of the runtime. What
carries over to another machine is the ratio, and that only between processors with the same instructions.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from trigger_ml.offline.layers import Linear, Network, Node, Port, Weights
from trigger_ml.offline.networks import residual_mlp
from trigger_ml.offline.onnx import model as models
from trigger_ml.offline.onnx.operator import peak
from trigger_ml.offline.onnx.sampler import sampler
from trigger_ml.offline.onnx.writer import LOWERINGS, Lowering

if TYPE_CHECKING:
    from rich.console import Console

CASES = tuple((hidden, batch) for hidden in (64, 256, 1024) for batch in (1, 32, 1024)) + ((4096, 1), (4096, 32))
SAMPLER = (512, (1, 32, 512))
STEPS, BLOCKS, DIMENSIONS = 20, 4, 6
ROUNDS = 5
SLICE_S = 0.03
"""CPU time of one timing."""


@dataclass(frozen=True)
class Row:
    """One lowering of one network.

    Attributes:
        network: ``linear``: one square layer; ``sampler``: 20 midpoint steps of a residual network, one model.
        hidden: width.
        batch: rows of a call.
        lowering: of the ternary network.
        time_ratio: CPU time over that of the same network with float weights and activations.
        size_ratio: bytes of the float linear weights over the stored ones.
        exact: whether the output is the integer definition's (``linear``) or the golden lowering's (``sampler``).
        roofline: products a second over the limit of the kernel's instruction; ``ternary`` on a linear layer only.
    """

    network: str
    hidden: int
    batch: int
    lowering: str
    time_ratio: float
    size_ratio: float
    exact: bool
    roofline: float | None = None


def ternary(
    console: Console, cases: Sequence[tuple[int, int]] = CASES, sampled: tuple[int, Sequence[int]] = SAMPLER,
    rounds: int = ROUNDS,
) -> list[Row]:  # fmt: skip
    """Measure every lowering on linear layers ``(hidden, batch)`` and on a whole sampler of width ``sampled[0]``.

    Raises:
        ToolMissing: without the onnx packages or g++.
    """
    limit, rows = _limit(), []
    for hidden, batch in cases:
        with console.status(f"linear {hidden}, batch {batch} ..."):
            rows += _linear(hidden, batch, rounds, limit)
    for batch in sampled[1]:
        with console.status(f"sampler {sampled[0]}, batch {batch} ..."):
            rows += _sampled(sampled[0], batch, rounds)
    return rows


def _linear(hidden: int, batch: int, rounds: int, limit: float | None) -> list[Row]:
    def network(mode: Any) -> Network:
        return Network((Port("x", (hidden,)),), (Node("layer", Linear(hidden, mode), ("x",)),))

    rng = np.random.default_rng(hidden)
    low, weights = network("ternary"), _weights(network("float"), rng)
    x = rng.normal(size=(batch, hidden)).astype(np.float32)
    written = {k: models.model(low, weights, k) for k in LOWERINGS}
    plain = models.model(network("float"), weights, "float")
    want = _by_integers(weights, x)
    found = _measured(plain, written, {"x": x}, rounds)
    rows = []
    for lowering, (seconds, ratio, y) in found.items():
        share = hidden * hidden * batch / seconds / limit if limit and lowering == "ternary" else None
        size = plain.kernel_bytes / written[lowering].kernel_bytes
        rows.append(Row("linear", hidden, batch, lowering, ratio, size, bool(np.array_equal(y, want)), share))
    return rows


def _sampled(hidden: int, batch: int, rounds: int) -> list[Row]:
    def network(precision: Any) -> Network:
        return residual_mlp(DIMENSIONS, DIMENSIONS, hidden, BLOCKS, precision, timed=True)

    rng = np.random.default_rng(hidden)
    weights = _weights(network("none"), rng)
    written = {k: sampler(network("no-embedding-no-last"), weights, k, "midpoint", STEPS) for k in LOWERINGS}
    plain = sampler(network("none"), weights, "float", "midpoint", STEPS)
    feed = {"noise": rng.normal(size=(batch, DIMENSIONS)).astype(np.float32)}
    found = _measured(plain, written, feed, rounds)
    golden = found["float"][2]
    return [
        Row("sampler", hidden, batch, k, ratio, plain.kernel_bytes / written[k].kernel_bytes, np.array_equal(y, golden))
        for k, (_, ratio, y) in found.items()
    ]


def _weights(network: Network, rng: np.random.Generator) -> Weights:
    return {
        name: rng.normal(0, 1 / np.sqrt(shape[0]), shape).astype(np.float32) for name, shape in network.parts.items()
    }


def _by_integers(weights: Weights, x: NDArray[np.float32]) -> NDArray[np.float32]:
    """A ternary layer by its definition, with sums of int32."""
    from trigger_ml.offline.layers import SMALLEST, TOP
    from trigger_ml.offline.quantize import quantized

    codes = quantized(weights["layer.kernel"], "ternary")
    top = np.maximum(np.abs(x).max(-1, keepdims=True), SMALLEST)
    q = np.rint(x * (np.float32(TOP) / top))
    whole = (q.astype(np.float64) @ codes.codes.astype(np.float64)).astype(np.int32)
    return np.asarray(whole.astype(np.float32) * top * codes.scale + weights["layer.bias"])


Found = dict[Lowering, tuple[float, float, NDArray[np.float32]]]
"""Seconds of a call, ratio to the float network, output."""


def _measured(plain: models.Model, written: dict[Lowering, models.Model], feed: Any, rounds: int) -> Found:
    calls: list[Callable[[], Any]] = []
    for each in (plain, *written.values()):
        session = models.opened(each.content, each.digest)
        calls.append(_call(session, feed))
    outputs = [call() for call in calls]
    repeats = []
    for call in calls:
        _, once = _timed(call, 1)
        repeats.append(max(1, int(SLICE_S / max(once, 1e-6))))
    best = [float("inf")] * len(calls)
    for _ in range(rounds):
        for i, call in enumerate(calls):
            best[i] = min(best[i], _timed(call, repeats[i])[1] / repeats[i])
    return {k: (best[i], best[i] / best[0], outputs[i]) for i, k in enumerate(written, 1)}


def _call(session: Any, feed: Any) -> Callable[[], Any]:
    return lambda: models.evaluate(session, feed)


def _timed(call: Callable[[], Any], times: int) -> tuple[Any, float]:
    start = time.process_time()
    for _ in range(times):
        result = call()
    return result, time.process_time() - start


def _limit() -> float | None:
    """Products a second of CPU time in registers alone; None where the kernel knows no limit."""
    peak(100_000)
    best = 0.0
    for _ in range(ROUNDS):
        start = time.process_time()
        count = peak(2_000_000)
        best = max(best, count / max(time.process_time() - start, 1e-9))
    return best or None
