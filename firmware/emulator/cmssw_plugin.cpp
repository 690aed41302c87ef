// The plug-in for CMSSW: one event at a time through the generated emulator, which is compiled in.
#include <cxxabi.h>

#include <cstdlib>
#include <memory>
#include <stdexcept>
#include <string>
#include <typeinfo>
#include <vector>

#include "cmssw_values.hpp"
#include "hls4ml/emulator.h"
#include "model.h"
#include "types.h"

extern "C" const trigger_emulator *MODEL_SYMBOL(void);

namespace {

std::string readable(const std::type_info &type) {
  int status = 0;
  std::unique_ptr<char, void (*)(void *)> text(abi::__cxa_demangle(type.name(), nullptr, nullptr, &status), std::free);
  return status == 0 ? text.get() : type.name();
}

// Also a std::bad_any_cast, which is what callers know to catch.
class WrongType : public std::bad_any_cast {
  std::string message;

public:
  WrongType(const char *function, const std::type_info &want, const std::any &got)
      : message(std::string(MODEL_NAME) + ": " + function + " takes a std::any that holds " + readable(want) +
                ", not " + (got.has_value() ? readable(got.type()) : "nothing") + ": see its *_types.h") {}
  const char *what() const noexcept override { return message.c_str(); }
};

template <class T> T *pointer(const char *function, const std::any &holds) {
  if (auto *p = std::any_cast<T *>(&holds)) {
    if (*p) return *p;
    throw std::invalid_argument(std::string(MODEL_NAME) + ": " + function + " got a null pointer");
  }
  throw WrongType(function, typeid(T *), holds);
}

template <class P> std::vector<std::vector<int64_t>> room(const P &ports) {
  std::vector<std::vector<int64_t>> made;
  for (const trigger_port &p : ports) made.emplace_back(p.elements);
  return made;
}

// Call f with every integer of the ports, in order.
template <class F> void walk(std::vector<std::vector<int64_t>> &ports, F f) {
  for (size_t p = 0; p < ports.size(); p++)
    for (size_t j = 0; j < ports[p].size(); j++) f(p, j, ports[p][j]);
}

class Plugin : public hls4mlEmulator::Model {
  std::vector<std::vector<int64_t>> in = room(INPUTS), out = room(OUTPUTS);
  bool prepared = false, predicted = false;

public:
  void prepare_input(std::any input) override {
    prepared = predicted = false;
    std::vector<int64_t> given;
    auto take = [&](auto &value) { given.push_back(integer(value)); };
    auto *values = pointer<types::input_type>("prepare_input", input);
#if N_INPUTS == 1
    for (int j = 0; j < INPUTS[0].elements; j++) take(values[j]);
#else
    each(*values, take);
#endif
    size_t next = 0;
    walk(in, [&](size_t p, size_t j, int64_t &to) {
      to = given[next++];
      if (to < INPUTS[p].lo[j] || to > INPUTS[p].hi[j])
        throw std::out_of_range(std::string(MODEL_NAME) + ": element " + std::to_string(j) + " of input " +
                                INPUTS[p].name + " is the integer " + std::to_string(to) + ", outside its range " +
                                std::to_string(INPUTS[p].lo[j]) + " ... " + std::to_string(INPUTS[p].hi[j]));
    });
    prepared = true;
  }

  void predict() override {
    if (!prepared) throw std::logic_error(std::string(MODEL_NAME) + ": predict without prepare_input before it");
    const void *from[N_INPUTS];
    int64_t *to[N_OUTPUTS];
    for (int p = 0; p < N_INPUTS; p++) from[p] = in[p].data();
    for (int p = 0; p < N_OUTPUTS; p++) to[p] = out[p].data();
    if (MODEL_SYMBOL()->evaluate(from, TRIGGER_INT64, to, 1, 0, 1, nullptr) != TRIGGER_OK)
      throw std::runtime_error(std::string(MODEL_NAME) + ": there is not enough memory");
    predicted = true;
  }

  void read_result(std::any result) override {
    auto *values = pointer<types::result_type>("read_result", result);
    if (!predicted) throw std::logic_error(std::string(MODEL_NAME) + ": read_result without predict before it");
    std::vector<int64_t> answers;
    walk(out, [&](size_t, size_t, int64_t &value) { answers.push_back(value); });
    size_t next = 0;
    auto give = [&](auto &value) { set_integer(value, answers[next++]); };
#if N_OUTPUTS == 1
    for (int j = 0; j < OUTPUTS[0].elements; j++) give(values[j]);
#else
    each(*values, give);
#endif
  }
};

}  // namespace

#define EXPORTED extern "C" __attribute__((visibility("default")))
EXPORTED hls4mlEmulator::Model *create_model() { return new Plugin; }
EXPORTED void destroy_model(hls4mlEmulator::Model *model) { delete model; }
