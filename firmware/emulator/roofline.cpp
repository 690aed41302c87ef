// The processor's own limit for the emulator's inner step, all operands in registers: pmaddwd and an add, or with
// AVX-512 VNNI vpdpwssd, which is both. Prints multiply-adds a second of CPU time.
#include <cstdint>
#include <cstdio>
#include <ctime>

#if defined(__AVX512VNNI__)
typedef int32_t V __attribute__((vector_size(64)));
#if defined(__clang__)
static inline V step(V sum, V a, V b) { return (V)__builtin_ia32_vpdpwssd512(sum, a, b); }
#else
static inline V step(V sum, V a, V b) { return __builtin_ia32_vpdpwssd_v16si(sum, a, b); }
#endif
#else
typedef int32_t V __attribute__((vector_size(32)));
typedef int16_t H __attribute__((vector_size(32)));
static inline V step(V sum, V a, V b) { return sum + (V)__builtin_ia32_pmaddwd256((H)a, (H)b); }
#endif
constexpr int MULTIPLY_ADDS = sizeof(V) / 2;

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
        asm("" : "+v"(x));  // another x each time, as far as the compiler knows
        a[c] = step(a[c], x, w);
      }
    }
    const double took = seconds() - start;
    if (took < best) best = took;
  }
  int64_t sum = 0;
  for (int c = 0; c < CHAINS; c++) sum += a[c][0];
  std::printf("%.6g %lld\n", (double)MULTIPLY_ADDS * CHAINS * REPEATS / best, (long long)sum);
}
