// Plays events through a plug-in as CMSSW does, for programs that call C: dlopen, create_model, std::any in and out.
//
// It holds nothing of a model but its types, so it plays every plug-in of the same types.
#include <dlfcn.h>

#include <algorithm>
#include <cstring>
#include <exception>
#include <string>
#include <vector>

#include "cmssw_values.hpp"
#include "hls4ml/emulator.h"
#include "model.h"
#include "types.h"

namespace {

struct Player {
  void *library;
  hls4mlEmulator::Model *model;
  void (*destroy)(hls4mlEmulator::Model *);
};

void say(char *error, int size, const std::string &text) {
  if (size > 0) {
    strncpy(error, text.c_str(), size - 1);
    error[size - 1] = 0;
  }
}

// One event's values, as a caller holds them, and the pointer that std::any carries.
template <class T, int PORTS> struct Event {
  std::vector<T> values;
  explicit Event(int elements) : values(PORTS == 1 ? elements : 1) {}
  std::any any() { return values.data(); }
  template <class F> void visit(F f) {
    if constexpr (PORTS == 1)
      for (T &v : values) f(v);
    else
      each(values[0], f);
  }
};

}  // namespace

#define EXPORTED extern "C" __attribute__((visibility("default")))

// Null, and the reason in `error`, if the plug-in can't be loaded.
EXPORTED void *plugin_open(const char *path, int mode, char *error, int size) {
  void *library = dlopen(path, mode);
  if (!library) return say(error, size, dlerror()), nullptr;
  auto create = (hls4mlEmulator::Model * (*)()) dlsym(library, "create_model");
  auto destroy = (void (*)(hls4mlEmulator::Model *))dlsym(library, "destroy_model");
  if (!create || !destroy) {
    say(error, size, "create_model or destroy_model is missing");
    return dlclose(library), nullptr;
  }
  return new Player{library, create(), destroy};
}

EXPORTED void plugin_close(void *opened) {
  auto *player = (Player *)opened;
  player->destroy(player->model);
  dlclose(player->library);
  delete player;
}

// Integers [events][elements] of each port. Returns the number of events played; fewer if one threw: see `error`.
EXPORTED int64_t plugin_play(void *opened, const int64_t *const *inputs, int64_t *const *outputs, int64_t events,
                             char *error, int size) {
  hls4mlEmulator::Model &model = *((Player *)opened)->model;
  Event<types::input_type, N_INPUTS> given(INPUTS[0].elements);
  Event<types::result_type, N_OUTPUTS> result(OUTPUTS[0].elements);
  for (int64_t e = 0; e < events; e++) try {
      int64_t p = 0, j = 0;
      given.visit([&](auto &value) {
        set_integer(value, inputs[p][e * INPUTS[p].elements + j]);
        if (++j == INPUTS[p].elements) p++, j = 0;
      });
      model.prepare_input(given.any());
      model.predict();
      model.read_result(result.any());
      p = j = 0;
      result.visit([&](auto &value) {
        outputs[p][e * OUTPUTS[p].elements + j] = integer(value);
        if (++j == OUTPUTS[p].elements) p++, j = 0;
      });
    } catch (const std::exception &thrown) {
      return say(error, size, thrown.what()), e;
    }
  return events;
}

// What the plug-in says of a std::any that holds an int.
EXPORTED void plugin_misuse(void *opened, int reading, char *error, int size) {
  hls4mlEmulator::Model &model = *((Player *)opened)->model;
  try {
    reading ? model.read_result(1) : model.prepare_input(1);
  } catch (const std::bad_any_cast &thrown) {
    say(error, size, thrown.what());
  } catch (const std::exception &thrown) {
    say(error, size, std::string("unexpected: ") + thrown.what());
  }
}
