"""Run by ``estimators.yosys`` in a process of its own: Yosys works inside the Python process and can't be interrupted.

``python _synthesize.py FAMILY TOP SOURCE NETLIST``
"""

from __future__ import annotations

import sys


def main(family: str, top: str, source: str, netlist: str) -> None:
    """Synthesize for a family of ``synth_xilinx``, flattened, without pads and clock buffers; write JSON."""
    from pyosys import libyosys

    design = libyosys.Design()
    for command in (
        f"read_verilog {source}",
        f"synth_xilinx -family {family} -top {top} -flatten -noiopad -noclkbuf",
        "opt_clean -purge",
        f"write_json {netlist}",
    ):
        libyosys.run_pass(command, design)


if __name__ == "__main__":
    main(*sys.argv[1:])
