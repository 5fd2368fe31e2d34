// Concat and Split: a copy of chunks, each the part of one operand below one index of the axes
// before the joined one.
#include <cstring>

#include "kernels/cpu/movement/rows.h"
#include "kernels/cpu/reference/accepts.h"
#include "kernels/cpu/reference/strided.h"

namespace tenon::kernels::cpu {
namespace {

using namespace reference;

struct Chunks {
  std::int64_t outer;    ///< chunks of each part
  std::size_t part;      ///< bytes of a part's chunk
  std::size_t whole;     ///< bytes of all parts' chunks
  std::size_t position;  ///< bytes of the parts before this one
};

// to[outer] = from[outer] with a chunk's distance on each side.
void copy_chunks(const Invocation& call, const Chunks& chunks, const std::byte* from,
                 std::size_t from_step, std::byte* to, std::size_t to_step) {
  if (chunks.part == 0) return;
  const auto grain = std::max<std::int64_t>(1, 4 * kGrain / static_cast<std::int64_t>(chunks.part));
  parallel(call, chunks.outer, grain, [&](std::int64_t begin, std::int64_t end) {
    for (auto i = static_cast<std::size_t>(begin); i < static_cast<std::size_t>(end); ++i)
      std::memcpy(to + i * to_step, from + i * from_step, chunks.part);
  });
}

std::size_t chunk_bytes(DType type, std::span<const std::int64_t> shape, std::size_t axis) {
  return static_cast<std::size_t>(product(shape, axis, shape.size())) * dtype_size(type);
}

BoundKernel bind_concat(const StepDescription& step) {
  return [axis_given = step.attributes->get_int("axis", 0)](const Invocation& call) {
    const MutableTensorView& y = call.outputs[0];
    const std::size_t axis = positive_axis(axis_given, y.shape.size());
    Chunks chunks{product(y.shape, 0, axis), 0, chunk_bytes(y.dtype, y.shape, axis), 0};
    for (const TensorView& part : call.inputs) {
      chunks.part = chunk_bytes(y.dtype, part.shape, axis);
      copy_chunks(call, chunks, part.data, chunks.part, y.data + chunks.position, chunks.whole);
      chunks.position += chunks.part;
    }
  };
}

BoundKernel bind_split(const StepDescription& step) {
  return [axis_given = step.attributes->get_int("axis", 0)](const Invocation& call) {
    const TensorView& x = call.inputs[0];
    const std::size_t axis = positive_axis(axis_given, x.shape.size());
    Chunks chunks{product(x.shape, 0, axis), 0, chunk_bytes(x.dtype, x.shape, axis), 0};
    for (const MutableTensorView& part : call.outputs) {
      chunks.part = chunk_bytes(x.dtype, part.shape, axis);
      if (part.data != nullptr)
        copy_chunks(call, chunks, x.data + chunks.position, chunks.whole, part.data, chunks.part);
      chunks.position += chunks.part;
    }
  };
}

constexpr KernelRow kRows[] = {
    reference_row("Concat", "concat_reference", all_same, bind_concat),
    reference_row("Split", "split_reference", moves_input, bind_split),
};

}  // namespace

std::span<const KernelRow> join_rows() { return kRows; }

}  // namespace tenon::kernels::cpu
