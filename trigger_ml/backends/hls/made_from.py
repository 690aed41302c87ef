"""What an HLS project was made from: a file that the vendor's script leaves beside the report of C synthesis."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from trigger_ml import artifact
from trigger_ml.errors import ToolFailed
from trigger_ml.spec import Target

FILE = "made_from.json"
KEYS = ("part", "clock_ns", "reuse_factor", "strategy", "hls_backend", "io_type")
"""Keys of ``[target]`` that an HLS project depends on."""


def made_from(digest: str, target: Target) -> dict[str, Any]:
    """The file's content for a graph's digest and a target."""
    return {"graph_digest": digest} | {key: getattr(target, key) for key in KEYS}


def write(digest: str, folder: Path, target: Target) -> None:
    """Write the file, and let the vendor's script copy it into its own project behind C synthesis.

    Raises:
        ToolFailed: hls4ml wrote a script of another form than the one that is known.
    """
    artifact.write_json(folder / FILE, made_from(digest, target))
    script = folder / "build_prj.tcl"
    text = script.read_text("utf-8")
    if text.count("    csynth_design\n") != 1:
        raise ToolFailed(f"hls4ml wrote {script.name} without one csynth_design: install the version that is pinned")
    copied = f"    csynth_design\n    file copy -force {FILE} ${{project_name}}_prj/{FILE}\n"
    script.write_text(text.replace("    csynth_design\n", copied), "utf-8")
