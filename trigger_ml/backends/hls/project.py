"""Writing the hls4ml project: our layer list, hls4ml's model, its writer, and nothing that depends on time or place."""

from __future__ import annotations

import contextlib
import io
import logging
import re
import shutil
import warnings
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from trigger_ml import tools
from trigger_ml.backends.hls.layers import Layer, Model, cpp
from trigger_ml.backends.rtl.ports import legal
from trigger_ml.fixed import Fixed
from trigger_ml.ir.graph import Graph
from trigger_ml.spec import Target

PROJECT = "trigger"
"""The top function and the stem of the project's file names, of a graph without a name."""

RESERVED = (
    "compare", "defines", "get", "log_name", "n_in", "n_out", "parameters", "read_event", "run", "set", "std",
)  # fmt: skip
"""Names of the project's other files, and of what its test bench and its headers declare."""

GENERATED = re.compile(r"[wbs][0-9]+|layer[0-9]+(_out)?|config[0-9]+|(ap|hls|nnet)(_.*)?|trigger_.*|.*_t")
"""Names that hls4ml gives to weights, layers, their configurations and types, and starts of those in its headers."""

PortTypes = tuple[tuple[str, ...], tuple[str, ...]]

log = logging.getLogger(__name__)


def name_of(graph: Graph) -> str:
    """The top function of a graph's project, its files' stem and its IP: the graph's name."""
    name = legal(str(graph.meta.get("name", PROJECT)), "_network", RESERVED)
    return f"{name}_network" if GENERATED.fullmatch(name) else name


def write(model: Model, name: str, folder: Path, target: Target) -> PortTypes:
    """Write the HLS project into ``folder``, which exists; test bench and vectors apart.

    Args:
        model: the lowered graph.
        name: of the top function and of the files.
        folder: the project.
        target: device and layout.

    Returns:
        The C++ types of the inputs and of the outputs, in order.

    Raises:
        ToolMissing: if hls4ml is not installed.
    """
    with _quiet():
        tools.package("hls4ml")
        graph = _model_graph(model, name, folder, target)
        _write(graph, folder)
    shutil.copyfile(Path(__file__).parent / "nnet_exact.h", folder / "firmware" / "nnet_utils" / "nnet_exact.h")
    inputs, outputs = graph.get_input_variables(), graph.get_output_variables()
    return tuple(v.type.name for v in inputs), tuple(v.type.name for v in outputs)


def _model_graph(model: Model, name: str, folder: Path, target: Target) -> Any:
    from hls4ml.model.graph import ModelGraph
    from hls4ml.model.layers import register_layer
    from hls4ml.utils.config import create_config

    register_layer("Exact", _exact_layer())
    config = create_config(
        output_dir=str(folder),
        project_name=name,
        backend=target.hls_backend,
        part=target.part,
        clock_period=target.clock_ns,
        io_type=target.io_type,
        write_weights_txt=False,
    )
    config["Stamp"] = PROJECT
    style: dict[str, Any] = {"PipelineStyle": "pipeline", "PipelineInterval": target.reuse_factor}
    if target.io_type == "io_stream":
        style = {"PipelineStyle": "dataflow"}
    config["HLSConfig"] = {
        "Model": {
            "Precision": "fixed<2,1>",  # used nowhere: every layer below names its own types
            "ReuseFactor": target.reuse_factor,
            "Strategy": "latency",
            "BitExact": False,
            **style,
        },
        "LayerName": {layer.name: {"Precision": _precision(layer)} for layer in model.layers},
    }
    entries = [_entry(layer) for layer in model.layers]
    return ModelGraph.from_layer_list(
        config, entries, [p.layer for p in model.inputs], [p.layer for p in model.outputs]
    )


def _precision(layer: Layer) -> dict[str, str]:
    return {what: cpp(fixed) for what, fixed in layer.types.items()}


def _entry(layer: Layer) -> dict[str, Any]:
    own = {"types": layer.types, "call": layer.call, "code": layer.code} if layer.kind == "Exact" else {}
    return {"class_name": layer.kind, "name": layer.name, "inputs": list(layer.inputs), **layer.attributes, **own}


@cache
def _exact_layer() -> Any:
    """hls4ml's class of an ``Exact`` layer: one result of a given type, and at most one table."""
    from hls4ml.model.layers import Layer as HlsLayer
    from hls4ml.model.types import FixedPrecisionType, Source

    def precision(fixed: Fixed) -> Any:
        return FixedPrecisionType(fixed.width, fixed.integer, fixed.signed)

    class Exact(HlsLayer):
        def initialize(self) -> None:
            types = self.get_attr("types")
            self.add_output_variable(self.get_attr("shape"), precision=precision(types["result"]))
            if "table" in types:
                self.add_weights_variable("table", "table{index}", precision=precision(types["table"]))
            if self.get_attr("code"):
                self.set_attr("generated_code", Source(self.get_attr("code")))

        def bind(self) -> None:
            """Write the call, once the other layers have got their final names."""
            names = {f"a{j}": self.get_input_variable(source).name for j, source in enumerate(self.inputs)}
            names["r"] = self.get_output_variable().name
            names["table"] = next((w.name for w in self.get_weights()), "")
            self.set_attr("function_cpp", self.get_attr("call").format(**names))
            self.set_attr("include_header", ["nnet_utils/nnet_exact.h"])

    return Exact


def _write(graph: Any, folder: Path) -> None:
    """Steps of hls4ml's writer, all but its test bench, its Python bridge and the files that hold paths."""
    for node in graph.graph.values():
        if isinstance(node, _exact_layer()):
            node.bind()
    writer = graph.config.backend.writer
    for step in ("project_dir", "project_cpp", "project_header", "weights", "defines", "parameters"):
        getattr(writer, f"write_{step}")(graph)
    writer.write_build_script(graph)
    (folder / "build_lib.sh").unlink()
    writer.write_nnet_utils(graph)
    writer.write_generated_code(graph)
    _include(folder / "firmware" / "nnet_utils" / "nnet_code_gen.h")
    if graph.config.backend.name == "Vitis":
        for step in ("nnet_utils_overrides", "board_script_override", "build_prj_override", "build_opts"):
            getattr(writer, f"write_{step}")(graph)


def _include(code: Path) -> None:
    """Generated functions call ours: let them be declared before."""
    text = code.read_text("utf-8")
    code.write_text(
        text.replace('#include "nnet_common.h"\n', '#include "nnet_common.h"\n#include "nnet_exact.h"\n', 1), "utf-8"
    )


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """hls4ml prints its progress: keep it for the log."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed), warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        yield
    for line in [*printed.getvalue().splitlines(), *(str(w.message) for w in warned)]:
        log.debug("hls4ml: %s", line)
