"""conifer's own programs give the graph's integers, on any trees; and what it can't give is refused."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.ir.tree_graphs import graph_of, random_inputs, random_trees
from trigger_ml import engines, spec
from trigger_ml.backends import conifer, conifer_vhdl
from trigger_ml.backends.conifer_project import running
from trigger_ml.backends.conifer_project.description import configs, described
from trigger_ml.errors import Mismatch, Unsupported
from trigger_ml.fixed import Fixed
from trigger_ml.ir.bounds import bounds
from trigger_ml.ir.build import Builder
from trigger_ml.ir.graph import Graph
from trigger_ml.ir.interpret import interpret
from trigger_ml.passes.decision import with_decision
from trigger_ml.spec import Target

TARGET = Target()


def forest(seed: int = 1, depth: int = 4) -> Graph:
    """Five trees with holes, one of them a single leaf, with a base and a decision in the middle of the range."""
    made = random_trees(seed, 5, depth)
    feature = made.feature.copy()
    feature[3] = -1
    graph = graph_of(replace(made, feature=feature, threshold=np.where(feature < 0, 0, made.threshold)))
    score = bounds(graph)["score"]
    return with_decision(graph, int(score.lo[0] + score.hi[0] + 1) // 2)


def same(graph: Graph, got: dict[str, np.ndarray], x: np.ndarray) -> bool:
    golden = interpret(graph, x)
    return all(np.array_equal(golden[o], got[o]) for o in graph.outputs)


@pytest.mark.needs_trees
def test_the_cpp_is_exact_and_notices_a_leaf_that_is_off_by_one(tmp_path: Path) -> None:
    graph, x = forest(), random_inputs(2, 600)
    conifer.build(graph, tmp_path / "made", TARGET)
    assert same(graph, conifer.simulate(tmp_path / "made", graph, x), x)
    assert len(np.unique(interpret(graph, x)["decision"])) == 2
    saved = tmp_path / "made" / "cpp" / "trees.json"
    for text in (p.read_text("utf-8") for p in (tmp_path / "made").rglob("*.json")):
        assert str(tmp_path) not in text
        assert '"metadata": []' in text or "graph_digest" in text
    content = json.loads(saved.read_text("utf-8"))
    content["trees"][0][0]["value"] = [v + 1 for v in content["trees"][0][0]["value"]]
    saved.write_text(json.dumps(content), "utf-8")
    off = conifer.simulate(tmp_path / "made", graph, x)["score"] - interpret(graph, x)["score"]
    assert off.tolist() == [[1]] * 600


@pytest.mark.needs_trees
@pytest.mark.needs_ghdl
@pytest.mark.slow
@pytest.mark.parametrize("depth", [1, 3, 5])
def test_the_vhdl_is_exact(tmp_path: Path, depth: int) -> None:
    graph, x = forest(7, depth), random_inputs(2, 200)
    conifer_vhdl.build(graph, tmp_path / "made", TARGET)
    before = {p: p.read_bytes() for p in (tmp_path / "made").rglob("*") if p.is_file()}
    assert same(graph, conifer_vhdl.simulate(tmp_path / "made", graph, x), x)
    assert before == {p: p.read_bytes() for p in (tmp_path / "made").rglob("*") if p.is_file()}


@pytest.mark.needs_trees
@pytest.mark.slow
def test_what_is_written_again_is_the_same_and_names_no_machine(tmp_path: Path) -> None:
    made = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        running.write(forest(), tmp_path / name, TARGET, ("cpp", "hls", "vhdl"))
        files = (p for p in (tmp_path / name).rglob("*") if p.is_file())
        made.append({p.relative_to(tmp_path / name): p.read_bytes() for p in files})
    assert made[0] == made[1]
    assert not any(str(tmp_path).encode() in content for content in made[0].values())


def test_the_description_is_the_trees() -> None:
    """Followed node by node as conifer's format says."""
    graph, x = forest(), random_inputs(5, 100)
    made = described(graph)
    total = np.full(len(x), made["init_predict"][0])
    for (tree,) in made["trees"]:
        for event in range(len(x)):
            at = 0
            while tree["feature"][at] != -2:
                left = x[event] @ np.array(tree["weight"][at]) <= tree["threshold"][at]
                at = tree["children_left" if left else "children_right"][at]
            total[event] += tree["value"][at]
    assert total.tolist() == interpret(graph, x)["score"][:, 0].tolist()


def test_the_types_hold_thresholds_inputs_and_sums() -> None:
    types = configs(forest(), TARGET)
    assert types["cpp"]["input_precision"] == "ap_fixed<10,10>"
    assert types["cpp"]["score_precision"] == types["hls"]["score_precision"]
    assert types["hls"]["xilinx_part"] == TARGET.part


def test_a_graph_without_trees_and_other_outputs_are_refused(tmp_path: Path) -> None:
    b = Builder()
    other = b.graph(b.affine(b.input((2,), Fixed(True, 4, 0), name="x"), [[1], [1]], [0], 0, name="score"))
    for backend in (conifer, conifer_vhdl):
        with pytest.raises(Unsupported, match="conifer: the graph holds no trees"):
            backend.build(other, tmp_path / "made", TARGET)
        with pytest.raises(Unsupported, match="conifer: the outputs are leaf: it gives a score"):
            backend.build(replace(graph_of(random_trees(1, 2, 2)), outputs=("leaf",)), tmp_path / "made", TARGET)
    assert not (tmp_path / "made").exists()


def test_projects_of_another_graph_are_refused(tmp_path: Path) -> None:
    (tmp_path / "trees.json").write_text('{"graph_digest": "0"}', "utf-8")
    with pytest.raises(Mismatch, match="was built from graph 0, not"):
        conifer.simulate(tmp_path, forest(), random_inputs(1, 2))


def test_conifer_is_there_for_trees_alone() -> None:
    head = 'name = "a"\n[model]\nscore = "tagger"\n'
    network = spec.parse(head + 'family = "mlp"\nfrontend = "hgq"\nhidden = [2]\n')
    trees = spec.parse(head + 'family = "trees"\nfrontend = "trees"\ntrees = 2\ndepth = 2\n')
    more = {kind.name for kind in engines.kinds(trees)} - {kind.name for kind in engines.kinds(network)}
    assert more == {"conifer", "conifer_vhdl"}
