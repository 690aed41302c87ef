"""``trigger-ml rates``: a run's graph over a large file of zero-bias events, exact, and the rates that follow.

Events are read and scored block by block; of each one score and one source are kept and, where a seed fires, one row of
decisions. What is found stands in ``rates.json`` in the run folder, and the report shows it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from trigger_ml import artifact, plugins
from trigger_ml.backends import handwritten
from trigger_ml.emulate import zero_bias
from trigger_ml.emulate.events import Source, Wanted
from trigger_ml.emulate.exact import Engine, exact
from trigger_ml.emulate.zero_bias import ZeroBias
from trigger_ml.errors import GraphError, SampleError, SpecError
from trigger_ml.families import double
from trigger_ml.frontends import taught
from trigger_ml.ir import io
from trigger_ml.ir.bounds import bounds
from trigger_ml.ir.graph import Graph
from trigger_ml.physics import menu as menus
from trigger_ml.physics import rate_points, rate_table, teaching
from trigger_ml.physics.intervals import CONFIDENCE, effective_count, efficiency
from trigger_ml.physics.menu import Menu
from trigger_ml.physics.menu_decisions import decisions
from trigger_ml.physics.menu_rates import Fired, menu_rates
from trigger_ml.physics.rate_table import Elsewhere, EventFile, OnMenu, Pair, RateTable, Shift, Taught, WorkingPoint
from trigger_ml.physics.rates import crossings_khz
from trigger_ml.program import code
from trigger_ml.samples.features import FEATURES
from trigger_ml.samples.layout import leading_muon
from trigger_ml.workspace import Workspace, as_json, open_run

if TYPE_CHECKING:
    from rich.console import Console

    from trigger_ml.samples.dataset import Sample

FILE = "rates.json"
RATES = (1.0, 10.0, 100.0)
"""Target rates in kHz."""

PROGRAM = ("physics", "emulate", "families", "frontends", "samples", "backends", "rates.py", "ir", "fixed.py")
"""Sources that decide what is counted: how events are read, and what evaluates them."""

DOUBLE = "double"
"""The family whose score is the lesser of two."""

Twin = Callable[[NDArray[Any]], NDArray[np.float64]]


@dataclass(frozen=True)
class Asked:
    """What to do.

    Attributes:
        events: a file of zero-bias events.
        menu: a menu file; None: total rates only.
        rates_khz: target rates.
        elsewhere: files of other mean pileup, on which the same thresholds are tried.
        dataset: part of the file; None: ``background/all`` or else ``background/test``.
    """

    events: Path
    menu: Path | None = None
    rates_khz: tuple[float, ...] = RATES
    elsewhere: tuple[Path, ...] = ()
    dataset: str | None = None


@dataclass(frozen=True, eq=False)
class _Run:
    """All that a block of events is given to; ``pair`` names the two nodes whose lesser the score is."""

    ws: Workspace
    graph: Graph
    sample: Sample
    engine: Engine
    menu: Menu | None
    twin: Twin | None
    teacher: taught.Score | None
    pair: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class _Scored:
    """One part of a file: scores, the twin's scores, muons, and what the menu did.

    Both columns of ``pair`` and of a pair's ``floating`` are there for a score that is the lesser of two, none else.
    """

    scores: NDArray[np.int64]
    floating: NDArray[np.float64] | None
    teacher: NDArray[np.float64] | None
    pair: NDArray[np.int64]
    muons: NDArray[np.int64] | None
    where: NDArray[np.int64]
    decisions: NDArray[np.bool_]


def rates(where: Path, console: Console, out: Path, asked: Asked) -> Mapping[str, Any]:
    """Count rates, write ``rates.json`` and show them; nothing is done where it is there already.

    Args:
        where: a run folder, a spec file or a model's folder.
        console: for progress and tables.
        out: where run folders are made.
        asked: what to do.

    Raises:
        SpecError: the run has no events of its own or no score, a rate or the menu makes no sense.
        SampleError: a file can't be read, or is not zero bias.
    """
    from trigger_ml.rates_output import show

    ws = open_run(where, out, console)
    with ws.writing():
        graph = ws.graph
        _check(ws, graph, asked)
        menu = None if asked.menu is None else menus.load(asked.menu)
        size = int(np.prod(bounds(graph)[graph.inputs[0].name].shape, dtype=int))
        files = [_survey(ws, path, size, asked.dataset) for path in (asked.events, *asked.elsewhere)]
        digests = [artifact.digest_path(file.path) for file in files]
        inputs = {
            "graph": io.digest(graph),
            "teacher": _teacher_digest(ws),
            "events": artifact.digest_json([[d, f.dataset, f.path.name] for d, f in zip(digests, files, strict=True)]),
            "menu": "none" if menu is None else menu.digest,
            "rates": artifact.digest_json(list(asked.rates_khz)),
            "spec": ws.spec.digest("seed", "sample", "model", "physics"),
            "sample": ws.events_digest,
            "program": code(*PROGRAM),
            "firmware": handwritten.digest(),
        }
        ws.step("rates", inputs, [FILE], lambda: _work(ws, graph, menu, files, digests, asked), spinner=False)
        made = artifact.read_json(ws.folder / FILE)
    show(rate_table.read(made), console)
    found: Mapping[str, Any] = made
    return found


def _teacher_digest(ws: Workspace) -> str:
    path = ws.folder / "graph" / taught.FILE
    return artifact.digest_path(path) if path.exists() else "none"


def _check(ws: Workspace, graph: Graph, asked: Asked) -> None:
    if ws.events is None or len(graph.inputs) != 1:
        raise SpecError(f"{ws.spec.name} reads no events of a sample: rates need a score of such events")
    if bounds(graph)[graph.outputs[0]].shape != (1,):
        raise SpecError(f"{ws.spec.name} does not give one score: there is nothing to set a threshold on")
    if asked.menu is not None and not _of_objects(ws.sample):
        raise SpecError(f"a menu reads Level-1 objects, {ws.spec.name} reads {ws.spec.sample.name}: leave --menu out")
    most = crossings_khz(ws.spec.physics.bunches)
    wrong = next((khz for khz in asked.rates_khz if not 0 < khz < most), None)
    if wrong is not None or not asked.rates_khz:
        raise SpecError(f"a target rate is {wrong} kHz: give numbers above 0 and below the {most:.0f} kHz of crossings")
    if len(set(asked.rates_khz)) < len(asked.rates_khz):
        raise SpecError("a target rate is given twice: give each once")


def _of_objects(sample: Sample) -> bool:
    return tuple(sample.features) == FEATURES


def _survey(ws: Workspace, path: Path, elements: int, dataset: str | None) -> ZeroBias:
    return zero_bias.survey(path, ws.sample.features, Wanted(elements, dataset))


# -- the work ---------------------------------------------------------------------------------------------------------


def _work(
    ws: Workspace, graph: Graph, menu: Menu | None, files: list[ZeroBias], digests: list[str], asked: Asked
) -> None:
    pair = tuple(f"{part}_tail" for part in double.PARTS) if ws.spec.model.family == DOUBLE else ()
    shown = replace(graph, outputs=(*graph.outputs, *pair))
    with exact(shown, ws.folder / "firmware" / "cpp", ws.spec.target) as engine:
        ws.console.print(engine.said, highlight=False, markup=False)
        teacher = taught.score(ws.folder / "graph", ws.spec, ws.sample)
        run = _Run(ws, graph, ws.sample, engine, menu, _twin(ws), teacher, pair)
        table = _table(run, files, digests, asked.rates_khz)
    artifact.write_json(ws.folder / FILE, as_json(table))


def _twin(ws: Workspace) -> Twin | None:
    """The float twin's score, or both whose lesser it is, ``(events, 1 or 2)``; an imported model has none."""
    if ws.spec.model.imported:
        return None
    family = plugins.find("families", ws.spec.model.family)
    weights = artifact.read_npz(ws.folder / "graph" / "float.npz")
    score = family.parts if ws.spec.model.family == DOUBLE else family.float_score
    return lambda x: np.asarray(score(weights, x, ws.spec), np.float64).reshape(len(x), -1)


def _table(run: _Run, files: list[ZeroBias], digests: list[str], rates_khz: tuple[float, ...]) -> RateTable:
    ws, bunches = run.ws, run.ws.spec.physics.bunches
    background, sources = _background(run, files[0])
    signals = {name: _scored(run, part.test) for name, part in run.sample.signals.items()}
    scores = {name: found.scores for name, found in signals.items()}
    base, on_menu = None, None
    if run.menu is not None:
        base = _base(run.menu, background, sources, signals)
        on_menu = _on_menu(run.menu, base, bunches)
    built_in = run.graph.meta.get("threshold")
    points = rate_points.working_points(
        background.scores,
        sources,
        scores,
        rates_khz,
        bunches,
        firmware=None if built_in is None else int(built_in),
        base=base,
    )
    return RateTable(
        version=rate_table.VERSION,
        model=ws.spec.name,
        graph=io.digest(run.graph),
        engine=run.engine.name,
        file=_about(files[0], digests[0], sources),
        notes=run.sample.notes,
        bunches=bunches,
        crossings_khz=crossings_khz(bunches),
        confidence=CONFIDENCE,
        points=points,
        curve=rate_points.rate_curve(background.scores, sources, bunches),
        signal_events={name: len(s) for name, s in scores.items()},
        shifts=_shifts(run, background, sources, signals, rates_khz),
        menu=on_menu,
        pair=_pair(run, background, sources, points),
        taught=_taught(run, background, sources, signals, rates_khz),
        elsewhere=tuple(_elsewhere(run, f, d, points) for f, d in zip(files[1:], digests[1:], strict=True)),
    )


def _pair(run: _Run, background: _Scored, sources: NDArray[np.int64], points: tuple[WorkingPoint, ...]) -> Pair | None:
    if not run.pair:
        return None
    with run.ws.console.status("independence of the two scores ..."):
        return rate_points.pair_estimates(background.pair, background.floating, sources, points)


def _about(file: ZeroBias, digest: str, sources: NDArray[np.int64]) -> EventFile:
    independent = len(np.unique(sources))
    return EventFile(file.path.name, digest, file.events, independent, file.pileup, file.dataset)


def _background(run: _Run, file: ZeroBias) -> tuple[_Scored, NDArray[np.int64]]:
    """Every zero-bias event of a file, and its source."""
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn(file.path.name),
        BarColumn(),
        TextColumn("{task.completed:,.0f} of {task.total:,.0f} events"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=run.ws.console, transient=True) as bar:
        task = bar.add_task("", total=file.events)
        found = _streamed(run, file, file.background, lambda count: bar.advance(task, count))
    return found, zero_bias.sources(file, found.muons)


def _streamed(run: _Run, file: ZeroBias, part: Source, advance: Callable[[int], None]) -> _Scored:
    pieces, at = [], 0
    for x in zero_bias.blocks(file, part):
        try:
            piece = _scored(run, x)
        except GraphError:
            raise SampleError(
                f"{file.path}: one of the events {at} to {at + len(x) - 1} holds an integer outside the model's input "
                "format: get the file again, or use another model"
            ) from None
        pieces.append(replace(piece, where=piece.where + at))
        at += len(x)
        advance(len(x))
    return _Scored(
        np.concatenate([p.scores for p in pieces]),
        _joined([p.floating for p in pieces]),
        _joined([p.teacher for p in pieces]),
        np.concatenate([p.pair for p in pieces]),
        _joined([p.muons for p in pieces]),
        np.concatenate([p.where for p in pieces]),
        np.concatenate([p.decisions for p in pieces]),
    )


def _joined(pieces: Sequence[NDArray[Any] | None]) -> NDArray[Any] | None:
    """One array of all pieces; None where there are none."""
    found = [piece for piece in pieces if piece is not None]
    return np.concatenate(found) if found else None


def _scored(run: _Run, x: NDArray[Any]) -> _Scored:
    """Events in memory."""
    fired = np.zeros((len(x), 0), bool) if run.menu is None else decisions(run.menu, run.sample.features, x)
    where = np.flatnonzero(fired.any(axis=1))
    found = run.engine.evaluate(x)
    return _Scored(
        found[run.graph.outputs[0]][:, 0],
        None if run.twin is None else run.twin(x),
        None if run.teacher is None else run.teacher(x),
        np.concatenate([np.zeros((len(x), 0), np.int64), *(found[name] for name in run.pair)], axis=1),
        leading_muon(x) if _of_objects(run.sample) else None,
        where,
        fired[where],
    )


def _base(
    menu: Menu, background: _Scored, sources: NDArray[np.int64], signals: Mapping[str, _Scored]
) -> rate_points.Base:
    where = background.where
    fired = Fired(len(background.scores), len(np.unique(sources)), where, background.decisions, sources[where])
    plain = np.array([seed.prescale == 1 for seed in menu.seed])
    kept = {}
    for name, found in signals.items():
        kept[name] = np.zeros(len(found.scores), bool)
        kept[name][found.where] = found.decisions[:, plain].any(axis=1)
    return rate_points.Base(fired, [seed.prescale for seed in menu.seed], kept)


def _on_menu(menu: Menu, base: rate_points.Base, bunches: int) -> OnMenu:
    found = menu_rates(base.fired, [seed.name for seed in menu.seed], base.prescales, bunches)
    tpr = {name: efficiency(int(np.count_nonzero(kept)), len(kept)) for name, kept in base.signals.items()}
    return OnMenu(menu.name, menu.notes, menu.digest, found, tpr)


def _shifts(
    run: _Run,
    background: _Scored,
    sources: NDArray[np.int64],
    signals: Mapping[str, _Scored],
    rates_khz: tuple[float, ...],
) -> tuple[Shift, ...]:
    if run.twin is None:
        return ()
    parts = {"background": background, **signals}
    physics, fixed = run.ws.spec.physics, bounds(run.graph)[run.graph.outputs[0]].fixed
    with run.ws.console.status("bootstrap of what quantization changed ..."):
        return rate_points.shifts(
            {name: part.scores for name, part in parts.items()},
            {name: part.floating.min(axis=1) for name, part in parts.items() if part.floating is not None},
            sources,
            rates_khz,
            physics.bunches,
            fixed.frac,
            resamplings=physics.bootstrap,
            seed=run.ws.spec.seed,
        )


def _taught(
    run: _Run,
    background: _Scored,
    sources: NDArray[np.int64],
    signals: Mapping[str, _Scored],
    rates_khz: tuple[float, ...],
) -> Taught | None:
    if background.teacher is None or background.floating is None:
        return None
    parts, physics = {"background": background, **signals}, run.ws.spec.physics
    scores: dict[str, dict[str, NDArray[Any]]] = {teaching.TEACHER: {}, "float": {}, "quantized": {}}
    for name, part in parts.items():
        if part.teacher is not None and part.floating is not None:
            scores[teaching.TEACHER][name] = part.teacher
            scores["float"][name] = part.floating[:, 0]
        scores["quantized"][name] = part.scores
    with run.ws.console.status("bootstrap against the teacher ..."):
        return teaching.taught(
            scores, sources, rates_khz, physics.bunches, resamplings=physics.bootstrap, seed=run.ws.spec.seed
        )


def _elsewhere(run: _Run, file: ZeroBias, digest: str, points: tuple[WorkingPoint, ...]) -> Elsewhere:
    plain = _Run(run.ws, run.graph, run.sample, run.engine, None, None, None)
    background, sources = _background(plain, file)
    signals = {name: _streamed(plain, file, part, lambda count: None).scores for name, part in file.signals.items()}
    khz, events, tpr, independent = {}, {}, {}, len(np.unique(sources))
    for p in (point.point for point in points):
        keeps = background.scores >= p.threshold
        events[p.name] = int(np.count_nonzero(keeps))
        share = efficiency(events[p.name], len(keeps), effective_count(sources[keeps]), independent)
        khz[p.name] = share.scaled(crossings_khz(run.ws.spec.physics.bunches))
        tpr[p.name] = {n: efficiency(int(np.count_nonzero(s >= p.threshold)), len(s)) for n, s in signals.items()}
    return Elsewhere(_about(file, digest, sources), khz, events, tpr)
