// Pad and Trilu: elements of the input where a rule on coordinates says so, a constant elsewhere.
#include <array>
#include <cstring>

#include "kernels/cpu/movement/rows.h"
#include "kernels/cpu/reference/accepts.h"
#include "kernels/cpu/reference/strided.h"

namespace tenon::kernels::cpu {
namespace {

using namespace reference;

enum class PadMode { constant, edge, reflect, wrap };

PadMode mode_of(const StepDescription& step) {
  const std::string name = step.attributes->get_string("mode", "constant");
  if (name == "edge") return PadMode::edge;
  if (name == "reflect") return PadMode::reflect;
  return name == "wrap" ? PadMode::wrap : PadMode::constant;
}

std::int64_t remainder(std::int64_t value, std::int64_t divisor) {
  const std::int64_t rest = value % divisor;
  return rest < 0 ? rest + divisor : rest;
}

// Where coordinate `at` of an axis of `size` elements reads, -1 for the constant.
std::int64_t source_of(PadMode mode, std::int64_t at, std::int64_t size) {
  if (at >= 0 && at < size) return at;
  if (size == 0 || mode == PadMode::constant) return -1;
  if (mode == PadMode::edge) return at < 0 ? 0 : size - 1;
  if (mode == PadMode::wrap) return remainder(at, size);
  if (size == 1) return 0;
  const std::int64_t period = 2 * (size - 1);
  const std::int64_t place = remainder(at, period);
  return place < size ? place : period - place;
}

using Pads = std::array<std::int64_t, kMaxRank>;

// Elements before each axis, from inputs 1 (all begins, then all ends) and 3 (axes).
Pads leading_pads(const Invocation& call, std::size_t rank) {
  Pads leading{};
  const std::int64_t padded = call.inputs[1].count() / 2;
  for (std::int64_t i = 0; i < padded; ++i) {
    const std::int64_t axis =
        given(call, 3) ? index_at(call.inputs[3].dtype, call.inputs[3].data, i) : i;
    leading[positive_axis(axis, rank)] = index_at(DType::i64, call.inputs[1].data, i);
  }
  return leading;
}

BoundKernel bind_pad(const StepDescription& step) {
  return [mode = mode_of(step)](const Invocation& call) {
    const TensorView& x = call.inputs[0];
    const MutableTensorView& y = call.outputs[0];
    const std::size_t rank = x.shape.size();
    const std::size_t size = dtype_size(y.dtype);
    const Pads leading = leading_pads(call, rank);
    Pads strides{};
    row_major(x.shape, strides.data());
    constexpr std::byte kZero[8] = {};
    const std::byte* constant = given(call, 2) ? call.inputs[2].data : kZero;
    parallel(call, y.count(), kGrain, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) {
        std::int64_t rest = i;
        std::int64_t offset = 0;
        bool found = true;
        for (std::size_t axis = rank; axis-- > 0;) {
          const std::int64_t at = rest % y.shape[axis] - leading[axis];
          const std::int64_t source = source_of(mode, at, x.shape[axis]);
          found = found && source >= 0;
          offset += source * strides[axis];
          rest /= y.shape[axis];
        }
        const std::byte* from =
            found ? x.data + offset * static_cast<std::int64_t>(size) : constant;
        std::memcpy(y.data + i * static_cast<std::int64_t>(size), from, size);
      }
    });
  };
}

// Keeps column c of row r where c >= r + k (upper) or c <= r + k, zeros the rest.
BoundKernel bind_trilu(const StepDescription& step) {
  return [upper = step.attributes->get_int("upper", 1) != 0](const Invocation& call) {
    const TensorView& x = call.inputs[0];
    const MutableTensorView& y = call.outputs[0];
    const std::int64_t k = given(call, 1) ? index_at(DType::i64, call.inputs[1].data, 0) : 0;
    const std::int64_t rows = x.shape[x.shape.size() - 2];
    const std::int64_t columns = x.shape.back();
    const std::size_t size = dtype_size(y.dtype);
    // The diagonal beyond the matrix is the same as just outside it, and adds without overflow.
    const std::int64_t shift = std::clamp(k, -rows - 1, columns + 1);
    parallel(call, y.count(), kGrain, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) {
        const std::int64_t column = i % columns;
        const std::int64_t diagonal = i / columns % rows + shift;
        std::byte* to = y.data + static_cast<std::size_t>(i) * size;
        if (upper ? column >= diagonal : column <= diagonal) {
          std::memmove(to, x.data + static_cast<std::size_t>(i) * size, size);
        } else {
          std::memset(to, 0, size);
        }
      }
    });
  };
}

constexpr KernelRow kRows[] = {
    reference_row("Pad", "pad_reference", moves_input, bind_pad),
    in_place_row("Trilu", "trilu_reference", moves_input, bind_trilu),
};

}  // namespace

std::span<const KernelRow> pad_rows() { return kRows; }

}  // namespace tenon::kernels::cpu
