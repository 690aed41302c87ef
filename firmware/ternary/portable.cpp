// The product in plain C++: what the other kernels must equal.
#include <algorithm>
#include <cmath>
#include <limits>

#include "ternary.h"

namespace {

void quantize(const Product& p, int64_t first, int64_t last) {
    const int width = p.groups * DEPTH;
    for (int64_t r = first; r < last; ++r) {
        const float* x = p.x + r * p.inner;
        int8_t* q = p.q + r * width;
        float top = SMALLEST;
        bool finite = true;
        for (int k = 0; k < p.inner; ++k) {
            finite &= std::isfinite(x[k]);
            top = std::max(top, std::fabs(x[k]));
        }
        const float by = 127.0f / top;
        int32_t sum = 0;
        for (int k = 0; k < width; ++k) {
            const int v = finite && k < p.inner ? static_cast<int>(std::nearbyint(x[k] * by)) : 0;
            q[k] = static_cast<int8_t>(v);
            sum += v;
        }
        p.top[r] = finite ? top : std::numeric_limits<float>::quiet_NaN();
        p.sum[r] = sum;
    }
}

void multiply(const Product& p, int64_t first, int64_t last, int block, int end) {
    for (int b = block; b < end; ++b) {
        for (int64_t r = first; r < last; ++r) {
            int32_t total[COLUMNS] = {};
            for (int g = 0; g < p.groups; ++g) {
                const uint8_t* w = p.w + (static_cast<size_t>(b) * p.groups + g) * BYTES;
                const int8_t* q = p.q + (r * p.groups + g) * DEPTH;
                for (int n = 0; n < COLUMNS; ++n)
                    for (int j = 0; j < 4; ++j)
                        for (int i = 0; i < 4; ++i) total[n] += (w[4 * n + j] >> 2 * i & 3) * q[4 * i + j];
            }
            const int count = std::min(COLUMNS, p.outer - b * COLUMNS);
            for (int n = 0; n < count; ++n) {
                const float whole = static_cast<float>(total[n] - p.sum[r]);
                p.y[r * p.outer + b * COLUMNS + n] = whole * p.top[r] * p.scale + p.bias[b * COLUMNS + n];
            }
        }
    }
}

int64_t peak(int64_t) { return 0; }  // left to the compiler: no limit is known

}  // namespace

const Kernel& portable_kernel() {
    static const Kernel kernel = {"portable", quantize, multiply, peak};
    return kernel;
}
