"""The whole flow as plain functions: from events to a report. Read this page first.

Each function reads what earlier ones left in the run folder and writes the next artifact; a step whose inputs have not
changed says so and stops. The command line calls them, and so may you.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trigger_ml import artifact, depends, plugins, stamps, to_graph, vendor
from trigger_ml import frozen as frozen_model
from trigger_ml import validate as gate
from trigger_ml.engines import Kind, backends, kinds
from trigger_ml.errors import Mismatch, OverBudget, SpecError
from trigger_ml.ir import io
from trigger_ml.ir.bounds import bounds
from trigger_ml.ir.columns import columns
from trigger_ml.ir.interpret import interpret
from trigger_ml.physics import cuts
from trigger_ml.workspace import Workspace, as_json, open_run

if TYPE_CHECKING:
    from rich.console import Console

    from trigger_ml.report.data import ReportData
    from trigger_ml.samples.production import Order


def run(where: Path, console: Console, out: Path, frozen: bool = False, keep: bool = False) -> Mapping[str, Any]:
    """Everything; the report is written whatever the verdict, then the verdict is raised.

    Args:
        where: a spec file, a model's folder or a run folder.
        console: for progress.
        out: where run folders are made.
        frozen: take the model's frozen graph, do not train.
        keep: freeze the converted graph into the model's folder.

    Raises:
        Mismatch: an engine differs.
        OverBudget: a quantity is over the budget.
    """
    ws = open_run(where, out, console)
    with ws.writing():
        if not frozen and not ws.spec.model.imported:
            to_graph.train(ws)
        to_graph.convert(ws, frozen)
        if keep and not ws.spec.model.imported:
            frozen_model.freeze(ws)
        for backend in backends(ws.spec):
            _build(ws, backend)
        for kind in _wanted(ws):
            _validate(ws, kind)
        _estimate(ws)
        data = _report(ws)
    return _judged(ws, data)


def sample(
    where: Path, console: Console, out: Path, make: Order | None = None, look: cuts.Window | None = None
) -> Mapping[str, Any]:
    """Check the events of a spec, or make new ones; ``look``: say what each column of such events tells by itself.

    Raises:
        SpecError: if the spec's sample is not one that can be made, or has no columns to look at.
    """
    ws = open_run(where, out, console)
    if make is not None:
        return {"made": str(make.fulfil(ws.spec.sample.name, ws.spec.sample.variant, ws.spec.seed, console))}
    events = ws.events
    if events is None:
        if look is not None:
            raise SpecError(f"{ws.spec.name} has no events whose columns could be looked at: name a sample in its spec")
        return {"name": ws.spec.sample.name}
    parts = {"background": events.background, **events.signals}
    return {
        **({} if look is None else {"columns": as_json(cuts.alone(events, look))}),
        "name": f"{events.name}/{events.variant}",
        "digest": events.digest,
        "events": {k: {p: len(getattr(v, p)) for p in ("train", "validation", "test")} for k, v in parts.items()},
        "notes": events.notes,
    }


def train(where: Path, console: Console, out: Path) -> Mapping[str, Any]:
    """Train the quantized network, or go on where a killed training stopped."""
    ws = open_run(where, out, console)
    if ws.spec.model.imported:
        raise SpecError(f"{ws.spec.name} was imported: there is nothing to train, run `trigger-ml run`")
    with ws.writing():
        to_graph.train(ws)
    return dict(ws.made("train"))


def convert(where: Path, console: Console, out: Path) -> Mapping[str, Any]:
    """Turn the trained network, or else the model's frozen one, into the integer graph with its decision."""
    ws = open_run(where, out, console)
    with ws.writing():
        to_graph.convert(ws, frozen=not (ws.folder / "trained").is_dir())
    return {"digest": io.digest(ws.graph)}


def build(where: Path, console: Console, out: Path) -> Mapping[str, Any]:
    """Write the HLS project, Verilog, VHDL, C++ emulator and ONNX."""
    ws = open_run(where, out, console)
    with ws.writing():
        for backend in backends(ws.spec):
            _build(ws, backend)
    return {backend: dict(ws.made(f"build_{backend}")) for backend in backends(ws.spec)}


def validate(where: Path, console: Console, out: Path) -> Mapping[str, Any]:
    """Compare every engine with the golden interpreter.

    Raises:
        Mismatch: at the first engine that differs, with the smallest event and the first node found.
    """
    ws = open_run(where, out, console)
    with ws.writing():
        rows = [_validate(ws, kind) for kind in _wanted(ws)]
    wrong = [row for row in rows if row["mismatches"] or not row["events"]]
    if wrong:
        raise Mismatch(_sentence(wrong[0]))
    return {"agreement": rows}


def estimate(
    where: Path, console: Console, out: Path, vivado: Path | None = None, hls: Path | None = None
) -> Mapping[str, Any]:
    """Count, synthesise, read what a vendor's tools reported, and compare with the budget.

    Args:
        where: a spec file, a model's folder or a run folder.
        console: for progress.
        out: where run folders are made.
        vivado: folder with Vivado's reports, if the RTL was routed elsewhere.
        hls: a copy of the HLS project in which C synthesis ran, if that was elsewhere.

    Raises:
        OverBudget: a quantity exceeds its limit.
        ArtifactError: a report is damaged, or of another graph, build, part or clock.
    """
    ws = open_run(where, out, console)
    with ws.writing():
        for backend in vendor.asked(ws, vivado, hls):
            depends.require_build(ws, ws.graph, backend)
        vendor.bring(ws, ws.graph, vivado, hls)
        _estimate(ws)
        from trigger_ml.collect import budget, quantities, remarks

        found = quantities(ws)
        remarks(ws, found)
    lines = budget(ws, found)
    over = [line for line in lines if not line.ok]
    if over:
        raise OverBudget("; ".join(line.reason for line in over))
    return {"quantities": as_json(found)}


def report(where: Path, console: Console, out: Path) -> Mapping[str, Any]:
    """Write ``report.html`` and ``report.json``; the verdict is the exit code."""
    ws = open_run(where, out, console)
    with ws.writing():
        data = _report(ws)
    return _judged(ws, data)


def inspect(where: Path, console: Console, out: Path) -> Mapping[str, Any]:
    """What a run or model is: its graph, node by node, and which steps are done."""
    from rich.table import Table

    ws = open_run(where, out, console)
    home = ws.folder / "graph" if (ws.folder / "graph" / io.FILE).exists() else ws.model
    done = sorted(p.stem for p in (ws.folder / "stamps").glob("*.json"))
    if not (home / io.FILE).exists():
        said = f"{ws.spec.name} has no graph yet: run `trigger-ml run`; steps done: {', '.join(done) or 'none'}"
        console.print(said, highlight=False)
        return {"digest": None, "meta": {}, "nodes": [], "steps": done}
    graph = io.load(home)
    known = bounds(graph)
    table = Table("node", "op", "inputs", "shape", "format that holds it", "bits of the peak", box=None, pad_edge=False)
    rows = []
    for node in graph.nodes:
        t = known[node.name]
        row = (
            node.name,
            type(node.op).__name__,
            ", ".join(node.inputs),
            str(t.shape),
            repr(t.fixed),
            str(t.peak.bit_length()),
        )
        table.add_row(*row)
        rows.append(dict(zip(("node", "op", "inputs", "shape", "format", "peak_bits"), row, strict=True)))
    console.print(table)
    for output, names in columns(graph).items():
        console.print(f"{output}: {', '.join(names)}", highlight=False)
    console.print(f"digest {io.digest(graph)}; steps done: {', '.join(done) or 'none'}", highlight=False)
    return {"digest": io.digest(graph), "meta": dict(graph.meta), "nodes": rows, "steps": done}


# -- steps ------------------------------------------------------------------------------------------------------------


def _wanted(ws: Workspace) -> list[Kind]:
    wanted = []
    for kind in kinds(ws.spec):
        why = kind.left_out(ws.spec.engines)
        if why is None:
            wanted.append(kind)
        else:
            ws.console.print(f"{kind.name} is left out: {why}", style="yellow", markup=False, highlight=False)
    return wanted


def _build(ws: Workspace, name: str) -> None:
    graph, folder = ws.graph, ws.folder / "firmware" / name
    backend = plugins.find("backends", name)

    def work() -> None:
        if stamps.foreign(ws.folder, f"build_{name}", f"firmware/{name}"):
            backend.check(graph, ws.spec.layout)  # what is refused moves nothing
            ws.keep(f"build_{name}", f"firmware/{name}")
        backend.build(graph, folder, ws.spec.layout)
        elements = ws.elements(graph)
        if hasattr(backend, "write_names") and elements is not None:
            backend.write_names(folder, graph, elements)
        if hasattr(backend, "write_vectors"):
            feed = gate.vectors(graph, ws.vectors(graph), gate.PACKED, ws.spec.seed)
            backend.write_vectors(folder, graph, feed, interpret(graph, feed))

    ws.step(f"build_{name}", depends.of_build(ws, graph, name), [f"firmware/{name}"], work)


def _validate(ws: Workspace, kind: Kind) -> Mapping[str, Any]:
    """Compare one engine; returns its row of the agreement table."""
    graph, count = ws.graph, kind.count(ws.spec.engines)
    folder = ws.folder / "firmware" / kind.backend
    inputs = depends.of_validate(ws, graph, kind)
    file = f"agreement/{kind.name}.json"

    def work() -> None:
        feed = gate.vectors(graph, ws.mixture(graph), count, ws.spec.seed)
        engine, measured = kind.open(folder, graph, ws.spec.layout)
        found = gate.compare(graph, engine, feed)
        row = as_json(found)
        if measured:
            row["latency_cycles"] = measured[0].latency_cycles
            row["initiation_interval"] = measured[0].initiation_interval
        artifact.write_json(ws.folder / file, row)

    ws.step(f"validate_{kind.name}", inputs, [file], work)
    row: Mapping[str, Any] = artifact.read_json(ws.folder / file)
    return row


def _sentence(row: Mapping[str, Any]) -> str:
    if not row["events"]:
        return f"{row['engine']} was compared on no event: give it some in [engines]"
    d = row.get("difference", {})
    return (
        f"{row['engine']} differs in {row['mismatches']} of {row['events']} events: output {d.get('output')} "
        f"is {d.get('got')}, expected {d.get('expected')}, for {d.get('inputs')}; {d.get('remark')}"
    )


def _estimate(ws: Workspace) -> None:
    from trigger_ml.collect import cost

    graph = ws.graph
    ws.step("estimate", depends.of_estimate(ws, graph), ["cost.json"], lambda: cost(ws, graph))


def _report(ws: Workspace) -> ReportData:
    from trigger_ml.collect import collect
    from trigger_ml.report.writer import write

    data = collect(ws)
    write(ws.folder, data)
    ws.console.print(f"report: {ws.folder / 'report.html'}", highlight=False)
    return data


def _judged(ws: Workspace, data: ReportData) -> Mapping[str, Any]:
    colour = "green" if data.verdict == "PASS" else "red"
    ws.console.print(f"[bold {colour}]{data.verdict}[/]")
    if any(a.mismatches or not a.events for a in data.agreement):
        raise Mismatch("; ".join(data.reasons))
    if data.reasons:
        raise OverBudget("; ".join(data.reasons))
    found: Mapping[str, Any] = artifact.read_json(ws.folder / "report.json")
    return found
