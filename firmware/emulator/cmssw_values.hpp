// Between ap_fixed values and the integers that they hold, also inside arrays, pairs and tuples.
#pragma once
#include <array>
#include <cstdint>
#include <tuple>
#include <utility>

#include "ap_fixed.h"

namespace {

template <int W, int I, ap_q_mode Q, ap_o_mode O, int N> int64_t integer(const ap_fixed<W, I, Q, O, N> &value) {
  ap_int<W> raw;
  raw.range() = value.range();
  return raw.to_int64();
}
template <int W, int I, ap_q_mode Q, ap_o_mode O, int N> int64_t integer(const ap_ufixed<W, I, Q, O, N> &value) {
  ap_uint<W> raw;
  raw.range() = value.range();
  return (int64_t)raw.to_uint64();
}
template <class T> void set_integer(T &value, int64_t to) { value.range() = to; }

// Call f on each number of a value, in order.
template <class F, int W, int I, ap_q_mode Q, ap_o_mode O, int N> void each(ap_fixed<W, I, Q, O, N> &v, F &f) { f(v); }
template <class F, int W, int I, ap_q_mode Q, ap_o_mode O, int N> void each(ap_ufixed<W, I, Q, O, N> &v, F &f) { f(v); }
template <class F, class T, size_t N> void each(std::array<T, N> &values, F &f) {
  for (T &v : values) f(v);
}
template <class F, class... T> void each(std::tuple<T...> &values, F &f) {
  std::apply([&](T &...v) { (each(v, f), ...); }, values);
}
template <class F, class A, class B> void each(std::pair<A, B> &values, F &f) {
  each(values.first, f);
  each(values.second, f);
}

}  // namespace
