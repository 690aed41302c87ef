"""The ternary operator as a shared library: compiled with g++ when it is first needed, kept in the user's cache."""

from __future__ import annotations

import ctypes
import functools
import hashlib
import os
import platform
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trigger_ml import artifact, tools
from trigger_ml.backends.handwritten import handwritten
from trigger_ml.errors import ToolFailed, ToolMissing
from trigger_ml.offline.onnx.packing import packed
from trigger_ml.offline.quantize import Codes

DOMAIN, NAME = "trigger_ml", "TernaryMatMul"
UNITS = {
    "op": (),
    "portable": (),
    "avx2": ("-mavx2",),
    "avx512": ("-mavx512f", "-mavx512bw", "-mavx512vl", "-mavx512vnni"),
}
HEADERS = ("ort_slots.h", "ternary.h")
FLAGS = ("-std=c++17", "-O3", "-fPIC", "-fvisibility=hidden", "-ffp-contract=off", "-w")
COMPILE_S = 120.0


@functools.cache
def library() -> Path:
    """The shared library, compiled unless the cache has it.

    Raises:
        ToolMissing: without g++; the sentence names the lowering that needs none.
        ToolFailed: the compiler failed, or the cache can't be written.
    """
    if tools.find("g++") is None:
        raise ToolMissing(
            "the ternary operator is compiled with g++, which is not installed: install it, or use the lowering int8, "
            "which gives the same integers"
        )
    x86 = platform.machine() == "x86_64"
    units = {k: v for k, v in UNITS.items() if x86 or not v}
    flags = FLAGS if x86 else (*FLAGS, "-DPORTABLE_ONLY")
    texts = {name: handwritten(f"ternary/{name}") for name in (*HEADERS, *(f"{unit}.cpp" for unit in units))}
    key = hashlib.sha256(repr((sorted(texts.items()), units, flags, tools.version("g++"))).encode()).hexdigest()[:12]
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "trigger_ml"
    path = cache / f"ternary-{key}.so"
    if not path.exists():
        try:
            artifact.atomic_write(path, _compiled(texts, units, flags))
        except OSError as error:
            raise ToolFailed(
                f"{cache} can't hold the ternary operator ({error.strerror}): set XDG_CACHE_HOME to a writable folder"
            ) from None
    return path


def _compiled(texts: dict[str, str], units: dict[str, tuple[str, ...]], flags: tuple[str, ...]) -> bytes:
    with tempfile.TemporaryDirectory(prefix="trigger_ml_") as name:
        folder = Path(name)
        for file, text in texts.items():
            (folder / file).write_text(text, "utf-8")
        for unit, more in units.items():
            argv = ["g++", *flags, *more, "-c", "-o", f"{unit}.o", f"{unit}.cpp"]
            tools.run(argv, cwd=folder, timeout_s=COMPILE_S)
        objects = [f"{unit}.o" for unit in units]
        tools.run(["g++", "-shared", "-o", "ternary.so", *objects], cwd=folder, timeout_s=COMPILE_S)
        return (folder / "ternary.so").read_bytes()


def kernels() -> tuple[str, ...]:
    """Names of the kernels that this processor can run, the portable one first; the last is the one in use."""
    names: list[str] = []
    opened = _opened()
    while (name := opened.ternary_kernel(len(names))) is not None:
        names.append(name.decode())
    return tuple(names)


def product(
    x: NDArray[np.float32], codes: Codes, bias: NDArray[np.float32], kernel: str | None = None
) -> NDArray[np.float32]:
    """One product outside ONNX Runtime, one thread: ``(rows, in)`` -> ``(rows, units)``."""
    known = kernels()
    rows, weights = np.ascontiguousarray(x, np.float32), packed(codes.codes)
    y = np.empty((len(rows), len(bias)), np.float32)
    number = len(known) - 1 if kernel is None else known.index(kernel)
    shift = np.ascontiguousarray(bias, np.float32)
    _opened().ternary_product(
        number, _at(rows), _at(weights), ctypes.c_float(float(codes.scale)), _at(shift),
        ctypes.c_int64(len(rows)), rows.shape[1], len(shift), _at(y),
    )  # fmt: skip
    return y


def peak(rounds: int) -> int:
    """Do ``rounds`` of products in registers alone, with the kernel in use; how many that were, 0: not known."""
    return int(_opened().ternary_peak(ctypes.c_int64(rounds)))


@functools.cache
def _opened() -> Any:
    try:
        opened = ctypes.CDLL(str(library()))
    except OSError as error:
        raise ToolFailed(f"{library()} can't be loaded ({error}): remove it and try again") from None
    opened.ternary_kernel.restype, opened.ternary_peak.restype = ctypes.c_char_p, ctypes.c_int64
    return opened


def _at(array: NDArray[Any]) -> ctypes.c_void_p:
    return ctypes.c_void_p(array.ctypes.data)
