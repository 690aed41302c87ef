"""The plug-in for CMSSW is the graph, through std::any; plug-ins in one process keep to themselves."""

from __future__ import annotations

import ctypes
import itertools
import json
import re
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest

from tests import test_pipeline
from tests.backends.test_cpp import network
from tests.frontends.events import sample
from trigger_ml import bundle, cli, pipeline, tools, verify
from trigger_ml.backends import cmssw
from trigger_ml.errors import ArtifactError, GraphError, Mismatch, ToolMissing
from trigger_ml.fixed import Fixed, Formats
from trigger_ml.fuzz import random_events, random_graph
from trigger_ml.ir import ops
from trigger_ml.ir.build import Builder
from trigger_ml.ir.graph import Graph
from trigger_ml.ir.interpret import interpret
from trigger_ml.ir.io import digest
from trigger_ml.spec import Target

pytestmark = pytest.mark.needs_hls
if tools.find("g++") is None:
    pytest.skip("needs g++", allow_module_level=True)
try:
    cmssw._ap_types()
except ToolMissing as missing:
    pytest.skip(str(missing), allow_module_level=True)

TARGET = Target()


def same(got, want) -> bool:
    return all(got[o].shape == want[o].shape and np.array_equal(got[o], want[o]) for o in want)


def ports(inputs: int, outputs: int) -> Graph:
    """So many ports, scalars and arrays, per-element formats and a dead element among them."""
    b = Builder()
    formats = [Formats.of([1, 0, 0], [5, 9, 0], 3), Fixed(True, 7, -2), Formats.of([[1, 0]], [[3, 3]], 70 - 8)]
    shapes = [(3,), (1,), (1, 2)]
    read = [b.input(shapes[i], formats[i], name=f"wchar{'_x' * i}" if i else "wchar") for i in range(inputs)]
    made = [b.affine(x, np.arange(1, 1 + 2 * b.known(x).shape[-1]).reshape(-1, 2), [1, -5], 0) for x in read]
    made += [b.add(ops.Relu(), read[0])]
    return b.graph(*(made * 3)[:outputs], meta={"name": "int"})


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> tuple[Graph, Path]:
    folder = tmp_path_factory.mktemp("cmssw") / "net"
    cmssw.build(network(), folder, TARGET)
    return network(), folder


@pytest.fixture(scope="module")
def four(tmp_path_factory) -> tuple[list[Graph], list[Path]]:
    """Models of the same names everywhere, with different weights."""
    graphs, folder = [network(seed).with_meta(name="net") for seed in range(4)], tmp_path_factory.mktemp("four")
    for i, graph in enumerate(graphs):
        cmssw.build(graph, folder / str(i), TARGET)
    return graphs, [folder / str(i) for i in range(4)]


@pytest.mark.parametrize("events", [0, 1, 5000])
def test_any_number_of_events(built, events):
    graph, folder = built
    feed = random_events(graph, events, 3)
    assert same(cmssw.simulate(folder, graph, feed), interpret(graph, feed))


@pytest.mark.parametrize("seed", range(6))
def test_random_graphs(tmp_path, seed):
    graph = random_graph(900 + seed)
    cmssw.build(graph, tmp_path / "g", TARGET)
    feed = random_events(graph, 2000, seed)
    assert same(cmssw.simulate(tmp_path / "g", graph, feed), interpret(graph, feed))


@pytest.mark.parametrize(("inputs", "outputs"), [(1, 1), (2, 1), (3, 2), (3, 4)])
def test_any_number_of_ports(tmp_path, inputs, outputs):
    graph = ports(inputs, outputs)
    cmssw.build(graph, tmp_path / "g", TARGET)
    feed = random_events(graph, 500, 1)
    assert same(cmssw.simulate(tmp_path / "g", graph, feed), interpret(graph, feed))


@pytest.mark.parametrize("mode", [ctypes.RTLD_LOCAL, ctypes.RTLD_GLOBAL])
def test_four_models_in_one_process_each_give_their_own_answers(four, mode):
    graphs, folders = four
    feed = random_events(graphs[0], 20, 1)
    want = [interpret(g, feed) for g in graphs]
    assert all(not same(want[i], want[j]) for i, j in itertools.combinations(range(4), 2))
    one = {k: v[:1] for k, v in feed.items()}
    with cmssw.loaded(folders[0] / cmssw.ADAPTER) as adapter:
        for k, order in enumerate(itertools.permutations(range(4))):
            models = {i: cmssw.Plugin(adapter, folders[i] / "net.so", mode) for i in order}
            for _ in range(2):  # interleaved, event by event
                for i in order:
                    assert same(models[i].play(graphs[i], one), {o: y[:1] for o, y in want[i].items()})
            for gone in list(itertools.permutations(range(4)))[(7 * k) % 24]:
                for i, model in models.items():
                    assert same(model.play(graphs[i], feed), want[i])
                models.pop(gone).close()


def test_with_visible_symbols_one_model_answers_for_another(tmp_path, monkeypatch):
    """That the test above finds the fault it is for: cmssw #44435, remade."""
    files = cmssw.handwritten
    monkeypatch.setattr(cmssw, "FLAGS", tuple(f for f in cmssw.FLAGS if f != "-fvisibility=hidden"))
    monkeypatch.setattr(
        cmssw, "handwritten", lambda name: "{ global: *; };\n" if name.endswith("exports.map") else files(name)
    )
    graphs = [network(seed).with_meta(name="net") for seed in range(2)]
    for i, graph in enumerate(graphs):
        cmssw.build(graph, tmp_path / str(i), TARGET)
    feed = random_events(graphs[0], 20, 1)
    with cmssw.loaded(tmp_path / "0" / cmssw.ADAPTER) as adapter, ExitStack() as stack:
        models = [
            stack.enter_context(cmssw.Plugin(adapter, tmp_path / str(i) / "net.so", ctypes.RTLD_GLOBAL))
            for i in range(2)
        ]
        assert same(models[0].play(graphs[0], feed), interpret(graphs[0], feed))
        assert not same(models[1].play(graphs[1], feed), interpret(graphs[1], feed))


def test_models_are_destroyed_in_every_order(four):
    graphs, folders = four
    feed = random_events(graphs[0], 5, 1)
    want = [interpret(g, feed) for g in graphs]
    with cmssw.loaded(folders[0] / cmssw.ADAPTER) as adapter:
        for order in itertools.permutations(range(4)):
            models = {i: cmssw.Plugin(adapter, folders[i] / "net.so") for i in range(4)}
            for gone in order:
                models.pop(gone).close()
                assert all(same(m.play(graphs[i], feed), want[i]) for i, m in models.items())


def test_two_models_of_one_plugin_are_two(four):
    graphs, folders = four
    feeds = [random_events(graphs[0], 50, seed) for seed in (1, 2)]
    with cmssw.loaded(folders[0] / cmssw.ADAPTER) as adapter, ExitStack() as stack:
        models = [stack.enter_context(cmssw.Plugin(adapter, folders[0] / "net.so")) for _ in feeds]
        for model, feed in zip(models, feeds, strict=True):
            assert same(model.play(graphs[0], feed), interpret(graphs[0], feed))


def test_models_of_one_library_answer_in_threads_of_their_own(four):
    graphs, folders = four
    feeds = [random_events(graphs[0], 2000, seed) for seed in range(4)]
    want = [interpret(graphs[0], feed) for feed in feeds]
    with cmssw.loaded(folders[0] / cmssw.ADAPTER) as adapter, ThreadPoolExecutor(4) as pool:
        models = [cmssw.Plugin.__new__(cmssw.Plugin) for _ in feeds]
        for model in models:  # without the copy that each would open: the loader then gives all of them one library
            model._adapter, model._said = adapter, ctypes.create_string_buffer(1000)
            model._model = adapter.plugin_open(str(folders[0] / "net.so").encode(), 1, model._said, 1000)
        found = list(pool.map(lambda model, feed: model.play(graphs[0], feed), models, feeds))
        for model in models:
            model.close()
    assert all(same(got, y) for got, y in zip(found, want, strict=True))


def test_only_the_two_functions_are_exported(built):
    _, folder = built
    listed = subprocess.run(["nm", "-D", "--defined-only", str(folder / "net0.so")], capture_output=True, text=True)
    assert sorted(line.split()[-1] for line in listed.stdout.splitlines()) == ["create_model", "destroy_model"]


def test_another_type_is_refused_and_both_are_named(built):
    _, folder = built
    with cmssw.loaded(folder / cmssw.ADAPTER) as adapter, cmssw.Plugin(adapter, folder / "net0.so") as model:
        for reading, want in ((False, "ap_fixed<13, 9, "), (True, "std::pair<")):
            said = model.misuse(reading)
            assert want in said
            assert "not int" in said
            assert said.startswith("net0: ")


def test_a_number_out_of_its_elements_own_range_is_refused(built):
    graph, folder = built
    x = np.zeros((3, 9), np.int64)
    x[1, 7] = 2  # fits the common type, but this element has one bit
    with cmssw.loaded(folder / cmssw.ADAPTER) as adapter, cmssw.Plugin(adapter, folder / "net0.so") as model:
        with pytest.raises(
            GraphError, match=r"event 1: net0: element 7 of input input is the integer 2, .* 0 \.\.\. 1"
        ):
            model.play(graph, {"input": x})
        x[1, 7] = 1  # and the model still works
        assert same(model.play(graph, {"input": x}), interpret(graph, x))


def test_a_plugin_of_another_graph_is_refused(built):
    _, folder = built
    with pytest.raises(Mismatch, match="build it again"):
        cmssw.simulate(folder, network(7), np.zeros((1, 9), np.int64))


def test_what_is_no_plugin_is_refused(built, tmp_path):
    _, folder = built
    (tmp_path / "a.so").write_bytes(b"no ELF")
    with cmssw.loaded(folder / cmssw.ADAPTER) as adapter:
        for path in (tmp_path / "a.so", tmp_path / "none.so"):
            with pytest.raises(ArtifactError, match="build it again"):
                cmssw.Plugin(adapter, path)
        with pytest.raises(ArtifactError, match="create_model or destroy_model is missing"):
            cmssw.Plugin(adapter, folder / cmssw.ADAPTER)


def test_a_fault_in_the_source_is_found(built, tmp_path):
    graph, folder = built
    shutil.copytree(folder, tmp_path, ignore=shutil.ignore_patterns("*.so"), dirs_exist_ok=True)
    kernel = tmp_path / "kernel.inc"
    text, count = re.subn(r"(w_n2_0\[\] = \{)(-?\d+)", lambda m: f"{m[1]}{int(m[2]) ^ 1}", kernel.read_text(), count=1)
    assert count == 1
    kernel.write_text(text)
    cmssw.compile_library(tmp_path)
    feed = random_events(graph, 20_000, 1)
    assert not same(cmssw.simulate(tmp_path, graph, feed), interpret(graph, feed))


def test_the_sources_are_a_function_of_the_graph_and_the_header_names_it():
    assert cmssw.sources(network()) == cmssw.sources(network())
    header = cmssw.types(network())
    assert digest(network()) in header
    assert "typedef ap_fixed<13, 9> input_t;" in header
    assert "typedef std::pair<score_t, std::array<requant_2_t, n_requant_2>> result_type;" in header


def test_the_makefile_alone_builds_the_plugin(built, tmp_path):
    graph, folder = built
    shutil.copytree(folder, tmp_path, ignore=shutil.ignore_patterns("*.so"), dirs_exist_ok=True)
    subprocess.run(["make", "-s", "net0.so", cmssw.ADAPTER], cwd=tmp_path, check=True)
    subprocess.run(["make", "-s", "install", f"PREFIX={tmp_path}/to"], cwd=tmp_path, check=True)
    assert (tmp_path / "to" / "lib64" / "net0.so").exists()
    feed = random_events(graph, 100, 1)
    assert same(cmssw.simulate(tmp_path, graph, feed), interpret(graph, feed))


def test_without_a_compiler_or_headers_nothing_is_left(tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(tools, "find", lambda name: None)
        with pytest.raises(ToolMissing, match=r"g\+\+"):
            cmssw.build(network(), tmp_path / "g", TARGET)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ToolMissing, match=r"trigger_ml\[hls\]"):
        cmssw.build(network(), tmp_path / "g", TARGET)
    assert list(tmp_path.iterdir()) == []


def test_a_bundle_takes_the_plugin_along_and_verifies_it(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("trigger_ml.workspace.Workspace.sample", sample(4000, 800))
    monkeypatch.setattr(
        "trigger_ml.families.mlp.float_score", lambda weights, x, spec: x[:, ::3].sum(axis=1).astype(float)
    )
    folder = test_pipeline.model(tmp_path / "m")
    spec = folder / "spec.toml"
    text = spec.read_text().replace("onnx = 3000", "onnx = 0").replace("cpp = 3000", "cpp = 0")
    spec.write_text(text.replace("cmssw = 0", "cmssw = 2000"))
    pipeline.run(folder, test_pipeline.quiet(), tmp_path, frozen=True)
    bundle.bundle(folder, test_pipeline.quiet(), tmp_path, tmp_path / "a.zip")
    names = bundle.open_bundle(tmp_path / "a.zip").members.keys()
    assert {"firmware/cmssw/small_types.h", "firmware/cmssw/ap_types/NOTICE.txt", "firmware/cmssw/Makefile"} <= names
    assert not [n for n in names if n.endswith((".so", ".o"))]
    assert cli.main(["verify", str(tmp_path / "a.zip"), "--events", "2000", "--json"]) == 0
    checks = {c["what"]: c["remark"] for c in json.loads(capsys.readouterr().out)["checks"]}
    assert checks["CMSSW plug-in, g++ of what is inside"] == "0 of 2000 events differ"
    assert "are the same bytes" in checks["cmssw, built again"]
    assert checks["digests"].endswith("parts show the graph's")
    assert {"firmware/cmssw/model.h", "firmware/cmssw/small_types.h"} <= {
        n for n in names if verify.SHOWS_DIGEST.fullmatch(n)
    }
