"""A graph of several classes in every engine: score, logits, winner and decision, and the names of their elements."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from trigger_ml import plugins, validate
from trigger_ml.backends import cmssw
from trigger_ml.errors import ToolMissing
from trigger_ml.fixed import Fixed
from trigger_ml.frontends import scoring
from trigger_ml.ir import columns
from trigger_ml.ir.build import Builder
from trigger_ml.ir.graph import Graph
from trigger_ml.ir.interpret import interpret
from trigger_ml.passes.decision import with_decision
from trigger_ml.spec import Target

CLASSES = ("background", "g", "W", "top")


def graph() -> Graph:
    """Four logits of few bits, so that ties are common."""
    rng, b = np.random.default_rng(1), Builder()
    x = b.input((5,), Fixed(True, 5, 2), name="x")
    raw = b.affine(x, rng.integers(-3, 4, (5, 4)), rng.integers(-9, 9, 4), 1)
    logits = b.requant(raw, Fixed(True, 4, 0), "RND", "SAT", name="logits")
    score = scoring.add_score(b, "classes", x, {"logits": logits}, {}, np.zeros(0, np.int64))
    made = b.graph(score, logits, scoring.add_winner(b, logits), meta={"name": "few", **columns.entry(CLASSES)})
    return with_decision(made, 2)


ENGINES = [
    ("cpp", Target(), ()),
    ("cmssw", Target(), ("needs_hls",)),
    ("onnx", Target(), ("needs_onnx",)),
    ("verilog", Target(), ("needs_rtl",)),
    ("vhdl", Target(), ("needs_rtl", "needs_ghdl")),
    ("hls4ml", Target(), ("needs_hls",)),
    ("hls4ml", replace(Target(), io_type="io_stream"), ("needs_hls",)),
]
CASES = [
    pytest.param(name, target, marks=[getattr(pytest.mark, m) for m in marks], id=f"{name}-{target.io_type}")
    for name, target, marks in ENGINES
]


@pytest.mark.parametrize(("name", "target"), CASES)
def test_every_output_is_golden_ties_too(tmp_path: Path, name: str, target: Target) -> None:
    made = graph()
    feed = validate.vectors(made, None, 600 if name in ("verilog", "vhdl") else 4000, 1)
    golden = interpret(made, feed)
    assert (golden["winner"].sum(axis=1) > 1).mean() > 0.05
    backend = plugins.find("backends", name)
    try:
        backend.build(made, tmp_path / name, target)
        found = validate.compare(made, validate.engine(name, backend, tmp_path / name, made, target), feed)
    except ToolMissing as missing:
        pytest.skip(str(missing))
    assert found.exact
    if name in ("verilog", "vhdl"):
        ports = json.loads((tmp_path / name / "ports.json").read_text("utf-8"))
        assert ports["columns"] == {"logits": list(CLASSES), "winner": list(CLASSES)}
        said = "Elements: " + ", ".join(f"{i} {name}" for i, name in enumerate(CLASSES)) + ".\n"
        assert (tmp_path / name / "interface.md").read_text("utf-8").count(said) == 2
    if name == "hls4ml":
        text = (tmp_path / name / "README.md").read_text("utf-8")
        assert text.count("background, g, W, top |") == 2


def test_the_cmssw_header_names_the_classes() -> None:
    made = graph()
    header = cmssw.types(made)
    assert "// output logits: shape 4, of background, g, W, top\n" in header
    assert "// output winner: shape 4, of background, g, W, top\n" in header
    assert "typedef ap_ufixed<1, 1> winner_t;" in header
    assert ", of " not in cmssw.types(replace(made, meta={"name": "few"}))


def test_names_stand_where_outputs_are() -> None:
    made = graph()
    assert columns.classes(made) == CLASSES
    assert columns.columns(made) == {"logits": CLASSES, "winner": CLASSES}
    assert columns.columns(replace(made, outputs=("score", "winner"))) == {"winner": CLASSES}
    assert columns.columns(replace(made, meta={})) == {}
