// Fuzz target: any bytes as a pickle, and the search for weights among its values.
#include "base/error.h"
#include "checkpoint/pickle.h"
#include "checkpoint/state_dict.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  try {
    const tenon::checkpoint::Pickle pickle =
        tenon::checkpoint::read_pickle(std::as_bytes(std::span(data, size)));
    tenon::checkpoint::find_state_dict(pickle.root());
  } catch (const tenon::Error&) {
  }
  return 0;
}
