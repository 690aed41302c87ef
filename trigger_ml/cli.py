"""The command line: each verb reads one thing and writes the next; the exit code is the verdict.

Exit codes: 0 done and PASS, 1 two engines differ, 2 over budget, 3 bad input, 4 a tool is missing or failed,
5 an engine can't realise the graph, 70 a fault of trigger_ml itself, 130 interrupted.
"""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from trigger_ml import __version__, cli_offline
from trigger_ml.cli_options import PROJECTS, AsJson, Out, RunPath, SpecPath
from trigger_ml.cli_output import console, engines_table, findings_table, give, plain_table
from trigger_ml.cli_scan import scan
from trigger_ml.errors import SpecError, TriggerError

app = typer.Typer(
    name="trigger-ml",
    help="From collision events to bit-exact trigger firmware.",
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

app.add_typer(cli_offline.app, name="offline")

INTERRUPTED = 130
"""Exit code after Ctrl-C; typer turns the interrupt into this code itself."""


@app.callback(invoke_without_command=True)
def _options(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version and leave.")] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Say what is being done, in detail.")] = False,
) -> None:
    if version:
        typer.echo(f"trigger-ml {__version__}")
        raise typer.Exit
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())
        raise typer.Exit
    logging.basicConfig(level=logging.INFO if verbose else logging.WARNING, format="%(name)s: %(message)s")


@app.command()
def run(
    spec: SpecPath,
    out: Out = PROJECTS,
    frozen: Annotated[bool, typer.Option("--frozen", help="Take the model's frozen graph; train nothing.")] = False,
    freeze: Annotated[bool, typer.Option("--freeze", help="Keep the new graph in the model's folder.")] = False,
    as_json: AsJson = False,
) -> None:
    """Do the whole flow, from events to report.

    Steps whose inputs have not changed are not done again; a run that was stopped goes on where it was.
    """
    from trigger_ml import pipeline

    give(pipeline.run(spec, console(), out, frozen, freeze), as_json)


@app.command(name="import")
def import_(
    model: Annotated[Path, typer.Argument(help="A QONNX file, a saved Keras model, a project.", show_default=False)],
    to: Annotated[Path, typer.Option(help="The model's folder to write; new, or an earlier import.")],
    kind: Annotated[str | None, typer.Option("--as", help="Which importer; by default the one that fits.")] = None,
    events: Annotated[int, typer.Option(min=1, max=10**6, help="Inputs compared with the model's program.")] = 2000,
    name: Annotated[str | None, typer.Option(help="The model's name; by default the folder's.")] = None,
    as_json: AsJson = False,
) -> None:
    """Bring in a model that exists already.

    It is read exactly or refused, and compared with its own program before anything is written.
    """
    from trigger_ml import importing

    give(importing.bring_in(model, to, console(), kind, events, name), as_json)


@app.command()
def sample(
    spec: SpecPath,
    out: Out = PROJECTS,
    make: Annotated[Path | None, typer.Option(help="Make new events with Pythia 8 into this folder.")] = None,
    rates: Annotated[int | None, typer.Option(min=10, max=10**9, help="Make so much background for rates.")] = None,
    seed: Annotated[int | None, typer.Option(min=0, max=2**31 - 1, help="Of the events that are made.")] = None,
    pileup: Annotated[float | None, typer.Option(min=0, max=400, help="Mean number of overlaid collisions.")] = None,
    workers: Annotated[int, typer.Option(min=1, max=256, help="Processes that make events.")] = 1,
    scheduler: Annotated[str | None, typer.Option(help="Address of a Dask scheduler, in place of --workers.")] = None,
    columns: Annotated[bool, typer.Option("--columns", help="The AUC of a cut on each input alone.")] = False,
    within: Annotated[str | None, typer.Option(help="With --columns: of such events alone, column:low:high.")] = None,
    as_json: AsJson = False,
) -> None:
    """Check the events of a spec, or make new ones.

    With --rates: one large background without signals, whose events a network has not been trained on.
    """
    from trigger_ml import pipeline
    from trigger_ml.physics.cuts import Window, rows
    from trigger_ml.samples.production import Order

    if make is None and (rates, seed, pileup) != (None, None, None):
        raise SpecError("--rates, --seed and --pileup say how new events are made: give --make FOLDER too")
    if make is not None and columns:
        raise SpecError("--columns is about events that are there, --make makes new ones: give one of them")
    if within is not None and not columns:
        raise SpecError("--within says which events --columns counts: give --columns too")
    look = Window() if within is None else Window.parse(within)
    wanted = None if make is None else Order(make, rates, seed, pileup, workers, scheduler)
    found = pipeline.sample(spec, console(), out, wanted, look if columns else None)
    if "events" in found:
        counts = ", ".join(f"{sum(parts.values()):,} {kind}" for kind, parts in found["events"].items())
        console().print(f"{found['name']}: {counts}; as they should be", highlight=False)
    if columns and not as_json:
        plain_table(rows(found["columns"]))
    give(found, as_json)


@app.command()
def train(spec: SpecPath, out: Out = PROJECTS, as_json: AsJson = False) -> None:
    """Train the quantized network."""
    from trigger_ml import pipeline

    give(pipeline.train(spec, console(), out), as_json)


@app.command()
def convert(where: RunPath, out: Out = PROJECTS, as_json: AsJson = False) -> None:
    """Turn the trained network into integers."""
    from trigger_ml import pipeline

    give(pipeline.convert(where, console(), out), as_json)


@app.command()
def build(where: RunPath, out: Out = PROJECTS, as_json: AsJson = False) -> None:
    """Write the HLS project, Verilog, VHDL, C++ emulator and ONNX.

    What simulates them is compiled too.
    """
    from trigger_ml import pipeline

    give(pipeline.build(where, console(), out), as_json)


@app.command()
def validate(where: RunPath, out: Out = PROJECTS, as_json: AsJson = False) -> None:
    """Compare every engine, bit by bit.

    The golden interpreter says what is right. Exit code 1 if an engine differs.
    """
    from trigger_ml import pipeline

    give(pipeline.validate(where, console(), out), as_json)


@app.command()
def estimate(
    where: RunPath,
    out: Out = PROJECTS,
    vivado: Annotated[Path | None, typer.Option(help="Folder with Vivado's reports, if routed elsewhere.")] = None,
    hls: Annotated[Path | None, typer.Option(help="Copy of the HLS project that was synthesised.")] = None,
    as_json: AsJson = False,
) -> None:
    """Compare the cost with the budget.

    Reports of Vivado and of C synthesis in the generated projects are read too. Exit code 2 if over.
    """
    from trigger_ml import pipeline

    give(pipeline.estimate(where, console(), out, vivado, hls), as_json)


app.command()(scan)


@app.command()
def report(where: RunPath, out: Out = PROJECTS, as_json: AsJson = False) -> None:
    """Write report.html and report.json."""
    from trigger_ml import pipeline

    give(pipeline.report(where, console(), out), as_json)


@app.command()
def bundle(
    where: RunPath,
    out: Out = PROJECTS,
    to: Annotated[Path | None, typer.Option(help="The file; by default NAME.zip in the run folder.")] = None,
    as_json: AsJson = False,
) -> None:
    """Pack a run that passed into one zip.

    The same run gives the same bytes.
    """
    from trigger_ml import bundle as packing

    give(packing.bundle(where, console(), out, to), as_json)


@app.command()
def verify(
    bundle: Annotated[Path, typer.Argument(help="A bundle.", show_default=False)],
    events: Annotated[int, typer.Option(min=1, max=10**8, help="Events for each engine.")] = 20_000,
    as_json: AsJson = False,
) -> None:
    """Check a bundle from itself alone.

    Digests, sources against a fresh build, every engine against the golden interpreter.

    Exit code 1 if anything differs.
    """
    from trigger_ml import verify as checking

    give(checking.verify(bundle, console(), events), as_json)


@app.command()
def patterns(
    where: RunPath,
    to: Annotated[Path, typer.Option(help="The folder for the files.", show_default=False)],
    format_: Annotated[str, typer.Option("--format", help="emp2, emp1 or apx.")] = "emp2",
    layout: Annotated[Path | None, typer.Option(help="A layout file; by default elements are packed in order.")] = None,
    events: Annotated[int, typer.Option(min=1, max=10**6, help="How many events.")] = 1000,
    out: Out = PROJECTS,
    as_json: AsJson = False,
) -> None:
    """Write files that boards play and record.

    Inputs and expected outputs as 64-bit words on links.
    """
    from trigger_ml import patterns as boards

    give(boards.patterns(where, console(), out, to, format_, layout, events), as_json)


@app.command()
def emulate(
    bundle: Annotated[Path, typer.Argument(help="A bundle.", show_default=False)],
    files: Annotated[list[Path], typer.Argument(help="HDF5, ROOT or Parquet files.", show_default=False)],
    to: Annotated[Path | None, typer.Option(help=".parquet or .root; by default BUNDLE_scores.parquet.")] = None,
    dataset: Annotated[str | None, typer.Option(help="Part of each file: dataset, column, prefix of branches.")] = None,
    workers: Annotated[int, typer.Option(min=1, max=256, help="Processes on this machine.")] = 1,
    scheduler: Annotated[str | None, typer.Option(help="Address of a Dask scheduler, in place of --workers.")] = None,
    on_error: Annotated[str, typer.Option(help="fail, or skip files that can't be read.")] = "fail",
    chunk: Annotated[int, typer.Option(min=1, max=10**8, help="Events in a piece of work.")] = 250_000,
    as_json: AsJson = False,
) -> None:
    """Score files of events with a bundle's exact emulator.

    Stopped, it goes on where it was.
    """
    from trigger_ml.emulate import run as emulation

    asked = emulation.Asked(dataset, on_error, workers, scheduler, chunk)
    give(emulation.emulate(bundle, files, console(), to, asked), as_json)


@app.command()
def rates(
    where: RunPath,
    events: Annotated[Path, typer.Option(help="An HDF5 file of zero-bias events.", show_default=False)],
    menu: Annotated[Path | None, typer.Option(help="A menu, e.g. models/menu.toml.")] = None,
    rates_: Annotated[str, typer.Option("--rates", help="Target rates in kHz.")] = "1,10,100",
    also: Annotated[list[Path] | None, typer.Option(help="Files of other pileup, same thresholds.")] = None,
    dataset: Annotated[str | None, typer.Option(help="Part of the file; by default its background.")] = None,
    out: Out = PROJECTS,
    as_json: AsJson = False,
) -> None:
    """Count trigger rates on many zero-bias events.

    Thresholds at target rates, efficiencies there, rates on top of a menu.
    """
    from trigger_ml import rates as counting

    try:
        wanted = tuple(float(text) for text in rates_.split(","))
    except ValueError:
        raise SpecError(f"--rates {rates_!r} are no numbers: give them like 1,10,100") from None
    asked = counting.Asked(events, menu, wanted, tuple(also or ()), dataset)
    give(counting.rates(where, console(), out, asked), as_json)


@app.command()
def inspect(where: RunPath, out: Out = PROJECTS, as_json: AsJson = False) -> None:
    """Show a run or model: spec, graph, what is done."""
    from trigger_ml import pipeline

    give(pipeline.inspect(where, console(), out), as_json)


@app.command(name="list")
def list_(
    models: Annotated[Path, typer.Option(help="Folder of models.")] = Path("models"), as_json: AsJson = False
) -> None:
    """List what a spec can name, and the models."""
    from trigger_ml import doctor as house

    if not models.is_dir():
        raise SpecError(f"{models} is no folder: give one that holds models")
    found = house.catalogue(models)
    if as_json:
        give(found, as_json)
    else:
        for kind, names in found.items():
            typer.echo(f"{kind + ':':<12}{', '.join(names) or 'none'}")


@app.command()
def bench(
    what: Annotated[
        str, typer.Argument(help="emulation: the speed of every engine; ternary: time and size of low-bit ONNX models.")
    ] = "emulation",
    models: Annotated[Path, typer.Option(help="Folder of models.")] = Path("models"),
    only: Annotated[list[str] | None, typer.Option(help="Only these models.")] = None,
    as_json: AsJson = False,
) -> None:
    """Measure engines side by side, as ratios."""
    from dataclasses import asdict

    from trigger_ml import bench as benchmarks

    if what == "ternary":
        from trigger_ml.offline import benchmark

        found = [asdict(row) for row in benchmark.ternary(console())]
        give(found, as_json) if as_json else plain_table(found)
        return
    if what != "emulation":
        raise SpecError(f"there is no benchmark {what!r}: give emulation or ternary")
    rows = [asdict(row) for row in benchmarks.emulation(only or benchmarks.MODELS, models, console())]
    if as_json:
        give(rows, as_json)
    else:
        engines_table(rows)


@app.command()
def doctor(as_json: AsJson = False) -> None:
    """Show every tool and package, and how to get it."""
    from dataclasses import asdict

    from trigger_ml import doctor as house

    findings = house.examine()
    if as_json:
        give([asdict(finding) for finding in findings], as_json)
    else:
        findings_table(findings)


def main(argv: list[str] | None = None) -> int:
    """Run one command; return its exit code. Errors are one line on standard error.

    With ``TRIGGER_ML_DEBUG=1`` in the environment an error is raised instead, with its traceback.
    """
    try:
        code = app(argv, prog_name="trigger-ml", standalone_mode=False) or 0
    except (KeyboardInterrupt, typer.Abort):
        code = INTERRUPTED
    except Exception as error:
        if os.environ.get("TRIGGER_ML_DEBUG") == "1":
            raise
        return _explain(error)
    return _fail("interrupted: the same command goes on from here", code) if code == INTERRUPTED else int(code)


def _explain(error: Exception) -> int:
    """Say what went wrong in one line; return the exit code."""
    if isinstance(error, TriggerError):
        return _fail(str(error), error.exit_code)
    if hasattr(error, "format_message"):  # a mistake on the command line, as typer reports it
        message = str(error.format_message())
        return _fail(f"{message.rstrip('.')}: see trigger-ml --help", 3) if message else 3
    if isinstance(error, OSError) and error.strerror:
        return _fail(f"{error.filename or 'a file'}: {error.strerror}", 3)
    return _fail(f"a fault of trigger-ml: {type(error).__name__}: {error} (TRIGGER_ML_DEBUG=1 shows where)", 70)


def _fail(sentence: str, code: int) -> int:
    typer.echo(f"trigger-ml: {' '.join(sentence.split())}", err=True)
    return code


if __name__ == "__main__":
    sys.exit(main())
