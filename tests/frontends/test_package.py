"""QKeras lives in a folder of its own, whatever happens to pip."""

from __future__ import annotations

import sys
import types
from pathlib import Path

import pytest

from trigger_ml import tools
from trigger_ml.errors import ToolFailed, ToolMissing
from trigger_ml.frontends.qkeras import package


def pretend(monkeypatch, act):
    monkeypatch.setattr(tools, "run", act)


def test_install_keeps_the_package_and_drops_what_the_wheel_adds(monkeypatch, tmp_path):
    def pip(argv, cwd, timeout_s):
        for name in ("qkeras", "tests", "examples", "qkeras_v3-1.2.1.dist-info"):
            (cwd / name).mkdir()
            (cwd / name / "__init__.py").touch()

    pretend(monkeypatch, pip)
    place = tmp_path / "share" / "qkeras-v3"
    package.install(place)
    assert sorted(p.name for p in place.iterdir()) == ["qkeras", "qkeras_v3-1.2.1.dist-info"]
    pretend(monkeypatch, lambda *a, **k: pytest.fail("installed twice"))
    package.install(place)


def test_without_an_index_one_sentence_and_nothing_half_written(monkeypatch, tmp_path):
    def pip(argv, cwd, timeout_s):
        (cwd / "qkeras").mkdir()
        raise ToolFailed("pip failed with code 1: no matching distribution")

    pretend(monkeypatch, pip)
    place = tmp_path / "share" / "qkeras-v3"
    with pytest.raises(ToolMissing, match=r"the frontend qkeras needs qkeras-v3==.* connect to a package index"):
        package.install(place)
    assert list(place.parent.iterdir()) == []


def test_another_qkeras_in_the_process_is_refused(monkeypatch):
    other = types.ModuleType("qkeras")
    other.__file__ = "/elsewhere/qkeras/__init__.py"
    monkeypatch.setitem(sys.modules, "qkeras", other)
    with pytest.raises(ToolMissing, match=r"another package named qkeras .* in a fresh process"):
        package.load()


def test_a_read_only_environment_uses_the_cache(monkeypatch, tmp_path):
    monkeypatch.setattr(package.os, "access", lambda path, mode: False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert package.folder().parent.parent == tmp_path


@pytest.mark.needs_train
def test_hgq_and_qkeras_in_one_process():
    pytest.importorskip("hgq", reason="needs the extra train")
    from trigger_ml.frontends import session

    session.start("hgq")
    import hgq.layers

    path = list(sys.path)
    qkeras = package.load()
    assert sys.path == path
    assert Path(qkeras.__file__).is_relative_to(package.folder())
    assert qkeras.__version__ == package.VERSION
    assert hgq.layers.QDense is not qkeras.QDense
    assert package.load() is qkeras
