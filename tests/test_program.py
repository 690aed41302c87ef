"""What counts as the program behind a step."""

from __future__ import annotations

import ast
import inspect
from pathlib import Path
from types import ModuleType

import pytest

import trigger_ml
from trigger_ml import depends, program, rates, to_graph

ROOT = Path(trigger_ml.__file__).parent
COMPILED = (".pyc", ".so", ".o")


def test_every_source_of_a_backend_counts() -> None:
    """A header that goes into HLS projects was in no stamp."""
    found = program.sources("backends", "fixed.py")
    assert {"backends/hls/nnet_exact.h", "backends/cpp.py", "backends/rtl/design.py", "fixed.py"} <= set(found)
    every = {f.relative_to(ROOT).as_posix() for f in (ROOT / "backends").rglob("*") if f.is_file()}
    assert {name for name in every if not name.endswith(COMPILED)} == set(found) - {"fixed.py"}


def test_a_changed_header_is_another_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(program, "__file__", str(tmp_path / "program.py"))
    monkeypatch.setattr(program, "code", program.code.__wrapped__)
    home = tmp_path / "backends"
    for name in ("one.py", "hls/two.h", "__pycache__/one.pyc", "data/events.h5", ".cache/x.py"):
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_text("a")
    assert program.sources("backends") == ["backends/hls/two.h", "backends/one.py"]
    before = program.code("backends")
    (home / "data" / "events.h5").write_text("b")
    (home / "__pycache__" / "one.pyc").write_text("b")
    assert program.code("backends") == before
    (home / "hls" / "two.h").write_text("b")
    assert program.code("backends") != before


def test_rates_depend_on_what_reads_and_what_evaluates_the_events() -> None:
    found = program.sources(*rates.PROGRAM)
    assert {"samples/layout.py", "samples/features.py", "backends/cpp.py", "emulate/zero_bias.py", "rates.py"} <= set(
        found
    )


@pytest.mark.parametrize("module", [depends, to_graph])
def test_whatever_learns_from_events_counts_what_computes_their_columns(module: ModuleType) -> None:
    """N-subjettiness and images are computed when events are read: no digest of a file knows how."""
    assert {"samples/jet_views.py", "samples/jet_axes.py"} <= set(program.sources(*depends.EVENTS))
    calls = [node for node in ast.walk(ast.parse(inspect.getsource(module))) if isinstance(node, ast.Call)]
    asked = [ast.unparse(call) for call in calls if ast.unparse(call.func) == "code"]
    learning = [call for call in asked if any(name in call for name in ("frontends", "physics"))]
    assert learning
    assert all("*EVENTS" in call for call in learning)
