from __future__ import annotations

from pathlib import Path

import pytest

from trigger_ml import doctor, tools


def test_every_tool_and_package_has_a_row() -> None:
    rows = {finding.name: finding for finding in doctor.examine()}
    assert set(rows) == {"python", "qkeras-v3", *(entry.name for entry in (*tools.PROGRAMS, *tools.PACKAGES))}
    assert all(finding.enables and finding.get for finding in rows.values())
    assert rows["python"].version is not None


def test_every_optional_package_is_pinned() -> None:
    rows = {finding.name: finding for finding in doctor.examine()}
    for package in tools.PACKAGES:
        assert rows[package.name].tested, f"{package.name} has no pin in pyproject.toml"


def test_what_is_missing_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(tools, "package_version", lambda _: None)
    tools._verilator.cache_clear()
    tools.version.cache_clear()
    try:
        missing = {finding.name for finding in doctor.examine() if finding.version is None} - {"qkeras-v3"}
    finally:
        tools._verilator.cache_clear()
        tools.version.cache_clear()
    assert missing == {entry.name for entry in (*tools.PROGRAMS, *tools.PACKAGES)}


def test_the_catalogue_lists_models(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "spec.toml").write_text("")
    (tmp_path / "a").mkdir()
    found = doctor.catalogue(tmp_path)
    assert found["models"] == ("b",)
    assert "onnx" in found["backends"]
    assert doctor.catalogue(tmp_path / "nowhere")["models"] == ()
