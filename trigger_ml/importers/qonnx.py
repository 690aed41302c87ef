"""QONNX files (arXiv:2206.07527): ONNX with quantizers, as Brevitas, FINN and hls4ml exchange them.

What is read, and what it turns into, is listed in ``qonnx_file/rules.py``; everything else is refused by name. The
graph is held against qonnx's own execution before it is accepted.
"""

from __future__ import annotations

from pathlib import Path

from trigger_ml.importers import comparing
from trigger_ml.importers.imported import Imported
from trigger_ml.importers.qonnx_file import oracle, reading, rules

NAME = "qonnx's execution"


def recognises(path: Path) -> bool:
    """Whether it is a file that ends in ``.onnx``."""
    return path.suffix == ".onnx" and path.is_file()


def read(path: Path, events: int, seed: int) -> Imported:
    """Read a file and compare it with qonnx's own execution on ``events`` vectors.

    Raises:
        ImportRefused: it is malformed, or holds something that can't be read exactly; the sentence names it.
        Mismatch: the graph and qonnx differ.
        ToolMissing: qonnx is not installed.
    """
    model = reading.read(path)
    graph, tables = rules.to_graph(model, {"imported": "qonnx"})
    comparing.compare(graph, oracle.oracle(model), NAME, events, seed)
    remarks = comparing.remarks(graph, NAME)
    if tables:
        remarks += (f"{tables} tables hold what ONNX Runtime's float32 functions give, rounded by the Quant behind.",)
    opset = model.opsets.get("", 0)
    return Imported(graph, f"QONNX file, opset {opset}, {len(model.layers)} nodes", _version(), events, remarks)


def _version() -> str:
    from importlib.metadata import version

    return f"qonnx {version('qonnx')}, node by node in ONNX Runtime {version('onnxruntime')}"
