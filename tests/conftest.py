"""What every test shares: Hypothesis without a clock, and needs_* marks that skip with a reason."""

from __future__ import annotations

import shutil

import pytest
from hypothesis import settings

from trigger_ml import tools

settings.register_profile("here", deadline=None, print_blob=True)
settings.load_profile("here")

NEEDS = {
    "needs_pythia": (("pythia8mc", "fastjet"), ()),
    "needs_train": (("tensorflow", "keras", "hgq2"), ()),
    "needs_hls": (("hls4ml",), ("g++",)),
    "needs_rtl": (("alkaid",), ("verilator", "g++", "make", "perl")),
    "needs_icarus": ((), ("iverilog", "vvp")),
    "needs_ghdl": ((), ("ghdl",)),
    "needs_onnx": (("onnx", "onnx-ir", "onnxruntime"), ()),
    "needs_yosys": (("pyosys",), ()),
    "needs_emulate": (("uproot", "pyarrow", "dask", "distributed"), ()),
    "needs_import": (("qonnx",), ()),
    "needs_trees": (("scikit-learn", "conifer", "pybind11", "nlohmann-json", "hls4ml"), ("g++",)),
    "needs_cocotb": (("cocotb",), ("iverilog",)),
    "needs_browser": ((), ("chromium",)),
    "needs_testdata": (("scikit-hep-testdata", "uproot"), ()),
}


def _missing(mark: str) -> list[str]:
    packages, programs = NEEDS[mark]
    missing = [name for name in packages if tools.package_version(name) is None]
    if mark == "needs_cocotb" and not missing and not _libpython():
        missing = ["libpython, which simulators embed,"]
    return missing + [name for name in programs if (tools.find(name) or shutil.which(name)) is None]


def _libpython() -> bool:
    from find_libpython import find_libpython

    return find_libpython() is not None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    missing = {mark: _missing(mark) for mark in NEEDS}
    for item in items:
        for mark in NEEDS:
            if missing[mark] and item.get_closest_marker(mark):
                item.add_marker(pytest.mark.skip(reason=f"{', '.join(missing[mark])} not installed"))
