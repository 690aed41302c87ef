"""From a run folder to the values of its report: agreement, quantities, budget, physics, provenance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from trigger_ml import artifact, depends, plugins, vendor
from trigger_ml.backends.rtl.schedule import SHARE
from trigger_ml.engines import Kind, kinds
from trigger_ml.errors import GraphError, ToolMissing
from trigger_ml.estimators import opcount, sharing
from trigger_ml.estimators.quantity import Quantity
from trigger_ml.estimators.sharing import ReuseScan
from trigger_ml.families.classes import float_logits
from trigger_ml.ir import columns, io
from trigger_ml.ir.bounds import bounds
from trigger_ml.ir.graph import Graph
from trigger_ml.ir.interpret import interpret
from trigger_ml.physics import classes, precision, rate_table
from trigger_ml.physics.classes import Classes
from trigger_ml.physics.evaluate import ByProcess, evaluate
from trigger_ml.physics.precision import PrecisionScan
from trigger_ml.physics.rate_table import RateTable
from trigger_ml.physics.result import PhysicsResult
from trigger_ml.report import limits
from trigger_ml.report.data import Agreement, BudgetLine, ReportData, Skipped
from trigger_ml.report.network import summarize
from trigger_ml.workspace import Workspace, as_json

if TYPE_CHECKING:
    from trigger_ml.samples.dataset import Split

COST = "cost.json"
RATES = "rates.json"
SCAN = "scan.json"
REUSE = "reuse.json"
PARTS = ("validation", "test")


def cost(ws: Workspace, graph: Graph) -> None:
    """Count operations, synthesise the Verilog with Yosys if it can be, read vendor reports; write ``cost.json``."""
    found, skipped = list(opcount.estimate(graph)), []
    if depends.synthesised(ws):
        try:
            verilog = ws.folder / "firmware" / depends.SYNTHESISED
            found += plugins.find("estimators", "yosys").estimate(verilog, ws.spec.target.part)
        except ToolMissing as missing:
            skipped.append(as_json(Skipped("yosys", str(missing))))
    found += vendor.quantities(ws, graph)
    artifact.write_json(ws.folder / COST, {"quantities": as_json(found), "skipped": skipped})


def quantities(ws: Workspace) -> tuple[Quantity, ...]:
    """Everything known of cost and latency, each with its source.

    Raises:
        ArtifactError: the estimate or a comparison is not of what is there now.
    """
    graph = ws.graph
    depends.require_estimate(ws, graph)
    clock_ns = ws.spec.target.clock_ns
    found = [Quantity(**q) for q in artifact.read_json(ws.folder / COST)["quantities"]]
    for kind, row in compared(ws, graph):
        cycles = row.get("latency_cycles")
        if cycles is None or kind.name != "verilator":
            continue
        tool, rtl = "Verilator, one event a clock", [q for q in found if q.source != "vendor csynth"]
        clock = "at the spec's clock" + (", which is not shown to be met" if limits.unmet(clock_ns, rtl) else "")
        found += [
            Quantity("latency_cycles", cycles, "cycles", "simulated", tool),
            Quantity("latency_ns", cycles * clock_ns, "ns", "simulated", f"{tool}, {clock}"),
            Quantity("initiation_interval", row["initiation_interval"], "cycles", "simulated", tool),
        ]
    return tuple(found)


def budget(ws: Workspace, found: Sequence[Quantity]) -> tuple[BudgetLine, ...]:
    """Every limit of the spec beside the best-founded quantity of that name."""
    return limits.lines(ws.spec.budget, ws.spec.target.clock_ns, found)


def remarks(ws: Workspace, found: Sequence[Quantity]) -> tuple[str, ...]:
    """What a reader of the cost must know, one sentence each; the console shows them too."""
    said = (
        *limits.remarks(ws.spec.target, found),
        *_pipeline(ws),
        *vendor.remarks(ws),
    )
    for remark in said:
        ws.console.print(remark, style="yellow", markup=False, highlight=False)
    return said


def _pipeline(ws: Workspace) -> tuple[str, ...]:
    """What there is to say of the pipeline's aim, if the RTL misses it."""
    if not depends.synthesised(ws) or ws.spec.target.cut_ns is not None:
        return ()
    plan = artifact.read_json(ws.folder / "firmware" / depends.SYNTHESISED / "ports.json")
    clock_ns, most = ws.spec.target.clock_ns, ws.spec.layout.most_cycles
    said = limits.pipeline(clock_ns, SHARE, plan["model_delay_ns"], plan["latency_cycles"], int(most or 0))
    return () if said is None else (said,)


def collect(ws: Workspace) -> ReportData:
    """The report's values.

    Raises:
        ArtifactError: a step before it is not done, or was done for another graph, spec or program.
    """
    graph, found = ws.graph, quantities(ws)
    rows = compared(ws, graph)
    physics, no_physics = _physics(ws, graph)
    skipped = [Skipped(**s) for s in artifact.read_json(ws.folder / COST)["skipped"]]
    left_out = ((k.name, k.left_out(ws.spec.engines)) for k in kinds(ws.spec))
    skipped += [Skipped(name, why) for name, why in left_out if why is not None]
    rates, no_rates = _rates(ws, graph)
    scan, no_scan = _scan(ws, graph)
    reuse, no_reuse = _reuse(ws, graph)
    reasons = (("rates", no_rates), ("scan", no_scan), ("scan --reuse", no_reuse))
    skipped += [Skipped(verb, why) for verb, why in reasons if why]
    return ReportData(
        model=ws.spec.name,
        agreement=tuple(_agreement(kind, row) for kind, row in rows),
        quantities=found,
        budget=budget(ws, found),
        remarks=remarks(ws, found),
        clock_met=limits.met(ws.spec.target.clock_ns, found),
        graph=summarize(graph, io.digest(graph), {k: v["ebops"] for k, v in opcount.by_node(graph).items()}),
        provenance=_provenance(ws, graph),
        physics=physics,
        no_physics=no_physics,
        skipped=tuple(skipped),
        failures=_failures(physics, ws.spec.physics.rank_correlation),
        rates=rates,
        scan=scan,
        reuse=reuse,
    )


def compared(ws: Workspace, graph: Graph) -> list[tuple[Kind, dict[str, Any]]]:
    """The engines that are not left out, and what comparing each gave.

    Raises:
        ArtifactError: one was not compared as it is built now, with this graph.
    """
    rows = []
    for kind in kinds(ws.spec):
        if kind.left_out(ws.spec.engines) is None:
            depends.require_validate(ws, graph, kind)
            rows.append((kind, artifact.read_json(ws.folder / "agreement" / f"{kind.name}.json")))
    return rows


def _agreement(kind: Kind, row: dict[str, Any]) -> Agreement:
    d = row.get("difference")
    first = None
    if d:
        first = f"{d['output']} is {d['got']}, expected {d['expected']}, for {d['inputs']}; {d['remark']}"
    return Agreement(kind.name, row["events"], row["mismatches"], kind.label, first)


def _physics(ws: Workspace, graph: Graph) -> tuple[PhysicsResult | None, str]:
    """The evaluation, or None and why not."""
    events, score = ws.events, graph.outputs[0]
    if events is None:
        return None, "The model reads other inputs than those of a sample, so corner and random vectors are all it saw."
    if "threshold" not in graph.meta:
        return None, "The model does not give one score, so there is nothing to set a threshold on."

    def ours(x: NDArray[Any]) -> NDArray[np.int64]:
        return interpret(graph, x)[score][:, 0]

    processes = {"background": events.background, **events.signals}
    made = evaluate(
        events,
        {k: {p: ours(getattr(v, p)) for p in PARTS} for k, v in processes.items()},
        _twin(ws, processes),
        ws.spec.physics,
        seed=ws.spec.seed,
        score_format=bounds(graph)[score].fixed,
        threshold=int(graph.meta["threshold"]),
    )
    return replace(made, classes=_classes(ws, graph, processes)), ""


def _classes(ws: Workspace, graph: Graph, processes: Mapping[str, Split]) -> Classes | None:
    """Measures of a graph with a logit for each process; None for any other."""
    names = columns.classes(graph)
    if not names:
        return None
    if names != tuple(processes):
        raise GraphError(
            f"the graph's classes are {', '.join(names)}, the sample's {', '.join(processes)}: train it on this sample"
        )
    floating = None
    if not ws.spec.model.imported:
        weights = artifact.read_npz(ws.folder / "graph" / "float.npz")
        floating = {name: float_logits(weights, part.test, ws.spec) for name, part in processes.items()}
    quantized = {name: interpret(graph, part.test)[columns.LOGITS] for name, part in processes.items()}
    return classes.evaluate(quantized, floating, bounds(graph)[columns.LOGITS].frac, ws.sample.source)


def _scan(ws: Workspace, graph: Graph) -> tuple[PrecisionScan | None, str]:
    """What `trigger-ml scan` left, if it is of what is there now, or None and why not; no reason where there is none.

    A scan made before there was a graph shows no widths of its own, and stays true whatever the graph.
    """
    path = ws.folder / SCAN
    if not path.exists():
        return None, ""
    content = artifact.read_json(path)
    found, before = precision.read(content), content.get("made_from", {})
    now = {"graph": io.digest(graph), **depends.of_scan(ws, ws.spec)}
    changed = [name for name in now if before.get(name) != now[name] and not (name == "graph" and found.own is None)]
    if changed:
        return None, f"{SCAN} is of another {' and '.join(changed)}: run `trigger-ml scan` again."
    return found, ""


def _reuse(ws: Workspace, graph: Graph) -> tuple[ReuseScan | None, str]:
    """What `trigger-ml scan --reuse` left, likewise."""
    path = ws.folder / REUSE
    if not path.exists():
        return None, ""
    found = sharing.read(artifact.read_json(path))
    if found.graph != io.digest(graph):
        return None, f"{REUSE} is of another graph: run `trigger-ml scan --reuse` again."
    return found, ""


def _rates(ws: Workspace, graph: Graph) -> tuple[RateTable | None, str]:
    """What `trigger-ml rates` left, if it is of this graph, or None and why not; no reason where there is none."""
    path = ws.folder / RATES
    if not path.exists():
        return None, ""
    found = rate_table.read(artifact.read_json(path))
    if found.graph != io.digest(graph):
        return None, f"{RATES} is of another graph: run `trigger-ml rates` again."
    return found, ""


def _twin(ws: Workspace, processes: Mapping[str, Split]) -> ByProcess | None:
    """The float twin's scores; an imported model has no twin."""
    if ws.spec.model.imported:
        return None
    family = plugins.find("families", ws.spec.model.family)
    weights = artifact.read_npz(ws.folder / "graph" / "float.npz")
    return {k: {p: family.float_score(weights, getattr(v, p), ws.spec) for p in PARTS} for k, v in processes.items()}


def _failures(physics: PhysicsResult | None, least: float) -> tuple[str, ...]:
    found = 1.0 if physics is None else physics.rank_correlation.get("all", 1.0)
    if found < least:
        return (
            f"The quantized score's rank correlation with its float twin is {found:.3f}, "
            f"below {least:g}: give it more bits or train longer.",
        )
    return ()


def _provenance(ws: Workspace, graph: Graph) -> dict[str, str]:
    said = {
        "spec": ws.spec.digest(),
        "graph": io.digest(graph),
        "part": ws.spec.target.part,
        "clock": f"{ws.spec.target.clock_ns:g} ns",
    }
    if ws.events is not None:
        said["sample"] = f"{ws.events.name}/{ws.events.variant} {ws.events.digest}"
    if "threshold" in graph.meta:
        rates = ws.events is not None and ws.events.gives_rates
        aim = f"{ws.spec.physics.rate_khz:g} kHz" if rates else f"a false positive rate of {max(ws.spec.physics.fpr):g}"
        rate = f"from the validation part, for {aim}"
        said["threshold"] = f"{graph.meta['threshold']} ({rate})"
    return said | (_origin(ws) if ws.spec.model.imported else _training(ws))


def _origin(ws: Workspace) -> dict[str, str]:
    """What an imported model was read from, and what it was held against."""
    found = artifact.read_json(ws.folder / "graph" / "imported.json")
    said = {"imported from": found["origin"], "held against": f"{found['oracle']}: {found['events']} events, 0 differ"}
    return said | {f"remark {i}": remark for i, remark in enumerate(found["remarks"], 1)}


def _training(ws: Workspace) -> dict[str, str]:
    training = artifact.read_json(ws.folder / "graph" / "training.json")
    said = {"front end": ws.spec.model.frontend}
    counted = list(training.get("zero_weights", {}).values())
    if counted:
        zero, pruned, every = (sum(column) for column in zip(*counted, strict=True))
        said["weights that are zero"] = f"{zero:,} of {every:,} ({zero / every:.1%}), {pruned:,} of them pruned"
    for check in training.get("selfcheck", []):
        kind = "must agree" if check["exact"] else "statistic only"
        said[f"framework against graph, {check['node']}"] = (
            f"{check['mismatches']} of {check['values']} differ ({kind})"
        )
    return said
