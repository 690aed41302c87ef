"""A small project written by hand, in the layout of the emulators that CMS deploys: no hls4ml is needed to read it."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from trigger_ml.importers.hls4ml_project import reading, source

DEFINES = """\
#ifndef DEFINES_H_
#define DEFINES_H_

#include "ap_int.h"
#include "ap_fixed.h"
#include "nnet_utils/nnet_types.h"
#include <cstddef>

namespace emulator_v0 {

// hls-fpga-machine-learning insert numbers
#define N_INPUT_1_1 6
static const int N_LAYER_2 = 4;
static const int N_LAYER_4 = 3;

// hls-fpga-machine-learning insert layer-precision
typedef ap_fixed<8,6,AP_RND_CONV,AP_SAT> input_t;
typedef ap_fixed<21,16> layer2_accum_t;
typedef ap_fixed<21,16> layer2_t;
typedef ap_fixed<6,3> weight2_t;
typedef ap_fixed<10,7> bias2_t;
typedef ap_uint<1> layer2_index;
typedef ap_ufixed<10, 6, AP_RND_CONV, AP_SAT, AP_SAT> layer3_t;
typedef ap_fixed<18,8> relu_table_t;
typedef ap_fixed<14,9> layer4_accum_t;
typedef ap_fixed<12,8> layer4_t;
typedef ap_fixed<6,3> weight4_t;
typedef ap_fixed<10,7> bias4_t;
typedef ap_fixed<13,8> diff_t;
typedef ap_ufixed<18,14,AP_RND_CONV,AP_SAT> result_t;
typedef ap_fixed<26,18> dot_accum_t;

extern weight2_t w2[24];

} // namespace emulator_v0
#endif
"""

PARAMETERS = """\
#ifndef PARAMETERS_H_
#define PARAMETERS_H_

#include "ap_int.h"
#include "ap_fixed.h"

#include "nnet_utils/nnet_helpers.h"
#include "nnet_utils/nnet_activation.h"
#include "nnet_utils/nnet_dense.h"
#include "nnet_utils/nnet_merge.h"

#include "defines.h"
#include "weights/w2.h"
#include "weights/b2.h"
#include "weights/w4.h"
#include "weights/b4.h"

namespace emulator_v0 {

struct config2 : nnet::dense_config {
    static const unsigned n_in = N_INPUT_1_1;
    static const unsigned n_out = 4;
    static const unsigned io_type = nnet::io_parallel;
    static const unsigned strategy = nnet::latency;
    static const unsigned reuse_factor = 1;
    static const unsigned n_zeros = 3;
    static const unsigned multiplier_limit = DIV_ROUNDUP(n_in * n_out, reuse_factor) - n_zeros / reuse_factor;
    static const bool store_weights_in_bram = false;
    typedef layer2_accum_t accum_t;
    typedef bias2_t bias_t;
    typedef weight2_t weight_t;
    typedef layer2_index index_t;
    template<class data_T, class res_T, class CONFIG_T>
    using kernel = nnet::DenseLatency<data_T, res_T, CONFIG_T>;
    template<class x_T, class y_T>
    using product = nnet::product::mult<x_T, y_T>;
};

struct relu_config3 : nnet::activ_config {
    static const unsigned n_in = N_LAYER_2;
    static const unsigned table_size = 1024;
    static const unsigned io_type = nnet::io_parallel;
    static const unsigned reuse_factor = 1;
    typedef relu_table_t table_t;
};

struct config4 : nnet::dense_config {
    static const unsigned n_in = 4;
    static const unsigned n_out = 3;
    static const unsigned io_type = nnet::io_parallel;
    static const unsigned strategy = nnet::latency;
    static const unsigned reuse_factor = 1;
    static const unsigned n_zeros = 0;
    static const unsigned multiplier_limit = DIV_ROUNDUP(n_in * n_out, reuse_factor) - n_zeros / reuse_factor;
    static const bool store_weights_in_bram = false;
    typedef layer4_accum_t accum_t;
    typedef bias4_t bias_t;
    typedef weight4_t weight_t;
    typedef layer2_index index_t;
    template<class data_T, class res_T, class CONFIG_T>
    using kernel = nnet::DenseLatency<data_T, res_T, CONFIG_T>;
    template<class x_T, class y_T>
    using product = nnet::product::mult<x_T, y_T>;
};

struct config5 : nnet::merge_config {
    static const unsigned n_elem = N_LAYER_4;
    static const unsigned n_elem1 = 3;
    static const unsigned n_elem2 = 3;
    static const unsigned reuse_factor = 1;
};

struct config6 : nnet::dot_config {
    static const unsigned n_in = 3;
    static const unsigned n_out = 1;
    static const unsigned reuse_factor = 1;
    static const unsigned multiplier_limit = DIV_ROUNDUP(n_in, reuse_factor);
    typedef dot_accum_t accum_t;
    template<class x_T, class y_T>
    using product = nnet::product::mult<x_T, y_T>;
};

} // namespace emulator_v0
#endif
"""

HEADER = """\
#ifndef EMULATOR_H_
#define EMULATOR_H_
#include "defines.h"
namespace emulator_v0 {
void emulator(input_t x[N_INPUT_1_1], result_t layer6_out[1]);
}
#endif
"""

TOP = """\
#include <iostream>

#include "emulator.h"
#include "parameters.h"

namespace emulator_v0 {

void emulator(
    input_t x[N_INPUT_1_1],
    result_t layer6_out[1]
) {

    // hls-fpga-machine-learning insert IO
    #pragma HLS ARRAY_RESHAPE variable=x complete dim=0
    #pragma HLS ARRAY_PARTITION variable=layer6_out complete dim=0
    #pragma HLS PIPELINE

#ifndef __SYNTHESIS__
    static bool loaded_weights = false;
    if (!loaded_weights) {
        nnet::load_weights_from_txt<weight2_t, 24>(w2, "w2.txt");
        nnet::load_weights_from_txt<bias2_t, 4>(b2, "b2.txt");
        nnet::load_weights_from_txt<weight4_t, 12>(w4, "w4.txt");
        nnet::load_weights_from_txt<bias4_t, 3>(b4, "b4.txt");
        loaded_weights = true;
    }
#endif

    layer2_t layer2_out[N_LAYER_2];
    #pragma HLS ARRAY_PARTITION variable=layer2_out complete dim=0
    nnet::dense<input_t, layer2_t, config2>(x, layer2_out, w2, b2); // encoder

    layer3_t layer3_out[N_LAYER_2];
    nnet::relu<layer2_t, layer3_t, relu_config3>(layer2_out, layer3_out); // activation

    layer4_t layer4_out[N_LAYER_4];
    nnet::dense<layer3_t, layer4_t, config4>(layer3_out, layer4_out, w4, b4); // mean

    auto& again = layer4_out;

    diff_t layer5_out[N_LAYER_4];
    nnet::add<layer4_t, layer4_t, diff_t, config5>(again, layer4_out, layer5_out); // twice the mean

    nnet::dot1d<diff_t, diff_t, result_t, config6>(layer5_out, layer5_out, layer6_out); // score

}

} // namespace emulator_v0
"""


def weights() -> dict[str, np.ndarray]:
    """The numbers of the project, multiples of an eighth."""
    rng = np.random.default_rng(3)
    shapes = {"w2": (6, 4), "b2": (4,), "w4": (4, 3), "b4": (3,)}
    return {name: rng.integers(-24, 25, shape) / 8 for name, shape in shapes.items()}


def project() -> dict[str, str]:
    """Text by file name: encoder, relu, mean, twice the mean, sum of squares."""
    files = {"defines.h": DEFINES, "parameters.h": PARAMETERS, "emulator.h": HEADER, "emulator.cpp": TOP}
    kinds = {"w2": "weight2_t", "b2": "bias2_t", "w4": "weight4_t", "b4": "bias4_t"}
    for name, values in weights().items():
        numbers = ", ".join(f"{v:.6f}" for v in values.ravel())
        empty, full = (f"{kinds[name]} {name}[{values.size}]{rest};" for rest in ("", f" = {{{numbers}}}"))
        guard = name.upper()
        files[f"weights/{name}.h"] = (
            f"//Numpy array shape {values.shape}\n#ifndef {guard}_H_\n#define {guard}_H_\n\nnamespace emulator_v0 {{\n"
            f"#ifndef __SYNTHESIS__\n{empty}\n#else\n{full}\n#endif\n}}\n#endif\n"
        )
        files[f"weights/{name}.txt"] = numbers
    return files


def distributed(middle: str = "ap_fixed<24,14>") -> dict[str, str]:
    """The same project with its first layer as the adders that hls4ml writes for distributed arithmetic.

    Args:
        middle: the type of the partial sums.
    """
    files, w = project(), weights()
    lines = []
    for j in range(4):
        bits = [(i, k, v < 0) for i, v in enumerate(8 * w["w2"][:, j]) for k in range(6) if int(abs(v)) >> k & 1]
        terms = "".join(f" {'-' if minus else '+'} bit_shift<{k - 3}>(inp[{i}])" for i, k, minus in bits)
        lines.append(f"    {middle} v{j} = {terms.strip().removeprefix('+ ')};")
        bias = f"ap_fixed<10, 7>({w['b2'][j]})"
        lines.append(f"    {middle} u{j} = v{j} + {bias};\n    out[{j}] = u{j};")
    body = "\n".join(lines)
    files["nnet_utils/nnet_code_gen.h"] = (
        '#ifndef CODE_GEN_H_\n#define CODE_GEN_H_\n#include "nnet_function_stubs.h"\nnamespace emulator_v0 {\n'
        "using nnet::bit_shift;\n"
        "template <typename inp_t, typename out_t>\nvoid dense_da_2(inp_t inp[6], out_t out[4]) {\n"
        f"    #pragma HLS INLINE\n{body}\n}}\n}} // namespace\n#endif\n"
    )
    old = "nnet::dense<input_t, layer2_t, config2>(x, layer2_out, w2, b2);"
    files["emulator.cpp"] = files["emulator.cpp"].replace(
        old, "emulator_v0::dense_da_2<input_t, layer2_t>(x, layer2_out);"
    )
    head = '#include "nnet_utils/nnet_helpers.h"\n'
    files["parameters.h"] = files["parameters.h"].replace(head, head + '#include "nnet_utils/nnet_code_gen.h"\n')
    return files


def put(files: dict[str, str], folder: Path, place: str = "NN") -> Path:
    """Write a project's files; the folder."""
    for name, text in files.items():
        (folder / place / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / place / name).write_text(text)
    return folder


def lowered(folder: Path) -> reading.Lowered:
    """Everything but the compiler: copy, parse, weights, graph."""
    copy = source.copied(folder, folder / "copy")
    program = reading.parsed(copy)
    numbers = reading.weights_of(copy, program)
    reading.same_when_synthesised(copy, program, numbers)
    return reading.lowered(program, numbers, None)
