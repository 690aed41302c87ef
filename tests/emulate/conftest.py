"""One small bundle for all tests of this folder, and a cache of their own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import test_pipeline
from tests.frontends.events import sample
from trigger_ml import bundle, pipeline, tools


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(folder))
        yield folder


@pytest.fixture(scope="session")
def packed(tmp_path_factory: pytest.TempPathFactory, own_cache: Path) -> Path:
    """A bundle whose score is the sum of all momenta, in bins of 4 hardware units."""
    if tools.find("g++") is None:
        pytest.skip("needs g++")
    folder = tmp_path_factory.mktemp("bundle")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("trigger_ml.workspace.Workspace.sample", sample(4000, 800))
        patch.setattr(
            "trigger_ml.families.mlp.float_score", lambda weights, x, spec: x[:, ::3].sum(axis=1).astype(float)
        )
        quiet = test_pipeline.quiet()
        pipeline.run(test_pipeline.model(folder / "m"), quiet, folder / "out", frozen=True)
        bundle.bundle(folder / "m", quiet, folder / "out", folder / "small.zip")
    return folder / "small.zip"
