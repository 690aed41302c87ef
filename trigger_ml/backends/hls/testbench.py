"""The test bench of the HLS project: one C++ program that compares with integer vectors, or runs any events.

Without arguments, as in the vendor's C simulation and co-simulation, it reads ``tb_data/inputs.txt`` and
``tb_data/outputs.txt`` and returns 1 at a difference. With two arguments it reads and writes binary int64.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from trigger_ml import tools
from trigger_ml.artifact import atomic_write
from trigger_ml.backends.hls.layers import Model, Port
from trigger_ml.backends.hls.project import PortTypes
from trigger_ml.errors import ArtifactError, ToolFailed

INPUTS, OUTPUTS = "tb_data/inputs.txt", "tb_data/outputs.txt"
BENCH = "_test.cpp"
"""What the name of the top function is followed by in the bench's file."""

COMPILE = ("-std=c++11", "-O1", "-w")
"""C++11 as in the vendor's project; -O1 was the fastest to compile and run 20,000 events."""

COMPILE_S, RUN_S = 1800, 3600

_SOURCE = """\
// Test bench of trigger_ml: compares the network with integer test vectors, bit by bit.
// Graph {digest}
//
// No arguments: read {inputs} and {outputs} (an event a line, decimal integers: every element of every
// port in order, its value times two to the number of its fraction bits); return 1 if any integer differs.
// Two arguments: read events from the first file and write results to the second, as 64-bit integers.

#include <cstddef>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <sstream>
#include <string>
#include <vector>

#include "firmware/{project}.h"

typedef long long integer;

static const std::size_t n_in = {n_in};
static const std::size_t n_out = {n_out};

#ifdef RTL_SIM
static const char *log_name = "tb_data/rtl_cosim_results.log";
#else
static const char *log_name = "tb_data/csim_results.log";
#endif

template <int W, int I> void set(ap_fixed<W, I> &port, integer n) {{ port.range(W - 1, 0) = ap_int<W>(n); }}
template <int W, int I> void set(ap_ufixed<W, I> &port, integer n) {{ port.range(W - 1, 0) = ap_uint<W>(n); }}
template <int W, int I> integer get(const ap_fixed<W, I> &port) {{
    ap_int<W> n = port.range(W - 1, 0);
    return n.to_int64();
}}
template <int W, int I> integer get(const ap_ufixed<W, I> &port) {{
    ap_uint<W> n = port.range(W - 1, 0);
    return n.to_int64();
}}

static void run(const integer *in, integer *out) {{
{body}
}}

static bool read_event(std::ifstream &file, const char *name, std::size_t count, std::vector<integer> &event) {{
    std::string line;
    if (!std::getline(file, line))
        return false;
    std::istringstream numbers(line);
    event.clear();
    for (integer n; numbers >> n;)
        event.push_back(n);
    if (event.size() != count) {{
        std::cerr << name << ": a line has " << event.size() << " integers, not " << count << std::endl;
        std::exit(2);
    }}
    return true;
}}

static int compare() {{
    std::ifstream inputs("{inputs}"), outputs("{outputs}");
    std::ofstream log(log_name);
    std::vector<integer> in, want, got(n_out);
    std::size_t events = 0, differing = 0;
    while (read_event(inputs, "{inputs}", n_in, in)) {{
        if (!read_event(outputs, "{outputs}", n_out, want)) {{
            std::cerr << "{outputs} is shorter than {inputs}" << std::endl;
            return 2;
        }}
        run(in.data(), got.data());
        for (std::size_t i = 0; i < n_out; i++)
            log << got[i] << (i + 1 < n_out ? ' ' : '\\n');
        if (got != want && differing++ == 0)
            std::cout << "first differing event: line " << events + 1 << std::endl;
        events++;
    }}
    std::cout << differing << " of " << events << " events differ" << std::endl;
    return events == 0 ? 2 : differing ? 1 : 0;
}}

int main(int argc, char **argv) {{
    if (argc != 3)
        return compare();
    std::ifstream inputs(argv[1], std::ios::binary);
    std::ofstream outputs(argv[2], std::ios::binary);
    std::vector<integer> in(n_in), out(n_out);
    while (inputs.read(reinterpret_cast<char *>(in.data()), n_in * sizeof(integer))) {{
        run(in.data(), out.data());
        outputs.write(reinterpret_cast<const char *>(out.data()), n_out * sizeof(integer));
    }}
    return outputs ? 0 : 2;
}}
"""


def write(model: Model, name: str, digest: str, folder: Path, types: PortTypes) -> None:
    """Write the test bench.

    Args:
        model: the lowered graph.
        name: of the top function and of the files.
        digest: of the graph.
        folder: the project.
        types: the C++ types of the inputs and of the outputs, in order.
    """
    lines, calls = [], []
    for ports, names, stem in ((model.inputs, types[0], "in"), (model.outputs, types[1], "out")):
        for j, (port, cpp_type) in enumerate(zip(ports, names, strict=True)):
            arg = f"{stem}{j}"
            made = f'hls::stream<{cpp_type}> {arg}("{arg}");' if port.word else f"{cpp_type} {arg}[{port.size}];"
            lines.append(f"{made} // {port.node}: {port.fixed.frac} fraction bits")
            calls.append(arg)
    lines += _copies(model.inputs, types[0], "set(in{j}[i], in[{start} + i]);", _FEED)
    lines.append(f"{name}({', '.join(calls)});")
    lines += _copies(model.outputs, types[1], "out[{start} + i] = get(out{j}[i]);", _DRAIN)
    text = _SOURCE.format(
        digest=digest,
        inputs=INPUTS,
        outputs=OUTPUTS,
        project=name,
        n_in=sum(p.size for p in model.inputs),
        n_out=sum(p.size for p in model.outputs),
        body="\n".join(f"    {line}" for line in lines),
    )
    (folder / f"{name}{BENCH}").write_text(text, "utf-8")
    (folder / "tb_data").mkdir(exist_ok=True)


_FEED = """\
{type} word;
for (std::size_t c = 0; c < {word}; c++)
    set(word[c], in[{start} + i * {word} + c]);
in{j}.write(word);"""

_DRAIN = """\
{type} word = out{j}.read();
for (std::size_t c = 0; c < {word}; c++)
    out[{start} + i * {word} + c] = get(word[c]);"""


def _copies(ports: Sequence[Port], types: Sequence[str], statement: str, words: str) -> list[str]:
    """A loop over the elements of each array, and over the words of each stream."""
    lines, start = [], 0
    for j, (port, cpp_type) in enumerate(zip(ports, types, strict=True)):
        count, text = (port.size // port.word, words) if port.word else (port.size, statement)
        filled = text.format(j=j, start=start, type=cpp_type, word=port.word)
        lines.append(f"for (std::size_t i = 0; i < {count}; i++) {{")
        lines += [f"    {line}" for line in filled.splitlines()]
        lines.append("}")
        start += port.size
    return lines


def write_vectors(folder: Path, inputs: NDArray[np.int64], outputs: NDArray[np.int64]) -> None:
    """Write test vectors, ``(events, elements of all ports)`` each."""
    for name, values in ((INPUTS, inputs), (OUTPUTS, outputs)):
        atomic_write(folder / name, "".join(" ".join(map(str, event)) + "\n" for event in values.tolist()))


def built_from(folder: Path, digest: str) -> None:
    """Make sure that the project was built from this graph.

    Raises:
        ArtifactError: if there is no project, or it is of another graph.
    """
    bench = folder / f"{_name(folder)}{BENCH}"
    if f"// Graph {digest}\n" not in bench.read_text("utf-8"):
        raise ArtifactError(f"the HLS project in {folder} was built from another graph: build it again")


def _name(folder: Path) -> str:
    """Of a project's top function.

    Raises:
        ArtifactError: if there is no project.
    """
    found = [
        path for path in folder.glob(f"*{BENCH}") if (folder / "firmware" / path.name.replace(BENCH, ".cpp")).exists()
    ]
    if len(found) != 1:
        raise ArtifactError(f"{folder} holds no HLS project: build it")
    return found[0].name.removesuffix(BENCH)


def simulate(folder: Path, inputs: NDArray[np.int64], n_out: int, flags: Sequence[str] = COMPILE) -> NDArray[np.int64]:
    """Compile the project with g++, unless that is done already, and run events ``(events, n_in)`` through it.

    Raises:
        ToolMissing: if there is no g++.
        ToolFailed: if the compiler or the program fails.
    """
    program = compiled(folder, flags)
    source, result = program.with_suffix(".in"), program.with_suffix(".out")
    inputs.astype("<i8").tofile(source)
    try:
        tools.run([program, source.resolve(), result.resolve()], cwd=folder, timeout_s=RUN_S)
        out = np.fromfile(result, "<i8").astype(np.int64)
    finally:
        source.unlink(missing_ok=True)
        result.unlink(missing_ok=True)
    if out.size != len(inputs) * n_out:
        raise ToolFailed(
            f"the C simulation in {folder} gave {out.size} integers for {len(inputs)} events: build it again"
        )
    return out.reshape(len(inputs), n_out)


def compiled(folder: Path, flags: Sequence[str] = COMPILE) -> Path:
    """The project's test bench as a program, in a hidden folder, named by what it was compiled from."""
    name = _name(folder)
    digest = hashlib.sha256(" ".join(flags).encode())
    sources = [folder / f"{name}{BENCH}", *sorted((folder / "firmware").rglob("*"))]
    for path in (p for p in sources if p.is_file()):
        digest.update(path.read_bytes())
    program = (folder / ".csim" / digest.hexdigest()[:16]).resolve()
    if not program.exists():
        program.parent.mkdir(exist_ok=True)
        part = program.with_suffix(".part")
        one_unit = ["-include", f"firmware/{name}.cpp", f"{name}{BENCH}"]  # the headers are read once
        argv: list[str | Path] = ["g++", *flags, "-Ifirmware/ap_types", *one_unit, "-o", part]
        tools.run(argv, cwd=folder, timeout_s=COMPILE_S)
        part.replace(program)
    return program
