"""Several emulators in one static program answer for themselves: nothing of one model bears a name of another's."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pytest

from tests.backends.test_cpp import network
from trigger_ml import tools
from trigger_ml.backends import cpp
from trigger_ml.ir.bounds import bounds
from trigger_ml.ir.graph import Graph
from trigger_ml.ir.interpret import interpret

pytestmark = pytest.mark.skipif(tools.find("g++") is None or tools.find("make") is None, reason="needs g++ and make")

ENTRY = ("trigger_emulator_net0", "trigger_emulator_net1")
EVENTS = 70
MAIN = """
#include <cstdio>
#include <vector>
#include "trigger_emulator.h"
extern "C" const trigger_emulator *trigger_emulator_net0(void), *trigger_emulator_net1(void);
int main() {
  for (const trigger_emulator *model : {trigger_emulator_net0(), trigger_emulator_net1()})
    for (int kernel = 0; kernel <= model->best_kernel(); kernel++) {
      const int64_t events = 70;
      std::vector<int32_t> x;
      for (int e = 0; e < events; e++)
        for (int j = 0; j < 9; j++) x.push_back((7 * e + 3 * j) % (model->inputs[0].hi[j] + 1));
      std::vector<std::vector<int64_t>> out;
      std::vector<int64_t *> to;
      for (int p = 0; p < model->n_outputs; p++) out.emplace_back(events * model->outputs[p].elements);
      for (auto &each : out) to.push_back(each.data());
      const void *from[] = {x.data()};
      if (model->evaluate(from, TRIGGER_INT32, to.data(), events, kernel, 1, nullptr)) return 1;
      std::printf("%s", model->name);
      for (auto &each : out)
        for (int64_t y : each) std::printf(" %lld", (long long)y);
      std::puts("");
    }
}
"""


@pytest.fixture(scope="module", params=["-O2", "-O0"])
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[list[Graph], list[Path]]:
    """Two models of equal ports and other weights, each made by its own Makefile, also without optimisation."""
    root = tmp_path_factory.mktemp("static")
    graphs, folders = [network(0), network(1)], [root / "0", root / "1"]
    for graph, folder in zip(graphs, folders, strict=True):
        folder.mkdir()
        for name, text in cpp.sources(graph).items():
            (folder / name).write_text(text.replace("-O2", request.param) if name == "Makefile" else text)
        subprocess.run(["make", "-s", "emulator.a"], cwd=folder, check=True)
    return graphs, folders


def answers(folder: Path, parts: list[Path]) -> list[tuple[str, list[int]]]:
    """What a program that holds both models prints: the name and all outputs, once for each kernel."""
    (folder / "main.cpp").write_text(MAIN)
    command = ["g++", "-std=c++17", "-o", "main", "main.cpp", *map(str, parts), "-pthread"]
    subprocess.run(command, cwd=folder, check=True)
    said = subprocess.run(["./main"], cwd=folder, check=True, capture_output=True, text=True).stdout
    lines = [line.split() for line in said.splitlines()]
    return [(line[0], [int(y) for y in line[1:]]) for line in lines]


def right(graphs: list[Graph], found: list[tuple[str, list[int]]]) -> bool:
    want = {}
    for graph in graphs:
        high = bounds(graph)["input"].hi.astype(np.int64)
        x = (7 * np.arange(EVENTS)[:, None] + 3 * np.arange(9)) % (high + 1)
        out = interpret(graph, x)
        want[graph.meta["name"]] = [int(y) for o in graph.outputs for y in out[o].reshape(-1)]
    assert want["net0"] != want["net1"]
    return {name for name, _ in found} == set(want) and all(y == want[name] for name, y in found)


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_archives_in_both_orders(made, order):
    graphs, folders = made
    assert right(graphs, answers(folders[0], [folders[i] / "emulator.a" for i in order]))


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_objects_in_both_orders(made, order):
    graphs, folders = made
    names = ("portable.o", "avx2.o", "avx512.o", "static.o")
    parts = [folders[i] / name for i in order for name in names if (folders[i] / name).exists()]
    assert right(graphs, answers(folders[0], parts))


def defined(path: Path) -> set[tuple[str, str]]:
    """External symbols of an object: kind and name."""
    listed = subprocess.run(["nm", "--defined-only", "-g", str(path)], capture_output=True, text=True, check=True)
    rows = [line.split() for line in listed.stdout.splitlines() if len(line.split()) == 3]
    return {(kind, name) for _, kind, name in rows}


def test_no_name_is_of_two_models(made):
    """But for what the C++ library and the compiler put into every program, weakly, from units of equal flags."""
    _, folders = made
    ours = [{row for path in folder.glob("*.o") for row in defined(path)} for folder in folders]
    shared = set.intersection(*ours)
    assert {kind for kind, _ in shared} <= {"W", "V", "u"}
    assert [sum(name == entry for _, name in one) for one, entry in zip(ours, ENTRY, strict=True)] == [1, 1]


def test_units_for_other_processors_share_nothing(made):
    """A weak function compiled for AVX-512 could be the one that the portable unit gets."""
    _, folders = made
    for folder in folders:
        for unit in ("portable", "avx2", "avx512"):
            if (folder / f"{unit}.o").exists():
                assert [kind for kind, _ in defined(folder / f"{unit}.o")] == ["T"]
