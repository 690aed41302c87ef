"""Fixed point: laws against Python's exact rationals, and the vendor's own headers as the outside oracle."""

from __future__ import annotations

import math
import shutil
import subprocess
from fractions import Fraction
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trigger_ml.errors import GraphError
from trigger_ml.fixed import Fixed, Formats, Overflow, Rounding, requantize

MODES = [(r, o) for r in Rounding for o in Overflow]


def by_hand(x: int, frac: int, to: Fixed, rounding: Rounding, overflow: Overflow) -> int:
    """One element, by exact rationals and the definitions of UG1399, independent of ``trigger_ml.fixed``."""
    value = Fraction(x) * Fraction(2) ** (to.frac - frac)
    below, rest = math.floor(value), value - math.floor(value)
    tie = rest == Fraction(1, 2)
    nearest = below if rest < Fraction(1, 2) else below + 1
    y = {
        Rounding.TRN: below,
        Rounding.TRN_ZERO: math.trunc(value),
        Rounding.RND: nearest,
        Rounding.RND_ZERO: math.trunc(value) if tie else nearest,
        Rounding.RND_INF: (below if value < 0 else below + 1) if tie else nearest,
        Rounding.RND_MIN_INF: below if tie else nearest,
        Rounding.RND_CONV: (below + below % 2) if tie else nearest,
    }[rounding]
    if to.width == 0:
        return 0
    if to.lo <= y <= to.hi and not (overflow is Overflow.SAT_SYM and to.signed and y == to.lo):
        return y
    if overflow is Overflow.WRAP:
        return (y - to.lo) % (1 << to.width) + to.lo
    if overflow is Overflow.SAT_ZERO:
        return 0
    low = -to.hi if overflow is Overflow.SAT_SYM and to.signed else to.lo
    return low if y < 0 else to.hi


formats = st.builds(Fixed, st.booleans(), st.integers(0, 20), st.integers(-12, 24))


@given(
    st.lists(st.integers(-(1 << 30), 1 << 30), min_size=1, max_size=20),
    st.integers(-10, 20),
    formats,
    st.sampled_from(MODES),
)
def test_requantize_is_the_definition(xs: list[int], frac: int, to: Fixed, mode: tuple[Rounding, Overflow]) -> None:
    expected = [by_hand(x, frac, to, *mode) for x in xs]
    for dtype in (np.int64, object):
        got = requantize(np.array(xs, dtype), frac, Formats.uniform(to), *mode)
        assert got.tolist() == expected


@given(st.lists(formats, min_size=1, max_size=8), st.integers(-10, 20), st.sampled_from(MODES), st.randoms())
def test_each_element_has_its_own_grid(
    fs: list[Fixed], frac: int, mode: tuple[Rounding, Overflow], random: object
) -> None:
    xs = [random.randint(-(1 << 25), 1 << 25) for _ in fs]  # type: ignore[attr-defined]
    many = Formats.of([f.signed for f in fs], [f.width for f in fs], [f.frac for f in fs])
    got = requantize(np.array(xs), frac, many, *mode)
    for x, f, y in zip(xs, fs, got, strict=True):
        assert int(y) == by_hand(x, frac, f, *mode) * (2 ** (many.step - f.frac) if f.width else 0)


@given(st.integers(-(1 << 30), 1 << 30), st.integers(-10, 20), formats, st.sampled_from(MODES))
def test_a_second_requantize_changes_nothing(x: int, frac: int, to: Fixed, mode: tuple[Rounding, Overflow]) -> None:
    f = Formats.uniform(to)
    once = requantize(np.array([x]), frac, f, *mode)
    assert np.array_equal(requantize(once, to.frac, f, *mode), once)


@given(st.integers(-(1 << 40), 1 << 40), st.integers(0, 1 << 40))
def test_the_narrowest_format_holds_its_ends_and_no_narrower_does(lo: int, size: int) -> None:
    f = Fixed.holding(lo, lo + size, 3)
    assert f.lo <= lo <= lo + size <= f.hi
    if f.width > 1:
        g = Fixed(f.signed, f.width - 1, 3)
        assert not g.lo <= lo <= lo + size <= g.hi


@pytest.mark.parametrize(
    "formats",
    [
        (1, 7.9, 2),
        (1, 7, 2.5),
        (0.5, 7, 2),
        (1, [7, 7.5], 2),
        (1, np.nan, 0),
        (1, "7", 0),
        (1, 2.0**64, 0),
        (1, [[7], [7, 8]], 0),
    ],
)
def test_a_format_that_is_no_integer_is_refused_and_not_cut(formats: tuple[object, object, object]) -> None:
    with pytest.raises(GraphError, match="give integers"):
        Formats.of(*formats)  # type: ignore[arg-type]
    assert Formats.of(1, 7.0, np.float32(2)) == Formats.of(True, 7, 2)


@pytest.mark.parametrize(("width", "frac"), [(-1, 0), (63, 0), (8, 63), (8, -63)])
def test_formats_out_of_range_are_refused(width: int, frac: int) -> None:
    with pytest.raises(GraphError, match="outside"):
        Formats.uniform(Fixed(True, width, frac))
    with pytest.raises(GraphError, match="outside"):
        Formats.of(1, [8, width], [0, frac])


def test_an_interval_may_need_one_bit_more_than_a_format_can_declare() -> None:
    assert Fixed.holding(-(2**61) - 1, 2**62 - 1, 3) == Fixed(True, 63, 3)
    assert Fixed.holding(-(2**61), 2**61 - 1, 3).width == 62


def cpp_oracle(cases: list[tuple[Fixed, Fixed, Rounding, Overflow]], folder: Path, headers: Path) -> list[np.ndarray]:
    """For each case, ap_fixed's raw answer for every integer of the source format.

    The source is first widened, exactly, to hold all dropped bits: the headers abort in ``get_bit`` otherwise.
    """
    lines = ["#include <ap_fixed.h>", "#include <cstdio>", "int main() {"]
    for source, to, r, o in cases:
        wide = max(source.width, source.frac - to.frac + 1)
        kinds = ["ap_fixed" if f.signed else "ap_ufixed" for f in (source, to)]
        lines += [
            f"  for (long i = {source.lo}; i <= {source.hi}; ++i) {{",
            f"    {kinds[0]}<{source.width}, {source.integer}> n; n.range() = i;",
            f"    {kinds[0]}<{wide}, {wide - source.frac}> a = n;",
            f"    {kinds[1]}<{to.width}, {to.integer}, {r.ap}, {o.ap}> b = a;",
            f"    ap_{'' if to.signed else 'u'}int<{to.width}> raw; raw.range() = b.range();",
            '    std::printf("%ld ", long(raw)); }',
            '  std::puts("");',
        ]
    lines.append("return 0; }")
    (folder / "oracle.cpp").write_text("\n".join(lines))
    command = ["g++", "-std=c++17", "-O0", "-w", f"-I{headers}", "oracle.cpp", "-o", "oracle"]
    subprocess.run(command, cwd=folder, check=True, timeout=300)
    out = subprocess.run([str(folder / "oracle")], check=True, capture_output=True, text=True, timeout=60).stdout
    return [np.array(line.split(), np.int64) for line in out.splitlines()]


@pytest.mark.parametrize("seed", [0, 1])
def test_every_mode_is_that_of_the_ap_fixed_headers(seed: int, tmp_path: Path) -> None:
    package = find_spec("hls4ml")
    if package is None or package.origin is None or shutil.which("g++") is None:
        pytest.skip("needs g++ and hls4ml's ap_types headers: pip install 'trigger_ml[hls]'")
    headers = Path(package.origin).parent / "templates" / "vivado" / "ap_types"
    rng = np.random.default_rng(seed)

    def draw() -> Fixed:
        width = int(rng.integers(1, 11))
        return Fixed(bool(rng.integers(2)) and width > 1, width, int(rng.integers(-4, 14)))

    cases = [(draw(), draw(), r, o) for r, o in MODES for _ in range(4)]
    for (source, to, r, o), answer in zip(cases, cpp_oracle(cases, tmp_path, headers), strict=True):
        x = np.arange(source.lo, source.hi + 1)
        got = requantize(x, source.frac, Formats.uniform(to), r, o)
        assert np.array_equal(got, answer), (source, to, r, o)
