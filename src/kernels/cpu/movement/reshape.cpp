// Operators that keep the elements in their order: a copy, or nothing in place.
#include <cstring>

#include "kernels/cpu/movement/rows.h"
#include "kernels/cpu/reference/accepts.h"
#include "kernels/cpu/reference/strided.h"

namespace tenon::kernels::cpu {
namespace {

using namespace reference;

BoundKernel bind_copy(const StepDescription&) {
  return [](const Invocation& call) {
    const std::byte* from = call.inputs[0].data;
    std::byte* to = call.outputs[0].data;
    if (from == to) return;
    const auto bytes = static_cast<std::int64_t>(call.inputs[0].bytes());
    parallel(call, bytes, kGrain * 4, [&](std::int64_t begin, std::int64_t end) {
      std::memcpy(to + begin, from + begin, static_cast<std::size_t>(end - begin));
    });
  };
}

constexpr KernelRow kRows[] = {
    in_place_row("Identity", "identity_reference", moves_input, bind_copy),
    in_place_row("Reshape", "reshape_reference", moves_input, bind_copy),
    in_place_row("Flatten", "flatten_reference", moves_input, bind_copy),
    in_place_row("Squeeze", "squeeze_reference", moves_input, bind_copy),
    in_place_row("Unsqueeze", "unsqueeze_reference", moves_input, bind_copy),
};

}  // namespace

std::span<const KernelRow> reshape_rows() { return kRows; }

}  // namespace tenon::kernels::cpu
