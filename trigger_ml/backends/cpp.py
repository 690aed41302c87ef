"""The C++ engine: a generated emulator without dependencies, vectorised over events, exact by proof.

``build`` writes the sources (C++17, g++ 12 or clang 15 and later) with a C interface and compiles them into a shared
library that holds the same arithmetic three times, portable, for AVX2 and for AVX-512, and chooses when it runs.
"""

from __future__ import annotations

import contextlib
import platform
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trigger_ml import artifact, tools
from trigger_ml.backends.handwritten import handwritten
from trigger_ml.errors import Mismatch
from trigger_ml.ir.bounds import bounds
from trigger_ml.ir.graph import Graph
from trigger_ml.ir.interpret import check_inputs
from trigger_ml.ir.io import digest
from trigger_ml.spec import Target

LIBRARY = "emulator.so"
HANDWRITTEN = ("trigger_emulator.h", "lanes.hpp", "runner.cpp")
KERNELS = {
    "portable": (),
    "avx2": ("-mavx2", "-mfma"),
    "avx512": ("-mavx2", "-mfma", "-mavx512f", "-mavx512bw", "-mavx512vl", "-mavx512vnni"),
}
COMMON = ("-std=c++17", "-O2", "-fPIC", "-fvisibility=hidden", "-fwrapv", "-w", "-Wno-psabi")
PORTABLE_ONLY = "-DPORTABLE_ONLY"
COMPILE_S = 300.0


def check(graph: Graph, target: Target) -> None:
    """Nothing is refused: what ``bounds`` proves for int64 this engine can do."""
    bounds(graph)


def build(graph: Graph, folder: Path, target: Target) -> None:
    """Write the sources into ``folder`` and compile ``emulator.so`` beside them.

    Raises:
        ToolMissing, ToolFailed: the compiler.
    """
    check(graph, target)
    with artifact.atomic_folder(folder) as part:
        for name, text in sources(graph).items():
            artifact.atomic_write(part / name, text)
        compile_library(part)


def sources(graph: Graph) -> dict[str, str]:
    """The files of the emulator by name: everything that is needed to compile it."""
    from trigger_ml.backends.emulator.source import Source

    made = Source(graph)
    files = {name: handwritten(f"emulator/{name}") for name in HANDWRITTEN}
    files |= {"model.h": made.header(str(graph.meta.get("name", "model"))), "kernel.inc": made.kernel()}
    for kernel in KERNELS:
        files[f"{kernel}.cpp"] = (
            f'#define KERNEL {kernel}\n#include <type_traits>\n#include "model.h"\n#include "kernel.inc"\n'
        )
    files["Makefile"] = _makefile()
    return files


def _makefile() -> str:
    rules = "\n".join(f"{k}.o: CXXFLAGS += {' '.join(flags)}" for k, flags in KERNELS.items() if flags)
    return (
        f"CXX ?= g++\nCXXFLAGS = {' '.join(COMMON)}\nKERNELS = portable.o\nifeq ($(shell uname -m),x86_64)\n"
        f"KERNELS = {' '.join(f'{k}.o' for k in KERNELS)}\nelse\nCXXFLAGS += {PORTABLE_ONLY}\nendif\n\n"
        f"emulator.so: $(KERNELS) runner.o\n\t$(CXX) -shared -o $@ $^ -pthread\n\n"
        f"emulator.a: $(KERNELS) static.o\n\trm -f $@\n\t$(AR) rcs $@ $^\n\n{rules}\n"
        "runner.o: CXXFLAGS += -DSHARED_LIBRARY\n"
        "static.o: runner.cpp model.h trigger_emulator.h\n\t$(CXX) $(CXXFLAGS) -c -o $@ $<\n"
        "%.o: %.cpp model.h kernel.inc lanes.hpp trigger_emulator.h\n\t$(CXX) $(CXXFLAGS) -c -o $@ $<\n"
    )


def compile_library(folder: Path) -> None:
    """Compile the sources in ``folder`` into ``emulator.so``, two files at a time.

    Raises:
        ToolMissing, ToolFailed: the compiler.
    """
    x86 = platform.machine() == "x86_64"
    define = ["-DSHARED_LIBRARY", *([] if x86 else [PORTABLE_ONLY])]
    units = {k: flags for k, flags in KERNELS.items() if x86 or not flags} | {"runner": ()}

    def unit(item: tuple[str, tuple[str, ...]]) -> None:
        name, flags = item
        argv = ["g++", *COMMON, *define, *flags, "-c", "-o", f"{name}.o", f"{name}.cpp"]
        tools.run(argv, cwd=folder, timeout_s=COMPILE_S)

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(unit, units.items()))
    objects = [f"{name}.o" for name in units]
    tools.run(["g++", "-shared", "-o", LIBRARY, *objects, "-pthread"], cwd=folder, timeout_s=COMPILE_S)
    for name in objects:
        with contextlib.suppress(OSError):
            (folder / name).unlink()


def simulate(
    folder: Path,
    graph: Graph,
    inputs: NDArray[Any] | Mapping[str, NDArray[Any]],
    threads: int = 1,
    kernel: str | None = None,
) -> dict[str, NDArray[np.int64]]:
    """Run the compiled emulator.

    Returns:
        Integers ``(events, *shape)`` for each output.

    Raises:
        Mismatch: the library holds another graph.
    """
    from trigger_ml.backends.emulator.library import Library

    library = Library(folder / LIBRARY)
    if library.digest != digest(graph):
        raise Mismatch(f"{folder / LIBRARY} was built from graph {library.digest}, not {digest(graph)}: build it again")
    known = bounds(graph)
    found = library.evaluate(check_inputs(graph, inputs), threads, kernel)
    return {o: y.reshape(len(y), *known[o].shape) for o, y in found.items()}
