"""The verbs of ``trigger-ml offline``."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from trigger_ml.cli_options import PROJECTS, AsJson
from trigger_ml.cli_output import console, give, plain_table
from trigger_ml.errors import SpecError

if TYPE_CHECKING:
    from trigger_ml.report.offline_numbers import RowResult

app = typer.Typer(help="Offline models at reduced precision.", add_completion=False, rich_markup_mode=None)

_MODELS = Path("models/offline")


@app.command()
def run(
    spec: Annotated[Path, typer.Argument(help="A spec.toml of models/offline, or its folder.", show_default=False)],
    out: Annotated[Path, typer.Option(help="Where models and training states go.")] = PROJECTS,
    full: Annotated[bool, typer.Option("--full", help="Longer, with more events, as [full] says.")] = False,
    workers: Annotated[
        int, typer.Option(min=0, max=256, help="Processes, each with a training of its own; 0: one a core.")
    ] = 0,
    as_json: AsJson = False,
) -> None:
    """Train a row at every precision, compare all lowerings, measure.

    Stopped, it goes on where it was.
    """
    from trigger_ml.offline import run as rows

    give(rows.run(spec, console(), out, full, workers or len(os.sched_getaffinity(0))), as_json)


@app.command()
def table(
    models: Annotated[Path, typer.Option(help="Folder of rows.")] = _MODELS,
    rows: Annotated[str, typer.Option(help="Only rows of such names, e.g. 'un*'.")] = "*",
    page: Annotated[Path | None, typer.Option(help="Write a page with plots to this file.", show_default=False)] = None,
    doc: Annotated[
        Path | None, typer.Option(help="Write table and pictures into this page of docs/.", show_default=False)
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Every number, not just the one that sums a row up.")] = False,
    full: Annotated[bool, typer.Option("--full", help="Those of `offline run --full`.")] = False,
    as_json: AsJson = False,
) -> None:
    """What each precision costs, of all rows that were run. JSON and page hold every number."""
    from trigger_ml.offline import table as offline

    found = offline.table(models, rows, full)
    if not found:
        raise SpecError(
            f"no row of {models} that fits {rows!r} has numbers: give another folder or pattern, or run one"
        )
    if page is not None:
        _write_page(_results(models, rows, full), page)
    if doc is not None:
        from trigger_ml.report import offline_doc

        offline_doc.write(_results(models, rows, full), doc, doc.parent / "images")
    give(found, as_json) if as_json else plain_table(offline.beside(found, every))


def _write_page(results: list[RowResult], page: Path) -> None:
    from trigger_ml.artifact import atomic_write
    from trigger_ml.report.offline_page import render

    atomic_write(page, render(results).encode())


def _results(models: Path, rows: str, full: bool) -> list[RowResult]:
    from trigger_ml.offline import table as offline
    from trigger_ml.report.offline_numbers import RowResult

    return [RowResult(r.name, r.title, offline.in_words(r), found) for r, found in offline.results(models, rows, full)]


@app.command()
def compare(
    rows: Annotated[str, typer.Option(help="Pattern of names of rows.")] = "un0[1-6]*",
    models: Annotated[Path, typer.Option(help="Folder of rows.")] = _MODELS,
    as_json: AsJson = False,
) -> None:
    """What several methods share, number by number: one line for each method, its precisions side by side."""
    from trigger_ml.offline import comparison, table

    found = comparison.compared(table.table(models), rows)
    give(found, as_json) if as_json else plain_table(found)


@app.command()
def sample(
    source: Annotated[str, typer.Argument(help="One that can write: shower_voxels or zjets.", show_default=False)],
    out: Annotated[Path, typer.Option(help="The file to write; of zjets the folder.", show_default=False)],
    events: Annotated[
        int,
        typer.Option(
            min=1, help="How many; of zjets collisions for each of its two files, above 2000 in steps of 2000."
        ),
    ] = 1000,
    seed: Annotated[int, typer.Option(min=0, help="The only source of randomness.")] = 1,
    kind: Annotated[str, typer.Option(help="Of events, where a source has several; empty: its first.")] = "",
    workers: Annotated[int, typer.Option(min=1, max=256, help="Processes that make them, of zjets.")] = 1,
    as_json: AsJson = False,
) -> None:
    """Make events of a source and write them in the public layout that it reads.

    shower_voxels: the CaloChallenge's. zjets: OmniFold's; stopped, it goes on where it was.
    """
    from trigger_ml.offline import events as made

    files = made.write(source, out, made.Wanted(events, seed, kind, workers), console())
    if as_json:
        give({what: str(path) for what, path in files.items()}, as_json)
    else:
        console().print(f"{source}: {', '.join(map(str, files.values()))}", highlight=False)


@app.command()
def showers(
    found: Annotated[Path, typer.Argument(help="HDF5 file of generated showers.", show_default=False)],
    wanted: Annotated[Path, typer.Argument(help="HDF5 file of simulated ones.", show_default=False)],
    seed: Annotated[int, typer.Option(min=0, help="Of resamplings and classifiers.")] = 1,
    as_json: AsJson = False,
) -> None:
    """The CaloChallenge's numbers of generated against simulated showers.

    A binning file with the suffix .xml beside a file says what its voxels are.
    """
    from trigger_ml.offline.showers import files, metrics

    numbers = metrics.compared(*files.both(found, wanted), seed)
    rows = [{"number": name, "value": n.value, "error": n.error} for name, n in numbers.items()]
    shown = [{"number": name, "value": f"{n.value:.4g} +- {n.error:.1g}"} for name, n in numbers.items()]
    give(rows, as_json) if as_json else plain_table(shown)
