"""One network, two ways to spend bits: trained widths against uniform ones, by the same open synthesis.

Trains ``l1_student`` (HGQ), ``l1_student_u8`` and ``l1_student_u6`` (QKeras) with several seeds, synthesises each with
Yosys, and prints LUTs and AUC by seed, with the median of the ratios and of the AUC differences. Exits with 1 if the
medians miss the aim: at most 1/6 of the LUTs of 8 bits and 1/3 of those of 6 bits, no AUC lower by more than 0.01.
"""

from __future__ import annotations

import argparse
import json
import re
import statistics
import sys
from pathlib import Path
from typing import Any

from rich.console import Console

from trigger_ml import artifact, pipeline
from trigger_ml.errors import OverBudget

OURS, UNIFORM = "l1_student", {"l1_student_u8": 6.0, "l1_student_u6": 3.0}
LOST = 0.01


def measured(model: str, seed: int, out: Path, console: Console) -> dict[str, Any]:
    """LUTs and AUC of one model trained with one seed; runs that are done are not done again."""
    text = Path("models", model, "spec.toml").read_text("utf-8").split("[engines]")[0]
    text = re.sub(r"(?m)^seed = .*$", f"seed = {seed}", text)
    text = re.sub(r"(?m)^name = .*$", f'name = "{model}_seed{seed}"', text, count=1)
    text = re.sub(r"(?ms)^\[budget\].*?(?=^\[|\Z)", "", text)
    engines = dict.fromkeys(("hls4ml", "second", "vhdl", "onnx", "cpp"), 0) | {"verilog": 2000}
    text += "\n[engines]\n" + "".join(f"{name} = {count}\n" for name, count in engines.items())
    spec = out / f"{model}_seed{seed}.toml"
    artifact.atomic_write(spec, text)
    try:
        pipeline.run(spec, console, out)
    except OverBudget as over:  # e.g. the rank correlation that a spec asks for: a finding, not the question here
        console.print(str(over))
    report = artifact.read_json(out / f"{model}_seed{seed}" / "report.json")
    lut = next(q["value"] for q in report["quantities"] if q["name"] == "lut")
    auc = {name: found["quantized"]["auc"]["value"] for name, found in report["physics"]["signals"].items()}
    return {"model": model, "seed": seed, "lut": lut, "auc": auc}


def main() -> int:
    """Print the table as JSON; 0 if the medians are what they should be."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--out", type=Path, default=Path("hls_projects/uniform_bits"))
    asked = parser.parse_args()
    console, rows = Console(stderr=True), {}
    asked.out.mkdir(parents=True, exist_ok=True)
    for seed in asked.seeds:
        for model in (OURS, *UNIFORM):
            rows[model, seed] = measured(model, seed, asked.out, console)
    verdict, medians = True, {}
    for model, aim in UNIFORM.items():
        pairs = [(rows[OURS, seed], rows[model, seed]) for seed in asked.seeds]
        ratio = statistics.median(other["lut"] / ours["lut"] for ours, other in pairs)
        lost = {
            s: statistics.median(other["auc"][s] - ours["auc"][s] for ours, other in pairs) for s in pairs[0][0]["auc"]
        }
        medians[model] = {"lut_ratio": ratio, "auc_lost": lost}
        verdict &= ratio >= aim and max(lost.values()) <= LOST
    sys.stdout.write(json.dumps({"rows": list(rows.values()), "medians": medians, "pass": verdict}, indent=1) + "\n")
    return 0 if verdict else 1


if __name__ == "__main__":
    sys.exit(main())
