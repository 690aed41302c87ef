/* The C interface of a generated emulator.
 *
 * Every number is a hardware integer: value = integer * 2**-frac. One emulator is one constant record, found under its
 * own name in a static library (trigger_emulator_<name>) and as trigger_emulator() in a shared one. There is no global
 * state: any number of emulators, in any number of threads, answer independently. In a static program their names must
 * differ; nothing else of a model has a name that another has too.
 */
#ifndef TRIGGER_EMULATOR_H
#define TRIGGER_EMULATOR_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define TRIGGER_EMULATOR_ABI 1

typedef enum {
  TRIGGER_OK = 0,
  TRIGGER_RANGE = 1,    /* an input integer is outside its format: see bad_event */
  TRIGGER_ARGUMENT = 2, /* a null pointer, a negative count, an unknown type, or a kernel that is unknown or not for this processor */
  TRIGGER_MEMORY = 3
} trigger_status;

typedef enum { TRIGGER_INT16 = 2, TRIGGER_INT32 = 4, TRIGGER_INT64 = 8 } trigger_type; /* bytes of an integer */

typedef struct {
  const char *name;
  int32_t elements;  /* integers an event, in C order */
  int32_t frac;      /* fraction length of all of them */
  const int64_t *lo; /* the smallest and */
  const int64_t *hi; /* the largest integer of each element */
} trigger_port;

typedef struct trigger_emulator {
  uint32_t abi;       /* TRIGGER_EMULATOR_ABI */
  const char *name;   /* of the model */
  const char *digest; /* sha256 of the integer graph, hexadecimal */
  int32_t n_inputs, n_outputs;
  const trigger_port *inputs, *outputs;
  int32_t n_kernels; /* the same arithmetic for different processors; 0 is portable */
  const char *const *kernels;
  int32_t (*best_kernel)(void); /* the fastest that this processor can run */
  /* Evaluate a batch.
   *   inputs:    for each input port, integers [events][elements], all of the given type
   *   outputs:   for each output port, where to put integers [events][elements]
   *   kernel:    an index, or -1 for best_kernel()
   *   threads:   events are shared among so many, at least 1
   *   bad_event: may be null; the first event that is out of range if TRIGGER_RANGE is returned. Outputs are then
   *              not to be used.
   */
  trigger_status (*evaluate)(const void *const *inputs, trigger_type type, int64_t *const *outputs, int64_t events,
                             int32_t kernel, int32_t threads, int64_t *bad_event);
} trigger_emulator;

typedef const trigger_emulator *(*trigger_emulator_open)(void); /* of the symbol "trigger_emulator" */

#ifdef __cplusplus
}
#endif
#endif
