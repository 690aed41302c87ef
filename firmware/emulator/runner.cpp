// What is the same in every emulator: blocks, the short last block, threads, the choice of a kernel.
#include <algorithm>
#include <atomic>
#include <memory>
#include <new>
#include <thread>
#include <vector>

#include "model.h"

namespace {

using namespace MODEL_NAMESPACE;
using Block = bool (*)(const void *const *, trigger_type, int64_t *const *, char *);

#ifdef PORTABLE_ONLY
constexpr Block BLOCKS[] = {portable::block};
constexpr const char *NAMES[] = {"portable"};
int32_t best_kernel() { return 0; }
#else
constexpr Block BLOCKS[] = {portable::block, avx2::block, avx512::block};
constexpr const char *NAMES[] = {"portable", "avx2", "avx512"};
int32_t best_kernel() {
  const bool avx2 = __builtin_cpu_supports("avx2");
  return avx2 && __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512vnni") ? 2 : avx2 ? 1 : 0;
}
#endif

// Whether this processor can run a kernel: each needs what the one before it does, and more.
bool runs(int32_t kernel) { return kernel <= best_kernel(); }

bool outside(const void *const *inputs, int bytes, int64_t event) {
  for (int p = 0; p < N_INPUTS; p++)
    for (int64_t j = 0, n = INPUTS[p].elements; j < n; j++) {
      const char *at = (const char *)inputs[p] + (event * n + j) * bytes;
      int64_t a = bytes == 2 ? *(const int16_t *)at : bytes == 4 ? *(const int32_t *)at : *(const int64_t *)at;
      if (a < INPUTS[p].lo[j] || a > INPUTS[p].hi[j]) return true;
    }
  return false;
}

// Events first ... last - 1; returns false if one is out of range.
bool part(const void *const *inputs, trigger_type type, int64_t *const *outputs, int64_t first, int64_t last,
          Block block, char *scratch) {
  const void *in[N_INPUTS];
  int64_t *out[N_OUTPUTS];
  int64_t i = first;
  for (; i + BLOCK_EVENTS <= last; i += BLOCK_EVENTS) {
    for (int p = 0; p < N_INPUTS; p++) in[p] = (const char *)inputs[p] + i * INPUTS[p].elements * type;
    for (int p = 0; p < N_OUTPUTS; p++) out[p] = outputs[p] + i * OUTPUTS[p].elements;
    if (!block(in, type, out, scratch)) return false;
  }
  if (i == last) return true;
  // The rest stands at the head of a block of copies of its first event, so that nothing is out of range by accident.
  std::vector<std::vector<char>> rest(N_INPUTS);
  std::vector<std::vector<int64_t>> answers(N_OUTPUTS);
  for (int p = 0; p < N_INPUTS; p++) {
    const size_t size = (size_t)INPUTS[p].elements * type;
    const char *from = (const char *)inputs[p] + i * size;
    rest[p].resize(BLOCK_EVENTS * size);
    for (int64_t e = 0; e < BLOCK_EVENTS; e++) memcpy(&rest[p][e * size], from + (i + e < last ? e : 0) * size, size);
    in[p] = rest[p].data();
  }
  for (int p = 0; p < N_OUTPUTS; p++) {
    answers[p].resize((size_t)BLOCK_EVENTS * OUTPUTS[p].elements);
    out[p] = answers[p].data();
  }
  if (!block(in, type, out, scratch)) return false;
  for (int p = 0; p < N_OUTPUTS; p++)
    std::copy_n(answers[p].begin(), (last - i) * OUTPUTS[p].elements, outputs[p] + i * OUTPUTS[p].elements);
  return true;
}

trigger_status evaluate(const void *const *inputs, trigger_type type, int64_t *const *outputs, int64_t events,
                        int32_t kernel, int32_t threads, int64_t *bad_event) try {
  if (!inputs || !outputs || events < 0 || threads < 1 || kernel < -1 || kernel >= (int32_t)std::size(BLOCKS) || !runs(kernel) ||
      (type != TRIGGER_INT16 && type != TRIGGER_INT32 && type != TRIGGER_INT64))
    return TRIGGER_ARGUMENT;
  for (int p = 0; p < N_INPUTS; p++)
    if (!inputs[p] && events) return TRIGGER_ARGUMENT;
  for (int p = 0; p < N_OUTPUTS; p++)
    if (!outputs[p] && events) return TRIGGER_ARGUMENT;
  const Block block = BLOCKS[kernel < 0 ? best_kernel() : kernel];
  const int64_t blocks = (events + BLOCK_EVENTS - 1) / BLOCK_EVENTS;
  const int64_t workers = std::max<int64_t>(1, std::min<int64_t>(threads, blocks));
  std::atomic<bool> good{true}, memory{true};
  auto work = [&](int64_t w) {
    try {
      std::unique_ptr<char[]> space(new char[SCRATCH_BYTES + 128]);
      char *aligned = space.get() + (128 - (uintptr_t)space.get() % 128) % 128;
      const int64_t first = blocks * w / workers * BLOCK_EVENTS;
      const int64_t last = std::min(events, blocks * (w + 1) / workers * BLOCK_EVENTS);
      if (first < last && !part(inputs, type, outputs, first, last, block, aligned)) good = false;
    } catch (...) {  // std::bad_alloc
      memory = false;
    }
  };
  std::vector<std::thread> others;
  try {
    for (int64_t w = 1; w < workers; w++) others.emplace_back(work, w);
    work(0);
  } catch (...) {  // no more threads: those that run must end before what they write to
    memory = false;
  }
  for (auto &t : others) t.join();
  if (!memory) return TRIGGER_MEMORY;
  if (good) return TRIGGER_OK;
  for (int64_t e = 0; e < events; e++)
    if (outside(inputs, type, e)) {
      if (bad_event) *bad_event = e;
      return TRIGGER_RANGE;
    }
  return TRIGGER_ARGUMENT;
} catch (...) {
  return TRIGGER_MEMORY;
}

constexpr trigger_emulator MODEL = {TRIGGER_EMULATOR_ABI, MODEL_NAME, MODEL_DIGEST, N_INPUTS, N_OUTPUTS, INPUTS, OUTPUTS,
                                    (int32_t)std::size(BLOCKS), NAMES, best_kernel, evaluate};

}  // namespace

extern "C" const trigger_emulator *MODEL_SYMBOL(void) { return &MODEL; }
#ifdef SHARED_LIBRARY
extern "C" __attribute__((visibility("default"))) const trigger_emulator *trigger_emulator_open_model(void)
    __asm__("trigger_emulator");
extern "C" const trigger_emulator *trigger_emulator_open_model(void) { return &MODEL; }
#endif
