"""What loads what: the package and its help are light, and imports point downward."""

from __future__ import annotations

import importlib
import pkgutil
import subprocess
import sys

import pytest

import trigger_ml

HEAVY = {
    "tensorflow", "keras", "tf_keras", "qkeras", "hgq", "hls4ml", "alkaid", "onnx", "onnxruntime", "onnx_ir",
    "matplotlib", "mplhep", "pythia8mc", "fastjet", "awkward", "vector", "numba", "h5py", "pyosys", "jinja2", "scipy",
    "uproot", "pyarrow", "dask", "distributed", "qonnx", "cocotb",
}  # fmt: skip

LOADED = "import sys; print(*sorted({name.partition('.')[0] for name in sys.modules}))"


def _loaded(code: str) -> set[str]:
    done = subprocess.run([sys.executable, "-c", f"{code}\n{LOADED}"], capture_output=True, text=True, check=True)
    return set(done.stdout.splitlines()[-1].split())


def test_the_package_loads_the_standard_library_and_numpy_only() -> None:
    ours = _loaded("import trigger_ml") - _loaded("")
    assert ours <= {"trigger_ml", "numpy", *sys.stdlib_module_names}


def test_no_module_loads_a_heavy_package_by_itself() -> None:
    names = [module.name for module in pkgutil.walk_packages(trigger_ml.__path__, "trigger_ml.")]
    assert "trigger_ml.cli" in names
    assert not _loaded("\n".join(f"import {name}" for name in names)) & HEAVY


@pytest.mark.parametrize("argv", [["--help"], ["run", "--help"], ["list"], ["--version"], ["doctor", "--json"]])
def test_light_commands_stay_light(argv: list[str]) -> None:
    loaded = _loaded(f"from trigger_ml.cli import main\nmain({argv!r})")
    assert not loaded & HEAVY
    if argv[-1] in ("--help", "--version"):
        assert "numpy" not in loaded
        assert "rich" not in loaded


def test_every_module_says_what_it_is() -> None:
    for module in pkgutil.walk_packages(trigger_ml.__path__, "trigger_ml."):
        if module.name != "trigger_ml.__main__":
            assert importlib.import_module(module.name).__doc__, f"{module.name} has no docstring"
