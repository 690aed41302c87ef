"""TensorFlow is started once, with our threads, before any test uses it: afterwards it can't be told."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def _started(request: pytest.FixtureRequest) -> None:
    if request.node.get_closest_marker("needs_train"):
        from trigger_ml.frontends import session

        session.start()
