"""The page that explains a project to the engineer who opens it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from trigger_ml.backends.hls.layers import Model, Port
from trigger_ml.spec import Target

_TEXT = """\
# HLS project of graph {digest}

Written by trigger_ml through hls4ml for {backend}, part {part}, clock {clock:g} ns, {interval}.
Don't edit: it is made again from the graph. The top function is `{project}` in `firmware/{project}.cpp`.

| port | C++ argument | elements | type | value of the integer 1 |
|---|---|---|---|---|
{ports}
{words}
C simulation, C synthesis and co-simulation (which steps are done is set in `{options}`):

    {command}

`trigger-ml estimate` reads the report of C synthesis, which stays with what it was made from in `{project}_prj/`.

C simulation without the vendor's tools:

    g++ -std=c++11 -O1 -Ifirmware/ap_types {project}_test.cpp firmware/{project}.cpp -o csim && ./csim

The test bench reads `tb_data/inputs.txt` and `tb_data/outputs.txt`, compares integers bit by bit, and returns 1 if any
event differs. An event is a line; its numbers are the elements of the ports above, in order, as decimal integers.

`firmware/nnet_utils` is hls4ml's (Apache-2.0) but for `nnet_exact.h` (trigger_ml, Apache-2.0); `firmware/ap_types` is
AMD's (Apache-2.0), for simulation only: the vendor's tools use their own.
"""


_WORDS = """
Every port is an AXI stream (io_stream): each word holds the elements of one position, in C order. Between the layers
run FIFOs, each deep enough for a whole tensor, so that branches can wait for each other.
"""


def _interval(target: Target) -> str:
    if target.io_type == "io_stream":
        return f"reuse factor {target.reuse_factor}, layers side by side (dataflow)"
    return f"initiation interval {target.reuse_factor}"


def _elements(port: Port, names: tuple[str, ...] | None) -> str:
    count = f"{port.size // port.word} words of {port.word}" if port.word else str(port.size)
    return f"{count}: {', '.join(names)}" if names else count


def write(
    model: Model,
    name: str,
    digest: str,
    folder: Path,
    target: Target,
    columns: Mapping[str, tuple[str, ...]] | None = None,
) -> None:
    """Write ``README.md``; ``columns`` are names of a port's elements, where they have names."""
    vitis, named = target.hls_backend == "Vitis", columns or {}
    arguments = [port.layer for port in model.inputs] + [f"output {j}" for j in range(len(model.outputs))]
    rows = [
        f"| {port.node} | {argument} | {_elements(port, named.get(port.node))} | `{port.fixed!r}` | "
        f"2^{-port.fixed.frac} |"
        for port, argument in zip((*model.inputs, *model.outputs), arguments, strict=True)
    ]
    text = _TEXT.format(
        digest=digest,
        backend=target.hls_backend,
        part=target.part,
        clock=target.clock_ns,
        interval=_interval(target),
        words=_WORDS if target.io_type == "io_stream" else "",
        project=name,
        ports="\n".join(rows),
        options="build_opt.tcl" if vitis else "build_prj.tcl",
        command="vitis-run --mode hls --tcl build_prj.tcl" if vitis else "vivado_hls -f build_prj.tcl",
    )
    (folder / "README.md").write_text(text, "utf-8")
