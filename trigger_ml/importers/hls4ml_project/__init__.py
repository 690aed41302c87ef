"""A folder that hls4ml wrote, io_parallel, as an integer graph.

Its sources are read strictly; what is not understood is refused with file and line. Tables are filled by the project's
own C++, and its own C++ has to give the same integers as the graph before the graph is accepted. The folder is copied
and never written to; its scripts are not run, but its C++ is: import only projects that you would compile yourself.
"""

from __future__ import annotations

from pathlib import Path

from trigger_ml.importers.hls4ml_project.reading import read
from trigger_ml.importers.hls4ml_project.source import firmware_of

__all__ = ["read", "recognises"]


def recognises(path: Path) -> bool:
    """Whether the path is a folder with ``parameters.h`` and ``defines.h``, in ``firmware`` or by themselves."""
    try:
        return path.is_dir() and firmware_of(path) is not None
    except OSError:
        return False
