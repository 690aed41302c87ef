// The interface through which CMSSW calls a trigger model: the class that a plug-in derives from.
//
// The order of the virtual functions is the binary interface of hls4mlEmulatorExtras, whose loader opens NAME.so and
// calls create_model() and destroy_model(). The guard is that of its own header, so that whichever comes first counts.
#ifndef HLS4ML_EMULATOR_H_
#define HLS4ML_EMULATOR_H_

#include <any>

namespace hls4mlEmulator {

class Model {
public:
  virtual void prepare_input(std::any input) = 0;
  virtual void predict() = 0;
  virtual void read_result(std::any result) = 0;
  virtual ~Model() = default;
};

}  // namespace hls4mlEmulator

#endif
