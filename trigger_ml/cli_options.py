"""Arguments and options that several verbs of the command line share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

SpecPath = Annotated[Path, typer.Argument(help="A spec.toml, or the folder of a model.", show_default=False)]
RunPath = Annotated[
    Path, typer.Argument(help="A run folder, a spec.toml or the folder of a model.", show_default=False)
]
Out = Annotated[Path, typer.Option(help="Where run folders are made; each is named after its model.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON on standard output.")]

PROJECTS = Path("hls_projects")
