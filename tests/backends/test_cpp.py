"""The C++ emulator is the graph: every operation, both kernels, any batch; what is wrong with its input is named."""

from __future__ import annotations

import ctypes
import re
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from trigger_ml import tools
from trigger_ml.backends import cpp
from trigger_ml.backends.emulator.library import Library
from trigger_ml.errors import ArtifactError, GraphError, Mismatch, ToolMissing
from trigger_ml.fixed import Fixed, Formats, Overflow, Rounding
from trigger_ml.fuzz import random_events, random_graph
from trigger_ml.ir import ops
from trigger_ml.ir.build import Builder
from trigger_ml.ir.graph import Graph
from trigger_ml.ir.interpret import interpret
from trigger_ml.spec import Target

pytestmark = pytest.mark.skipif(tools.find("g++") is None, reason="needs g++")

TARGET = Target()


def network(seed: int = 0) -> Graph:
    """Dense layers, a table, a product, saturation and rounding, and elements of different formats."""
    rng = np.random.default_rng(seed)
    b = Builder()
    x = b.input((9,), Formats.of([1] * 5 + [0] * 4, [6, 8, 3, 12, 9, 4, 12, 1, 0], 4))
    y = b.requant(x, Formats.of(1, rng.integers(0, 8, 9), rng.integers(0, 4, 9)), "RND", "SAT")
    y = b.affine(y, rng.integers(-15, 16, (9, 7)) * rng.integers(0, 2, (9, 7)), rng.integers(-99, 99, 7), 3)
    y = b.requant(y, Fixed(False, 7, 3), "RND", "SAT")
    y = b.affine(y, rng.integers(-15, 16, (7, 4)), rng.integers(-99, 99, 4), 3)
    y = b.requant(y, Fixed(True, 8, 4), "RND_CONV", "SAT")
    z = b.table(y, np.arange(-128, 128) ** 2 // 3, -128, 5)
    return b.graph(b.reduce(z, "sum", 0, name="score"), y, meta={"name": f"net{seed}"})


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> tuple[Graph, Path]:
    folder = tmp_path_factory.mktemp("cpp") / "net"
    cpp.build(network(), folder, TARGET)
    return network(), folder


@pytest.mark.parametrize("events", [0, 1, 15, 64, 65, 1000])
@pytest.mark.parametrize("kernel", ["portable", "avx2", None])
def test_any_number_of_events(built, events, kernel):
    graph, folder = built
    feed = random_events(graph, events, 3)
    want, got = interpret(graph, feed), cpp.simulate(folder, graph, feed, kernel=kernel)
    assert all(np.array_equal(got[o], want[o]) for o in want)
    assert all(got[o].shape == want[o].shape for o in want)


@pytest.mark.parametrize("seed", range(6))
def test_random_graphs(tmp_path, seed):
    graph = random_graph(500 + seed)
    cpp.build(graph, tmp_path / "g", TARGET)
    feed = random_events(graph, 1000, seed)
    want = interpret(graph, feed)
    for kernel in Library(tmp_path / "g" / cpp.LIBRARY).kernels:
        got = cpp.simulate(tmp_path / "g", graph, feed, threads=1 + seed % 3, kernel=kernel)
        assert all(np.array_equal(got[o], want[o]) for o in want), kernel


@pytest.mark.parametrize("overflow", list(Overflow))
def test_every_mode_on_every_integer(tmp_path, overflow):
    b = Builder()
    x = b.input((1,), Fixed(True, 10, 4))
    outputs = [b.requant(x, to, mode, overflow) for mode in Rounding for to in (Fixed(True, 5, 1), Fixed(False, 4, 2))]
    graph = b.graph(*outputs)
    cpp.build(graph, tmp_path / "g", TARGET)
    feed = np.arange(-512, 512)[:, None]
    want, got = interpret(graph, feed), cpp.simulate(tmp_path / "g", graph, feed)
    assert all(np.array_equal(got[o], want[o]) for o in want)


@pytest.mark.parametrize("width", [14, 15, 16, 17])
@pytest.mark.parametrize("squared", [True, False])
def test_sums_beyond_32_bits_of_rows_within(tmp_path, width, squared):
    """g++ 12 dropped the function that widens the rows: every answer was wrong."""
    b = Builder()
    x = b.input((10,), Fixed(True, width, 0))
    y = b.add(ops.Mul(), x, x) if squared else x
    graph = b.graph(b.affine(y, np.full((10, 1), 1 if squared else 1 << 18), [3], 0))
    cpp.build(graph, tmp_path / "g", TARGET)
    feed = random_events(graph, 300, width)
    want = interpret(graph, feed)
    for kernel in Library(tmp_path / "g" / cpp.LIBRARY).kernels:
        got = cpp.simulate(tmp_path / "g", graph, feed, kernel=kernel)
        assert all(np.array_equal(got[o], want[o]) for o in want), kernel


def test_integers_beyond_32_bits(tmp_path):
    b = Builder()
    x = b.input((3,), Fixed(True, 40, 8))
    y = b.affine(x, [[3, -1], [7, 0], [-(2**12), 5]], [2**35, -1], 2)
    graph = b.graph(
        b.requant(y, Fixed(True, 48, 3), "RND_INF", "WRAP"), b.requant(y, Fixed(True, 20, -20), "RND", "SAT")
    )
    cpp.build(graph, tmp_path / "g", TARGET)
    feed = random_events(graph, 3000, 1)
    want = interpret(graph, feed)
    for kernel in ("portable", None):
        got = cpp.simulate(tmp_path / "g", graph, feed, kernel=kernel)
        assert all(np.array_equal(got[o], want[o]) for o in want)


def test_convolution_with_padding_strides_and_pooling(tmp_path):
    rng = np.random.default_rng(1)
    b = Builder()
    x = b.input((18, 14, 1), Fixed(False, 10, 0))
    y = b.conv(x, rng.integers(-31, 32, (3, 3, 1, 4)), rng.integers(-99, 99, 4), 5, (2, 1), ((1, 1), (1, 1)))
    y = b.requant(y, Fixed(False, 8, 0), "RND", "SAT")
    y = b.conv(y, rng.integers(-31, 32, (2, 3, 4, 5)), rng.integers(-99, 99, 5), 5, (1, 2), ((0, 0), (0, 0)))
    graph = b.graph(b.requant(y, Fixed(True, 9, 0), "TRN", "WRAP"))
    cpp.build(graph, tmp_path / "g", TARGET)
    feed = random_events(graph, 500, 1)
    want = interpret(graph, feed)
    for kernel in ("portable", None):
        got = cpp.simulate(tmp_path / "g", graph, feed, kernel=kernel)
        assert all(np.array_equal(got[o], want[o]) for o in want)


def test_types_and_threads_make_no_difference(built):
    graph, folder = built
    feed = random_events(graph, 1001, 2)["input"]
    library = Library(folder / cpp.LIBRARY)
    want = library.evaluate({"input": feed})
    for kind in (np.int16, np.int32, np.int64):
        for threads in (1, 2, 5):
            got = library.evaluate({"input": feed.astype(kind)}, threads)
            assert all(np.array_equal(got[o], want[o]) for o in want)


@pytest.mark.parametrize("kind", [np.int16, np.int32, np.int64])
@pytest.mark.parametrize("at", [0, 63, 64, 130])
def test_an_integer_out_of_range_names_its_event(built, kind, at):
    graph, folder = built
    library = Library(folder / cpp.LIBRARY)
    for element, value in ((0, 32), (0, -33), (5, 16), (5, -1), (8, 1)):
        x = np.zeros((131, 9), kind)
        x[at, element] = value
        with pytest.raises(GraphError, match=f"event {at} holds an integer outside"):
            library.evaluate({"input": x})


def test_an_integer_far_out_of_range_is_not_taken_for_another(built):
    graph, folder = built
    x = np.zeros((3, 9), np.int64)
    x[1, 0] = 2**32 + 1
    with pytest.raises(GraphError, match="event 1 holds"):
        Library(folder / cpp.LIBRARY).evaluate({"input": x})


def test_floats_and_wrong_shapes_are_refused(built):
    graph, folder = built
    library = Library(folder / cpp.LIBRARY)
    with pytest.raises(GraphError, match="give hardware integers"):
        library.evaluate({"input": np.zeros((3, 9))})
    with pytest.raises(GraphError, match="give 9 integers an event"):
        library.evaluate({"input": np.zeros((3, 8), np.int16)})


def test_a_library_of_another_graph_is_refused(built):
    graph, folder = built
    with pytest.raises(Mismatch, match="build it again"):
        cpp.simulate(folder, network(7), np.zeros((1, 9), np.int64))


def test_what_is_no_library_is_refused(tmp_path):
    (tmp_path / "emulator.so").write_bytes(b"no ELF")
    with pytest.raises(ArtifactError, match="build it again"):
        Library(tmp_path / "emulator.so")


def test_built_again_in_one_process_is_the_new_one(tmp_path):
    for seed in (1, 2):
        graph = network(seed)
        cpp.build(graph, tmp_path / "g", TARGET)
        feed = random_events(graph, 100, 0)
        got, want = cpp.simulate(tmp_path / "g", graph, feed), interpret(graph, feed)
        assert all(np.array_equal(got[o], want[o]) for o in want)


def test_the_sources_are_a_function_of_the_graph():
    assert cpp.sources(network()) == cpp.sources(network())
    assert cpp.sources(network()) != cpp.sources(network(1))


@pytest.mark.parametrize(
    ("pattern", "other"),
    [
        (r"(w_n2_0\[\] = \{)(-?\d+)", lambda m: f"{m[1]}{int(m[2]) ^ 1}"),
        (r"rnd<(\d+)>", lambda m: f"trn<{m[1]}>"),
        (r"(table_n6\[\] = \{(?:-?\d+, ){130})(-?\d+)", lambda m: f"{m[1]}{int(m[2]) + 1}"),
        (r"at_most\(", lambda m: "at_least("),
    ],
    ids=["weight", "rounding", "table", "saturation"],
)
def test_a_fault_in_the_source_is_found(tmp_path, pattern, other):
    graph = network()
    files = cpp.sources(graph)
    changed, count = re.subn(pattern, other, files["kernel.inc"], count=1)
    assert count == 1
    for name, text in {**files, "kernel.inc": changed}.items():
        (tmp_path / name).write_text(text)
    cpp.compile_library(tmp_path)
    feed = random_events(graph, 20_000, 1)
    got, want = cpp.simulate(tmp_path, graph, feed), interpret(graph, feed)
    assert any((got[o] != want[o]).any() for o in want)


@pytest.mark.parametrize("mode", [ctypes.RTLD_LOCAL, ctypes.RTLD_GLOBAL])
def test_models_in_one_process_keep_their_own_weights(tmp_path, mode):
    graphs = [network(seed) for seed in range(3)]
    for i, graph in enumerate(graphs):
        cpp.build(graph, tmp_path / str(i), TARGET)
    feed = random_events(graphs[0], 200, 1)
    libraries = [Library(tmp_path / str(i) / cpp.LIBRARY, mode) for i in (2, 0, 1)]
    for library, i in zip(libraries, (2, 0, 1), strict=True):
        want = interpret(graphs[i], feed)
        got = library.evaluate(feed)
        assert all(np.array_equal(got[o].reshape(want[o].shape), want[o]) for o in want)


def test_only_the_interface_is_exported(built):
    _, folder = built
    listed = subprocess.run(["nm", "-D", "--defined-only", str(folder / cpp.LIBRARY)], capture_output=True, text=True)
    ours = [line.split()[-1] for line in listed.stdout.splitlines() if " T " in line]
    assert ours == ["trigger_emulator"]


def test_the_header_is_c(built, tmp_path):
    _, folder = built
    (tmp_path / "main.c").write_text('#include "trigger_emulator.h"\nint main(void) { return TRIGGER_OK; }\n')
    subprocess.run(
        ["gcc", "-std=c99", "-Wall", "-Werror", "-pedantic", f"-I{folder}", "-fsyntax-only", str(tmp_path / "main.c")],
        check=True,
    )


def test_the_makefile_builds_the_same_library(built, tmp_path):
    graph, folder = built
    for name, text in cpp.sources(graph).items():
        (tmp_path / name).write_text(text)
    subprocess.run(["make", "-s", cpp.LIBRARY], cwd=tmp_path, check=True)
    feed = random_events(graph, 100, 1)
    got, want = cpp.simulate(tmp_path, graph, feed), interpret(graph, feed)
    assert all(np.array_equal(got[o], want[o]) for o in want)


def test_without_a_compiler_nothing_is_left(tmp_path, monkeypatch):
    monkeypatch.setattr(tools, "find", lambda name: None)
    with pytest.raises(ToolMissing, match=r"g\+\+"):
        cpp.build(network(), tmp_path / "g", TARGET)
    assert list(tmp_path.iterdir()) == []


def test_outputs_that_are_inputs_or_parts_of_others(tmp_path):
    graph = network()
    wide = replace(graph, outputs=(*graph.outputs, "input", "requant", "affine"))
    cpp.build(wide, tmp_path / "g", TARGET)
    feed = random_events(wide, 300, 1)
    got, want = cpp.simulate(tmp_path / "g", wide, feed), interpret(wide, feed)
    assert all(np.array_equal(got[o], want[o]) for o in want)
