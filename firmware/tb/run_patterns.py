"""Play pattern files through the generated Verilog, with cocotb and a free simulator.

    python tb/run_patterns.py --input input_0.txt --output output_0.txt --layout layout.toml

Needs ``pip install cocotb`` and Icarus Verilog. The exit code is 0 if every output bit of every event is as in the
files.
"""

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path


def main():
    """Build, run, say how it went."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--input", nargs="+", type=Path, required=True, help="EMPv2 files of the inputs, in order")
    parser.add_argument("--output", nargs="+", type=Path, required=True, help="EMPv2 files of the expected outputs")
    parser.add_argument("--layout", type=Path, required=True, help="which bits hold which element")
    parser.add_argument("--simulator", default="icarus")
    given = parser.parse_args()

    try:
        from cocotb_tools.check_results import get_results
        from cocotb_tools.runner import get_runner
    except ImportError:
        print("cocotb 2.0 or later is not installed: pip install cocotb")
        return 4
    for path in (*given.input, *given.output, given.layout):
        if not path.is_file():
            print(f"{path} does not exist: give the files that trigger-ml patterns wrote")
            return 3

    project = Path(__file__).resolve().parents[1]
    about = json.loads((project / "ports.json").read_text("utf-8"))
    # make exports the variables of its command line, and cocotb lets the environment win: names that nobody else gives.
    extra = {
        "PATTERNS_INPUT": os.pathsep.join(str(p.resolve()) for p in given.input),
        "PATTERNS_OUTPUT": os.pathsep.join(str(p.resolve()) for p in given.output),
        "PATTERNS_LAYOUT": str(given.layout.resolve()),
        "PATTERNS_PORTS": str(project / "ports.json"),
        "PYTHONPATH": os.pathsep.join([str(project / "tb"), *filter(None, [os.environ.get("PYTHONPATH")])]),
    }
    with tempfile.TemporaryDirectory() as work:
        runner = get_runner(given.simulator)
        runner.build(
            sources=[project / "rtl" / f"{about['name']}.v"],
            hdl_toplevel=about["name"],
            build_dir=work,
            timescale=("1ns", "1ps"),
            always=True,
        )
        results = runner.test(
            hdl_toplevel=about["name"], test_module="patterns", build_dir=work, test_dir=work, extra_env=extra
        )
        tests, failed = get_results(results)
    if not tests or failed:
        print(f"{about['name']}: FAILED, see above")
        return 1
    print(f"{about['name']}: every output bit is as in the files")
    return 0


if __name__ == "__main__":
    sys.exit(main())
