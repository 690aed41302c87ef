"""Projects that hls4ml wrote come back as graphs with the same integers, and nothing else is accepted."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.importers import hls4ml_models as models
from tests.importers import hls4ml_text as text
from trigger_ml.artifact import digest_path
from trigger_ml.backends import hls4ml as engine
from trigger_ml.errors import ImportRefused, Mismatch
from trigger_ml.fuzz import random_events, random_graph
from trigger_ml.importers import hls4ml_project
from trigger_ml.importers.hls4ml_project import reading
from trigger_ml.importers.hls4ml_project.ap_types import ApType
from trigger_ml.importers.hls4ml_project.linear import resource_order
from trigger_ml.ir import ops
from trigger_ml.ir.bounds import bounds
from trigger_ml.ir.graph import Graph
from trigger_ml.ir.interpret import interpret
from trigger_ml.ir.io import digest
from trigger_ml.spec import Target


def nnet_utils(to: Path) -> None:
    """hls4ml's headers, as a project has them."""
    import hls4ml

    templates = Path(hls4ml.__file__).parent / "templates" / "vivado"
    shutil.copytree(templates / "nnet_utils", to / "nnet_utils")


def deployed(folder: Path, files: dict[str, str] | None = None) -> Path:
    """The hand-written project, ready to compile."""
    text.put(files or text.project(), folder)
    nnet_utils(folder / "NN")
    return folder


# -- laws: what hls4ml writes, comes back -----------------------------------------------------------------------------


@pytest.mark.needs_hls
@pytest.mark.parametrize(("kind", "seed"), [("conv2d", 0), ("residual", 0), ("wide", 0)])
def test_a_random_project_comes_back(kind: str, seed: int, tmp_path: Path) -> None:
    folder = models.write(models.Draw(seed, kind), tmp_path / "net", ["Vitis", "Vivado"][seed % 2])
    before = digest_path(folder)
    assert hls4ml_project.recognises(folder)
    imported = hls4ml_project.read(folder, 1000, seed)
    assert imported.events == 1000
    assert "the project's own C++" in imported.oracle
    assert digest_path(folder) == before
    outputs = interpret(imported.graph, reading.vectors(imported.graph, 500, seed)).values()
    assert max(len(np.unique(y, axis=0)) for y in outputs) > 20  # an equality of constants would show nothing


@pytest.mark.slow
@pytest.mark.needs_hls
@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("kind", models.KINDS)
def test_many_random_projects_come_back(kind: str, seed: int, tmp_path: Path) -> None:
    draw = models.Draw(100 + seed, kind)
    folder = models.write(draw, tmp_path / "net", ["Vitis", "Vivado"][seed % 2])
    assert hls4ml_project.read(folder, 2000, seed).events == 2000


@pytest.mark.slow
@pytest.mark.needs_hls
@pytest.mark.parametrize("seed", range(6))
def test_accumulators_that_saturate_come_back_or_are_refused(seed: int, tmp_path: Path) -> None:
    folder = models.write(models.Draw(seed, "mlp", saturate=1.0), tmp_path / "net")
    try:
        hls4ml_project.read(folder, 2000, seed)
    except ImportRefused as refusal:
        assert "saturate" in str(refusal)  # noqa: PT017


@pytest.mark.slow
@pytest.mark.needs_hls
@pytest.mark.needs_train
@pytest.mark.parametrize(("granularity", "precision"), [("name", "fixed<16,6>"), ("model", "fixed<14,5,RND,SAT>")])
def test_a_keras_model_with_the_precisions_of_hls4ml_comes_back(
    granularity: str, precision: str, tmp_path: Path
) -> None:
    folder = models.write_keras(tmp_path / "net", granularity, precision)
    assert hls4ml_project.read(folder, 1000, 3).events == 1000


def same_integers(graph: Graph, folder: Path, seed: int) -> bool:
    """Whether the graph and what is imported from its own hls4ml project agree on random events."""
    imported = hls4ml_project.read(folder, 300, seed).graph
    feed = random_events(graph, 2000, seed)
    want = interpret(graph, feed)
    ports = zip(graph.inputs, imported.inputs, strict=True)
    got = interpret(imported, {b.name: feed[a.name].reshape(2000, -1) for a, b in ports})
    pairs = zip(graph.outputs, imported.outputs, strict=True)
    return all(np.array_equal(want[a].reshape(2000, -1), got[b]) for a, b in pairs)


@pytest.mark.needs_hls
@pytest.mark.parametrize("seed", [2])
def test_what_our_own_engine_wrote_has_the_same_integers(seed: int, tmp_path: Path) -> None:
    graph = random_graph(seed, 8)
    engine.build(graph, tmp_path / "net", Target())
    assert same_integers(graph, tmp_path / "net", seed)


@pytest.mark.slow
@pytest.mark.needs_hls
@pytest.mark.parametrize("seed", range(10, 30))
def test_many_of_our_own_projects_have_the_same_integers(seed: int, tmp_path: Path) -> None:
    graph = random_graph(seed, 8)
    engine.build(graph, tmp_path / "net", Target(hls_backend="Vivado" if seed % 2 else "Vitis"))
    assert same_integers(graph, tmp_path / "net", seed)


# -- a deployed emulator's layout -------------------------------------------------------------------------------------


def by_hand(x: np.ndarray) -> np.ndarray:
    """The hand-written project in float64, which is exact here: every type of ``hls4ml_text.DEFINES`` in turn."""
    w = text.weights()

    def wrapped(v: np.ndarray, span: float) -> np.ndarray:
        return (v + span) % (2 * span) - span

    def products(a: np.ndarray, b: np.ndarray, step: float) -> np.ndarray:
        return (np.floor(a[:, :, None] * b[None] * step) / step).sum(axis=1)

    h = np.minimum(np.rint(np.maximum(x / 4 @ w["w2"] + w["b2"], 0) * 16), 1023) / 16
    z = wrapped(products(h, w["w4"], 32) + w["b4"], 256)
    z = wrapped(np.floor(z * 16) / 16, 128)
    d = wrapped(2 * z, 128)
    score = wrapped((np.floor(d * d * 256) / 256).sum(axis=1), 2.0**17)
    return np.clip(np.rint(score * 16), 0, 2**18 - 1).astype(np.int64)[:, None]


@pytest.mark.needs_hls
def test_an_emulator_in_the_style_of_axol1tl_is_what_was_computed_by_hand(tmp_path: Path) -> None:
    imported = hls4ml_project.read(deployed(tmp_path), 2000, 1)
    x = np.random.default_rng(0).integers(-128, 128, (5000, 6))
    (score,) = interpret(imported.graph, x).values()
    assert np.array_equal(score, by_hand(x))
    assert len(np.unique(score)) > 1000
    assert imported.graph.inputs[0].name == "x"
    assert imported.graph.outputs == ("layer6_out",)
    assert digest(hls4ml_project.read(tmp_path, 10, 2).graph) == digest(imported.graph)


@pytest.mark.needs_hls
@pytest.mark.parametrize(
    ("header", "old", "new", "layer"),
    [
        (
            "nnet_activation.h",
            "if (datareg > 0)\n            res[ii] = datareg",
            "if (datareg > 1)\n            res[ii] = datareg",
            "layer3_out",
        ),
        pytest.param("nnet_merge.h", "acc += mult[i_acc];", "acc = mult[i_acc];", "layer6_out", marks=pytest.mark.slow),
        pytest.param(
            "nnet_dense_latency.h",
            "acc[jj] += mult[index];",
            "acc[jj] -= mult[index];",
            "layer2_out",
            marks=pytest.mark.slow,
        ),
    ],
)
def test_a_project_whose_headers_compute_something_else_is_not_accepted(
    header: str, old: str, new: str, layer: str, tmp_path: Path
) -> None:
    file = deployed(tmp_path) / "NN" / "nnet_utils" / header
    changed = file.read_text().replace(old, new, 1)
    assert changed != file.read_text()
    file.write_text(changed)
    with pytest.raises(Mismatch, match=f"first in {layer}"):
        hls4ml_project.read(tmp_path, 500, 0)


@pytest.mark.needs_hls
def test_a_project_that_does_not_compile_or_stops_is_refused(tmp_path: Path) -> None:
    file = deployed(tmp_path) / "NN" / "nnet_utils" / "nnet_merge.h"
    good = file.read_text()
    file.write_text(good + "\n#error broken on purpose\n")
    with pytest.raises(ImportRefused, match="does not compile.*broken on purpose"):
        hls4ml_project.read(tmp_path, 10, 0)
    file.write_text(good.replace("acc += mult[i_acc];", "acc += mult[i_acc]; exit(3);"))
    with pytest.raises(ImportRefused, match="own C\\+\\+ stopped"):
        hls4ml_project.read(tmp_path, 10, 0)
    file.write_text(good.replace("acc += mult[i_acc];", "acc += mult[i_acc]; exit(0);"))
    with pytest.raises(ImportRefused, match="ended before it had answered"):
        hls4ml_project.read(tmp_path, 10, 0)


def test_without_a_compiler_the_hand_written_project_is_read(tmp_path: Path) -> None:
    graph = text.lowered(text.put(text.project(), tmp_path)).graph
    x = np.random.default_rng(0).integers(-128, 128, (500, 6))
    (score,) = interpret(graph, x).values()
    assert np.array_equal(score, by_hand(x))


def test_adders_of_distributed_arithmetic_are_the_same_layer(tmp_path: Path) -> None:
    graph = text.lowered(text.put(text.distributed(), tmp_path)).graph
    x = np.random.default_rng(0).integers(-128, 128, (500, 6))
    (score,) = interpret(graph, x).values()
    assert np.array_equal(score, by_hand(x))
    assert any(isinstance(n.op, ops.Affine) and n.op.w.shape == (6, 4) for n in graph.nodes)


@pytest.mark.slow
@pytest.mark.needs_hls
def test_adders_of_distributed_arithmetic_equal_their_own_cpp(tmp_path: Path) -> None:
    files = text.distributed()
    code = files.pop("nnet_utils/nnet_code_gen.h")
    (deployed(tmp_path, files) / "NN" / "nnet_utils" / "nnet_code_gen.h").write_text(code)
    assert hls4ml_project.read(tmp_path, 2000, 1).events == 2000


def test_adders_that_cut_a_partial_sum_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ImportRefused, match=r"computes with a number after ap_fixed<10,8> has rounded or cut it"):
        text.lowered(text.put(text.distributed("ap_fixed<10,8>"), tmp_path))


# -- parts ------------------------------------------------------------------------------------------------------------


@given(st.integers(1, 12), st.integers(1, 24))
def test_the_resource_strategy_adds_every_input_once(n: int, reuse: int) -> None:
    order = resource_order(n, reuse)
    assert order is None or sorted(order) == list(range(n))


def test_a_type_says_its_range() -> None:
    assert (ApType(True, 8, 6).lo, ApType(True, 8, 6).hi, ApType(True, 8, 6).frac) == (-128, 127, 2)
    assert str(ApType(False, 4, 4, whole=True)) == "ap_uint<4>"


@pytest.mark.needs_hls
def test_a_cast_that_cannot_act_leaves_no_node(tmp_path: Path) -> None:
    graph = text.lowered(text.put(text.project(), tmp_path)).graph
    known = bounds(graph)
    for node in graph.nodes:
        if isinstance(node.op, ops.Requant) and node.name not in graph.outputs:
            source_ = known[node.inputs[0]]
            one = node.op.formats.single
            fits = source_.frac <= one.frac and np.all(source_.lo * 2 ** (one.frac - source_.frac) >= one.lo)
            fits = fits and np.all(source_.hi * 2 ** (one.frac - source_.frac) <= one.hi)
            assert not fits, node.name
