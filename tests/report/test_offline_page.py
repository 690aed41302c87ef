"""The page of offline models: numbers, costs and figures of what was kept, in one file."""

from __future__ import annotations

import re

import pytest

from trigger_ml.errors import ArtifactError
from trigger_ml.report import card, offline_doc
from trigger_ml.report.offline_numbers import RowResult
from trigger_ml.report.offline_page import render


def _result(value: float, differing=(), scatter: float | None = 0.002, weights: int = 100):
    n = {"value": value, "error": 0.0012, "scatter": scatter, "values": [value] * (3 if scatter else 1)}
    figure = {"edges": [0.0, 1.0, 2.0], "curves": {"truth": [50.0, 50.0], "model": [60.0, 40.0], "prior": [9.0, 91.0]}}
    return {
        "metrics": {"wasserstein": n, "<b>": n}, "differing": list(differing), "compared": 1000,
        "kernel_bytes": {"float": 100, "int8": weights, "ternary": weights}, "bit_operations": 2048,
        "micros": {"float": 4.0, "ternary": 1.0, "truth simulator": 50.0}, "figures": {"mass [GeV]": figure},
        "command": "trigger-ml offline run models/offline/a", "date": "2026-01-02",
    }  # fmt: skip


def _page(**results):
    pytest.importorskip("matplotlib", reason="needs the extra report")
    pytest.importorskip("jinja2", reason="needs the extra report")
    return render([RowResult("a", "A row", "flow_matching on x", results)])


def test_numbers_costs_and_figures():
    page = _page(none=_result(0.01), all=_result(0.02, weights=10))
    assert page == _page(none=_result(0.01), all=_result(0.02, weights=10))
    text = re.sub(r"\s+", " ", page)
    assert "EQUAL" in page
    assert "2,000 inputs" in page
    assert "<td>0.0100 ± 0.0012 (0.0020)</td><td>0.0200 ± 0.0012 (0.0020)</td>" in text
    assert "<td>smaller than float by</td><td>1</td><td>10</td>" in text
    assert "<td>time over float&#39;s</td><td>1.00</td><td>0.25</td>" in text
    assert "<td>truth simulator&#39;s time over it</td><td>50</td><td>50</td>" in text
    assert page.count("<img") == 2
    assert "http" not in re.sub(r'src="data:[^"]*"', "", page)
    assert "&lt;b&gt;" in page


def test_numbers_of_other_things_stand_at_the_end_of_their_line():
    results = {"none": _result(0.01), "all": _result(0.02)}
    for content in results.values():
        content["metrics"] |= {"wasserstein of truth": {**content["metrics"]["wasserstein"], "value": 0.005}}
    text = re.sub(r"\s+", " ", _page(**results))
    assert "<th>float</th><th>all</th><th>other truth</th>" in text
    assert "0.0200 ± 0.0012 (0.0020)</td><td>0.0050 ± 0.0012 (0.0020)</td></tr>" in text
    assert "<td>wasserstein of truth</td>" not in text


def test_what_differs_is_named_first():
    page = _page(none=_result(0.01), all=_result(0.02, differing=("int8",)))
    assert "DIFFERENT" in page
    assert "a, all: int8" in page


def test_a_row_with_one_precision_and_one_training():
    page = _page(all=_result(0.02, scatter=None))
    assert "0.0200 ± 0.0012<" in page
    assert "trainings" not in page


def test_the_table_of_the_documentation(tmp_path):
    pytest.importorskip("matplotlib", reason="needs the extra report")
    rows = [RowResult(name, "A row", "x", {"none": _result(0.01), "all": _result(0.02, weights=10)}) for name in "ab"]
    page = tmp_path / "page.md"
    page.write_text(f"before\n{card.BEGIN}\nold\n{card.END}\nafter\n")
    offline_doc.write(rows, page, tmp_path)
    text = page.read_text()
    assert text.startswith("before\n")
    assert text.endswith("\nafter\n")
    want = "| `a` | wasserstein | 0.0100 ± 0.0012 (0.0020) | 0.0200 ± 0.0012 (0.0020) | 10 | 1 | 0.25 | 2026-01-02 |"
    assert want in text
    assert (tmp_path / "offline_all_0.svg").exists()
    page.write_text("nothing\n")
    with pytest.raises(ArtifactError, match="no place for figures"):
        offline_doc.write(rows, page, tmp_path)
