"""The page of an RTL project says what ``ports.json`` says, and whose bits an element has."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.backends.rtl_graphs import chain, score
from trigger_ml.backends import verilog, vhdl
from trigger_ml.errors import GraphError, Mismatch
from trigger_ml.spec import Target

pytest.importorskip("alkaid", reason="needs the extra rtl")

NAMES = [(f"jet{i}_pt", "0.5 GeV") for i in range(5)]


@pytest.fixture(params=[verilog, vhdl], ids=["verilog", "vhdl"])
def built(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Path, object]:
    """The chain of five inputs: signed, of 5, 4, 5, 0 and 3 bits."""
    request.param.build(chain(), tmp_path / "p", Target(clock_ns=4))
    return tmp_path / "p", request.param


def test_the_page_without_names(built):
    folder, _ = built
    page, about = (folder / "interface.md").read_text(), json.loads((folder / "ports.json").read_text())
    assert "# Interface of module_network\n" in page
    assert about["graph_digest"] in page
    cycles = about["latency_cycles"]
    assert f"- Latency: {cycles} edges," in page
    assert f"({4 * cycles} ns at that period)" in page
    assert "| `clk` | in | 1 | |\n| `input_port` | in | 17 | 5 |\n| `signal_port` | out |" in page
    fields = page.partition("## Input `input_port`")[2].partition("##")[0].strip().splitlines()
    assert fields[2:] == [
        "| 0 | 4:0 | signed, 5 bit |",
        "| 1 | 8:5 | signed, 4 bit |",
        "| 2 | 13:9 | signed, 5 bit |",
        "| 3 | - | 0 |",
        "| 4 | 16:14 | signed, 3 bit |",
    ]
    assert ("event_valid.v" in page) == (folder / "rtl" / "event_valid.v").exists()


def test_the_page_with_names(built):
    folder, backend = built
    before = json.loads((folder / "ports.json").read_text())
    backend.write_names(folder, chain(), NAMES)
    page, about = (folder / "interface.md").read_text(), json.loads((folder / "ports.json").read_text())
    assert "| element | bits | integer | name | one unit is |" in page
    assert "| 4 | 16:14 | signed, 3 bit | jet4_pt | 0.5 GeV |" in page
    assert [e.pop("name") for e in about["inputs"][0]["elements"]] == [name for name, _ in NAMES]
    assert {e.pop("unit") for e in about["inputs"][0]["elements"]} == {"0.5 GeV"}
    assert about == before


def test_names_that_do_not_fit_are_refused(built):
    folder, backend = built
    with pytest.raises(GraphError, match="4 names for the inputs of module_network: give one for each"):
        backend.write_names(folder, chain(), NAMES[:4])
    with pytest.raises(Mismatch, match="build it again"):
        backend.write_names(folder, score(), NAMES)
