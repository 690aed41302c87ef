from __future__ import annotations

import copy
import json
from dataclasses import replace
from importlib import resources

import pytest

from tests.report.example import classes, graph, rates, report, reuse, scan
from trigger_ml.estimators.quantity import Quantity
from trigger_ml.report import Agreement, BudgetLine, limits, summarize
from trigger_ml.report.document import document
from trigger_ml.spec import Budget

jsonschema = pytest.importorskip("jsonschema", reason="the schema is checked with jsonschema")

LUT = Quantity("lut", 3200, "", "open synthesis", "yosys")
LATENCY = Quantity("latency_ns", 55.0, "ns", "simulated", "verilator")
PATH = Quantity("path_ns", 5.64, "ns", "open synthesis", "yosys")


@pytest.fixture(scope="module")
def data():
    return report(4_000, 500)


@pytest.fixture(scope="module")
def schema():
    return json.loads((resources.files("trigger_ml.report") / "report.schema.json").read_text())


def test_document_meets_its_schema(data, schema):
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(document(data), schema)
    jsonschema.validate(document(replace(data, physics=None, failures=("No.",))), schema)
    table = rates(4_000, 500)
    jsonschema.validate(document(replace(data, scan=scan(), reuse=reuse())), schema)
    jsonschema.validate(document(replace(data, scan=replace(scan(), own=None))), schema)
    jsonschema.validate(document(replace(data, rates=table)), schema)
    jsonschema.validate(
        document(replace(data, rates=replace(table, menu=None, shifts=(), elsewhere=(), pair=None))), schema
    )


@pytest.mark.parametrize("twin", [True, False])
def test_classes_meet_the_schema_and_keep_their_order(data, schema, twin):
    found = document(replace(data, physics=replace(data.physics, classes=classes(twin))))
    jsonschema.validate(found, schema)
    made = found["physics"]["classes"]
    assert made["names"] == ["background", *data.physics.signal_events]
    assert ("float" in made) == ("shift" in made) == twin
    assert set(made["quantized"]["confusion"]) == set(made["names"])
    made["quantized"]["confusion"]["background"]["A_to_4l"].pop("low")
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(found, schema)


def test_schema_is_strict(data, schema):
    valid = document(data)
    for spoil in (
        lambda d: d.pop("agreement"),
        lambda d: d.update(extra=1),
        lambda d: d["quantities"][0].update(source="hearsay"),
        lambda d: d.update(verdict="FAIL"),
        lambda d: d["physics"]["signals"]["A_to_4l"]["float"]["auc"].pop("low"),
        lambda d: d["agreement"][0].update(mismatches=-1),
    ):
        document_ = copy.deepcopy(valid)
        spoil(document_)
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(document_, schema)


def test_document_holds_what_readers_look_for(data):
    found = document(data)
    assert found["verdict"] == "PASS"
    assert [(a["engine"], a["mismatches"]) for a in found["agreement"]][:2] == [("hls4ml", 0), ("verilator", 0)]
    names = {q["name"] for q in found["quantities"]}
    assert {"lut", "ff", "dsp", "bram", "latency_cycles", "latency_ns", "initiation_interval"} <= names
    assert {"quantized", "float", "shift"} < set(found["physics"]["signals"]["LQ_to_btau"])
    assert "not comparable with published results" in found["physics"]["sample"]["simulation"]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"agreement": ()}, "No engine was compared with the golden interpreter."),
        ({"agreement": (Agreement("onnx", 0, 0),)}, "onnx was compared on no event."),
        (
            {"agreement": (Agreement("icarus", 1_000, 2, "", "x = 3 at node mu"),)},
            "icarus differs from the golden interpreter in 2 of 1,000 events: x = 3 at node mu",
        ),
        ({"budget": (BudgetLine("lut", 3000, "", LUT),)}, "lut is 3,200, over the limit of 3,000."),
        ({"budget": (BudgetLine("lut", 3000, "", None),)}, "lut has a limit of 3,000 but was not measured."),
        (
            {"budget": limits.lines(Budget(latency_ns=60.0), 5.0, (LATENCY, PATH))},
            "latency_ns is 55 ns, within the limit of 60, but the clock of 5 ns is not met by open synthesis, whose "
            "longest path is 5.64 ns, and latency in ns is cycles times a clock that is not shown to be met.",
        ),
        ({"budget": limits.lines(Budget(path_ns=3.0), 5.0, (PATH,))}, "path_ns is 5.64 ns, over the limit of 3."),
        ({"failures": ("The score has 3 values.",)}, "The score has 3 values."),
    ],
)
def test_every_failure_has_its_sentence(data, changes, reason):
    found = replace(data, **changes)
    assert found.verdict == "FAIL"
    assert found.reasons == (reason,)


def test_layers_say_what_the_graph_holds():
    layers = {layer.name: layer for layer in summarize(graph(), "d", {"mu": 7}).layers}
    assert layers["requant"].inputs == ("x",)
    assert layers["hidden_1"].inputs == ("requant",)
    assert layers["hidden_1"].weights_all == 57 * 32
    assert layers["mu_squared"].inputs == ("mu",)
    assert layers["ratio"].inputs == ("mu_squared", "inverse_variance")
    assert (layers["x"].bits, layers["x"].dead) == ((9, 12), 0)
    assert layers["requant"].dead == 38
    assert layers["mu"].bits == (9, 9)
    assert layers["sum"].bits == (12, 12)
    assert (layers["mu"].ebops, layers["log_var"].ebops) == (7, None)
    assert summarize(graph(), "d").outputs == {"score": "ap_ufixed<12,6>"}
