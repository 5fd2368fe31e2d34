// Operators that make elements from sizes, counters and constants.
#include <algorithm>
#include <cstring>
#include <numeric>

#include "kernels/cpu/movement/rows.h"
#include "kernels/cpu/reference/accepts.h"
#include "kernels/cpu/reference/strided.h"

namespace tenon::kernels::cpu {
namespace {

using namespace reference;

BoundKernel bind_shape(const StepDescription& step) {
  return [start = step.attributes->get_int("start", 0)](const Invocation& call) {
    const Shape& shape = call.inputs[0].shape;
    const auto rank = static_cast<std::int64_t>(shape.size());
    const std::int64_t first = std::clamp<std::int64_t>(start < 0 ? start + rank : start, 0, rank);
    const auto sizes = call.outputs[0].as<std::int64_t>();
    std::copy_n(shape.begin() + first, sizes.size(), sizes.begin());
  };
}

BoundKernel bind_size(const StepDescription&) {
  return [](const Invocation& call) {
    call.outputs[0].as<std::int64_t>()[0] = call.inputs[0].count();
  };
}

// y[i] = start + i * step, with the count of the result's shape
BoundKernel bind_range(const StepDescription&) {
  return [](const Invocation& call) {
    const MutableTensorView& y = call.outputs[0];
    const std::int64_t count = y.count();
    if (is_float(y.dtype)) {
      double start = 0;
      double step = 0;
      load_real(call.inputs[0].dtype, call.inputs[0].data, 0, 1, 1, &start);
      load_real(call.inputs[2].dtype, call.inputs[2].data, 0, 1, 1, &step);
      for (std::int64_t i = 0; i < count; ++i) {
        const double value = start + static_cast<double>(i) * step;
        store_real(y.dtype, y.data, i, 1, 1, &value);
      }
      return;
    }
    std::int64_t value = 0;
    std::int64_t step = 0;
    load_integer(call.inputs[0].dtype, call.inputs[0].data, 0, 1, 1, &value);
    load_integer(call.inputs[2].dtype, call.inputs[2].data, 0, 1, 1, &step);
    for (std::int64_t i = 0; i < count; ++i) {
      store_integer(y.dtype, y.data, i, 1, 1, &value);
      value = static_cast<std::int64_t>(static_cast<std::uint64_t>(value) +
                                        static_cast<std::uint64_t>(step));
    }
  };
}

// The attribute is a float for floating types, an integer for the others.
BoundKernel bind_constant_of_shape(const StepDescription& step) {
  const bool real = is_float(step.outputs[0].dtype);
  const double number = real ? static_cast<double>(step.attributes->get_float("value", 0)) : 0;
  const std::int64_t integer = real ? 0 : step.attributes->get_int("value", 0);
  return [real, number, integer](const Invocation& call) {
    const MutableTensorView& y = call.outputs[0];
    double numbers[kBlock];
    std::int64_t integers[kBlock];
    std::fill_n(numbers, kBlock, number);
    std::fill_n(integers, kBlock, integer);
    blocks(0, y.count(), [&](std::int64_t at, std::int64_t count) {
      if (real) {
        store_real(y.dtype, y.data, at, 1, count, numbers);
      } else {
        store_integer(y.dtype, y.data, at, 1, count, integers);
      }
    });
  };
}

// Ones on the diagonal k places right of the main one.
BoundKernel bind_eye_like(const StepDescription& step) {
  return [k = step.attributes->get_int("k", 0)](const Invocation& call) {
    const MutableTensorView& y = call.outputs[0];
    const std::int64_t columns = y.shape[1];
    std::memset(y.data, 0, static_cast<std::size_t>(y.count()) * dtype_size(y.dtype));
    const double one = 1;
    for (std::int64_t row = 0; row < y.shape[0]; ++row) {
      if (k < -row || k >= columns - row) continue;
      store_real(y.dtype, y.data, row * columns + row + k, 1, 1, &one);
    }
  };
}

// y[outer, d, inner] = values[indices[outer, inner] == d]; indices may be negative.
BoundKernel bind_one_hot(const StepDescription& step) {
  return [given_axis = step.attributes->get_int("axis", -1)](const Invocation& call) {
    const TensorView& indices = call.inputs[0];
    const TensorView& values = call.inputs[2];
    const MutableTensorView& y = call.outputs[0];
    const std::size_t axis = positive_axis(given_axis, y.shape.size());
    const std::int64_t depth = y.shape[axis];
    const std::int64_t inner = product(y.shape, axis + 1, y.shape.size());
    const std::int64_t count = y.count();
    const std::size_t size = dtype_size(y.dtype);
    for (std::int64_t i = 0; i < count; ++i) {
      const std::int64_t row = i / inner;
      std::int64_t index = 0;
      load_integer(indices.dtype, indices.data, row / depth * inner + i % inner, 1, 1, &index);
      const bool hot = (index < 0 ? index + depth : index) == row % depth;
      std::memcpy(y.data + static_cast<std::size_t>(i) * size, values.data + (hot ? size : 0),
                  size);
    }
  };
}

bool accepts_sizes(const StepDescription& step) {
  return all_plain(step) && step.outputs[0].dtype == DType::i64;
}

bool accepts_one_hot(const StepDescription& step) {
  return all_plain(step) && step.inputs[2].dtype == step.outputs[0].dtype;
}

constexpr KernelRow kRows[] = {
    reference_row("Shape", "shape_reference", accepts_sizes, bind_shape),
    reference_row("Size", "size_reference", accepts_sizes, bind_size),
    reference_row("Range", "range_reference", all_numbers, bind_range),
    reference_row("ConstantOfShape", "constant_of_shape_reference", all_plain,
                  bind_constant_of_shape),
    reference_row("EyeLike", "eye_like_reference", all_plain, bind_eye_like),
    reference_row("OneHot", "one_hot_reference", accepts_one_hot, bind_one_hot),
};

}  // namespace

std::span<const KernelRow> fill_rows() { return kRows; }

}  // namespace tenon::kernels::cpu
