from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import replace

import pytest

from tests.report.example import report
from trigger_ml.artifact import read_json
from trigger_ml.estimators.quantity import Quantity
from trigger_ml.physics.intervals import Estimate
from trigger_ml.report import Agreement, write
from trigger_ml.report.document import document
from trigger_ml.report.labels import measured, point
from trigger_ml.report.page import render

for package in ("jinja2", "matplotlib", "mplhep"):
    pytest.importorskip(package, reason=f"the page needs {package}")

PHONE = 390

PROBE = """
<script>
window.addEventListener("load", function () {
  var found = [];
  var width = document.documentElement.clientWidth;
  document.querySelectorAll("body *").forEach(function (e) {
    var box = e.getBoundingClientRect();
    if (box.right > width + 0.5 || box.left < -0.5) { found.push(e.tagName + "." + e.className); }
  });
  var broken = Array.from(document.images).filter(function (i) { return !i.naturalWidth; }).length;
  document.body.setAttribute("data-probe", JSON.stringify(
    { width: width, wide: found, scroll: document.documentElement.scrollWidth, images: document.images.length, broken: broken }));
});
</script>
"""


@pytest.fixture(scope="module")
def data():
    return report(4_000, 500)


@pytest.fixture(scope="module")
def page(data):
    return render(data)


def test_page_is_self_contained(page):
    assert not re.findall(r'(?:src|href)="(?!data:)', page)
    assert "<script" not in page
    assert "url(" not in page
    assert 'name="viewport"' in page


def test_verdict_comes_first(page):
    assert page.index("PASS</b>") < page.index("<h2>")
    assert "compared bit for bit with the golden interpreter, 0 differ" in page


def test_page_says_what_is_simulated_and_what_was_not_run(page):
    assert "not comparable with published results" in page
    assert "Not run: ghdl. ghdl is not installed" in page


def test_sources_never_share_a_table(data, page):
    for source in {q.source for q in data.quantities}:
        assert f"<h3>{source.capitalize()} " in page


def test_what_comes_from_outside_is_escaped(data):
    spoiled = replace(data, physics=None, agreement=(Agreement("onnx", 5, 1, "<i>tool", "x < 3 & y"),))
    page = render(spoiled)
    assert "FAIL</b>" in page
    assert "&lt;i&gt;tool" in page
    assert "x &lt; 3 &amp; y" in page


def test_equal_data_give_equal_bytes(data, tmp_path):
    for name in ("first", "again"):
        write(tmp_path / name, data)
    for file in ("report.html", "report.json"):
        assert (tmp_path / "first" / file).read_bytes() == (tmp_path / "again" / file).read_bytes()
    assert read_json(tmp_path / "first" / "report.json") == document(data)
    assert sorted(p.name for p in (tmp_path / "first").iterdir()) == ["report.html", "report.json"]


@pytest.mark.parametrize(
    ("name", "text"),
    [("rate_10_khz", "10 kHz"), ("fpr_1e-05", "FPR 10⁻⁵"), ("fpr_0.001", "FPR 10⁻³"), ("fpr_0.002", "FPR 0.002")],
)
def test_points_for_people(name, text):
    assert point(name) == text


@pytest.mark.parametrize(
    ("estimate", "text"),
    [
        (Estimate(0.95, 0.949, 0.951), "0.9500 ± 0.0010"),
        (Estimate(9.8, 8.6, 11.2), "9.8 +1.4 −1.2"),
        (Estimate(-0.5, -0.75, -0.25), "−0.50 ± 0.25"),
        (Estimate(1234.0, 1100.0, 1400.0), "1234 +166 −134"),
        (Estimate(0.0, 0.0, 0.0), "0.0000 ± 0.0000"),
    ],
)
def test_values_are_rounded_to_their_errors(estimate, text):
    assert measured(estimate) == text


def _open(page, folder, width):
    """The page as headless Chromium lays it out, and what it complains about.

    The window can't be made narrower than 500 in some builds, so the page is laid out in a frame of the width asked for.
    """
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if browser is None:
        pytest.skip("no chromium on PATH: apt-get install chromium")
    (folder / "page.html").write_text(page.replace("</body>", PROBE + "</body>"), "utf-8")
    report_ = "document.title = this.contentDocument.body.getAttribute('data-probe')"
    frame = f'<iframe src="page.html" style="border:0;width:{width}px;height:9000px" onload="setTimeout(()=>{{{report_}}},300)">'
    (folder / "frame.html").write_text(f'<!DOCTYPE html><meta charset="utf-8"><body>{frame}</iframe></body>', "utf-8")
    flags = (
        "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
        "--disable-component-update --disable-sync --allow-file-access-from-files --enable-logging=stderr --v=0 "
        "--virtual-time-budget=8000 --dump-dom"
    ).split()
    target = (folder / "frame.html").as_uri()
    argv = [browser, *flags, f"--user-data-dir={folder / 'profile'}", "--window-size=1400,9000", target]
    return subprocess.run(argv, capture_output=True, text=True, timeout=90, check=True)


@pytest.mark.needs_browser
@pytest.mark.parametrize("width", [PHONE, 1200])
def test_browser_finds_nothing_wrong(data, tmp_path, width):
    long = replace(
        data,
        agreement=(*data.agreement, Agreement("ghdl", 1_000, 3, "ghdl", "x[0..56] = " + "1234," * 40)),
        quantities=(
            *data.quantities,
            Quantity("lut", 123456.5, "", "estimated", "a_tool_of_a_very_long_name_" * 4, 1, 2),
        ),
        provenance=data.provenance | {"a_long_key_of_provenance": "f" * 200},
    )
    done = _open(render(long), tmp_path, width)
    title = re.search(r"<title>(\{.*?\})</title>", done.stdout)
    assert title, done.stdout[-2000:] + done.stderr[-2000:]
    import json

    probe = json.loads(title[1].replace("&quot;", '"').replace("&amp;", "&"))
    assert probe["width"] == width
    assert probe["wide"] == []
    assert probe["scroll"] <= width
    assert probe["images"] == 11
    assert probe["broken"] == 0
    assert "CONSOLE" not in done.stderr
