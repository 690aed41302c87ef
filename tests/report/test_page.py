from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
from dataclasses import replace

import pytest

from tests.report.example import classes, rates, report, reuse, scan
from trigger_ml.artifact import read_json
from trigger_ml.estimators.quantity import Quantity
from trigger_ml.physics.intervals import Estimate
from trigger_ml.report import Agreement, write
from trigger_ml.report.document import document
from trigger_ml.report.labels import measured, point, process
from trigger_ml.report.page import render

for package in ("jinja2", "matplotlib", "mplhep"):
    pytest.importorskip(package, reason=f"the page needs {package}")

PHONE = 390

PROBE = """
<script>
window.addEventListener("load", function () {
  var wide = [], width = document.documentElement.clientWidth;
  document.querySelectorAll("body *").forEach(function (e) {
    var box = e.getBoundingClientRect();
    if (box.right > width + 0.5 || box.left < -0.5) { wide.push(e.tagName + " " + e.textContent.slice(0, 40)); }
  });
  var images = Array.from(document.images);
  var broken = images.filter(function (i) { return !i.naturalWidth; }).length;
  var scroll = document.documentElement.scrollWidth;
  document.body.setAttribute("data-probe", JSON.stringify([width, scroll, images.length, broken, wide]));
});
</script>
"""

FRAME = """<!DOCTYPE html><meta charset="utf-8">
<iframe src="page.html" style="border:0;width:{width}px;height:900px" onload="setTimeout(function (frame) {{
document.title = frame.contentDocument.body.getAttribute('data-probe') }}, 300, this)"></iframe>
"""

FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--allow-file-access-from-files",
    "--enable-logging=stderr",
    "--v=0",
    "--virtual-time-budget=8000",
    "--window-size=1400,1000",
    "--dump-dom",
]


@pytest.fixture(scope="module")
def data():
    return report(4_000, 500, rates=rates(4_000, 500))


@pytest.fixture(scope="module")
def page(data):
    return render(data)


def test_a_scan_of_reuse_factors_keeps_sources_apart(data, page):
    scanned = render(replace(data, reuse=reuse()))
    assert "<h2>Reuse</h2>" in scanned
    assert "<h2>Reuse</h2>" not in page
    assert scanned.count("<figure") == page.count("<figure") + 1
    heads = re.findall(r"<th>(\w[\w ]*)<br><span class=\"soft\">([\w ]+)</span></th>", scanned)
    assert ("DSP", "vendor csynth") in heads
    assert ("multipliers", "estimated") in heads


def test_a_scan_of_precisions_has_a_section(data, page):
    scanned = render(replace(data, scan=scan()))
    assert "<h2>Precision</h2>" in scanned
    assert "8 bits, trained at the width" in scanned
    assert scanned.count("<figure") == page.count("<figure") + 2
    assert "<h2>Precision</h2>" not in page


@pytest.mark.parametrize("twin", [True, False])
def test_classes_have_a_section(data, page, twin):
    found = classes(twin)
    shown = render(replace(data, physics=replace(data.physics, classes=found)))
    assert "<h2>Classes</h2>" in shown
    assert "<h2>Classes</h2>" not in page
    assert shown.count("<figure") == page.count("<figure") + 1 + twin
    section = shown[shown.index("<h2>Classes</h2>") : shown.index("<h2>Against simple counters</h2>")]
    assert [f"<tr><td>{process(name)}</td><td>200</td>" in section for name in found.events] == [True] * 5
    assert ("<th>shift</th>" in section) == twin


def test_rates_on_many_events_have_a_section(data, page):
    assert "Rates on 4,000 zero-bias events</h2>" in page
    for text in ("300 kHz unique", "SingleJet100", "An artificial menu.", "mean pileup 60", "Rate against threshold"):
        assert text in page
    assert "zero-bias events</h2>" not in render(replace(data, rates=None))


def test_points_say_on_which_events_their_thresholds_were_set(data, page):
    targets = [p for p in data.physics.quantized.points if p.target is not None]
    given = [p for p in data.physics.quantized.points if p.target is None]
    marks = re.findall(r'<td class="soft">(test|validation)</td></tr>', page)
    assert targets
    assert marks == ["test"] * len(targets) + ["validation"] * len(given)
    assert all(p.fpr.value <= p.target for p in targets)
    assert "never above it by construction" in page
    assert "events, threshold set on them" in page
    assert ("so its rate is a measurement" in page) == bool(given)


def test_page_is_self_contained(page):
    assert not re.findall(r'(?:src|href)="(?!data:)', page)
    assert "<script" not in page
    assert "url(" not in page
    assert 'name="viewport"' in page


def test_provenance_says_each_thing_once(data, page):
    keys = re.findall(r"<dt>(.*?)</dt>", page.partition("<h2>Provenance</h2>")[2])
    assert keys == list(data.provenance)


def test_the_drawing_tells_the_ports_bits_from_those_that_are_read(page):
    """By hand from the example: 9 and 12 bits arrive; two of three elements are dropped behind that."""
    drawing = page.partition('<svg class="network"')[2].partition("</svg>")[0]
    assert re.search(r">x<.*?>9–12 bit<", drawing)
    assert re.search(r">requant<.*?>result \d–\d bit, 38 of 57 always 0<", drawing)


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


def test_equal_data_give_equal_bytes(data, page, tmp_path):
    write(tmp_path, data)
    assert (tmp_path / "report.html").read_text("utf-8") == page
    assert read_json(tmp_path / "report.json") == document(data)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["report.html", "report.json"]


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


@pytest.fixture(scope="module")
def stretched(data):
    """A page with words far longer than any line."""
    return render(
        replace(
            data,
            physics=replace(data.physics, classes=classes()),
            agreement=(*data.agreement, Agreement("ghdl", 1_000, 3, "ghdl", "x[0..56] = " + "1234," * 40)),
            quantities=(*data.quantities, Quantity("lut", 123456.5, "", "estimated", "very_long_name_" * 9, 1, 2)),
            provenance=data.provenance | {"a_long_key_of_provenance": "f" * 200},
        )
    )


@pytest.mark.needs_browser
@pytest.mark.parametrize("width", [PHONE, 768, 1200])
def test_browser_finds_nothing_wrong(stretched, tmp_path, width):
    """The page is laid out in a frame, since some browsers refuse windows as narrow as a phone."""
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if browser is None:
        pytest.skip("no chromium on PATH: apt-get install chromium")
    (tmp_path / "page.html").write_text(stretched.replace("</body>", PROBE + "</body>"), "utf-8")
    (tmp_path / "frame.html").write_text(FRAME.format(width=width), "utf-8")
    argv = [browser, *FLAGS, f"--user-data-dir={tmp_path / 'profile'}", (tmp_path / "frame.html").as_uri()]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=120, check=True)
    title = re.search(r"<title>(\[.*?\])</title>", done.stdout)
    assert title, done.stdout[-2000:] + done.stderr[-2000:]
    laid_out, scroll, images, broken, wide = json.loads(html.unescape(title[1]))
    assert laid_out == width
    assert wide == []
    assert scroll == width
    assert (images, broken) == (14, 0)
    assert "CONSOLE" not in done.stderr
