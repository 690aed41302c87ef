"""A report made of artificial events, and a small graph with the ops of an R_z score."""

from __future__ import annotations

from dataclasses import asdict

import numpy as np

from tests.physics.sample import HARDNESS, sample, scores
from trigger_ml.estimators import sharing
from trigger_ml.estimators.quantity import Quantity
from trigger_ml.fixed import Fixed, Formats
from trigger_ml.ir import ops
from trigger_ml.ir.build import Builder
from trigger_ml.physics import precision, rate_points, rate_table, teaching
from trigger_ml.physics.classes import evaluate as evaluate_classes
from trigger_ml.physics.evaluate import evaluate
from trigger_ml.physics.menu_rates import Fired, menu_rates
from trigger_ml.physics.rate_table import Elsewhere, EventFile, OnMenu, RateTable
from trigger_ml.physics.rates import crossings_khz
from trigger_ml.report import Agreement, BudgetLine, ReportData, Skipped, summarize
from trigger_ml.spec import Physics


def graph():
    rng = np.random.default_rng(0)
    b = Builder()
    widths = np.where(np.arange(57) % 3 == 0, 12, 9)
    x = b.input((57,), Formats.of(np.ones(57), widths, np.zeros(57)), "x")

    def dense(a, n, m, name, bits):
        w = rng.integers(-15, 16, (n, m)) * (rng.random((n, m)) < 0.3)
        a = b.affine(a, w, rng.integers(-99, 99, m), 3, name)
        frac = rng.integers(0, 3, m)
        return b.requant(
            b.add(ops.Relu(), a), Formats.of(np.zeros(m), rng.integers(2, bits, m) + frac, frac), "RND", "SAT"
        )

    x = b.requant(
        x,
        Formats.of(np.ones(57), np.where(np.arange(57) % 3, 0, rng.integers(4, 9, 57)), np.full(57, -2)),
        "RND",
        "SAT",
    )
    h = dense(dense(x, 57, 32, "hidden_1", 9), 32, 16, "hidden_2", 8)
    mu = b.requant(b.affine(h, rng.integers(-9, 9, (16, 3)), [0] * 3, 4, "mu"), Fixed(True, 9, 3), "RND", "SAT")
    var = b.requant(b.affine(h, rng.integers(-9, 9, (16, 3)), [0] * 3, 4, "log_var"), Fixed(True, 6, 1), "RND", "SAT")
    exp = b.table(var, np.arange(64)[::-1], -32, 4, "inverse_variance")
    square = b.add(ops.Mul(), mu, mu, name="mu_squared")
    rz = b.reduce(b.add(ops.Mul(), square, exp, name="ratio"), "sum", 0, "sum")
    score = b.requant(rz, Fixed(False, 12, 6), "RND", "SAT", name="score")
    return b.graph(score)


def classes(twin=True):
    """Logits of the background and of every signal of the sample, four of five told right."""
    rng, names = np.random.default_rng(4), ("background", *HARDNESS)
    logits = {
        name: rng.normal(0, 10, (200, len(names))).round().astype(int) + 18 * np.eye(len(names), dtype=int)[i]
        for i, name in enumerate(names)
    }
    floating = {name: y / 8 + rng.normal(0, 0.1, y.shape) for name, y in logits.items()}
    return evaluate_classes(logits, floating if twin else None, 3, np.arange(200))


PHYSICS = Physics(bootstrap=20, rate_khz=30.0)


def rates(background=20_000, signal=2_000, targets=(10.0, 300.0)):
    """A table with everything in it: a menu of two seeds, shifts, another pileup."""
    events = sample(background, signal)
    by_process = [{p: s["test"] for p, s in kind.items()} for kind in scores(events)]
    quantized, floating = by_process
    ours = {p: s for p, s in quantized.items() if p != "background"}
    inputs = {"background": events.background.test} | {p: s.test for p, s in events.signals.items()}
    keeps = {p: np.column_stack([x[:, 0] > 250, x[:, 27] > 200]) for p, x in inputs.items()}
    fired = Fired.of(keeps["background"], events.source)
    base = rate_points.Base(fired, [1, 20], {p: keeps[p][:, 0] for p in ours})
    points = rate_points.working_points(
        quantized["background"], events.source, ours, targets, 2760, firmware=700, base=base
    )
    known = {p.point.name: p for p in points}
    return RateTable(
        version=rate_table.VERSION,
        model="l1_vae_rz",
        graph="ab" * 32,
        engine="cpp",
        file=EventFile("many.h5", "cd" * 32, background, 9_000, 20.0, "background/all"),
        notes=events.notes,
        bunches=2760,
        crossings_khz=crossings_khz(2760),
        confidence=0.6826894921370859,
        points=points,
        curve=rate_points.rate_curve(quantized["background"], events.source, 2760),
        signal_events={p: len(s) for p, s in ours.items()},
        shifts=rate_points.shifts(quantized, floating, events.source, targets, 2760, 6, resamplings=20, seed=1),
        menu=OnMenu(
            "small",
            "An artificial menu.",
            "ef" * 32,
            menu_rates(fired, ["MET125", "SingleJet100"], [1, 20], 2760),
            {p: known["firmware"].tpr[p] for p in ours},
        ),
        pair=rate_points.pair_estimates(
            np.stack([quantized["background"], np.roll(quantized["background"], 1)], 1),
            np.stack([floating["background"], np.roll(floating["background"], 1)], 1),
            events.source,
            points,
        ),
        taught=teaching.taught(
            {"teacher": floating, "float": floating, "quantized": quantized},
            events.source,
            targets,
            2760,
            resamplings=20,
            seed=1,
        ),
        elsewhere=(
            Elsewhere(
                EventFile("busy.h5", "01" * 32, background, 9_000, 60.0, "background/all"),
                {n: p.point.rate_khz.scaled(1.5) for n, p in known.items()},
                {n: p.point.events for n, p in known.items()},
                {n: dict(p.tpr) for n, p in known.items()},
            ),
        ),
    )


def scan():
    """Two widths by two methods, the model's own, and float."""

    def found(value, **named):
        return {"auc": {"A_to_4l": {"value": value, "low": value - 0.002, "high": value + 0.002}}, **named}

    points = [found(0.7 + 0.02 * n, ebops=900 * n, method=m, bits=n) for m in ("ptq", "qat") for n in (4, 8)]
    return precision.read({"points": points, "own": found(0.93, ebops=2500), "float": found(0.94)})


def reuse():
    """Two factors, the second one synthesized."""
    points = [
        {
            "reuse": n, "io_type": "io_parallel", "events": 20_000, "mismatches": 0,
            "quantities": [asdict(q) for q in (
                Quantity("multipliers", 1200 // n, "", "estimated", "by hand"),
                Quantity("initiation_interval", n, "cycles", "estimated", "by hand"),
                *([Quantity("dsp", 17, "", "vendor csynth", "C synthesis 2023.2")] if n > 1 else []),
            )],
        }
        for n in (1, 4)
    ]  # fmt: skip
    return sharing.read({"graph": "ab" * 32, "points": points})


def report(background=20_000, signal=2_000, physics=PHYSICS, **changes):
    events = sample(background, signal)
    quantized, floating = scores(events)
    result = evaluate(events, quantized, floating, physics, seed=1, score_format=Fixed(False, 12, 6), threshold=700)
    cost = (
        Quantity("lut", 2110, "", "open synthesis", "yosys 0.70"),
        Quantity("ff", 1682, "", "open synthesis", "yosys 0.70"),
        Quantity("dsp", 3, "", "open synthesis", "yosys 0.70"),
        Quantity("bram", 0, "", "open synthesis", "yosys 0.70"),
        Quantity("path_ns", 6.31, "ns", "estimated", "path of the netlist, uncalibrated", 5.1, 8.0),
        Quantity("ebops", 4193, "", "exact", "trigger_ml opcount"),
        Quantity("latency_cycles", 11, "cycles", "simulated", "verilator 5.048"),
        Quantity("latency_ns", 55.0, "ns", "simulated", "verilator 5.048, clock of the spec"),
        Quantity("initiation_interval", 1, "cycles", "simulated", "verilator 5.048"),
    )
    named = {q.name: q for q in cost}
    fields = {
        "model": "l1_vae_rz",
        "agreement": (
            Agreement("hls4ml", 20_000, 0, "hls4ml 1.3.0, g++ 12.2"),
            Agreement("verilator", 100_000, 0, "verilator 5.048"),
            Agreement("icarus", 1_000, 0, "icarus 11.0"),
            Agreement("onnx", 1_000_000, 0, "onnxruntime 1.32.0"),
        ),
        "quantities": cost,
        "budget": tuple(
            BudgetLine(name, limit, unit, named[name])
            for name, limit, unit in (
                ("lut", 3000, ""),
                ("dsp", 4, ""),
                ("latency_cycles", 12, "cycles"),
                ("initiation_interval", 1, "cycles"),
            )
        ),
        "graph": summarize(graph(), "ab" * 32, {"hidden_1": 2931, "hidden_2": 812, "mu": 210, "log_var": 240}),
        "provenance": {
            "spec": "cd" * 32,
            "graph": "ab" * 32,
            "sample": "example 0f",
            "trigger_ml": "0.1.0",
            "hls4ml": "1.3.0",
            "alkaid": "0.8.2",
        },
        "physics": result,
        "clock_met": True,
        "skipped": (Skipped("ghdl", "ghdl is not installed: apt-get install ghdl."),),
    }
    return ReportData(**(fields | changes))
