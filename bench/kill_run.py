"""Kill ``trigger-ml run`` at random moments and show that going on always ends in the same digests.

A small network is trained, converted, built, validated and reported once without a kill. Then the same run is killed
(SIGKILL, children too) at random moments, started again, and so on; whenever it reaches its end, the digests of every
step's outputs are compared with ``==`` and a new folder is begun. Exits with 1 at the first difference.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from rich.console import Console

from trigger_ml.artifact import digest_path, read_json

SPEC = """
name = "killed"
seed = 5
[model]
family = "autoencoder"
frontend = "hgq"
score = "rz"
hidden = [8, 6]
latent = 2
beta = 0.03
[train]
float_epochs = 4
epochs = 6
fine_tune_epochs = 2
batch = 2048
ebops_beta = [1e-6, 1e-5]
[physics]
rank_correlation = 0.0
[engines]
hls4ml = 0
verilog = 2000
second = 0
vhdl = 0
onnx = 20000
cpp = 20000
"""


def start(spec: Path, out: Path) -> subprocess.Popen[bytes]:
    """The run, in a process group of its own."""
    argv = [sys.executable, "-m", "trigger_ml", "run", str(spec), "--out", str(out)]
    return subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True)


def finish(spec: Path, out: Path) -> dict[str, str]:
    """Let the run come to its end; the digests of everything it made."""
    process = start(spec, out)
    _, said = process.communicate()
    if process.returncode:
        raise SystemExit(f"the run ended with {process.returncode}: {said.decode()[-300:]}")
    return digests(out / "killed")


def digests(folder: Path) -> dict[str, str]:
    """Step and output -> digest, and the report's."""
    made = {f"{s.stem}/{k}": v for s in (folder / "stamps").glob("*.json") for k, v in read_json(s)["outputs"].items()}
    return {**made, "report.json": digest_path(folder / "report.json")}


def main() -> int:
    """Kill, go on, compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    console, rng = Console(), random.Random(asked.seed)
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch)
        spec = root / "spec.toml"
        spec.write_text(SPEC)
        begun = time.monotonic()
        expected = finish(spec, root / "whole")
        length = time.monotonic() - begun
        console.print(f"a whole run takes {length:.0f} s and makes {len(expected)} artifacts")
        kills, ends = 0, 0
        while kills < asked.kills:
            out = root / f"killed-{ends}"
            while kills < asked.kills:
                process = start(spec, out)
                try:
                    process.communicate(timeout=rng.uniform(0.2, length))
                    break
                except subprocess.TimeoutExpired:
                    os.killpg(process.pid, signal.SIGKILL)
                    process.communicate()
                    kills += 1
                    console.print(f"kill {kills} of {asked.kills}", highlight=False)
            found = finish(spec, out)
            ends += 1
            wrong = sorted(k for k in {*expected, *found} if expected.get(k) != found.get(k))
            if wrong:
                console.print(f"[red]other digests after {kills} kills: {', '.join(wrong)}[/red]")
                return 1
        console.print(f"{kills} kills, {ends} runs to the end, {len(expected)} digests each: all equal")
    return 0


if __name__ == "__main__":
    sys.exit(main())
