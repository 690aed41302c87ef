// The processor's own limit for the emulator's inner step: pmaddwd and an add, all operands in registers.
// Prints multiply-adds a second of CPU time.
#include <cstdint>
#include <cstdio>
#include <ctime>

typedef int32_t V __attribute__((vector_size(32)));
typedef int16_t H __attribute__((vector_size(32)));

static double seconds() {
  timespec t;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return t.tv_sec + 1e-9 * t.tv_nsec;
}

int main() {
  constexpr int CHAINS = 12, REPEATS = 2000000;
  V a[CHAINS] = {}, x = V{} + 3, w = V{} + 5;
  double best = 1e9;
  for (int round = 0; round < 5; round++) {
    const double start = seconds();
    for (int i = 0; i < REPEATS; i++) {
#pragma GCC unroll 12
      for (int c = 0; c < CHAINS; c++) {
        a[c] = (V)__builtin_ia32_pmaddwd256((H)a[c], (H)x) + w;
      }
    }
    const double took = seconds() - start;
    if (took < best) best = took;
  }
  int64_t sum = 0;
  for (int c = 0; c < CHAINS; c++) sum += a[c][0];
  std::printf("%.6g %lld\n", 16.0 * CHAINS * REPEATS / best, (long long)sum);
}
