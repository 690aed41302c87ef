// Exact operations of trigger_ml's integer graph for hls4ml projects.
//
// Every type is given by the caller, from the interval that the value can take: nothing is inferred here, and only
// requantize() loses bits. Tensors are flat arrays in C order. SPDX-License-Identifier: Apache-2.0

#ifndef NNET_EXACT_H_
#define NNET_EXACT_H_

#include "ap_fixed.h"
#include "hls_stream.h"

namespace nnet {
namespace exact {

// All words of a stream as a flat array.
template <unsigned words, class x_S> void gather(hls::stream<x_S> &x, typename x_S::value_type r[words * x_S::size]) {
    #pragma HLS INLINE
    for (unsigned w = 0; w < words; w++) {
        #pragma HLS PIPELINE II=1
        x_S word = x.read();
        for (unsigned i = 0; i < x_S::size; i++) {
            #pragma HLS UNROLL
            r[w * x_S::size + i] = word[i];
        }
    }
}

// A flat array as the words of a stream.
template <unsigned words, class r_S> void scatter(typename r_S::value_type x[words * r_S::size], hls::stream<r_S> &r) {
    #pragma HLS INLINE
    for (unsigned w = 0; w < words; w++) {
        #pragma HLS PIPELINE II=1
        r_S word;
        for (unsigned i = 0; i < r_S::size; i++) {
            #pragma HLS UNROLL
            word[i] = x[w * r_S::size + i];
        }
        r.write(word);
    }
}

// Each element rounded, then wrapped or saturated, into q_T; r_T holds every q_T that can occur. w_T is x_T with enough
// high bits to hold q_T's last place, which ap_fixed looks at when it rounds.
template <class q_T, class w_T, unsigned n, class x_T, class r_T> void requantize(x_T x[n], r_T r[n]) {
    #pragma HLS INLINE
    for (unsigned i = 0; i < n; i++) {
        #pragma HLS UNROLL
        q_T q = w_T(x[i]);
        r[i] = q;
    }
}

// table[bits of x], so that no address arithmetic is needed: negative numbers use the upper half.
template <unsigned n, class x_T, class r_T, class t_T> void lookup(x_T x[n], r_T r[n], t_T table[1 << x_T::width]) {
    #pragma HLS INLINE
    for (unsigned i = 0; i < n; i++) {
        #pragma HLS UNROLL
        ap_uint<x_T::width> code = x[i].range(x_T::width - 1, 0);
        r[i] = table[code.to_uint()];
    }
}

template <unsigned n, class a_T, class b_T, class r_T> void add(a_T a[n], b_T b[n], r_T r[n]) {
    #pragma HLS INLINE
    for (unsigned i = 0; i < n; i++) {
        #pragma HLS UNROLL
        r[i] = a[i] + b[i];
    }
}

template <unsigned n, class a_T, class b_T, class r_T> void subtract(a_T a[n], b_T b[n], r_T r[n]) {
    #pragma HLS INLINE
    for (unsigned i = 0; i < n; i++) {
        #pragma HLS UNROLL
        r[i] = a[i] - b[i];
    }
}

template <unsigned n, class a_T, class b_T, class r_T> void multiply(a_T a[n], b_T b[n], r_T r[n]) {
    #pragma HLS INLINE
    for (unsigned i = 0; i < n; i++) {
        #pragma HLS UNROLL
        r[i] = a[i] * b[i];
    }
}

template <unsigned n, class a_T, class b_T, class r_T> void maximum(a_T a[n], b_T b[n], r_T r[n]) {
    #pragma HLS INLINE
    for (unsigned i = 0; i < n; i++) {
        #pragma HLS UNROLL
        r[i] = a[i] > b[i] ? r_T(a[i]) : r_T(b[i]);
    }
}

template <unsigned n, class x_T, class r_T> void relu(x_T x[n], r_T r[n]) {
    #pragma HLS INLINE
    for (unsigned i = 0; i < n; i++) {
        #pragma HLS UNROLL
        r[i] = x[i] > 0 ? r_T(x[i]) : r_T(0);
    }
}

// x (outer, n, inner) summed over n.
template <class acc_T, unsigned outer, unsigned n, unsigned inner, class x_T, class r_T>
void sum(x_T x[outer * n * inner], r_T r[outer * inner]) {
    #pragma HLS INLINE
    for (unsigned o = 0; o < outer; o++) {
        #pragma HLS UNROLL
        for (unsigned i = 0; i < inner; i++) {
            #pragma HLS UNROLL
            acc_T acc = 0;
            for (unsigned k = 0; k < n; k++) {
                #pragma HLS UNROLL
                acc += x[(o * n + k) * inner + i];
            }
            r[o * inner + i] = acc;
        }
    }
}

// The largest of x (outer, n, inner) over n.
template <unsigned outer, unsigned n, unsigned inner, class x_T, class r_T>
void largest(x_T x[outer * n * inner], r_T r[outer * inner]) {
    #pragma HLS INLINE
    for (unsigned o = 0; o < outer; o++) {
        #pragma HLS UNROLL
        for (unsigned i = 0; i < inner; i++) {
            #pragma HLS UNROLL
            x_T top = x[o * n * inner + i];
            for (unsigned k = 1; k < n; k++) {
                #pragma HLS UNROLL
                x_T next = x[(o * n + k) * inner + i];
                if (next > top)
                    top = next;
            }
            r[o * inner + i] = top;
        }
    }
}

// a (n, k) times b (k, m).
template <class acc_T, unsigned n, unsigned k, unsigned m, class a_T, class b_T, class r_T>
void matmul(a_T a[n * k], b_T b[k * m], r_T r[n * m]) {
    #pragma HLS INLINE
    for (unsigned i = 0; i < n; i++) {
        #pragma HLS UNROLL
        for (unsigned j = 0; j < m; j++) {
            #pragma HLS UNROLL
            acc_T acc = 0;
            for (unsigned l = 0; l < k; l++) {
                #pragma HLS UNROLL
                acc += a[i * k + l] * b[l * m + j];
            }
            r[i * m + j] = acc;
        }
    }
}

} // namespace exact
} // namespace nnet

#endif
