"""The hls4ml engine equals the golden interpreter, bit for bit, and what it writes depends on nothing but the graph."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from trigger_ml.artifact import digest_path
from trigger_ml.backends import hls4ml
from trigger_ml.backends.hls import testbench
from trigger_ml.backends.hls.project import name_of
from trigger_ml.errors import ArtifactError, SpecError, Unsupported
from trigger_ml.fixed import Fixed, Formats
from trigger_ml.fuzz import differing, random_events, random_graph
from trigger_ml.ir import io, ops
from trigger_ml.ir.build import Builder
from trigger_ml.ir.graph import Graph
from trigger_ml.ir.interpret import interpret
from trigger_ml.spec import Target

pytestmark = pytest.mark.needs_hls

S6 = Fixed(True, 6, 2)
DA = Target(strategy="distributed_arithmetic")
STREAM = Target(io_type="io_stream")


def some(seed: int, shape: tuple[int, ...], top: int = 7) -> np.ndarray:
    return np.random.default_rng(seed).integers(-top, top, shape, endpoint=True)


def chain() -> Graph:
    """Dense, rounding, table, dense: a small graph with one of each thing that can be corrupted."""
    b = Builder()
    x = b.input((5,), Fixed(True, 5, 1))
    h = b.requant(b.affine(x, some(1, (5, 4)), some(2, (4,)), 2), Fixed(True, 5, 1), "RND", "SAT", name="hidden")
    t = b.table(h, np.arange(-16, 16) ** 2, -16, 2, name="square")
    return b.graph(b.affine(t, some(3, (4, 2)), [1, -5], 1, name="out"))


def families() -> Graph:
    """A bit of every family in one graph, so that it compiles once: one output each, named after it."""
    b, out = Builder(), []
    x = b.input((4, 3), Formats.of(1, some(4, (4, 3), 2) + 4, 2), name="class")  # a C++ keyword
    image = b.input((5, 4, 2), Fixed(False, 4, 1), name="image")
    w3 = some(5, (3, 3), 7)

    def keep(node: str, name: str) -> str:
        widths = Fixed(True, 9, 3)
        out.append(b.requant(node, widths, "RND_CONV", "SAT", name=name))
        return out[-1]

    keep(b.affine(x, w3, [1, 2, 3], 3), "dense_on_objects")
    keep(b.conv(x, some(6, (3, 3, 2)), [3, -4], 2, (1,), ((1, 1),)), "conv1d_padded")
    keep(b.conv(image, some(7, (3, 2, 2, 3)), [0, 1, -9], 2, (2, 1), ((1, 0), (0, 2))), "conv2d_padded")
    keep(b.conv(image, some(8, (1, 1, 2, 2)), [0, 1], 2, (2, 3), ((1, 1), (0, 0))), "conv2d_pointwise_padded")
    for how in ("sum", "max"):
        keep(b.reduce(x, how, 0), f"deepsets_{how}")
        keep(b.add(ops.Pool(how, (2, 2), (2, 1)), image), f"pool_{how}")
    q = b.requant(x, S6, "TRN", "WRAP")
    keep(b.add(ops.MatMul(), q, b.add(ops.Permute((1, 0)), q)), "attention")
    keep(b.add(ops.Concat(1), q, q), "concat_of_the_same")
    twice = keep(b.add(ops.Add(subtract=True), q, x), "read_by_another")
    keep(b.add(ops.Max(), twice, q), "larger")
    keep(b.add(ops.Take(ops.integers([1, 0, 0])), image), "taken")
    out.append(b.add(ops.Reshape((12,)), q, name="reshaped"))
    dead = Formats.of(some(9, (4, 3)) > 0, np.maximum(some(10, (4, 3), 3) + 2, 0), some(11, (4, 3), 2) + 1)
    out.append(b.requant(twice, dead, "RND_MIN_INF", "SAT_SYM", name="per_element"))
    return b.graph(*out)


def l1_score() -> Graph:
    """Encoder 57-32-16-3, R_z from a table and two products, decision."""
    b, rng = Builder(), np.random.default_rng(0)

    def layer(a: str, n_in: int, n_out: int, to: Formats) -> str:
        w = rng.integers(-8, 8, (n_in, n_out)) * (rng.random((n_in, n_out)) < 0.5)
        return b.requant(b.affine(a, w, rng.integers(-200, 200, n_out), 3), to, "RND", "SAT")

    x = b.input((57,), Formats.of(np.arange(57) % 3 != 0, rng.integers(6, 14, 57), 6))
    width = rng.integers(0, 8, 57)
    a = b.requant(x, Formats.of(1, width, width - 4), "RND", "SAT")
    for n_in, n_out in ((57, 32), (32, 16)):
        width = rng.integers(2, 7, n_out)
        a = layer(a, n_in, n_out, Formats.of(0, width, width - 3))
    width = rng.integers(6, 9, 3)
    mu, logvar = layer(a, 16, 3, Formats.of(1, width, width - 3)), layer(a, 16, 3, Formats.of(1, 7, 4))
    inverse = b.table(logvar, np.rint(np.exp(-np.arange(-64, 64) / 16) * 16), -64, 4)
    product = b.add(ops.Mul(), b.add(ops.Mul(), mu, mu), inverse)
    score = b.requant(b.reduce(product, "sum", 0), Fixed(False, 16, 6), "TRN", "SAT", name="score")
    above = b.add(ops.Relu(), b.affine(score, [[1]], [1 - 5000], 0))
    return b.graph(score, b.requant(above, Fixed(False, 1, 0), "TRN", "SAT", name="decision"))


def mismatches(graph: Graph, folder: Path, target: Target, events: int) -> dict[str, int]:
    """Differing events of each output that has any."""
    hls4ml.build(graph, folder, target)
    feed = random_events(graph, events, 3)
    want, got = interpret(graph, feed), hls4ml.simulate(folder, graph, feed)
    bad = {o: int(differing({o: want[o]}, got).sum()) for o in graph.outputs}
    return {o: n for o, n in bad.items() if n}


@pytest.mark.parametrize("target", [Target(), Target(strategy="distributed_arithmetic", hls_backend="Vivado"), STREAM])
def test_every_family_has_no_differing_event(target: Target, tmp_path: Path) -> None:
    assert mismatches(families(), tmp_path / "project", target, 2000) == {}


@pytest.mark.parametrize(
    ("seed", "target"), [(1, Target(hls_backend="Vivado")), (2, DA), (3, Target(reuse_factor=4)), (4, STREAM)]
)
def test_random_graphs_have_no_differing_event(seed: int, target: Target, tmp_path: Path) -> None:
    assert mismatches(random_graph(seed), tmp_path / "project", target, 1000) == {}


@pytest.mark.slow
@pytest.mark.parametrize("target", [Target(), DA])
def test_an_l1_score_has_no_differing_event(target: Target, tmp_path: Path) -> None:
    assert mismatches(l1_score(), tmp_path / "project", target, 20_000) == {}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hls") / "project"
    hls4ml.build(chain(), folder, Target())
    return folder


FAULTS = {
    "weight": ("firmware/weights/w*.h", r"(= \{-?)(\d)", lambda m: f"{m[1]}{(int(m[2]) + 1) % 10}"),
    "table entry": ("firmware/weights/table*.h", r"\b9\.00", lambda m: "8.75"),
    "rounding mode": ("firmware/nnet_utils/nnet_code_gen.h", r"AP_RND(?=,AP_SAT)", lambda m: "AP_TRN"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_corrupted_project_differs(fault: str, project: Path, tmp_path: Path) -> None:
    pattern, find, replacement = FAULTS[fault]
    broken = tmp_path / "broken"
    shutil.copytree(project, broken)
    path = min(broken.glob(pattern))
    text, count = re.subn(find, replacement, path.read_text(), count=1)
    assert count == 1
    path.write_text(text)
    feed = random_events(chain(), 2000, 0)
    assert differing(interpret(chain(), feed), hls4ml.simulate(broken, chain(), feed)).any()


def test_the_test_bench_compares_with_vectors_exactly(project: Path, tmp_path: Path) -> None:
    folder = tmp_path / "project"
    shutil.copytree(project, folder)
    feed = random_events(chain(), 500, 1)
    y = interpret(chain(), feed)
    hls4ml.write_vectors(folder, chain(), feed, y)
    program = testbench.compiled(folder)
    good = subprocess.run([program], cwd=folder, capture_output=True, text=True, check=False)
    assert (good.returncode, good.stdout) == (0, "0 of 500 events differ\n")
    log = np.loadtxt(folder / "tb_data" / "csim_results.log", dtype=np.int64, ndmin=2)
    assert np.array_equal(log, y["out"].reshape(500, -1))
    y["out"][17, 1] += 1
    hls4ml.write_vectors(folder, chain(), feed, y)
    bad = subprocess.run([program], cwd=folder, capture_output=True, text=True, check=False)
    assert (bad.returncode, bad.stdout) == (1, "first differing event: line 18\n1 of 500 events differ\n")


@pytest.mark.parametrize("target", [Target(), Target(hls_backend="Vivado"), DA, STREAM])
def test_a_project_is_the_same_wherever_it_is_built(target: Target, tmp_path: Path) -> None:
    for place in ("one", "another/place"):
        hls4ml.build(families(), tmp_path / place, target)
    assert digest_path(tmp_path / "one") == digest_path(tmp_path / "another/place")
    for path in (p for p in (tmp_path / "one").rglob("*") if p.is_file()):
        assert str(tmp_path).encode() not in path.read_bytes(), path


def test_a_project_says_what_the_target_asks(tmp_path: Path) -> None:
    target = Target(part="xcku115-flvb2104-2-i", clock_ns=2.5, reuse_factor=4)
    hls4ml.build(chain(), tmp_path / "project", target)
    tcl = (tmp_path / "project" / "project.tcl").read_text()
    assert 'set part "xcku115-flvb2104-2-i"' in tcl
    assert "set clock_period 2.5" in tcl
    assert 'set backend "vitis"' in tcl
    assert "#pragma HLS PIPELINE II=4" in (tmp_path / "project" / "firmware" / "trigger.cpp").read_text()
    assert "reuse_factor = 4;" in (tmp_path / "project" / "firmware" / "parameters.h").read_text()


def image_network(padded: bool) -> Graph:
    """Convolution, sum over windows, convolution, largest of windows, dense: each position in formats of its own."""
    b, rng = Builder(), np.random.default_rng(2)
    x = b.input((54,), Formats.of(1, rng.integers(3, 6, 54), 1), name="x")
    image = b.add(ops.Reshape((6, 9, 1)), x, name="image")
    width = rng.integers(2, 5, (6, 9, 1))
    z = b.requant(image, Formats.of(1, width, width - 3), "RND", "SAT")
    zeros = ((1, 0), (1, 1)) if padded else ((0, 0), (0, 0))
    z = b.requant(b.conv(z, some(1, (2, 3, 1, 3)), some(2, (3,)), 2, (1, 2), zeros), Fixed(False, 5, 1), "RND", "SAT")
    z = b.requant(b.add(ops.Pool("sum", (2, 1), (2, 1)), z), Fixed(False, 6, 1), "RND", "SAT")
    z = b.conv(z, some(3, (1, 2, 3, 2)), some(4, (2,)), 2, (1, 1), ((0, 0), (0, 0)))
    z = b.add(ops.Relu(), b.add(ops.Pool("max", (2, 2), (2, 2)), z))
    size = int(np.prod(b.known(z).shape))
    z = b.requant(b.add(ops.Reshape((size,)), z), Fixed(False, 7, 1), "RND", "SAT")
    return b.graph(b.affine(z, some(5, (size, 2)), [1, -5], 1, name="out"))


@pytest.mark.parametrize("target", [STREAM, Target(io_type="io_stream", hls_backend="Vivado", reuse_factor=3)])
def test_streams_carry_an_image_network_without_a_differing_event(target: Target, tmp_path: Path) -> None:
    graph = image_network(padded=target.hls_backend == "Vitis")
    assert mismatches(graph, tmp_path / "project", target, 2000) == {}
    top = (tmp_path / "project" / "firmware" / "trigger.cpp").read_text()
    for call in ("nnet::conv_2d_cl<", "nnet::pooling2d_cl<", "nnet::dense<", "#pragma HLS DATAFLOW", "axis port="):
        assert call in top, call
    assert "54 words of 1 " in (tmp_path / "project" / "README.md").read_text()


@pytest.mark.slow
@pytest.mark.parametrize("model", ["top_cnn", "l1_conv_vae", "calo_student"])
def test_streams_carry_the_shipped_convolutions(model: str, tmp_path: Path) -> None:
    graph = io.load(Path(__file__).parents[2] / "models" / model)
    assert mismatches(graph, tmp_path / "project", STREAM, 2000) == {}


def test_a_stream_read_too_often_is_refused_and_so_are_streams_of_adder_graphs(tmp_path: Path) -> None:
    b = Builder()
    x = b.input((2,), Fixed(True, 3, 0), name="wanted")
    graph = b.graph(*(b.affine(x, some(i, (2, 1)), [i], 0) for i in range(8)))
    with pytest.raises(Unsupported, match="8 layers read node 'wanted'"):
        hls4ml.build(graph, tmp_path / "project", STREAM)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(SpecError, match="io_stream"):
        Target(io_type="io_stream", strategy="distributed_arithmetic")


def test_building_leaves_hls4ml_as_it_was(tmp_path: Path) -> None:
    from hls4ml.model.flow import get_available_flows
    from hls4ml.model.layers import layer_map
    from hls4ml.model.optimizer import get_available_passes

    def state() -> tuple[list[str], list[str], list[str]]:
        return get_available_flows(), get_available_passes(), [name for name in layer_map if name != "Exact"]

    before = state()
    hls4ml.build(chain(), tmp_path / "project", Target())
    assert state() == before


def test_what_cannot_be_realised_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    b = Builder()
    x = b.input((1,), Fixed(True, 4, 0))
    wide = b.graph(b.affine(x, [[(1 << 53) + 1]], [0], 0, name="wide"))
    b = Builder()
    x = b.input((1,), Fixed(False, 20, 0))
    deep = b.graph(b.table(x, np.zeros(1 << 20), 0, 0, name="deep"))
    b = Builder()
    x = b.input((2,), Fixed(True, 4, 0))
    odd = b.graph(b.affine(x, [[(1 << 25) + 1], [1]], [0], 0, name="odd"))
    for graph, target, node in ((wide, Target(), "wide"), (deep, Target(), "deep"), (odd, DA, "odd")):
        with pytest.raises(Unsupported, match=f"'{node}'"):
            hls4ml.build(graph, tmp_path / "project", target)
    assert list(tmp_path.iterdir()) == []


def test_a_project_of_another_graph_is_refused(project: Path, tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="another graph"):
        hls4ml.simulate(project, l1_score(), np.zeros((1, 57), np.int64))
    with pytest.raises(ArtifactError, match="no HLS project"):
        hls4ml.simulate(tmp_path, chain(), np.zeros((1, 5), np.int64))


@pytest.mark.parametrize("name", ["config2", "hls", "ap_fixed", "nnet", "nnet_common", "w2"])
def test_names_of_hls4mls_own_headers_are_not_taken(name: str) -> None:
    assert name_of(chain().with_meta(name=name)) == f"{name}_network"


@pytest.mark.parametrize("name", ["l1_vae_rz", "run", "w2", "input_t", "small"])
def test_the_top_function_is_the_models_and_collides_with_nothing(name: str, tmp_path: Path) -> None:
    graph = chain().with_meta(name=name)
    hls4ml.build(graph, tmp_path / "p", Target())
    top = name if name == "l1_vae_rz" else f"{name}_network"
    assert f'set project_name "{top}"' in (tmp_path / "p" / "project.tcl").read_text()
    assert f"void {top}(" in (tmp_path / "p" / "firmware" / f"{top}.cpp").read_text()
    events = random_events(graph, 20, 1)
    got, want = hls4ml.simulate(tmp_path / "p", graph, events), interpret(graph, events)
    assert all(np.array_equal(got[o], want[o]) for o in graph.outputs)
