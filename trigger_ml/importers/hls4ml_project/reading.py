"""From a folder to a graph, and the comparison with the folder's own C++ before anything is accepted."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from trigger_ml.errors import ImportRefused, Mismatch
from trigger_ml.importers.hls4ml_project import exact, generated
from trigger_ml.importers.hls4ml_project.activation import ACTIVATIONS
from trigger_ml.importers.hls4ml_project.ap_types import ApType, held
from trigger_ml.importers.hls4ml_project.declarations import Reader
from trigger_ml.importers.hls4ml_project.dense import DENSE
from trigger_ml.importers.hls4ml_project.layer import Layer, Probe, Rule, Tables, Weights
from trigger_ml.importers.hls4ml_project.net import Net
from trigger_ml.importers.hls4ml_project.oracle import Oracle, compiled
from trigger_ml.importers.hls4ml_project.program import Alias, Array, Call, Program
from trigger_ml.importers.hls4ml_project.source import Source, copied
from trigger_ml.importers.hls4ml_project.target import target_of
from trigger_ml.importers.hls4ml_project.tokens import Preprocessor, refused
from trigger_ml.importers.hls4ml_project.wiring import MERGING
from trigger_ml.importers.imported import Imported
from trigger_ml.ir.bounds import bounds
from trigger_ml.ir.graph import Graph
from trigger_ml.ir.interpret import evaluate, interpret
from trigger_ml.ir.verify import normal_form

RULES: dict[str, Rule] = {**DENSE, **MERGING, **ACTIVATIONS}
"""By name, or by name and number of arguments where a function has two forms."""

CODE_GEN = "nnet_utils/nnet_code_gen.h"


# -- from text to a program -------------------------------------------------------------------------------------------


def parsed(source: Source, defined: Sequence[str] = ()) -> Program:
    """What the sources declare, with these macros defined from outside.

    Raises:
        ImportRefused: at the first thing that is not understood.
    """
    reader = Reader()
    reader.read(Preprocessor(source.load, defined).read(source.top, source.text(source.top)))
    if (source.folder / CODE_GEN).is_file():
        tokens = Preprocessor(lambda name, at: None, defined).read(CODE_GEN, source.text(CODE_GEN))
        reader.read_generated(tokens)
    return reader.program(Path(source.top).stem)


def weights_of(source: Source, program: Program) -> dict[str, tuple[Fraction, ...]]:
    """The numbers of every array that has some: from its initialiser, or from the text file that is loaded into it."""
    found = {}
    for array in program.arrays.values():
        if array.file is not None:
            found[array.name] = _listed(source.weights(array.file, array.at), array)
        elif array.values is not None:
            found[array.name] = array.values
    return found


def _listed(text: str, array: Array) -> tuple[Fraction, ...]:
    """The first line of a weights file, numbers between commas, as ``load_weights_from_txt`` reads it."""
    words = text.partition("\n")[0].split(",")
    try:
        numbers = tuple(Fraction(float(w)) for w in words)
    except (ValueError, OverflowError):
        raise ImportRefused(f"weights/{array.file} holds something that is no number") from None
    if len(numbers) != array.size:
        raise ImportRefused(f"weights/{array.file} has {len(numbers)} numbers, {array.name} has {array.size} elements")
    return numbers


def same_when_synthesised(source: Source, simulated: Program, weights: Weights) -> None:
    """The weights that go into the firmware are those that the simulation loads.

    Raises:
        ImportRefused: naming the first array that differs.
    """
    built = parsed(source, ("__SYNTHESIS__",))
    for name, array in built.arrays.items():
        kind = array.type
        if array.values is None or name not in weights or not isinstance(kind, ApType):
            continue
        if array.values != weights[name]:
            pair = [held(list(v), kind, array.at) for v in (array.values, weights[name])]
            if len(pair[0]) != len(pair[1]) or np.any(pair[0] != pair[1]):
                raise refused(
                    array.at,
                    f"{name} is synthesised with other numbers than weights/{simulated.arrays[name].file} holds, from "
                    "which the simulation takes it: the project is two networks",
                )


# -- from a program to a graph ----------------------------------------------------------------------------------------


def rule_of(call: Call, program: Program) -> Rule:
    """How a call is read.

    Raises:
        ImportRefused: if the function is not on the list.
    """
    space, _, name = call.function.rpartition("::")
    if name in program.generated and generated.NAMES.fullmatch(name):
        return generated.rule(name, len(call.arguments))
    if space == exact.NAMESPACE and name in exact.EXACT:
        return exact.EXACT[name]
    found = RULES.get(f"{name}/{len(call.arguments)}", RULES.get(name))
    if space == "nnet" and found is not None:
        return found
    raise refused(call.at, f"the function {call.function} is not one that can be read exactly")


@dataclass(frozen=True)
class Lowered:
    """The graph, and the node of each array of the project."""

    graph: Graph
    outputs: tuple[Array, ...]
    nodes: Mapping[str, str]


def written(program: Program) -> list[str]:
    """Names of the arrays that the top function's layers write, aliases followed."""
    return [c.argument(rule_of(c, program).output) for c in program.top.statements if isinstance(c, Call)]


def outputs_of(program: Program) -> tuple[Array, ...]:
    """The parameters that are written."""
    names = set(written(program))
    found = tuple(p for p in program.top.parameters if p.name in names)
    if not found:
        raise refused(program.top.at, f"{program.top.name} writes none of its parameters")
    if len(found) == len(program.top.parameters):
        raise refused(program.top.at, f"{program.top.name} has no input")
    return found


def _layers(
    program: Program, weights: Weights, net: Net, tables: Tables | None
) -> Iterator[tuple[Call, Layer, dict[str, str]]]:
    """Calls with what they may look at, and the nodes of the arrays written so far, which the reader fills."""
    arrays = {p.name: p for p in program.top.parameters} | dict(program.top.locals)
    nodes: dict[str, str] = {}
    for statement in program.top.statements:
        if isinstance(statement, Alias):
            if statement.other not in arrays:
                raise refused(statement.at, f"{statement.name} refers to {statement.other!r}, which is no array")
            arrays[statement.name] = arrays[statement.other]
            continue
        yield statement, Layer(statement, program, net, arrays, nodes, weights, tables), nodes


def probes_of(program: Program, weights: Weights) -> dict[tuple[int, str], Probe]:
    """Everything that the project's C++ has to be asked for."""
    found = {}
    for call, layer, _ in _layers(program, weights, Net(), None):
        rule = rule_of(call, program)
        for key, probe in (rule.probes(layer) if rule.probes else {}).items():
            found[id(call), key] = probe
    return found


def lowered(program: Program, weights: Weights, tables: Tables | None) -> Lowered:
    """The integer graph.

    Raises:
        ImportRefused: naming file, line and layer.
    """
    outputs, net = outputs_of(program), Net()
    ports: dict[str, str] = {}
    for p in program.top.parameters:
        if p not in outputs:
            if not isinstance(p.type, ApType):
                raise refused(p.at, f"the type of the input {p.name} {p.type.why}")
            ports[p.name] = net.input(p.name, p.size, p.type, p.at)
    last: dict[str, str] = {}
    for call, layer, nodes in _layers(program, weights, net, tables):
        if not nodes:
            nodes.update(ports)
        rule = rule_of(call, program)
        target = layer.array(rule.output)
        if target.name in nodes:
            raise refused(call.at, f"{target.name} is written twice")
        net.layer(target.name, call.at)
        to = layer.kind(rule.output)
        node = net.cast(net.flat(rule.lower(layer)), to)
        if net.size(node) != target.size:
            raise refused(
                call.at, f"{call.function} fills {net.size(node)} elements of {target.name}, which has {target.size}"
            )
        nodes[target.name] = last[target.name] = node
    ends = {}
    for p in outputs:
        if not isinstance(p.type, ApType):
            raise refused(p.at, f"the type of the output {p.name} {p.type.why}")
        if p.name not in last:
            raise refused(p.at, f"the output {p.name} is never written")
        ends[p.name] = (last[p.name], p.type, p.at)
    graph = net.graph(ends, {**ports, **last})
    return Lowered(graph, outputs, net.final(last))


# -- the check --------------------------------------------------------------------------------------------------------


def vectors(graph: Graph, count: int, seed: int) -> dict[str, NDArray[np.int64]]:
    """Inputs: uniform ones, small ones, few nonzero ones, and corners.

    A third of the events is scaled down by a random power of two, because uniform inputs saturate most networks.
    """
    rng, known, feed = np.random.default_rng([seed, 7]), bounds(graph), {}
    for port in graph.inputs:
        t = known[port.name]
        lo, hi = t.lo.astype(np.int64), t.hi.astype(np.int64)
        x = rng.integers(lo, hi, (count, *t.shape), endpoint=True)
        x[1::3] >>= rng.integers(0, 24, (len(x[1::3]), 1))
        x[2::9] *= rng.random(x[2::9].shape) < 0.2
        ends = np.stack([lo, hi, *(np.clip(v, lo, hi) for v in (0, 1, -1))])
        for event in range(0, count, 8):
            pick = rng.integers(2 * len(ends))
            mixed = np.take_along_axis(ends, rng.integers(len(ends), size=(1, *t.shape)), axis=0)[0]
            x[event] = ends[pick] if pick < len(ends) else mixed
        feed[port.name] = np.clip(x, lo, hi)
    return feed


def check(low: Lowered, oracle: Oracle, program: Program, events: int, seed: int) -> None:
    """Compare with ``==``.

    Raises:
        Mismatch: with the number of differing events and the first differing layer.
    """
    feed = vectors(low.graph, events, seed)
    inputs = np.concatenate([feed[n.name] for n in low.graph.inputs], axis=1)
    got, want = interpret(low.graph, feed), oracle.run(inputs)
    mine = np.concatenate([got[o].reshape(events, -1) for o in low.graph.outputs], axis=1)
    bad = np.flatnonzero((mine != want).any(axis=1))
    if len(bad):
        where = _first_differing(low, oracle, program, {k: v[bad[:64]] for k, v in feed.items()})
        raise Mismatch(
            f"the graph and the project's own C++ differ in {len(bad)} of {events} events{where}: nothing is imported; "
            "please report the project"
        )


def _first_differing(low: Lowered, oracle: Oracle, program: Program, feed: Mapping[str, NDArray[np.int64]]) -> str:
    inputs = np.concatenate([feed[n.name] for n in low.graph.inputs], axis=1)
    try:
        shown = oracle.trace(inputs)
    except ImportRefused:
        return ""
    values, known = evaluate(low.graph, feed), bounds(low.graph)
    arrays = {a.name: a for a in (*program.top.parameters, *program.top.locals.values())}
    for call in program.top.statements:
        if not isinstance(call, Call):
            continue
        name = call.argument(rule_of(call, program).output)
        node, array = low.nodes.get(name), arrays.get(name)
        if node not in values or array is None or not isinstance(array.type, ApType):
            continue
        lift = array.type.frac - known[node].frac
        mine = values[node].reshape(len(inputs), -1) << max(lift, 0)
        if np.any(mine != shown[name]):
            return f", first in {name} ({call.function}, {call.at.file}:{call.at.line})"
    return ""


# -- everything -------------------------------------------------------------------------------------------------------


def read(path: Path, events: int, seed: int) -> Imported:
    """See :mod:`trigger_ml.importers.hls4ml_project`."""
    if events < 1:
        raise ImportRefused(f"{events} events prove nothing: compare with at least one")
    with tempfile.TemporaryDirectory(prefix="trigger_ml_") as place:
        source = copied(path, Path(place))
        program = parsed(source)
        weights = weights_of(source, program)
        same_when_synthesised(source, program, weights)
        outputs = [p.name for p in outputs_of(program)]
        oracle = compiled(source, program, probes_of(program, weights), outputs, Path(place) / "oracle")
        low = lowered(program, weights, oracle)
        check(low, oracle, program, events, seed)
    layers = sum(isinstance(s, Call) for s in program.top.statements)
    graph = low.graph.with_meta(origin="hls4ml project", project=program.top.name)
    origin = f"hls4ml project {program.top.name}, {layers} layers"
    target, said = target_of(path)
    return Imported(graph, origin, oracle.about, events, (*_remarks(graph), *said), target)


def _remarks(graph: Graph) -> tuple[str, ...]:
    outside = len(normal_form(graph))
    if not outside:
        return ()
    return (
        f"{outside} of the project's casts are outside the normal form of Requant: an engine realises them exactly or "
        "refuses the graph",
    )
