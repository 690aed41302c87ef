"""Both front ends, every score: the float32 forward is the graph, and a killed training ends in the same weights."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from tests.frontends.events import sample
from trigger_ml import plugins, spec
from trigger_ml.artifact import digest_path, read_json, read_npz
from trigger_ml.errors import SpecError
from trigger_ml.frontends import loop, result
from trigger_ml.ir.interpret import interpret
from trigger_ml.ir.ops import Affine

pytest.importorskip("hgq", reason="needs the extra train")
pytestmark = pytest.mark.needs_train

SPEC = """
name = "tiny"
seed = 3
[model]
family = "{family}"
frontend = "{frontend}"
score = "{score}"
hidden = [8, 6]
latent = 2
beta = {beta}
{bits}
[train]
float_epochs = 60
epochs = {epochs}
fine_tune_epochs = 2
batch = 128
learning_rate = {rate}
ebops_beta = [1e-5, 1e-3]
teachers = {teachers}
"""
PRODUCTS = ("trained.npz", "float.npz", "history.json", "selfcheck.npz")


def tiny(frontend: str, score: str, target: int | None = 5000, beta: float = 0.01) -> spec.Spec:
    text = SPEC.format(
        family="mlp" if score == "distilled" else "autoencoder",
        frontend=frontend,
        score=score,
        beta=beta if score in ("rz", "mu2", "dkl") else 0.0,
        bits="bits = 7" if frontend == "qkeras" else "",
        epochs=12 if frontend == "hgq" else 4,
        rate=1e-2 if frontend == "hgq" else 1e-3,
        teachers=2 if score == "distilled" else 1,
    )
    return spec.parse(text + (f"ebops_target = {target}\n" if frontend == "hgq" and target else ""))


QUICK = [("hgq", "rz"), ("qkeras", "distilled")]
THOROUGH = [("hgq", s) for s in ("mu2", "dkl", "distilled", "reconstruction")] + [("qkeras", "rz")]
CASES = [*QUICK, *(pytest.param(*case, marks=pytest.mark.slow) for case in THOROUGH)]


@pytest.mark.parametrize(("frontend", "score"), CASES)
def test_the_frameworks_forward_is_the_graph(tmp_path, frontend, score):
    s, events = tiny(frontend, score, 12000 if score == "reconstruction" else 5000), sample()
    module = plugins.find("frontends", frontend)
    module.train(s, events, tmp_path, None)
    graph = module.freeze(tmp_path, s, events)
    for agreement in result.selfcheck(tmp_path, graph):
        assert agreement.exact, f"{agreement.node} is not proved below 2**24"
        assert agreement.mismatches == 0
        assert agreement.values >= 1000
    history = read_json(tmp_path / "history.json")
    assert history["score"]["rank_correlation"]["all"] > 0.5
    x = np.concatenate([events.background.validation, *(p.validation for p in events.signals.values())])
    family = plugins.find("families", s.model.family)
    twin = family.float_score(read_npz(tmp_path / "float.npz"), x, s)
    ours = interpret(graph, x)["score"][:, 0]
    assert result.spearman(ours, twin) == pytest.approx(history["score"]["rank_correlation"]["all"])
    if frontend == "hgq":
        ebops = [record["ebops"] for record in history["phases"]["ramp"]]
        assert ebops[-1] < 0.7 * ebops[0], "the price of EBOPs moved nothing"
        assert list((tmp_path / "checkpoints").glob("ramp-*.npz")), "the ramp left no snapshot"


@pytest.mark.slow
def test_training_says_when_the_target_is_out_of_reach(tmp_path):
    with pytest.raises(SpecError, match=r"ebops_target 10 was not reached .* raise ebops_beta or epochs"):
        plugins.find("frontends", "hgq").train(tiny("hgq", "mu2", 10), sample(), tmp_path, None)


def test_a_collapsed_latent_space_is_an_error(tmp_path):
    with pytest.raises(SpecError, match=r"beta 50 made the latent space collapse .* lower beta"):
        plugins.find("frontends", "hgq").train(tiny("hgq", "rz", beta=50), sample(), tmp_path, None)


def pruned(bits: str = "", sparsity: float = 0.7) -> spec.Spec:
    text = SPEC.format(
        family="mlp", frontend="hgq", score="distilled", beta=0.0, bits=bits, epochs=6, rate=1e-2, teachers=1
    )
    return spec.parse(text + f"sparsity = {sparsity}\nprune_start = 1\nprune_end = 4\n")


@pytest.mark.parametrize("bits", [pytest.param("", marks=pytest.mark.slow), "bits = 6"])
def test_pruned_weights_are_zero_in_the_graph(tmp_path, bits):
    s, events = pruned(bits), sample()
    front = plugins.find("frontends", "hgq")
    front.train(s, events, tmp_path, None)
    arrays, graph = read_npz(tmp_path / "trained.npz"), front.freeze(tmp_path, s, events)
    left = 0
    for name in map(str, arrays["layers"]):
        kernel, kept = arrays[f"{name}.kernel"], arrays[f"{name}.kept"]
        assert np.count_nonzero(~kept) == round(0.7 * kernel.size)
        assert not kernel[~kept].any()
        left += np.count_nonzero(kernel)
    assert left > 0
    in_graph = sum(
        int(np.count_nonzero(n.op.w)) for n in graph.nodes if isinstance(n.op, Affine) and n.name != "decision"
    )
    assert in_graph <= left
    history = read_json(tmp_path / "history.json")
    counted = np.sum(list(history["zero_weights"].values()), axis=0)
    assert counted[2] - counted[0] == left
    assert counted[1] == sum(round(0.7 * size) for _, _, size in history["zero_weights"].values())
    assert all(a.mismatches == 0 for a in result.selfcheck(tmp_path, graph))


class _Stopped(Exception):
    """Stands for the power cut."""


RAMP = [pytest.param("", phase, marks=pytest.mark.slow) for phase in ("ramp", "fine_tune")]


@pytest.mark.parametrize(("bits", "phase"), [("bits = 6", "uniform"), *RAMP])
def test_masks_survive_a_stop(tmp_path, monkeypatch, bits, phase):
    s, events, front = pruned(bits), sample(), plugins.find("frontends", "hgq")
    front.train(s, events, tmp_path / "plain", None)
    write, stop_at = loop._write, {"ramp": 3, "fine_tune": 1, "uniform": 3}[phase]

    def interrupted(path, key, history, state):
        write(path, key, history, state)
        if path.stem == phase and len(history) == stop_at:
            raise _Stopped

    with monkeypatch.context() as broken:
        broken.setattr(loop, "_write", interrupted)
        with pytest.raises(_Stopped):
            front.train(s, events, tmp_path / "broken", None)
    front.train(s, events, tmp_path / "broken", None)
    assert {n: digest_path(tmp_path / "broken" / n) for n in PRODUCTS} == {
        n: digest_path(tmp_path / "plain" / n) for n in PRODUCTS
    }


PROGRAM = """
import sys
from pathlib import Path
from tests.frontends.events import sample
from tests.frontends.test_training import tiny
from trigger_ml import plugins
plugins.find("frontends", sys.argv[1]).train(tiny(sys.argv[1], sys.argv[2]), sample(), Path(sys.argv[3]), None)
"""


def start(frontend: str, score: str, folder: Path) -> subprocess.Popen[bytes]:
    root = Path(__file__).parents[2]
    argv = [sys.executable, "-W", "ignore", "-c", PROGRAM, frontend, score, str(folder)]
    return subprocess.Popen(argv, cwd=root, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL, env=dict(os.environ))


def killed_after(frontend: str, score: str, folder: Path, checkpoint: str) -> None:
    """Start training and kill it without warning soon after a checkpoint has appeared."""
    process = start(frontend, score, folder)
    while process.poll() is None and not list((folder / "checkpoints").glob(checkpoint)):
        time.sleep(0.02)
    time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()


@pytest.mark.slow
def test_a_killed_training_ends_in_the_same_weights(tmp_path):
    frontend, score, stops = "hgq", "distilled", ("student.npz", "ramp-*.npz")
    plain, broken = tmp_path / "plain", tmp_path / "broken"
    assert start(frontend, score, plain).wait() == 0
    for checkpoint in stops:
        killed_after(frontend, score, broken, checkpoint)
        assert not (broken / "history.json").exists(), "the training was over before it could be killed"
    assert start(frontend, score, broken).wait() == 0
    assert {n: digest_path(broken / n) for n in PRODUCTS} == {n: digest_path(plain / n) for n in PRODUCTS}


SIDE_BY_SIDE = """
import sys
from dataclasses import replace
from pathlib import Path
from trigger_ml import plugins, spec
from trigger_ml.frontends import session, teacher
wanted = spec.load(Path("models/l1_vae_rz/spec.toml"))
wanted = replace(wanted, train=replace(wanted.train, float_epochs=3))
events = plugins.find("samples", "l1_objects").load("zero_bias", None)
session.start()
teacher.autoencoders(wanted, events, events.background.train, "key", Path(sys.argv[1]), None)
"""


@pytest.mark.slow
def test_trainings_side_by_side_on_a_busy_machine_are_equal(tmp_path):
    root = Path(__file__).parents[2]
    folders = [tmp_path / str(i) for i in range(8)]
    running = [subprocess.Popen([sys.executable, "-c", SIDE_BY_SIDE, str(folder)], cwd=root) for folder in folders]
    assert [process.wait() for process in running] == [0] * len(running)
    assert len({digest_path(folder / "float.npz") for folder in folders}) == 1
