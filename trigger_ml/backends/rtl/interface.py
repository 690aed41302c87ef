"""The page of an RTL project that says how to connect it: ports, fields, clock, latency, and what each input means."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from trigger_ml import artifact
from trigger_ml.backends.rtl.project import description
from trigger_ml.errors import GraphError
from trigger_ml.ir.graph import Graph

PAGE = "interface.md"


def page(about: Mapping[str, Any], source: str) -> str:
    """The text of ``interface.md``.

    Args:
        about: the content of ``ports.json``; elements may have a ``name`` and a ``unit``.
        source: the network's file in ``rtl/``.
    """
    cycles, clock = about["latency_cycles"], about["clock_ns"]
    flag = (
        "`rtl/event_valid.v` carries a valid flag beside it."
        if source.endswith(".v")
        else "Carry a valid flag beside it."
    )
    lines = [
        f"# Interface of {about['name']}",
        "",
        f"`rtl/{source}`, of the integer graph `{about['graph_digest']}`. The same for programs: `ports.json`.",
        "",
        f"- One event at each rising edge of `clk`, laid out for a period of {clock:g} ns; initiation interval "
        f"{about['initiation_interval']}.",
        f"- Latency: {cycles} edges, from the one that takes the event in to the one that gives the result out, both",
        f"  included ({cycles * clock:g} ns at that period). Inputs and outputs are registered inside.",
        f"- No reset, no valid, no stall: it answers whatever stands at its inputs. {flag}",
        "- A port is one vector; element 0 (C order) stands at its low end, and each element has bits of its own.",
        "  One with `-` is always zero and takes none.",
        "- Inputs are hardware integers. The value of an output is its integer times `2**-frac`.",
        "",
        "| port | direction | bits | shape |",
        "|---|---|---|---|",
        "| `clk` | in | 1 | |",
    ]
    for side in ("input", "output"):
        for port in about[f"{side}s"]:
            shape = " x ".join(map(str, port["shape"]))
            lines.append(f"| `{port['name']}` | {side.removesuffix('put')} | {port['width']} | {shape} |")
    for side in ("input", "output"):
        for port in about[f"{side}s"]:
            lines += ["", f"## {side.capitalize()} `{port['name']}`", ""]
            lines += [*_columns(about, port), *_fields(port, side == "output")]
    return "\n".join([*lines, ""])


def _columns(about: Mapping[str, Any], port: Mapping[str, Any]) -> list[str]:
    """What the elements of a port are, such as classes; nothing where they have no names of their own."""
    names = about.get("columns", {}).get(port["node"], [])
    return [f"Elements: {', '.join(f'{index} {name}' for index, name in enumerate(names))}.", ""] if names else []


def _fields(port: Mapping[str, Any], shows_frac: bool) -> Iterator[str]:
    """The table of a port's elements."""
    named = any("name" in element for element in port["elements"])
    yield (
        "| element | bits | integer |" + (" frac |" if shows_frac else "") + (" name | one unit is |" if named else "")
    )
    yield "|---|---|---|" + ("---|" if shows_frac else "") + ("---|---|" if named else "")
    for index, element in enumerate(port["elements"]):
        low, high = element["lsb"], element["msb"]
        bits = "-" if low is None else f"{high}:{low}"
        kind = "0" if low is None else f"{'signed' if element['signed'] else 'unsigned'}, {high - low + 1} bit"
        row = f"| {index} | {bits} | {kind} |" + (f" {element['frac']} |" if shows_frac else "")
        yield row + (f" {element.get('name', '')} | {element.get('unit', '')} |" if named else "")


def write_names(folder: Path, graph: Graph, elements: Sequence[tuple[str, str]]) -> None:
    """Say in a built project what the elements of the graph's only input are.

    Args:
        folder: the project.
        graph: that it was built from.
        elements: name, and size of one hardware unit, of each element in C order.

    Raises:
        Mismatch: the project is of another graph.
        GraphError: there are several inputs, or not as many elements.
    """
    about = description(folder, graph)
    if len(about["inputs"]) != 1 or len(about["inputs"][0]["elements"]) != len(elements):
        raise GraphError(
            f"{len(elements)} names for the inputs of {about['name']}: give one for each element of its only input"
        )
    for field, (name, unit) in zip(about["inputs"][0]["elements"], elements, strict=True):
        field |= {"name": name, "unit": unit}
    (source,) = (p.name for p in (folder / "rtl").iterdir() if p.stem == about["name"])
    artifact.write_json(folder / "ports.json", about)
    artifact.atomic_write(folder / PAGE, page(about, source))
