// The product with AVX-512 VNNI: four codes times four bytes into 32 bits in one instruction.
#include <immintrin.h>

#include <algorithm>
#include <cstring>
#include <limits>

#include "ternary.h"

namespace {

void quantize(const Product& p, int64_t first, int64_t last) {
    const int width = p.groups * DEPTH;
    const __m512 infinity = _mm512_set1_ps(std::numeric_limits<float>::infinity());
    const auto mask = [&](int k) {
        return static_cast<__mmask16>(p.inner - k >= 16 ? 0xffff : (1 << (p.inner - k)) - 1);
    };
    for (int64_t r = first; r < last; ++r) {
        const float* x = p.x + r * p.inner;
        int8_t* q = p.q + r * width;
        __m512 most = _mm512_set1_ps(SMALLEST);
        unsigned bad = 0;
        for (int k = 0; k < p.inner; k += 16) {
            const __m512 a = _mm512_abs_ps(_mm512_maskz_loadu_ps(mask(k), x + k));
            most = _mm512_max_ps(most, a);
            bad |= _mm512_cmp_ps_mask(a, infinity, _CMP_NLT_UQ);
        }
        const float top = _mm512_reduce_max_ps(most);
        p.top[r] = bad ? std::numeric_limits<float>::quiet_NaN() : top;
        p.sum[r] = 0;
        if (bad) {
            std::memset(q, 0, width);
            continue;
        }
        const __m512 factor = _mm512_set1_ps(127.0f / top);
        __m512i sum = _mm512_setzero_si512();
        for (int k = 0; k < width; k += 16) {
            const __m512i v = _mm512_cvtps_epi32(_mm512_mul_ps(_mm512_maskz_loadu_ps(mask(k), x + k), factor));
            sum = _mm512_add_epi32(sum, v);
            _mm_storeu_si128(reinterpret_cast<__m128i*>(q + k), _mm512_cvtepi32_epi8(v));
        }
        p.sum[r] = _mm512_reduce_add_epi32(sum);
    }
}

template <int R, int B>
void tile(const Product& p, int64_t row, int block) {
    const __m512i three = _mm512_set1_epi8(3);
    const size_t stride = static_cast<size_t>(p.groups) * BYTES, width = static_cast<size_t>(p.groups) * DEPTH;
    const uint8_t* w = p.w + block * stride;
    const int8_t* q = p.q + row * width;
    __m512i total[R][B];
    for (int r = 0; r < R; ++r)
        for (int b = 0; b < B; ++b) total[r][b] = _mm512_setzero_si512();
    for (int g = 0; g < p.groups; ++g, w += BYTES, q += DEPTH) {
        __m512i packed[B];
        for (int b = 0; b < B; ++b) packed[b] = _mm512_loadu_si512(w + b * stride);
#pragma GCC unroll 4
        for (int i = 0; i < 4; ++i) {
            __m512i code[B];
            for (int b = 0; b < B; ++b)
                code[b] = _mm512_and_si512(i ? _mm512_srli_epi16(packed[b], 2 * i) : packed[b], three);
            for (int r = 0; r < R; ++r) {
                int32_t four;
                std::memcpy(&four, q + r * width + 4 * i, 4);
                const __m512i x = _mm512_set1_epi32(four);
                for (int b = 0; b < B; ++b) total[r][b] = _mm512_dpbusd_epi32(total[r][b], code[b], x);
            }
        }
    }
    for (int r = 0; r < R; ++r) {
        const __m512i sum = _mm512_set1_epi32(p.sum[row + r]);
        const __m512 scale = _mm512_set1_ps(p.scale), top = _mm512_set1_ps(p.top[row + r]);
        for (int b = 0; b < B; ++b) {
            const int column = (block + b) * COLUMNS, count = std::min(COLUMNS, p.outer - column);
            const __mmask16 live = static_cast<__mmask16>((1u << count) - 1);
            const __m512 whole = _mm512_cvtepi32_ps(_mm512_sub_epi32(total[r][b], sum));
            const __m512 value = _mm512_mul_ps(_mm512_mul_ps(whole, top), scale);
            const __m512 y = _mm512_add_ps(value, _mm512_maskz_loadu_ps(live, p.bias + column));
            _mm512_mask_storeu_ps(p.y + (row + r) * p.outer + column, live, y);
        }
    }
}

template <int B>
void panel(const Product& p, int64_t first, int64_t last, int block) {
    int64_t r = first;
    for (; r + 5 <= last; r += 5) tile<5, B>(p, r, block);
    switch (last - r) {
        case 4: tile<4, B>(p, r, block); break;
        case 3: tile<3, B>(p, r, block); break;
        case 2: tile<2, B>(p, r, block); break;
        case 1: tile<1, B>(p, r, block); break;
        default: break;
    }
}

void multiply(const Product& p, int64_t first, int64_t last, int block, int end) {
    int b = block;
    if (last - first == 1)  // a single row needs more sums in flight
        for (; b + 8 <= end; b += 8) tile<1, 8>(p, first, b);
    for (; b + 4 <= end; b += 4) panel<4>(p, first, last, b);
    switch (end - b) {
        case 3: panel<3>(p, first, last, b); break;
        case 2: panel<2>(p, first, last, b); break;
        case 1: panel<1>(p, first, last, b); break;
        default: break;
    }
}

int64_t peak(int64_t rounds) {
    constexpr int CHAINS = 16;
    __m512i sum[CHAINS], code = _mm512_set1_epi8(1), x = _mm512_set1_epi8(1);
    for (auto& s : sum) s = _mm512_setzero_si512();
    for (int64_t i = 0; i < rounds; ++i)
        for (auto& s : sum) s = _mm512_dpbusd_epi32(s, code, x);
    for (auto& s : sum) __asm__ volatile("" : : "v"(s));
    return rounds * CHAINS * 64;
}

}  // namespace

const Kernel& avx512_kernel() {
    static const Kernel kernel = {"avx512", quantize, multiply, peak};
    return kernel;
}
