"""The CMSSW engine: the C++ emulator as a plug-in with the interface of hls4mlEmulatorExtras.

``build`` writes a folder that ``make`` turns into ``<name>.so``, and compiles it. CMSSW opens that file, calls
``create_model`` and hands ``ap_fixed`` values over in a ``std::any``; ``simulate`` does it too, through ``adapter.so``.
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib.util
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trigger_ml import artifact, tools
from trigger_ml.backends.cpp import COMMON, PORTABLE_ONLY
from trigger_ml.backends.handwritten import handwritten
from trigger_ml.errors import ArtifactError, GraphError, Mismatch, ToolMissing
from trigger_ml.ir.bounds import bounds
from trigger_ml.ir.columns import columns
from trigger_ml.ir.graph import Graph
from trigger_ml.ir.interpret import check_inputs
from trigger_ml.ir.io import digest
from trigger_ml.spec import Target

ADAPTER = "adapter.so"
COMPILE_S = 300.0
BLOCK_EVENTS = 16
"""Events of a block: the fewest that the emulator's loops take, since CMSSW gives one at a time."""

WRITTEN = {
    "hls4ml/emulator.h": "cmssw_model.h",
    "cmssw_values.hpp": "cmssw_values.hpp",
    "plugin.cpp": "cmssw_plugin.cpp",
    "adapter.cpp": "cmssw_adapter.cpp",
    "exports.map": "cmssw_exports.map",
    "ap_types/NOTICE.txt": "cmssw_ap_types.txt",
    "trigger_emulator.h": "trigger_emulator.h",
    "lanes.hpp": "lanes.hpp",
    "runner.cpp": "runner.cpp",
}
AP_TYPES = (
    "ap_common.h", "ap_decl.h", "ap_fixed.h", "ap_fixed_base.h", "ap_fixed_ref.h", "ap_fixed_special.h", "ap_int.h",
    "ap_int_base.h", "ap_int_ref.h", "ap_int_special.h", "etc/ap_private.h",
)  # fmt: skip
KEYWORDS = ("wchar", "char8", "char16", "char32")
"""Port names whose C++ type, with ``_t`` behind, would be a keyword."""

FLAGS = (*COMMON, PORTABLE_ONLY)
UNITS = ("plugin", "portable", "runner", "adapter")


def check(graph: Graph, target: Target) -> None:
    """Nothing is refused: what ``bounds`` proves for int64 this engine can do."""
    bounds(graph)


def build(graph: Graph, folder: Path, target: Target) -> None:
    """Write the sources into ``folder`` and compile the plug-in and the adapter beside them.

    Raises:
        ToolMissing, ToolFailed: the compiler, or hls4ml, which ships the ``ap_fixed`` headers.
    """
    check(graph, target)
    headers = _ap_types()
    with artifact.atomic_folder(folder) as part:
        for name, text in sources(graph).items():
            artifact.atomic_write(part / name, text)
        for name in AP_TYPES:
            artifact.atomic_write(part / "ap_types" / name, (headers / name).read_bytes())
        compile_library(part)


def name_of(graph: Graph) -> str:
    """The stem of the plug-in's file name."""
    return re.sub(r"[^0-9A-Za-z]", "_", str(graph.meta.get("name", "model")))


def sources(graph: Graph) -> dict[str, str]:
    """The files of the plug-in by name, all but the ``ap_fixed`` headers."""
    from trigger_ml.backends.emulator.source import Source

    made, name = Source(graph), name_of(graph)
    files = {target: handwritten(f"emulator/{source}") for target, source in WRITTEN.items()}
    files |= {
        "model.h": made.header(str(graph.meta.get("name", "model")), BLOCK_EVENTS),
        "kernel.inc": made.kernel(),
        "portable.cpp": '#define KERNEL portable\n#include <type_traits>\n#include "model.h"\n#include "kernel.inc"\n',
        "types.h": f'#pragma once\n#include "{name}_types.h"\nnamespace types = trigger_{name};\n',
        f"{name}_types.h": types(graph),
        "Makefile": _makefile(name),
    }
    return files


def types(graph: Graph) -> str:
    """``<name>_types.h``: what a caller holds in its ``std::any``."""
    name, known = name_of(graph), bounds(graph)
    ins, outs = [n.name for n in graph.inputs], list(graph.outputs)
    named = {o: f", of {', '.join(names)}" for o, names in columns(graph).items()}
    lines = [
        f"// What the plug-in {name}.so takes and gives, in the types of ap_fixed.",
        "//",
        f"//   trigger_{name}::input_type input{_many(graph, ins)};   // fill it",
        f"//   trigger_{name}::result_type result{_many(graph, outs)};",
        f"//   model->prepare_input({_address(ins, 'input')});",
        "//   model->predict();",
        f"//   model->read_result({_address(outs, 'result')});",
        "//",
        "// Elements stand in C order; one out of its own range is refused with an exception that names it. The",
        "// hardware integers are the bits of these values: input[3].range() = 17 sets one, .range() reads one.",
        "#pragma once",
        "#include <array>",
        "#include <tuple>",
        "#include <utility>",
        "",
        '#include "ap_fixed.h"',
        "",
        f"namespace trigger_{name} {{",
        "",
        f'constexpr char graph_digest[] = "{digest(graph)}";',
    ]
    for kind, ports in (("input", ins), ("output", outs)):
        for port in ports:
            shape = "x".join(map(str, known[port].shape)) + named.get(port, "")
            lines += ["", f"// {kind} {port}: shape {shape}", f"constexpr int n_{port} = {known[port].lo.size};"]
            lines.append(f"typedef {_ap(graph, port)} {_type(port)};")
    lines += ["", f"typedef {_held(graph, ins)} input_type;", f"typedef {_held(graph, outs)} result_type;"]
    return "\n".join([*lines, "", f"}}  // namespace trigger_{name}", ""])


def _type(port: str) -> str:
    return f"{port}_port_t" if port in KEYWORDS else f"{port}_t"


def _ap(graph: Graph, port: str) -> str:
    fixed = bounds(graph)[port].fixed
    width = max(fixed.width, 1)
    return f"ap_{'' if fixed.signed else 'u'}fixed<{width}, {width - fixed.frac}>"


def _held(graph: Graph, ports: list[str]) -> str:
    """One port: the type of an element. Two: a pair, more: a tuple, each of values or arrays."""
    if len(ports) == 1:
        return _type(ports[0])
    each = [_type(p) if bounds(graph)[p].lo.size == 1 else f"std::array<{_type(p)}, n_{p}>" for p in ports]
    return f"std::{'pair' if len(each) == 2 else 'tuple'}<{', '.join(each)}>"


def _many(graph: Graph, ports: list[str]) -> str:
    return f"[{bounds(graph)[ports[0]].lo.size}]" if len(ports) == 1 else ""


def _address(ports: list[str], name: str) -> str:
    return name if len(ports) == 1 else f"&{name}"


def _makefile(name: str) -> str:
    return (
        f"# make: {name}.so, for CMSSW; AP_TYPES=<folder> EMULATOR_EXTRAS=<folder>: with headers of its externals\n"
        "CXX ?= g++\nAP_TYPES ?= ap_types\nEMULATOR_EXTRAS ?= .\n"
        f"CXXFLAGS = {' '.join(FLAGS)} -I$(AP_TYPES) -I$(EMULATOR_EXTRAS)\n\n"
        f"{name}.so: plugin.o portable.o runner.o exports.map\n"
        "\t$(CXX) -shared -Wl,--version-script=exports.map -o $@ $(filter %.o,$^) -pthread\n\n"
        f"{ADAPTER}: adapter.o\n\t$(CXX) -shared -o $@ $^ -ldl\n\n"
        f"%.o: %.cpp model.h kernel.inc types.h {name}_types.h cmssw_values.hpp lanes.hpp trigger_emulator.h\n"
        "\t$(CXX) $(CXXFLAGS) -c -o $@ $<\n\n"
        f"install: {name}.so\n\tmkdir -p $(PREFIX)/lib64\n\tcp $< $(PREFIX)/lib64\n\n.PHONY: install\n"
    )


def _ap_types() -> Path:
    """Where hls4ml keeps the ``ap_fixed`` headers; it is not imported."""
    package = importlib.util.find_spec("hls4ml")
    if package is None or package.origin is None:
        raise ToolMissing("the Python package hls4ml is not installed (for: ap_fixed): pip install 'trigger_ml[hls]'")
    return Path(package.origin).parent / "templates" / "vivado" / "ap_types"


def compile_library(folder: Path) -> None:
    """Compile the sources in ``folder`` into the plug-in and the adapter, two files at a time.

    Raises:
        ArtifactError: there are no sources.
        ToolMissing, ToolFailed: the compiler.
    """
    plugin = _plugin(folder)

    def unit(name: str) -> None:
        argv = ["g++", *FLAGS, "-Iap_types", "-I.", "-c", "-o", f"{name}.o", f"{name}.cpp"]
        tools.run(argv, cwd=folder, timeout_s=COMPILE_S)

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(unit, UNITS))
    objects = [f"{unit}.o" for unit in UNITS]
    exports = "-Wl,--version-script=exports.map"
    tools.run(["g++", "-shared", exports, "-o", plugin, *objects[:3], "-pthread"], cwd=folder, timeout_s=COMPILE_S)
    tools.run(["g++", "-shared", "-o", ADAPTER, objects[3], "-ldl"], cwd=folder, timeout_s=COMPILE_S)
    for name in objects:
        with contextlib.suppress(OSError):
            (folder / name).unlink()


def _plugin(folder: Path) -> str:
    found = sorted(folder.glob("*_types.h"))
    if len(found) != 1:
        raise ArtifactError(f"{folder} holds no plug-in for CMSSW: build it again")
    return f"{found[0].name.removesuffix('_types.h')}.so"


def simulate(
    folder: Path, graph: Graph, inputs: NDArray[Any] | Mapping[str, NDArray[Any]]
) -> dict[str, NDArray[np.int64]]:
    """Run the compiled plug-in, one event after the other, as CMSSW does.

    Returns:
        Integers ``(events, *shape)`` for each output.

    Raises:
        Mismatch: the plug-in is of another graph.
        GraphError: the plug-in refused an event.
    """
    plugin, feed = _plugin(folder), check_inputs(graph, inputs)
    shown = re.search(r'graph_digest\[\] = "(\w+)"', next(folder.glob("*_types.h")).read_text("utf-8"))
    if shown is None or shown[1] != digest(graph):
        raise Mismatch(f"{folder / plugin} was not built from graph {digest(graph)}: build it again")
    with loaded(folder / ADAPTER) as adapter, Plugin(adapter, folder / plugin) as model:
        return model.play(graph, feed)


@contextlib.contextmanager
def loaded(adapter: Path) -> Iterator[ctypes.CDLL]:
    """The adapter under a name of its own: the loader takes a file that was built again for the one it has already."""
    with tempfile.TemporaryDirectory(prefix="trigger_ml_") as folder:
        try:
            shutil.copyfile(adapter, Path(folder) / ADAPTER)
            library = ctypes.CDLL(str(Path(folder) / ADAPTER))
        except OSError as error:
            raise ArtifactError(f"{adapter} can't be loaded ({error}): build it again") from None
    library.plugin_open.restype = ctypes.c_void_p
    library.plugin_open.argtypes = (ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_int)
    library.plugin_close.argtypes = (ctypes.c_void_p,)
    library.plugin_play.restype = ctypes.c_int64
    library.plugin_play.argtypes = (
        ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64, ctypes.c_char_p, ctypes.c_int,
    )  # fmt: skip
    library.plugin_misuse.argtypes = (ctypes.c_void_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_int)
    yield library


class Plugin:
    """One model of one plug-in, as CMSSW holds it; a context that destroys it."""

    def __init__(self, adapter: ctypes.CDLL, path: Path, mode: int = ctypes.RTLD_LOCAL) -> None:
        """Open the plug-in; it is loaded from a copy, for the reason that :func:`loaded` gives.

        Raises:
            ArtifactError: it can't be loaded.
        """
        self._adapter, self._said = adapter, ctypes.create_string_buffer(1000)
        with tempfile.TemporaryDirectory(prefix="trigger_ml_") as folder:
            own = Path(folder) / path.name
            try:
                shutil.copyfile(path, own)
            except OSError as error:
                raise ArtifactError(f"{path} can't be read ({error.strerror}): build it again") from None
            lazy = 1
            self._model = adapter.plugin_open(str(own).encode(), mode | lazy, self._said, len(self._said))
        if not self._model:
            raise ArtifactError(f"{path} can't be loaded ({self._said.value.decode()}): build it again")

    def __enter__(self) -> Plugin:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Destroy the model and unload the plug-in."""
        if self._model:
            self._adapter.plugin_close(self._model)
            self._model = None

    def play(self, graph: Graph, feed: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[np.int64]]:
        """Integers ``(events, *shape)`` for each output.

        Args:
            graph: tells the order of the ports and their shapes.
            feed: hardware integers by input, that fit the types of ``<name>_types.h``.

        Raises:
            GraphError: the plug-in threw; the sentence is its own.
        """
        data = [np.ascontiguousarray(feed[n.name], np.int64) for n in graph.inputs]
        count = len(data[0])
        out = {o: np.empty((count, *bounds(graph)[o].shape), np.int64) for o in graph.outputs}
        played = self._adapter.plugin_play(
            self._model, _pointers(data), _pointers(list(out.values())), count, self._said, len(self._said)
        )
        if played != count:
            raise GraphError(f"event {played}: {self._said.value.decode()}")
        return out

    def misuse(self, reading: bool) -> str:
        """What the plug-in says of a ``std::any`` of another type."""
        self._said.value = b""
        self._adapter.plugin_misuse(self._model, int(reading), self._said, len(self._said))
        return self._said.value.decode()


def _pointers(arrays: list[NDArray[Any]]) -> Any:
    return (ctypes.c_void_p * len(arrays))(*(a.ctypes.data for a in arrays))
