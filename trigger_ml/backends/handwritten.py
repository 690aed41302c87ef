"""Finding the hand-written sources in ``firmware/`` that go into generated projects."""

from __future__ import annotations

from pathlib import Path

from trigger_ml import artifact
from trigger_ml.errors import ArtifactError


def folder() -> Path:
    """``firmware/``: installed inside the package, or beside it in a checkout.

    Raises:
        ArtifactError: if it is in neither place.
    """
    inside = Path(__file__).parents[1] / "firmware"
    for root in (inside, inside.parents[1] / "firmware"):
        if (root / "README.md").is_file():
            return root
    raise ArtifactError("the folder firmware is missing: install trigger_ml again")


def handwritten(name: str) -> str:
    """The text of a file of ``firmware/``.

    Raises:
        ArtifactError: if it is missing.
    """
    path = folder() / name
    if not path.is_file():
        raise ArtifactError(f"firmware/{name} is missing: install trigger_ml again")
    return path.read_text("utf-8")


def digest() -> str:
    """sha256 over all of them."""
    return artifact.digest_path(folder())
