// Vectors over events for generated emulators: LANES events a vector, BLOCK events at a time.
//
// V holds int32, W int64; a row is one element of a tensor for the whole block. Only mac() knows an instruction set;
// <immintrin.h> is left out on purpose, since it alone takes a second to compile. The proof that no
// operation here overflows is the generator's; the sources are compiled with -fwrapv nevertheless.
//
// All of it stands in an unnamed namespace: the same text is compiled for other processors, and for other models with
// other constants, and a linker that sees several may keep only one of what is inline.
#pragma once
#include <cstddef>
#include <cstdint>
#include <cstring>

#define AI inline __attribute__((always_inline))
#define UNROLL _Pragma("GCC unroll 16")
// A function that fills rows. noipa: g++ 12 takes one that stores nothing but results of __builtin_convertvector for a
// function without effects, and drops the call.
#define ROWS __attribute__((noinline, noipa))

namespace MODEL_NAMESPACE::KERNEL {
namespace {

#if defined(__AVX512VNNI__)
constexpr int LANES = 16;
#else
constexpr int LANES = 8;
#endif
constexpr int BLOCK = BLOCK_EVENTS, BV = BLOCK / LANES;
static_assert(BLOCK % 16 == 0 && BV % 2 == 0, "events are loaded by sixteen, products made for two vectors at a time");
typedef int32_t V __attribute__((vector_size(4 * LANES)));
typedef int16_t H __attribute__((vector_size(4 * LANES)));
typedef int64_t W __attribute__((vector_size(8 * LANES)));

template <class T> static AI T splat(int64_t a) { return T{} + (std::remove_reference_t<decltype(T{}[0])>)a; }
static AI W wide(V a) { return __builtin_convertvector(a, W); }
static AI W wide(W a) { return a; }
static AI V narrow(V a) { return a; }
static AI V narrow(W a) { return __builtin_convertvector(a, V); }

static AI V pack(V a, V b) { return (a & 0xffff) | (b << 16); }
// sum + the two products of int16 in each int32.
static AI V mac(V sum, V a, V b) {
#if defined(__AVX512VNNI__) && defined(__clang__)
  return (V)__builtin_ia32_vpdpwssd512(sum, a, b);
#elif defined(__AVX512VNNI__)
  return __builtin_ia32_vpdpwssd_v16si(sum, a, b);
#elif defined(__AVX2__)
  return sum + (V)__builtin_ia32_pmaddwd256((H)a, (H)b);
#else
  return sum + ((a << 16) >> 16) * ((b << 16) >> 16) + (a >> 16) * (b >> 16);
#endif
}

template <class T> static AI T larger(T a, T b) { return a > b ? a : b; }
template <class T> static AI T at_least(T a, int64_t k) { return larger(a, splat<T>(k)); }
template <class T> static AI T at_most(T a, int64_t k) { T c = splat<T>(k); return a < c ? a : c; }
template <class T> static AI T zero_outside(T a, int64_t lo, int64_t hi) {
  return a & ((a >= splat<T>(lo)) & (a <= splat<T>(hi)));
}
template <class T> static constexpr int bits() { return sizeof(T) == sizeof(V) ? 32 : 64; }
template <int N, class T> static AI T wrap(T a) { return (a << (bits<T>() - N)) >> (bits<T>() - N); }

// a / 2**S, rounded as ap_fixed does (UG1399); S > 0.
template <int S, class T> static AI T trn(T a) { return a >> S; }
template <int S, class T> static AI T trn_zero(T a) {
  constexpr int64_t all = ((int64_t)1 << S) - 1;
  return (a + ((a >> (bits<T>() - 1)) & splat<T>(all))) >> S;
}
template <int S> constexpr int64_t HALF = (int64_t)1 << (S - 1);
template <int S, class T> static AI T rnd(T a) { return (a + splat<T>(HALF<S>)) >> S; }
template <int S, class T> static AI T rnd_min_inf(T a) { return (a + splat<T>(HALF<S> - 1)) >> S; }
template <int S, class T> static AI T rnd_zero(T a) { return (a + splat<T>(HALF<S> - 1) - (a >> (bits<T>() - 1))) >> S; }
template <int S, class T> static AI T rnd_inf(T a) { return (a + splat<T>(HALF<S>) + (a >> (bits<T>() - 1))) >> S; }
template <int S, class T> static AI T rnd_conv(T a) { return (a + splat<T>(HALF<S> - 1) + ((a >> S) & 1)) >> S; }

template <class R, class E, class I> static AI R look(const E *table, I i) {
#if defined(__AVX512VNNI__)
  if constexpr (sizeof(R) == sizeof(V) && sizeof(I) == sizeof(V) && sizeof(E) == 4)
    return __builtin_ia32_gathersiv16si(V{}, table, i, -1, 4);
#endif
  R r;
  UNROLL for (int k = 0; k < LANES; k++) r[k] = table[i[k]];
  return r;
}

// What is turned when events are loaded, whatever the width of V: eight elements of eight events as int32, or of
// sixteen events as int16, the first eight of them in the low halves.
typedef int32_t V8 __attribute__((vector_size(32)));
typedef int16_t H8 __attribute__((vector_size(16)));
typedef int16_t H16 __attribute__((vector_size(32)));
typedef int32_t V16 __attribute__((vector_size(64)));

#define SH(a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
static AI void transpose(V8 *r) {
  V8 t[8], u[8];
  UNROLL for (int i = 0; i < 8; i += 2) {
    t[i] = SH(r[i], r[i + 1], 0, 8, 1, 9, 4, 12, 5, 13);
    t[i + 1] = SH(r[i], r[i + 1], 2, 10, 3, 11, 6, 14, 7, 15);
  }
  UNROLL for (int h = 0; h < 8; h += 4) UNROLL for (int k = 0; k < 2; k++) {
    u[h + 2 * k] = SH(t[h + k], t[h + 2 + k], 0, 1, 8, 9, 4, 5, 12, 13);
    u[h + 2 * k + 1] = SH(t[h + k], t[h + 2 + k], 2, 3, 10, 11, 6, 7, 14, 15);
  }
  UNROLL for (int i = 0; i < 4; i++) {
    r[i] = SH(u[i], u[4 + i], 0, 1, 2, 3, 8, 9, 10, 11);
    r[4 + i] = SH(u[i], u[4 + i], 4, 5, 6, 7, 12, 13, 14, 15);
  }
}
static AI void transpose(H16 *r) {
  H16 t[8];
  UNROLL for (int i = 0; i < 4; i++) {
    t[2 * i] = SH(r[i], r[i + 4], 0, 16, 1, 17, 2, 18, 3, 19, 8, 24, 9, 25, 10, 26, 11, 27);
    t[2 * i + 1] = SH(r[i], r[i + 4], 4, 20, 5, 21, 6, 22, 7, 23, 12, 28, 13, 29, 14, 30, 15, 31);
  }
  UNROLL for (int i = 0; i < 4; i++) {
    r[2 * i] = SH(t[i], t[i + 4], 0, 16, 1, 17, 2, 18, 3, 19, 8, 24, 9, 25, 10, 26, 11, 27);
    r[2 * i + 1] = SH(t[i], t[i + 4], 4, 20, 5, 21, 6, 22, 7, 23, 12, 28, 13, 29, 14, 30, 15, 31);
  }
  UNROLL for (int i = 0; i < 4; i++) {
    t[2 * i] = SH(r[i], r[i + 4], 0, 16, 1, 17, 2, 18, 3, 19, 8, 24, 9, 25, 10, 26, 11, 27);
    t[2 * i + 1] = SH(r[i], r[i + 4], 4, 20, 5, 21, 6, 22, 7, 23, 12, 28, 13, 29, 14, 30, 15, 31);
  }
  UNROLL for (int i = 0; i < 8; i++) r[i] = t[i];
}

template <int N> static AI void turned(const int32_t *x, int32_t *out) {
  UNROLL for (int h = 0; h < 2; h++) {
    V8 r[8];
    UNROLL for (int k = 0; k < 8; k++) memcpy(&r[k], x + (size_t)(8 * h + k) * N, sizeof r[k]);
    transpose(r);
    UNROLL for (int k = 0; k < 8; k++) memcpy(out + k * BLOCK + 8 * h, &r[k], sizeof r[k]);
  }
}
template <int N> static AI void turned(const int16_t *x, int32_t *out) {
  H16 r[8];
  UNROLL for (int k = 0; k < 8; k++) {
    H8 low, high;
    memcpy(&low, x + (size_t)k * N, sizeof low);
    memcpy(&high, x + (size_t)(k + 8) * N, sizeof high);
    r[k] = SH(low, high, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
  }
  transpose(r);
  UNROLL for (int k = 0; k < 8; k++) {
    const V16 wide = __builtin_convertvector(r[k], V16);
    memcpy(out + k * BLOCK, &wide, sizeof wide);
  }
}

#undef SH

// Row-major integers [BLOCK][N] to rows. What does not fit int32 is stored as INT32_MIN, which no int32 port allows.
template <int N, class X> static void load(const X *__restrict x, V *__restrict rows) {
  int32_t *out = (int32_t *)rows;
  if constexpr (N < 8 || sizeof(X) == 8) {
    for (int e = 0; e < BLOCK; e++)
      for (int j = 0; j < N; j++) {
        X a = x[(size_t)e * N + j];
        out[j * BLOCK + e] = (int64_t)(int32_t)a == (int64_t)a ? (int32_t)a : INT32_MIN;
      }
  } else {
    for (int e = 0; e < BLOCK; e += 16)
      for (int j = 0; j < N; j += 8) {
        const int from = j + 8 <= N ? j : N - 8;
        turned<N>(x + (size_t)e * N + from, out + from * BLOCK + e);
      }
  }
}
template <int N, class X> static void load(const X *__restrict x, W *__restrict rows) {
  int64_t *out = (int64_t *)rows;
  for (int e = 0; e < BLOCK; e++)
    for (int j = 0; j < N; j++) out[j * BLOCK + e] = (int64_t)x[(size_t)e * N + j];
}
template <int N, class T> static void store(const T *__restrict rows, int64_t *__restrict y) {
  auto *in = (const std::remove_reference_t<decltype(T{}[0])> *)rows;
  for (int j = 0; j < N; j++)
    for (int e = 0; e < BLOCK; e++) y[(size_t)e * N + j] = in[j * BLOCK + e];
}
template <class T> static AI bool any(T a) {
  int64_t r = 0;
  UNROLL for (int k = 0; k < LANES; k++) r |= a[k];
  return r != 0;
}

}  // namespace
}  // namespace MODEL_NAMESPACE::KERNEL
