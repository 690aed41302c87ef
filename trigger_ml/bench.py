"""How fast the engines emulate: all of them on the same events, in one run, on one core, each proved equal first.

Rates are events a second of CPU time, the best of several interleaved rounds. Machines differ and are noisy: what
carries over is the ratio to hls4ml's C simulation, which is compiled here as hls4ml itself compiles it (-O3).
"""

from __future__ import annotations

import resource
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from trigger_ml import plugins, tools
from trigger_ml.errors import ArtifactError
from trigger_ml.fixed import Fixed
from trigger_ml.fuzz import random_events
from trigger_ml.ir import io, ops
from trigger_ml.ir.bounds import bounds
from trigger_ml.ir.build import Builder
from trigger_ml.ir.graph import Graph
from trigger_ml.ir.interpret import interpret
from trigger_ml.spec import Target

if TYPE_CHECKING:
    from rich.console import Console

MODELS = ("l1_vae_rz", "l1_student_u8", "l1_ae", "calorimeter", "dense")
ROUNDS = 5
EVENTS = 20_000
"""The same for every engine; they stay in a processor's cache, as the chunks of a long file do."""

PASSES = {"golden": 1, "hls4ml": 1, "alkaid": 5, "verilator": 5, "onnx": 10, "cpp": 50}
"""How often an engine evaluates them in one round, so that each takes a sensible time."""

Answers = dict[str, NDArray[np.int64]]


@dataclass(frozen=True)
class Row:
    """One engine on one model.

    Attributes:
        model: a model of ``models/``, or ``calorimeter`` or ``dense`` of this module.
        engine: its name.
        events_per_s: of CPU time, one core.
        ratio_to_hls4ml: to the rate of hls4ml's C simulation in the same run.
        equal: whether all its answers were the golden interpreter's.
        build_s: seconds to generate and compile, for the C++ emulator.
        roofline: share of the processor's multiply-add limit, products with zero weights not counted; C++ only.
    """

    model: str
    engine: str
    events_per_s: float
    ratio_to_hls4ml: float
    equal: bool
    build_s: float | None = None
    roofline: float | None = None


def emulation(models: Sequence[str], home: Path, console: Console, rounds: int = ROUNDS) -> list[Row]:
    """Measure every engine on every model.

    Args:
        models: names; those of ``home`` or of this module.
        home: the folder of models.
        console: for progress.
        rounds: of which the best counts.

    Raises:
        ArtifactError: there is no such model, or it has no frozen graph.
    """
    graphs = {name: _graph(name, home) for name in models}
    limit = _roofline()
    rows = []
    for name, graph in graphs.items():
        with tempfile.TemporaryDirectory(prefix="trigger_ml_") as folder, console.status(f"{name} ..."):
            rows += _measured(name, graph, Path(folder), rounds, limit)
    return rows


def _measured(name: str, graph: Graph, folder: Path, rounds: int, limit: float | None) -> list[Row]:
    feed = random_events(graph, EVENTS, 1)
    start = time.perf_counter()
    plugins.find("backends", "cpp").build(graph, folder / "cpp", Target())
    build_s = time.perf_counter() - start
    runs = {engine: make(graph, folder) for engine, make in ENGINES.items()}
    want = interpret(graph, feed)
    equal, best = {}, dict.fromkeys(runs, float("inf"))
    for engine, run in runs.items():
        answers, _ = run(feed, 1)
        equal[engine] = all(np.array_equal(np.asarray(answers[o]).reshape(want[o].shape), want[o]) for o in want)
    for _ in range(rounds):
        for engine, run in runs.items():
            best[engine] = min(best[engine], run(feed, PASSES[engine])[1] / PASSES[engine] / EVENTS)
    products = multiply_adds(graph)
    rows = []
    for engine, each in best.items():
        ours = engine == "cpp"
        share = products / each / limit if ours and limit else None
        ratio = best["hls4ml"] / each
        rows.append(Row(name, engine, 1 / each, ratio, equal[engine], build_s if ours else None, share))
    return rows


Run = Callable[[dict[str, NDArray[Any]], int], tuple[Answers, float]]
"""From events, and how often to evaluate them, to the answers and the seconds of CPU time."""


def _golden(graph: Graph, folder: Path) -> Run:
    return lambda feed, passes: _own(lambda: interpret(graph, feed), passes)


def _hls4ml(graph: Graph, folder: Path) -> Run:
    from trigger_ml.backends import hls4ml
    from trigger_ml.backends.hls import testbench

    hls4ml.build(graph, folder / "hls4ml", Target())
    testbench.compiled(folder / "hls4ml", HLS4ML_FLAGS)
    sizes = [bounds(graph)[o].lo.size for o in graph.outputs]

    def run(feed: dict[str, NDArray[Any]], passes: int) -> tuple[Answers, float]:
        x = np.concatenate([feed[n.name].reshape(len(feed[n.name]), -1) for n in graph.inputs], axis=1)
        x = np.tile(x, (passes, 1))
        y, took = _children(lambda: testbench.simulate(folder / "hls4ml", x, sum(sizes), HLS4ML_FLAGS))
        return dict(zip(graph.outputs, np.split(y, np.cumsum(sizes)[:-1], axis=1), strict=True)), took

    return run


HLS4ML_FLAGS = ("-std=c++11", "-O3", "-w")


def _alkaid(graph: Graph, folder: Path) -> Run:
    from trigger_ml.backends.rtl.lowering import lower

    comb, known = lower(graph), bounds(graph)

    def run(feed: dict[str, NDArray[Any]], passes: int) -> tuple[Answers, float]:
        count = len(next(iter(feed.values())))
        x = np.concatenate([feed[p.name].reshape(count, -1) * 2.0 ** -known[p.name].frac for p in graph.inputs], axis=1)
        y, took = _own(lambda: np.asarray(comb.predict(x, n_threads=1)), passes)
        at, out = 0, {}
        for name in graph.outputs:
            t = known[name]
            out[name] = (y[:, at : at + t.lo.size] * 2.0**t.frac).astype(np.int64)
            at += t.lo.size
        return out, took

    return run


def _verilator(graph: Graph, folder: Path) -> Run:
    from trigger_ml.backends import verilog
    from trigger_ml.backends.rtl import verilator

    verilog.build(graph, folder / "verilog", Target())
    verilator.measure(folder / "verilog", graph, {k: v[:1] for k, v in random_events(graph, 2, 1).items()})

    def run(feed: dict[str, NDArray[Any]], passes: int) -> tuple[Answers, float]:
        many = {k: np.concatenate([v] * passes) for k, v in feed.items()}
        found, took = _children(lambda: verilator.measure(folder / "verilog", graph, many))
        return dict(found.outputs), took

    return run


def _onnx(graph: Graph, folder: Path) -> Run:
    from trigger_ml.backends import onnx
    from trigger_ml.backends.onnx_graph.writer import Writer

    onnx.build(graph, folder / "onnx", Target())
    session = onnx.open_session(folder / "onnx" / onnx.FLOAT_MODEL)
    writer = Writer(graph, integer_input=False)

    def run(feed: dict[str, NDArray[Any]], passes: int) -> tuple[Answers, float]:
        ready: dict[str, NDArray[Any]] = {k: np.ascontiguousarray(v, writer.port(k)) for k, v in feed.items()}
        count = len(next(iter(ready.values())))

        def work() -> list[list[Any]]:
            cuts = range(0, count, onnx.BATCH)
            return [
                session.run(list(graph.outputs), {k: v[i : i + onnx.BATCH] for k, v in ready.items()}) for i in cuts
            ]

        parts, took = _own(work, passes)
        return {o: np.concatenate([p[i] for p in parts]) for i, o in enumerate(graph.outputs)}, took

    return run


def _cpp(graph: Graph, folder: Path) -> Run:
    from trigger_ml.backends import cpp
    from trigger_ml.backends.emulator.library import Library

    library = Library(folder / "cpp" / cpp.LIBRARY)

    def run(feed: dict[str, NDArray[Any]], passes: int) -> tuple[Answers, float]:
        small = all(abs(int(v.min())) < 1 << 15 and int(v.max()) < 1 << 15 for v in feed.values())
        kind = np.dtype(np.int16 if small else np.int64)
        ready: dict[str, NDArray[Any]] = {k: np.ascontiguousarray(v, kind) for k, v in feed.items()}
        return _own(lambda: library.evaluate(ready), passes)

    return run


ENGINES: dict[str, Callable[[Graph, Path], Run]] = {
    "golden": _golden,
    "hls4ml": _hls4ml,
    "alkaid": _alkaid,
    "verilator": _verilator,
    "onnx": _onnx,
    "cpp": _cpp,
}


def _own(work: Callable[[], Any], passes: int) -> tuple[Any, float]:
    start = time.process_time()
    for _ in range(passes):
        result = work()
    return result, time.process_time() - start


def _children(work: Callable[[], Any]) -> tuple[Any, float]:
    def used() -> float:
        usage = resource.getrusage(resource.RUSAGE_CHILDREN)
        return usage.ru_utime + usage.ru_stime

    start = used()
    result = work()
    return result, used() - start


def multiply_adds(graph: Graph) -> int:
    """Products with weights that are not zero, an event."""
    known, total = bounds(graph), 0
    for node in graph.nodes:
        if isinstance(node.op, (ops.Affine, ops.Conv)):
            positions = known[node.name].lo.size // node.op.w.shape[-1]
            total += positions * int(np.count_nonzero(node.op.w))
    return total


def _roofline() -> float | None:
    """Multiply-adds of int16 pairs a second of CPU time, as the best kernel does them; None without AVX2."""
    from trigger_ml.backends.cpp import KERNELS
    from trigger_ml.backends.handwritten import handwritten

    flags = set(Path("/proc/cpuinfo").read_text("utf-8").split())
    kernel = "avx512" if {"avx512vl", "avx512_vnni"} <= flags else "avx2"
    if "avx2" not in flags:
        return None
    with tempfile.TemporaryDirectory(prefix="trigger_ml_") as folder:
        (Path(folder) / "roofline.cpp").write_text(handwritten("emulator/roofline.cpp"), "utf-8")
        argv = ["g++", "-std=c++17", "-O2", "-fwrapv", *KERNELS[kernel], "-o", "roofline", "roofline.cpp"]
        tools.run(argv, cwd=Path(folder), timeout_s=60)
        found = tools.run([Path(folder) / "roofline"], cwd=Path(folder), timeout_s=60)
    return float(found.stdout.split()[0])


def _graph(name: str, home: Path) -> Graph:
    if name in OWN:
        return OWN[name]()
    if not (home / name / io.FILE).exists():
        raise ArtifactError(f"{home / name} holds no frozen graph: give models of {home}, or {', '.join(OWN)}")
    return io.load(home / name)


def calorimeter() -> Graph:
    """A convolutional network of CICADA's size on 18 x 14 calorimeter regions; weights from a fixed seed."""
    rng, b = np.random.default_rng(1), Builder()
    x = b.input((18, 14, 1), Fixed(False, 10, 0))
    y = b.conv(x, rng.integers(-31, 32, (2, 2, 1, 4)), rng.integers(-99, 100, 4), 5, (2, 2), ((0, 0), (0, 0)))
    y = b.requant(y, Fixed(False, 8, 0), "RND", "SAT")
    y = b.add(ops.Reshape((9 * 7 * 4,)), y)
    y = b.affine(y, rng.integers(-31, 32, (252, 16)), rng.integers(-99, 100, 16), 8)
    y = b.requant(y, Fixed(False, 10, 3), "RND", "SAT")
    y = b.affine(y, rng.integers(-31, 32, (16, 1)), [0], 4)
    return b.graph(b.requant(y, Fixed(False, 16, 5), "RND", "SAT"))


def dense() -> Graph:
    """A network without a zero weight: 64, 64, 32, 16, 1; weights from a fixed seed."""
    rng, b = np.random.default_rng(2), Builder()
    y, before = b.input((64,), Fixed(True, 8, 4)), 64
    for units in (64, 32, 16, 1):
        w = rng.integers(1, 128, (before, units)) * rng.choice([-1, 1], (before, units))
        y = b.affine(y, w, rng.integers(-99, 100, units), 7)
        y = b.requant(y, Fixed(False, 8, 2), "RND", "SAT")
        before = units
    return b.graph(y)


OWN: dict[str, Callable[[], Graph]] = {"calorimeter": calorimeter, "dense": dense}
