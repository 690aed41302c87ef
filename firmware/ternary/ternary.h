// Product of rows with a matrix of -1, 0, 1:  y = (integer sum * top) * scale + bias.
//
// A row of floats is brought to integers in -127 ... 127 by its own largest magnitude:
//     top = max(|x|, 1e-5), q = round_half_even(x * (127 / top)).
// A row that holds an infinity or no number gives no numbers.
//
// Weights are codes w + 1 of two bits: [blocks of 16 columns][groups of 16 rows][64 bytes]; byte j of a group holds
// column j / 4 and, in its bits 2i and 2i + 1, row 4 i + j % 4. Columns and rows that fill a block are code 1.
#pragma once
#include <cstdint>

constexpr int COLUMNS = 16, DEPTH = 16, BYTES = 64;
constexpr float SMALLEST = 1e-5f;

struct Product {
    const float* x;        // (rows, inner)
    const uint8_t* w;      // (blocks, groups, 64)
    const float* bias;     // (outer)
    float* y;              // (rows, outer)
    float scale;
    int64_t rows;
    int inner, outer, groups, blocks;
    int8_t* q;             // (rows, groups * 16)
    float* top;            // (rows)
    int32_t* sum;          // (rows): of q, since the codes are one too large
};

struct Kernel {
    const char* name;
    void (*quantize)(const Product&, int64_t first, int64_t last);                          // rows
    void (*multiply)(const Product&, int64_t first, int64_t last, int block, int end);      // rows, blocks of columns
    int64_t (*peak)(int64_t rounds);  // does products in registers alone, as fast as it can; returns how many
};

const Kernel& portable_kernel();
const Kernel& avx2_kernel();
const Kernel& avx512_kernel();
