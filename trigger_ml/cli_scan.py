"""The verb ``scan``: what precision costs, and what sharing multipliers does."""

from __future__ import annotations

from typing import Annotated

import typer

from trigger_ml.cli_options import PROJECTS, AsJson, Out, SpecPath
from trigger_ml.cli_output import console, give
from trigger_ml.errors import SpecError

WIDTHS = "2,4,6,8,12,16"


def scan(
    spec: SpecPath,
    out: Out = PROJECTS,
    bits: Annotated[str | None, typer.Option(help=f"Uniform widths; {WIDTHS} if nothing is asked for.")] = None,
    methods: Annotated[str, typer.Option(help="ptq (rounded once), qat (trained at the width), or both.")] = "ptq,qat",
    reuse: Annotated[str | None, typer.Option(help="Reuse factors of the graph's hls4ml project: 1,2,4,8.")] = None,
    as_json: AsJson = False,
) -> None:
    """Show what precision costs, and what sharing multipliers does.

    With --bits one model at several uniform widths, its float network trained once; with --reuse the HLS project of its
    graph at several reuse factors, each compared bit by bit. Both stand on the report's page from then on.
    """
    from trigger_ml import reuse as sharing
    from trigger_ml import scan as scanning

    found = {}
    if reuse is not None:
        factors = _whole_numbers(reuse, "--reuse")
        found["reuse"] = sharing.reuse(spec, console(), out, factors)
    if bits is not None or reuse is None:
        widths = _whole_numbers(WIDTHS if bits is None else bits, "--bits")
        found["bits"] = scanning.scan(spec, console(), out, widths, methods.split(","))
    give(found if len(found) > 1 else next(iter(found.values())), as_json)


def _whole_numbers(text: str, option: str) -> list[int]:
    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise SpecError(f'{option} is "{text}": give whole numbers separated by commas') from None
