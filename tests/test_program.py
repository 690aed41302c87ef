"""What counts as the program behind a step."""

from __future__ import annotations

from pathlib import Path

import pytest

import trigger_ml
from trigger_ml import program, rates

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
