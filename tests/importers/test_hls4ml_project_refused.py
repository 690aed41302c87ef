"""What is no project, or a hostile one, is refused in one sentence."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.importers import hls4ml_text as text
from trigger_ml.artifact import digest_path
from trigger_ml.errors import ImportRefused, TriggerError
from trigger_ml.importers import hls4ml_project
from trigger_ml.importers.hls4ml_project import reading, source

SECOND = """\
void emulator(input_t x[6], result_t y[1]) {
    nnet::relu<input_t, result_t, relu_config3>(x, y);
}
"""

MACROS = "".join(f"#define {'a' * k} {'a' * (k + 1)} {'a' * (k + 1)}\n" for k in range(1, 40))
DOUBLING = "".join(f"static const int c{k} = c{k + 1} + c{k + 1};\n" for k in range(25)) + "static const int c25 = 0;\n"

TOP, DEFINES, PARAMETERS = "emulator.cpp", "defines.h", "parameters.h"

MALFORMED = {
    "float": (DEFINES, "ap_fixed<21,16> layer2_t", "float layer2_t", "layer2_out is float: floating point"),
    "stream type": (
        DEFINES,
        "ap_fixed<8,6,AP_RND_CONV,AP_SAT> input_t",
        "nnet::array<ap_fixed<8,6>, 6> input_t",
        "io_stream",
    ),
    "stream": (TOP, "input_t x[N_INPUT_1_1]", "hls::stream<input_t> &x", "io_stream projects are refused"),
    "local stream": (
        TOP,
        "layer3_t layer3_out[N_LAYER_2];",
        'hls::stream<layer3_t> layer3_out("a");',
        "hls::stream is io_stream",
    ),
    "unknown function": (TOP, "nnet::relu<", "nnet::gelu<", "nnet::gelu is not one that can be read exactly"),
    "unknown namespace": (TOP, "nnet::relu<", "mine::relu<", "mine::relu is not one"),
    "unknown config": (TOP, "relu_config3>", "relu_config9>", "relu_config9 is nowhere defined"),
    "unknown array": (TOP, "layer2_out, layer3_out)", "layer7_out, layer3_out)", "'layer7_out', which is no array"),
    "read before written": (TOP, "(layer2_out, layer3_out)", "(layer4_out, layer3_out)", "before anything was written"),
    "written twice": (TOP, "(layer2_out, layer3_out)", "(layer2_out, layer2_out)", "layer2_out is written twice"),
    "declared twice": (TOP, "layer4_t layer4_out[", "layer4_t layer3_out[", "layer3_out is declared twice"),
    "unknown weights": (TOP, "w4, b4);", "w5, b4);", "'w5', which are nowhere defined"),
    "statement": (TOP, "auto& again", "while (true) again", "stands where .* was expected"),
    "an if": (TOP, "if (!loaded_weights)", "if (!other)", "an if that is not the loading of weights"),
    "exponential weights": (
        TOP,
        "nnet::load_weights_from_txt<weight2_t",
        "nnet::load_exponent_weights_from_txt<weight2_t",
        "a kind that is not understood",
    ),
    "two tops": (TOP, "namespace emulator_v0 {\n", f"namespace emulator_v0 {{\n{SECOND}", "2 functions call layers"),
    "wrong size": (PARAMETERS, "n_in = N_INPUT_1_1", "n_in = 7", "reads 7 elements of 'x'"),
    "few weights": (PARAMETERS, "n_out = 4;", "n_out = 5;", "reads 30 weights, w2 has 24"),
    "a large output": (TOP, "layer3_out[N_LAYER_2]", "layer3_out[5]", "fills 4 elements of layer3_out, which has 5"),
    "product": (
        PARAMETERS,
        "nnet::product::mult<",
        "nnet::product::weight_exponential<",
        "the product weight_exponential is not understood",
    ),
    "kernel": (PARAMETERS, "nnet::DenseLatency<", "nnet::DenseMagic<", "is computed by DenseMagic"),
    "no accumulator": (PARAMETERS, "typedef layer2_accum_t accum_t;", "", "config2 says no accum_t"),
    "no n_in": (PARAMETERS, "static const unsigned n_in = N_INPUT_1_1;", "", "config2 says no n_in"),
    "member": (
        PARAMETERS,
        "static const unsigned n_zeros = 3;",
        "virtual void f();",
        "'virtual' is not understood in a struct",
    ),
    "circle": (PARAMETERS, "n_in = N_INPUT_1_1", "n_in = n_in", "in a circle|nests too deep"),
    "division": (PARAMETERS, "n_in = N_INPUT_1_1", "n_in = 6 / 0", "a division by zero"),
    "word": (PARAMETERS, "n_in = N_INPUT_1_1", "n_in = nnet::latency", "not an integer"),
    "octal": (PARAMETERS, "n_in = N_INPUT_1_1", "n_in = 06", "octal"),
    "width": (DEFINES, "ap_fixed<6,3> weight2_t", "ap_fixed<0,3> weight2_t", "no sensible width"),
    "wide": (DEFINES, "ap_fixed<8,6,AP_RND_CONV,AP_SAT> input_t", "ap_fixed<80,6> input_t", "beyond the 62 bits"),
    "mode": (DEFINES, "AP_RND_CONV,AP_SAT> input_t", "AP_ROUND,AP_SAT> input_t", "the mode ROUND"),
    "saturated bits": (
        DEFINES,
        "ap_fixed<21,16> layer2_t",
        "ap_fixed<21,16,AP_TRN,AP_WRAP,2> layer2_t",
        "saturated bits",
    ),
    "parameters": (DEFINES, "ap_fixed<6,3> weight2_t", "ap_fixed<6> weight2_t", "has 1 parameters"),
    "no such macro": (DEFINES, "#define N_INPUT_1_1 6", "#define N_INPUT_1_1(x) 6", "takes arguments"),
    "an #if": (DEFINES, "#define N_INPUT_1_1 6", "#if 1\n#define N_INPUT_1_1 6\n#endif", "#if is not understood"),
    "an open #if": (DEFINES, "#define N_INPUT_1_1 6", "#ifdef A\n#define N_INPUT_1_1 6", "has no #endif"),
    "bad character": (
        DEFINES,
        "typedef ap_fixed<6,3> weight2_t",
        "typedef ap_fixed<6,3> @weight2_t",
        "'@' is not C\\+\\+",
    ),
    "template": (
        DEFINES,
        "extern weight2_t",
        "template<class T> T f(T x) { return x; } extern weight2_t",
        "a template stands outside",
    ),
    "climbing": (PARAMETERS, '#include "weights/w2.h"', '#include "../secret.h"', "only files inside the project"),
    "absolute": (PARAMETERS, '#include "weights/w2.h"', '#include "/etc/passwd"', "only files inside the project"),
    "computed include": (PARAMETERS, '#include "weights/w2.h"', "#include NAME", "only files inside the project"),
    "missing include": (
        PARAMETERS,
        '#include "weights/w2.h"',
        '#include "weights/w3.h"',
        "not in the project's firmware folder",
    ),
    "includes itself": (
        DEFINES,
        "#ifndef DEFINES_H_\n#define DEFINES_H_",
        '#ifndef OTHER\n#include "defines.h"',
        "nest more than",
    ),
    "climbing weights": (TOP, '"w2.txt"', '"../defines.h"', "not in the project's weights folder"),
    "no weights": (TOP, '"w2.txt"', '"w9.txt"', "'w9.txt' is not in the project's weights folder"),
    "weights that are no numbers": ("weights/w2.txt", ",", ",x", "holds something that is no number"),
    "infinite weights": ("weights/b2.txt", None, "1,inf,2,3", "holds something that is no number"),
    "too few numbers": ("weights/b2.txt", None, "1,2", "has 2 numbers, b2 has 4 elements"),
    "two networks": ("weights/b2.txt", None, "1,1,1,1", "the project is two networks"),
    "another count": ("weights/b2.h", "b2[4] = {", "b2[4] = {1, ", "has 4 elements and 5 numbers"),
    "text among numbers": ("weights/b2.h", "b2[4] = {", "b2[4] = {zero, ", "'zero' stands among an array's numbers"),
    "huge array": ("weights/b2.h", "b2[4];", "b2[999999999];", "b2 has 999999999 elements"),
    "half a file": (TOP, "} // namespace emulator_v0", "", "the namespace emulator_v0 is not closed"),
    "macros without end": (
        DEFINES,
        "#define N_INPUT_1_1 6",
        f"{MACROS}#define N_INPUT_1_1 a",
        "too large|nest more than",
    ),
    "constants without end": (
        DEFINES,
        "static const int N_LAYER_2 = 4;",
        f"{DOUBLING}static const int N_LAYER_2 = c0;",
        "without end",
    ),
    "large number": (PARAMETERS, "n_in = N_INPUT_1_1", "n_in = 99999999999", "beyond 32 bits"),
    "larger number": (
        PARAMETERS,
        "n_in = N_INPUT_1_1",
        "n_in = 9999999999999999999999999999999 * 9999999999999999999999999999999999",
        "beyond 200 bits",
    ),
    "no top": (TOP, '#include "parameters.h"', "", "one source has to include parameters.h"),
}


@pytest.mark.parametrize("name", MALFORMED)
def test_a_malformed_project_gets_one_sentence(name: str, tmp_path: Path) -> None:
    file, old, new, sentence = MALFORMED[name]
    files = text.project()
    files[file] = new if old is None else files[file].replace(old, new, 1)
    assert files != text.project()
    with pytest.raises(ImportRefused, match=sentence) as refusal:
        text.lowered(text.put(files, tmp_path))
    assert "\n" not in str(refusal.value)
    assert str(tmp_path) not in str(refusal.value)


def test_a_folder_that_is_no_project_is_not_one(tmp_path: Path) -> None:
    assert not hls4ml_project.recognises(tmp_path)
    assert not hls4ml_project.recognises(tmp_path / "nothing")
    with pytest.raises(ImportRefused, match="no hls4ml project"):
        hls4ml_project.read(tmp_path, 10, 0)
    text.put(text.project(), tmp_path)
    assert hls4ml_project.recognises(tmp_path)
    with pytest.raises(ImportRefused, match="0 events prove nothing"):
        hls4ml_project.read(tmp_path, 0, 0)


def test_links_and_large_files_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = text.put(text.project(), tmp_path / "linked")
    (folder / "NN" / "passwd.txt").symlink_to("/etc/passwd")
    with pytest.raises(ImportRefused, match="is a link"):
        text.lowered(folder)
    (tmp_path / "behind").mkdir()
    (tmp_path / "behind" / "firmware").symlink_to(text.put(text.project(), tmp_path / "elsewhere") / "NN")
    with pytest.raises(ImportRefused, match="firmware is a link"):
        text.lowered(tmp_path / "behind")
    folder = text.put(text.project(), tmp_path / "large")
    monkeypatch.setattr(source, "MAX_FILE", 1000)
    with pytest.raises(ImportRefused, match="too large"):
        text.lowered(folder)


def test_the_project_is_read_only_to_us(tmp_path: Path) -> None:
    folder = text.put(text.project(), tmp_path / "project")
    before = digest_path(folder)
    for path in (folder, folder / "NN", folder / "NN" / "weights"):
        path.chmod(stat.S_IRUSR | stat.S_IXUSR)
    copy = source.copied(folder, tmp_path / "copy")
    for path in (folder, folder / "NN", folder / "NN" / "weights"):
        path.chmod(stat.S_IRWXU)
    reading.parsed(copy)
    assert digest_path(folder) == before


# -- hostile text -----------------------------------------------------------------------------------------------------

WORDS = [
    "",
    "<",
    ">",
    "(",
    ")",
    "{",
    "}",
    "[",
    "]",
    ";",
    ",",
    "::",
    "#",
    "0",
    "-1",
    "99999999999",
    "1e999",
    '"',
    "nnet",
    "\x00",
    "é",
    "/*",
    "static",
    "struct",
    "template",
    "ap_fixed<",
    "*",
    "=",
    "?",
    "const",
    "typedef",
    "namespace",
    "auto& ",
]


@settings(max_examples=100)
@given(data=st.data())
def test_text_of_any_kind_is_read_or_refused(data: st.DataObject, tmp_path_factory: pytest.TempPathFactory) -> None:
    files = text.project()
    for _ in range(data.draw(st.integers(1, 3))):
        name = data.draw(st.sampled_from(sorted(files)))
        body = files[name]
        start = data.draw(st.integers(0, len(body)))
        length = data.draw(st.sampled_from([0, 1, 3, 10, 100]))
        word = data.draw(st.one_of(st.sampled_from(WORDS), st.text(max_size=5)))
        files[name] = body[:start] + word + body[start + length :]
    files = {name: body.encode("utf-8", "replace").decode() for name, body in files.items()}
    try:
        text.lowered(text.put(files, tmp_path_factory.mktemp("fuzz")))
    except TriggerError as refusal:
        assert str(refusal)  # noqa: PT017
