"""What building, comparing and estimating depend on, and whether what lies in a run folder is of what is there now."""

from __future__ import annotations

from collections.abc import Mapping

from trigger_ml import artifact, stamps, vendor
from trigger_ml.backends import handwritten
from trigger_ml.engines import Kind, backends
from trigger_ml.errors import ArtifactError
from trigger_ml.ir import io
from trigger_ml.ir.graph import Graph
from trigger_ml.program import code
from trigger_ml.spec import Spec
from trigger_ml.workspace import Workspace

MEANING = ("ir", "fixed.py")
"""Sources that every step depends on."""

EVENTS = ("samples",)
"""Sources that compute columns when events are read, as images or N-subjettiness: no digest of a file knows them."""

SYNTHESISED = "verilog"
"""The backend whose output is synthesised for the estimate."""


def of_build(ws: Workspace, graph: Graph, backend: str) -> dict[str, str]:
    """Inputs of ``build_<backend>``; the budget's cycles count only where there is a pipeline to cut."""
    inputs = {
        "graph": io.digest(graph),
        "spec": ws.spec.digest("target", "seed"),
        "sample": ws.events_digest,
        "elements": artifact.digest_json(ws.elements(graph)),
        "program": code("backends", "validate.py", "parts.py", *MEANING),
        "firmware": handwritten.digest(),
    }
    return inputs | ({"cycles": str(ws.spec.layout.most_cycles)} if backend in vendor.RTL else {})


def of_validate(ws: Workspace, graph: Graph, kind: Kind) -> dict[str, str]:
    """Inputs of ``validate_<engine>``.

    Raises:
        ArtifactError: its backend is not built of this graph.
    """
    require_build(ws, graph, kind.backend)
    return {
        "graph": io.digest(graph),
        "spec": ws.spec.digest("seed", f"engines.{kind.events}"),
        "sample": ws.events_digest,
        "program": code("backends", "validate.py", "engines.py", *MEANING),
        **ws.made(f"build_{kind.backend}"),
    }


def of_estimate(ws: Workspace, graph: Graph) -> dict[str, str]:
    """Inputs of ``estimate``.

    Raises:
        ArtifactError: the Verilog, or a project with a vendor's reports, is not built of this graph.
    """
    for backend in vendor.reported(ws):
        require_build(ws, graph, backend)
    inputs = {
        "graph": io.digest(graph),
        "spec": ws.spec.digest("target"),
        "program": code("estimators", "parts.py", *MEANING),
        "vendor": vendor.digest(ws),
    }
    if synthesised(ws):
        require_build(ws, graph, SYNTHESISED)
        inputs |= ws.made(f"build_{SYNTHESISED}")
    return inputs


def of_scan(ws: Workspace, spec: Spec) -> dict[str, str]:
    """What the points of a scan of precisions are made from; ``spec`` is the run's, or that of one point."""
    return {
        "spec": spec.digest("seed", "model", "train"),
        "sample": ws.events_digest,
        "program": code("families", "frontends", "physics", *EVENTS, *MEANING),
    }


def synthesised(ws: Workspace) -> bool:
    """Whether the spec has a Verilog engine; one of an earlier spec may lie there and says nothing."""
    return SYNTHESISED in backends(ws.spec)


def require_build(ws: Workspace, graph: Graph, backend: str) -> None:
    """Raise ``ArtifactError`` unless ``firmware/<backend>`` is whole, and of this graph, spec and program."""
    _require(ws, f"build_{backend}", of_build(ws, graph, backend), f"firmware/{backend}", "build")


def require_validate(ws: Workspace, graph: Graph, kind: Kind) -> None:
    """Raise ``ArtifactError`` unless the engine was compared as it is built now, with this graph."""
    inputs = of_validate(ws, graph, kind)
    _require(ws, f"validate_{kind.name}", inputs, f"the comparison of {kind.name}", "validate")


def require_estimate(ws: Workspace, graph: Graph) -> None:
    """Raise ``ArtifactError`` unless the estimate is of this graph and of the Verilog that is there."""
    _require(ws, "estimate", of_estimate(ws, graph), "the estimate", "estimate")


def _require(ws: Workspace, step: str, inputs: Mapping[str, str], what: str, verb: str) -> None:
    why = stamps.why_stale(ws.folder, step, inputs)
    if why is not None:
        raise ArtifactError(f"{ws.folder}: {what} is out of date ({why}): run `trigger-ml {verb}` first")
