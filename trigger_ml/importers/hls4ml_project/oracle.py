"""The project's own C++ as a program: compiled with g++ in a folder of ours, fed with integers, read as integers."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from trigger_ml import tools
from trigger_ml.errors import ImportRefused, ToolFailed
from trigger_ml.importers.hls4ml_project.layer import Probe
from trigger_ml.importers.hls4ml_project.program import Alias, Array, Call, Program
from trigger_ml.importers.hls4ml_project.source import Source, ap_types

COMPILE_S, RUN_S = 1200, 1200
FLAGS = ("-std=c++17", "-O1", "-w", "-ffp-contract=off")

_SOURCE = """\
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "{top}"

typedef long long trigger_integer;

namespace trigger_oracle {{
template <int W, int I, ap_q_mode Q, ap_o_mode O, int N> void put(ap_fixed<W, I, Q, O, N> &p, trigger_integer n) {{
    p.range(W - 1, 0) = ap_int<W>(n);
}}
template <int W, int I, ap_q_mode Q, ap_o_mode O, int N> void put(ap_ufixed<W, I, Q, O, N> &p, trigger_integer n) {{
    p.range(W - 1, 0) = ap_uint<W>(n);
}}
template <int W> void put(ap_int<W> &p, trigger_integer n) {{ p = ap_int<W>(n); }}
template <int W> void put(ap_uint<W> &p, trigger_integer n) {{ p = ap_uint<W>(n); }}
template <int W, int I, ap_q_mode Q, ap_o_mode O, int N> trigger_integer get(const ap_fixed<W, I, Q, O, N> &p) {{
    ap_int<W> n = p.range(W - 1, 0);
    return n.to_int64();
}}
template <int W, int I, ap_q_mode Q, ap_o_mode O, int N> trigger_integer get(const ap_ufixed<W, I, Q, O, N> &p) {{
    ap_uint<W> n = p.range(W - 1, 0);
    return n.to_int64();
}}
template <int W> trigger_integer get(const ap_int<W> &p) {{ return p.to_int64(); }}
template <int W> trigger_integer get(const ap_uint<W> &p) {{ return p.to_int64(); }}
}} // namespace trigger_oracle

{open}
namespace trigger_oracle_of_project {{
using trigger_oracle::get;
using trigger_oracle::put;
static void run(const trigger_integer *trigger_in, trigger_integer *trigger_out) {{
{run}
}}
static void trace(const trigger_integer *trigger_in, trigger_integer *trigger_out) {{
{trace}
}}
{probes}
static int main_(int argc, char **argv) {{
    std::ifstream source(argv[2], std::ios::binary);
    std::ofstream result(argv[3], std::ios::binary);
    std::string mode = argv[1];
    std::vector<trigger_integer> zero({n_in}), nothing({n_out});
    run(zero.data(), nothing.data()); // loads the weights
    if (mode == "run" || mode == "trace") {{
        std::vector<trigger_integer> in({n_in}), out(mode == "run" ? {n_out} : {n_trace});
        while (source.read(reinterpret_cast<char *>(in.data()), in.size() * sizeof(trigger_integer))) {{
            mode == "run" ? run(in.data(), out.data()) : trace(in.data(), out.data());
            result.write(reinterpret_cast<const char *>(out.data()), out.size() * sizeof(trigger_integer));
        }}
        return result.flush() ? 0 : 2;
    }}
    std::ostringstream text;
    text << source.rdbuf();
    std::string bytes = text.str();
    std::vector<trigger_integer> in(bytes.size() / sizeof(trigger_integer)), out(in.size());
    for (std::size_t i = 0; i < bytes.size(); i++)
        reinterpret_cast<char *>(in.data())[i] = bytes[i];
    {ask}
    result.write(reinterpret_cast<const char *>(out.data()), out.size() * sizeof(trigger_integer));
    return result.flush() ? 0 : 2;
}}
}} // namespace trigger_oracle_of_project
{close}
int main(int argc, char **argv) {{ return argc == 4 ? {space}trigger_oracle_of_project::main_(argc, argv) : 2; }}
"""


@dataclass(frozen=True)
class Oracle:
    """A compiled project.

    Attributes:
        program: the executable.
        folder: where it runs, the copied sources.
        n_out: elements of all outputs.
        traced: name and size of each array that :meth:`trace` shows, in order.
        keys: number of each probe by call and key.
        about: what was compiled, for the report.
    """

    program: Path
    folder: Path
    n_out: int
    traced: tuple[tuple[str, int], ...]
    keys: Mapping[tuple[int, str], int]
    about: str

    def run(self, x: NDArray[np.int64]) -> NDArray[np.int64]:
        """Outputs ``(events, n_out)`` of inputs ``(events, n_in)``."""
        return self._asked("run", x, len(x) * self.n_out).reshape(len(x), self.n_out)

    def trace(self, x: NDArray[np.int64]) -> dict[str, NDArray[np.int64]]:
        """Every array of the top function by name."""
        sizes = [n for _, n in self.traced]
        flat = self._asked("trace", x, len(x) * sum(sizes)).reshape(len(x), sum(sizes))
        parts = np.split(flat, np.cumsum(sizes)[:-1], axis=1)
        return {name: part for (name, _), part in zip(self.traced, parts, strict=True)}

    def ask(self, call: Call, key: str, x: NDArray[np.int64]) -> NDArray[np.int64]:
        """What a probe says."""
        return self._asked(f"probe{self.keys[id(call), key]}", x, len(x))

    def _asked(self, mode: str, x: NDArray[np.int64], count: int) -> NDArray[np.int64]:
        source, result = self.program.with_suffix(".in"), self.program.with_suffix(".out")
        result.unlink(missing_ok=True)
        x.astype("<i8").tofile(source)
        try:
            tools.run([self.program, mode, source, result], cwd=self.folder, timeout_s=RUN_S)
        except ToolFailed as error:
            raise ImportRefused(
                f"the project's own C++ stopped on some input ({_short(error)}): simulate it with hls4ml first"
            ) from None
        if not result.is_file() or result.stat().st_size != 8 * count:
            raise ImportRefused("the project's own C++ ended before it had answered")
        return np.fromfile(result, "<i8").astype(np.int64)


def compiled(
    source: Source, program: Program, probes: Mapping[tuple[int, str], Probe], outputs: Sequence[str], to: Path
) -> Oracle:
    """Compile the project behind a driver.

    Args:
        source: the copied project.
        program: what was read from it.
        probes: by the identity of the call, and the key.
        outputs: names of the parameters that are outputs; the others are inputs.
        to: an empty folder.

    Raises:
        ImportRefused: if the project doesn't compile.
        ToolMissing: if there is no g++, or no ``ap_fixed.h``.
    """
    types, whose = ap_types(source)
    tools.require("g++")
    traced = _traced(program)
    text = _driver(source, program, probes, outputs, traced)
    to.mkdir(parents=True, exist_ok=True)
    (to / "driver.cpp").write_text(text, "utf-8")
    weights = source.folder / "weights"
    argv: list[str | Path] = ["g++", *FLAGS, f'-DWEIGHTS_DIR="{weights}"', f"-I{source.folder}", f"-I{types}"]
    try:
        tools.run([*argv, to / "driver.cpp", "-o", to / "driver"], cwd=source.folder, timeout_s=COMPILE_S)
    except ToolFailed as error:
        raise ImportRefused(f"the project does not compile with g++: {_short(error)}") from None
    about = f"the project's own C++ with {whose}, g++ {tools.version('g++')}"
    n_out = sum(p.size for p in program.top.parameters if p.name in outputs)
    return Oracle(to / "driver", source.folder, n_out, traced, {k: i for i, k in enumerate(probes)}, about)


def _short(error: ToolFailed) -> str:
    """The compiler's first error or the program's end, without our folders."""
    text = str(error)
    found = re.search(r"error: (.*?)(?: \| |$)", text) or re.search(
        r"failed with (code -?\d+)|(took more than \S+ s)", text
    )
    return next(g for g in found.groups() if g)[:200] if found else text.rpartition(": ")[2][:200]


def _driver(
    source: Source,
    program: Program,
    probes: Mapping[tuple[int, str], Probe],
    outputs: Sequence[str],
    traced: tuple[tuple[str, int], ...],
) -> str:
    top, spaces = program.top, [s for s in program.namespace.split("::") if s]
    ins, outs = [p for p in top.parameters if p.name not in outputs], [p for p in top.parameters if p.name in outputs]
    feed = [f"static {_cpp(p)} {p.name}[{p.size}];" for p in top.parameters] + _moves(
        ins, "put({name}[i], trigger_in[{k} + i]);"
    )
    call = f"{top.name}({', '.join(p.name for p in top.parameters)});"
    everything = {p.name: p for p in (*top.parameters, *top.locals.values())}
    shown = [everything[name] for name, _ in traced]
    body = [*feed, *(f"static {_cpp(a)} {a.name}[{a.size}];" for a in top.locals.values())]
    body += [f"auto& {s.name} = {s.other};" if isinstance(s, Alias) else s.text for s in top.statements]
    functions = [
        f"static void probe{i}(const trigger_integer *in, trigger_integer *out, std::size_t count) {{\n{p.body}\n}}"
        for i, p in enumerate(probes.values())
    ]
    asks = [f'if (mode == "probe{i}") probe{i}(in.data(), out.data(), in.size());' for i in range(len(probes))]
    return _SOURCE.format(
        top=source.top,
        open=" ".join(f"namespace {s} {{" for s in spaces),
        close="}" * len(spaces),
        space="".join(f"{s}::" for s in spaces),
        run="\n".join([*feed, call, *_moves(outs, "trigger_out[{k} + i] = get({name}[i]);")]),
        trace="\n".join([*body, *_moves(shown, "trigger_out[{k} + i] = get({name}[i]);")]),
        probes="\n".join(functions),
        ask="\n    ".join(asks),
        n_in=sum(p.size for p in ins),
        n_out=sum(p.size for p in outs),
        n_trace=max(sum(n for _, n in traced), 1),
    )


def _traced(program: Program) -> tuple[tuple[str, int], ...]:
    top = program.top
    return tuple((a.name, a.size) for a in (*top.locals.values(), *top.parameters))


def _cpp(array: Array) -> str:
    return getattr(array.type, "cpp", "float")


def _moves(arrays: Sequence[Array], statement: str) -> list[str]:
    lines, k = [], 0
    for a in arrays:
        lines.append(f"for (std::size_t i = 0; i < {a.size}; i++) " + statement.format(name=a.name, k=k))
        k += a.size
    return lines
