// The product with AVX2: codes times bytes in pairs of 16 bits, widened before they can overflow.
#include <immintrin.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "ternary.h"

namespace {

constexpr int SAFE = 16;  // groups of 4 steps, each at most 2 * 2 * 127: 64 steps stay below 2^15

int32_t total(__m256i v) {
    __m128i s = _mm_add_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
    s = _mm_add_epi32(s, _mm_shuffle_epi32(s, 0x4e));
    return _mm_cvtsi128_si32(_mm_add_epi32(s, _mm_shuffle_epi32(s, 0xb1)));
}

void quantize(const Product& p, int64_t first, int64_t last) {
    const int width = p.groups * DEPTH;
    const __m256 magnitude = _mm256_castsi256_ps(_mm256_set1_epi32(0x7fffffff));
    const __m256 infinity = _mm256_set1_ps(std::numeric_limits<float>::infinity());
    for (int64_t r = first; r < last; ++r) {
        const float* x = p.x + r * p.inner;
        int8_t* q = p.q + r * width;
        __m256 most = _mm256_set1_ps(SMALLEST), bad = _mm256_setzero_ps();
        int k = 0;
        for (; k + 8 <= p.inner; k += 8) {
            const __m256 a = _mm256_and_ps(_mm256_loadu_ps(x + k), magnitude);
            most = _mm256_max_ps(most, a);
            bad = _mm256_or_ps(bad, _mm256_cmp_ps(a, infinity, _CMP_NLT_UQ));
        }
        bool finite = _mm256_movemask_ps(bad) == 0;
        alignas(32) float lane[8];
        _mm256_store_ps(lane, most);
        float top = *std::max_element(lane, lane + 8);
        for (; k < p.inner; ++k) {
            finite &= std::isfinite(x[k]);
            top = std::max(top, std::fabs(x[k]));
        }
        p.top[r] = finite ? top : std::numeric_limits<float>::quiet_NaN();
        p.sum[r] = 0;
        std::memset(q + p.inner / 8 * 8, 0, width - p.inner / 8 * 8);
        if (!finite) {
            std::memset(q, 0, width);
            continue;
        }
        const float by = 127.0f / top;
        const __m256 factor = _mm256_set1_ps(by);
        __m256i sum = _mm256_setzero_si256();
        for (k = 0; k + 8 <= p.inner; k += 8) {
            const __m256i v = _mm256_cvtps_epi32(_mm256_mul_ps(_mm256_loadu_ps(x + k), factor));
            sum = _mm256_add_epi32(sum, v);
            const __m128i h = _mm_packs_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
            _mm_storel_epi64(reinterpret_cast<__m128i*>(q + k), _mm_packs_epi16(h, h));
        }
        p.sum[r] = total(sum);
        for (; k < p.inner; ++k) {
            const int v = static_cast<int>(std::nearbyint(x[k] * by));
            q[k] = static_cast<int8_t>(v);
            p.sum[r] += v;
        }
    }
}

template <int R>
void tile(const Product& p, int64_t row, int block) {
    const __m256i three = _mm256_set1_epi8(3), one = _mm256_set1_epi16(1);
    const uint8_t* w = p.w + static_cast<size_t>(block) * p.groups * BYTES;
    const int8_t* q[R];
    __m256i wide[R][2];
    for (int r = 0; r < R; ++r) {
        q[r] = p.q + (row + r) * p.groups * DEPTH;
        wide[r][0] = wide[r][1] = _mm256_setzero_si256();
    }
    for (int from = 0; from < p.groups; from += SAFE) {
        const int to = std::min(p.groups, from + SAFE);
        __m256i narrow[R][2];
        for (int r = 0; r < R; ++r) narrow[r][0] = narrow[r][1] = _mm256_setzero_si256();
        for (int g = from; g < to; ++g) {
            const __m256i* at = reinterpret_cast<const __m256i*>(w + static_cast<size_t>(g) * BYTES);
            const __m256i low = _mm256_loadu_si256(at), high = _mm256_loadu_si256(at + 1);
#pragma GCC unroll 4
            for (int i = 0; i < 4; ++i) {
                const __m256i u = _mm256_and_si256(_mm256_srli_epi16(low, 2 * i), three);
                const __m256i v = _mm256_and_si256(_mm256_srli_epi16(high, 2 * i), three);
                for (int r = 0; r < R; ++r) {
                    int32_t four;
                    std::memcpy(&four, q[r] + g * DEPTH + 4 * i, 4);
                    const __m256i x = _mm256_set1_epi32(four);
                    narrow[r][0] = _mm256_add_epi16(narrow[r][0], _mm256_maddubs_epi16(u, x));
                    narrow[r][1] = _mm256_add_epi16(narrow[r][1], _mm256_maddubs_epi16(v, x));
                }
            }
        }
        for (int r = 0; r < R; ++r)
            for (int h = 0; h < 2; ++h)
                wide[r][h] = _mm256_add_epi32(wide[r][h], _mm256_madd_epi16(narrow[r][h], one));
    }
    const int column = block * COLUMNS, count = std::min(COLUMNS, p.outer - column);
    for (int r = 0; r < R; ++r) {
        const __m256i sum = _mm256_set1_epi32(p.sum[row + r]);
        const __m256 scale = _mm256_set1_ps(p.scale), top = _mm256_set1_ps(p.top[row + r]);
        float* y = p.y + (row + r) * p.outer + column;
        for (int h = 0; h < 2; ++h) {
            const __m256 whole = _mm256_cvtepi32_ps(_mm256_sub_epi32(wide[r][h], sum));
            const __m256 value = _mm256_mul_ps(_mm256_mul_ps(whole, top), scale);
            if (count >= 8 * h + 8) {
                _mm256_storeu_ps(y + 8 * h, _mm256_add_ps(value, _mm256_loadu_ps(p.bias + column + 8 * h)));
            } else {
                alignas(32) float lane[8];
                _mm256_store_ps(lane, value);
                for (int n = 8 * h; n < count; ++n) y[n] = lane[n - 8 * h] + p.bias[column + n];
            }
        }
    }
}

void multiply(const Product& p, int64_t first, int64_t last, int block, int end) {
    for (int b = block; b < end; ++b) {
        int64_t r = first;
        for (; r + 4 <= last; r += 4) tile<4>(p, r, b);
        for (; r < last; ++r) tile<1>(p, r, b);
    }
}

int64_t peak(int64_t rounds) {
    constexpr int CHAINS = 8;
    __m256i sum[CHAINS], code = _mm256_set1_epi8(1), x = _mm256_set1_epi8(1);
    for (auto& s : sum) s = _mm256_setzero_si256();
    for (int64_t i = 0; i < rounds; ++i)
        for (auto& s : sum) {
            __asm__ volatile("" : "+x"(code));
            s = _mm256_add_epi16(s, _mm256_maddubs_epi16(code, x));
        }
    for (auto& s : sum) __asm__ volatile("" : : "x"(s));
    return rounds * CHAINS * 32;
}

}  // namespace

const Kernel& avx2_kernel() {
    static const Kernel kernel = {"avx2", quantize, multiply, peak};
    return kernel;
}
