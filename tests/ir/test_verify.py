"""What is refused, with which sentence; the normal form; damaged files."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from trigger_ml.errors import ArtifactError, GraphError
from trigger_ml.fixed import Fixed, Formats
from trigger_ml.fuzz import random_graph
from trigger_ml.ir import io, ops
from trigger_ml.ir.bounds import bounds
from trigger_ml.ir.build import Builder
from trigger_ml.ir.graph import Graph, Node
from trigger_ml.ir.interpret import interpret
from trigger_ml.ir.verify import normal_form, verify

EIGHT = Fixed(True, 8, 0)


def port(b: Builder, shape: tuple[int, ...] = (3,)) -> str:
    return b.input(shape, EIGHT, "x")


def wrong_weights(b: Builder) -> str:
    return b.affine(port(b), np.ones((4, 2)), [0, 0], 0)


def wrong_bias(b: Builder) -> str:
    return b.affine(port(b), np.ones((3, 2)), [0], 0)


def short_table(b: Builder) -> str:
    return b.table(port(b), [1, 2, 3], 0, 0)


def too_many_bits(b: Builder) -> str:
    wide = b.affine(port(b), [[1 << 40]] * 3, [0], 0)
    return b.add(ops.Mul(), wide, wide)


def unequal_shapes(b: Builder) -> str:
    return b.add(ops.Add(), port(b), b.input((2,), EIGHT))


def axis_too_large(b: Builder) -> str:
    return b.reduce(port(b), "sum", 1)


def wrong_reshape(b: Builder) -> str:
    return b.add(ops.Reshape((2, 2)), port(b))


def take_too_far(b: Builder) -> str:
    return b.add(ops.Take(ops.integers([3])), port(b))


def wrong_kernel(b: Builder) -> str:
    return b.conv(port(b, (4, 4, 2)), np.ones((2, 2, 3, 1)), [0], 0, (1, 1), ((0, 0), (0, 0)))


def zero_stride(b: Builder) -> str:
    return b.conv(port(b, (4, 2)), np.ones((2, 2, 1)), [0], 0, (0,), ((0, 0),))


def rank_one_matmul(b: Builder) -> str:
    x = port(b)
    return b.add(ops.MatMul(), x, x)


def unknown_reduction(b: Builder) -> str:
    return b.add(ops.Reduce("mean", 0), port(b))  # type: ignore[arg-type]


def missing_input(b: Builder) -> str:
    return b.add(ops.Relu(), "nowhere")


def two_inputs_for_one(b: Builder) -> str:
    x = port(b)
    return b.add(ops.Relu(), x, x)


def bad_name(b: Builder) -> str:
    return b.add(ops.Relu(), port(b), name="Sum of it")


def mixed_port(b: Builder) -> str:
    return b.add(ops.Relu(), b.input((2,), Formats.of(1, 8, [0, 1])))


def far_too_fine(b: Builder) -> str:
    return b.affine(port(b), np.ones((3, 2)), [0, 0], 1100)


def constants_too_fine(b: Builder) -> str:
    return b.affine(b.input((3,), Fixed(True, 8, -20), "x"), np.ones((3, 2)), [0, 0], 63)


def too_fine_a_table(b: Builder) -> str:
    return b.table(b.input((3,), Fixed(False, 2, 0)), [1, 2, 3, 4], 0, -63)


def too_fine_a_product(b: Builder) -> str:
    x = b.input((3,), Fixed(True, 8, 32))
    return b.add(ops.Mul(), x, x)


def too_coarse_a_product(b: Builder) -> str:
    x = b.input((3, 3), Fixed(True, 8, -32))
    return b.add(ops.MatMul(), x, x)


def concat_from_the_end(b: Builder) -> str:
    x = port(b)
    return b.add(ops.Concat(-1), x, x)


def permute_from_the_end(b: Builder) -> str:
    return b.add(ops.Permute((-1, 0)), port(b, (2, 3)))


def reshape_to_the_rest(b: Builder) -> str:
    return b.add(ops.Reshape((-1, 2)), port(b, (2, 3)))


def nothing_taken(b: Builder) -> str:
    return b.add(ops.Take(ops.integers([])), port(b))


def nothing_read(b: Builder) -> str:
    return b.add(ops.Relu(), port(b, (3, 0)))


def no_weights(b: Builder) -> str:
    return b.affine(port(b), np.ones((3, 0)), [], 0)


def kernel_too_large(b: Builder) -> str:
    return b.add(ops.Pool("sum", (4,), (1,)), port(b, (3, 2)))


def port_as_output(b: Builder) -> str:
    return port(b)


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (wrong_weights, r"weights \(4, 2\).*input of shape \(3,\)"),
        (wrong_bias, r"bias \(1,\)"),
        (short_table, "entries for 0...2, its input spans -128...127"),
        (too_many_bits, "more than the 62"),
        (unequal_shapes, r"shapes \(3,\) and \(2,\): make them equal"),
        (axis_too_large, "has axis 1"),
        (wrong_reshape, "shapes don't fit"),
        (take_too_far, "shapes don't fit"),
        (wrong_kernel, "one stride and one pair of paddings"),
        (zero_stride, "a stride below 1"),
        (rank_one_matmul, r"it takes \(n, k\) and \(k, m\)"),
        (unknown_reduction, "use 'sum' or 'max'"),
        (missing_input, "which no earlier node makes"),
        (two_inputs_for_one, "has 2 inputs, needs 1"),
        (bad_name, "lower case letters"),
        (mixed_port, "mixes fraction lengths"),
        (port_as_output, "is a port"),
        (far_too_fine, "'affine' .Affine. has constants of fraction length 1100, outside -62...62"),
        (constants_too_fine, "constants of fraction length 63"),
        (too_fine_a_table, "constants of fraction length -63"),
        (too_fine_a_product, "'mul' .Mul. has fraction length 64, outside -62...62"),
        (too_coarse_a_product, "'matmul' .MatMul. has fraction length -64, outside -62...62"),
        (concat_from_the_end, "has axis -1: count axes from 0"),
        (permute_from_the_end, r"has axes \(-1, 0\): count axes from 0"),
        (reshape_to_the_rest, r"has shape \(-1, 2\): write every length out"),
        (nothing_taken, r"shape \(0,\), without elements"),
        (nothing_read, r"'x' .Input. makes a tensor of shape \(3, 0\), without elements"),
        (no_weights, r"shape \(0,\), without elements"),
        (kernel_too_large, r"shape \(0, 2\), without elements"),
    ],
)
def test_an_ill_formed_graph_is_refused_with_its_reason(make: Callable[[Builder], str], sentence: str) -> None:
    b = Builder()
    with pytest.raises(GraphError, match=sentence):
        b.graph(make(b))


@pytest.mark.parametrize(
    "values",
    [
        [0.5, 1.7],
        [np.nan],
        [np.inf],
        [2.0**63],
        np.array([2**63 + 1], np.uint64),
        [2**64],
        ["1"],
        [None],
        [[1], [1, 2]],
        1j,
    ],
)
def test_constants_that_are_no_integers_are_refused_and_not_cut(values: object) -> None:
    with pytest.raises(GraphError, match="give integers"):
        ops.integers(values)  # type: ignore[arg-type]


def test_floats_that_are_integers_are_constants() -> None:
    given = np.array([2.0**53 + 2, -(2.0**62), 0.0])
    made = ops.integers(given)
    given[:] = 7
    assert made.tolist() == [2**53 + 2, -(2**62), 0]


def test_outputs_and_ports_are_needed_and_unique() -> None:
    b = Builder()
    y = b.add(ops.Relu(), port(b))
    nodes = b.graph(y).nodes
    for outputs, sentence in (((), "no output"), (("gone",), "is no node"), ((y, y), "named twice")):
        with pytest.raises(GraphError, match=sentence):
            verify(Graph(nodes, outputs))
    with pytest.raises(GraphError, match="two nodes are named"):
        verify(Graph((*nodes, Node(y, ops.Relu(), ("x",))), (y,)))
    with pytest.raises(GraphError, match="no Input"):
        verify(Graph((), ("y",)))


@pytest.mark.parametrize(
    ("x", "sentence"),
    [
        (np.zeros((5, 2), np.int64), "give"),
        (np.zeros(3, np.int64), "give"),
        (np.zeros((5, 3)), "give hardware integers"),
        (np.full((5, 3), np.nan), "give hardware integers"),
        (np.full((5, 3), 128), "128 is outside -128...127"),
        (np.full((5, 3), 1 << 63, np.uint64), "beyond int64"),
    ],
)
def test_inputs_out_of_contract_are_refused(x: np.ndarray, sentence: str) -> None:
    b = Builder()
    g = b.graph(b.add(ops.Relu(), port(b)))
    with pytest.raises(GraphError, match=sentence):
        interpret(g, x)


def requantized(source: Fixed, to: Fixed, overflow: str) -> list[str]:
    b = Builder()
    return normal_form(b.graph(b.requant(b.input((2,), source), to, "TRN", overflow)))


def test_the_normal_form_names_what_engines_got_wrong() -> None:
    assert requantized(Fixed(True, 8, 3), Fixed(True, 6, 2), "SAT") == []
    assert requantized(Fixed(True, 8, 3), Fixed(True, 9, 5), "SAT") == [
        "requant: saturates onto a grid finer than its input's"
    ]
    assert requantized(Fixed(True, 8, 3), Fixed(True, 12, 5), "SAT") == []
    assert requantized(Fixed(True, 4, 6), Fixed(True, 8, 0), "WRAP") == [
        "requant: its grid is coarser than its input's whole range"
    ]
    wrapped = "requant: wraps possibly negative values into a wider unsigned format"
    assert requantized(Fixed(True, 4, 0), Fixed(False, 8, 0), "WRAP") == [wrapped]
    assert requantized(Fixed(False, 4, 0), Fixed(False, 8, 0), "WRAP") == []


def test_bounds_of_a_saturation_keep_the_correlation_with_its_input() -> None:
    b = Builder()
    x = b.input((1,), Fixed(True, 8, 0))
    t = bounds(b.graph(b.requant(x, Fixed(True, 4, 0), "TRN", "SAT", "y")))["y"]
    assert (t.lo[0], t.hi[0]) == (-8, 7)
    b = Builder()
    x = b.input((1,), Fixed(False, 3, 0))
    t = bounds(b.graph(b.requant(x, Fixed(True, 8, 0), "TRN", "WRAP", "y")))["y"]
    assert (t.lo[0], t.hi[0]) == (0, 7)


def saved(folder: Path) -> Path:
    io.save(random_graph(1), folder)
    return folder / io.FILE


def edit(path: Path, change: Callable[[dict[str, object]], None]) -> None:
    whole = json.loads(path.read_text())
    change(whole)
    path.write_text(json.dumps(whole))


@pytest.mark.parametrize(
    "change",
    [
        lambda w: w["content"]["nodes"][1].update(op="Softmax"),
        lambda w: w["content"]["nodes"][1].update(extra=1),
        lambda w: w["content"]["outputs"].append("gone"),
        lambda w: w["content"]["meta"].update(threshold=7),
        lambda w: w.update(version=99),
        lambda w: w.update(kind="sample"),
        lambda w: w["content"].pop("nodes"),
        lambda w: w["content"]["nodes"][1].pop("inputs"),
    ],
)
def test_a_changed_file_is_refused(change: Callable[[dict[str, object]], None], tmp_path: Path) -> None:
    path = saved(tmp_path)
    edit(path, change)
    with pytest.raises((ArtifactError, GraphError)):
        io.load(tmp_path)


def test_a_truncated_or_foreign_file_is_refused(tmp_path: Path) -> None:
    path = saved(tmp_path)
    whole = path.read_bytes()
    for cut in (0, 1, len(whole) // 2, len(whole) - 2):
        path.write_bytes(whole[:cut])
        with pytest.raises(ArtifactError):
            io.load(tmp_path)
    path.write_bytes(whole)
    arrays = tmp_path / "qgraph.npz"
    arrays.write_bytes(arrays.read_bytes()[:-30])
    with pytest.raises(ArtifactError):
        io.load(tmp_path)
    with pytest.raises(ArtifactError, match="missing"):
        io.load(tmp_path / "elsewhere")
