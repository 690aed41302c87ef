from __future__ import annotations

import inspect
from importlib import metadata

import pytest

from trigger_ml import plugins
from trigger_ml.errors import SpecError


@pytest.mark.parametrize("kind", plugins.KINDS)
def test_every_plugin_keeps_its_word(kind: str) -> None:
    for name in plugins.names(kind):
        module = plugins.find(kind, name)
        assert inspect.isfunction(getattr(module, plugins.KINDS[kind]))
        assert module.__doc__


def test_the_file_is_the_registration() -> None:
    assert "onnx" in plugins.names("backends")
    assert plugins.find("backends", "onnx").__name__ == "trigger_ml.backends.onnx"
    assert "rtl" not in plugins.names("backends")  # a part of the RTL backends, not one of them


def test_an_unknown_name_lists_what_is_available() -> None:
    with pytest.raises(SpecError) as caught:
        plugins.find("backends", "onxx")
    assert str(caught.value).startswith('there is no "onxx" among the backends: did you mean "onnx"? available are ')
    assert all(name in str(caught.value) for name in plugins.names("backends"))
    with pytest.raises(SpecError, match='no kind of plugin "engines": the kinds are samples, families'):
        plugins.find("engines", "onnx")
    for name in ("../errors", "", "__init__", "os"):
        with pytest.raises(SpecError):
            plugins.find("backends", name)


def test_entry_points_add_names_but_replace_none(monkeypatch: pytest.MonkeyPatch) -> None:
    group = "trigger_ml.backends"
    points = [
        metadata.EntryPoint("chisel", "json", group),
        metadata.EntryPoint("onnx", "json", group),
        metadata.EntryPoint("function", "json:loads", group),
    ]
    monkeypatch.setattr(plugins.metadata, "entry_points", lambda group: points)
    assert plugins.find("backends", "chisel").__name__ == "json"
    assert plugins.find("backends", "onnx").__name__ == "trigger_ml.backends.onnx"
    with pytest.raises(SpecError, match="it must name a module"):
        plugins.find("backends", "function")
