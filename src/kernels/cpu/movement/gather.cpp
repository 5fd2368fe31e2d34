// Operators that take elements by index. An index outside its axis gives zeros: the indices of
// token tables are checked before a run, and nothing is read beyond the table whatever they are.
#include <array>
#include <cstring>

#include "kernels/cpu/movement/rows.h"
#include "kernels/cpu/reference/accepts.h"
#include "kernels/cpu/reference/strided.h"

namespace tenon::kernels::cpu {
namespace {

using namespace reference;

// The index made non-negative, or -1 when it is outside [-size, size).
std::int64_t resolved(std::int64_t index, std::int64_t size) {
  if (index < -size || index >= size) return -1;
  return index < 0 ? index + size : index;
}

// y[to, to + count) = x[from, from + count), exact when the types differ in a wider result; zeros
// when `from` is negative.
void copy_elements(const TensorView& x, std::int64_t from, const MutableTensorView& y,
                   std::int64_t to, std::int64_t count) {
  const std::size_t size = dtype_size(y.dtype);
  std::byte* target = y.data + static_cast<std::size_t>(to) * size;
  if (from < 0) {
    std::memset(target, 0, static_cast<std::size_t>(count) * size);
  } else if (x.dtype == y.dtype) {
    std::memcpy(target, x.data + static_cast<std::size_t>(from) * size,
                static_cast<std::size_t>(count) * size);
  } else {
    blocks(0, count, [&](std::int64_t at, std::int64_t part) {
      double values[kBlock];
      load_real(x.dtype, x.data, from + at, 1, part, values);
      store_real(y.dtype, y.data, to + at, 1, part, values);
    });
  }
}

std::int64_t row_grain(std::int64_t row) {
  return std::max<std::int64_t>(1, kGrain / std::max<std::int64_t>(1, row));
}

// y[outer, j, inner] = x[outer, indices[j], inner]
void gather(const Invocation& call, std::size_t axis) {
  const TensorView& x = call.inputs[0];
  const TensorView& indices = call.inputs[1];
  const MutableTensorView& y = call.outputs[0];
  const std::int64_t size = x.shape[axis];
  const std::int64_t inner = product(x.shape, axis + 1, x.shape.size());
  const std::int64_t taken = indices.count();
  const std::int64_t rows = product(x.shape, 0, axis) * taken;
  if (inner == 0) return;
  parallel(call, rows, row_grain(inner), [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t row = begin; row < end; ++row) {
      const std::int64_t outer = row / taken;
      const std::int64_t index =
          resolved(index_at(indices.dtype, indices.data, row - outer * taken), size);
      const std::int64_t from = index < 0 ? -1 : (outer * size + index) * inner;
      copy_elements(x, from, y, row * inner, inner);
    }
  });
}

BoundKernel bind_gather(const StepDescription& step) {
  return [axis = step.attributes->get_int("axis", 0)](const Invocation& call) {
    gather(call, positive_axis(axis, call.inputs[0].shape.size()));
  };
}

// x [1, ..., T, H], rows [R] -> [1, R, H]
BoundKernel bind_select_rows(const StepDescription&) {
  return [](const Invocation& call) { gather(call, call.inputs[0].shape.size() - 2); };
}

// y[i] = x[i with coordinate `axis` replaced by indices[i]]
void gather_elements(const Invocation& call, std::size_t axis) {
  const TensorView& x = call.inputs[0];
  const TensorView& indices = call.inputs[1];
  const MutableTensorView& y = call.outputs[0];
  std::array<std::int64_t, kMaxRank> strides{};
  row_major(x.shape, strides.data());
  Strided where;
  bool inside = true;
  for (std::size_t i = 0; i < x.shape.size(); ++i) {
    where.add_axis(y.shape[i], i == axis ? 0 : strides[i]);
    inside = inside && (i == axis || y.shape[i] <= x.shape[i]);
  }
  parallel(call, y.count(), kGrain, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      const std::int64_t index = resolved(index_at(indices.dtype, indices.data, i), x.shape[axis]);
      const bool found = inside && index >= 0;
      copy_elements(x, found ? where.at(i).offset + index * strides[axis] : -1, y, i, 1);
    }
  });
}

BoundKernel bind_gather_elements(const StepDescription& step) {
  return [axis = step.attributes->get_int("axis", 0)](const Invocation& call) {
    gather_elements(call, positive_axis(axis, call.inputs[0].shape.size()));
  };
}

// Each last-axis tuple of the indices names a slice of x, inside the same batch.
void gather_nd(const Invocation& call, std::size_t batch) {
  const TensorView& x = call.inputs[0];
  const TensorView& indices = call.inputs[1];
  const MutableTensorView& y = call.outputs[0];
  const auto length = static_cast<std::size_t>(indices.shape.back());
  const std::int64_t tuples = product(indices.shape, 0, indices.shape.size() - 1);
  const std::int64_t batches = product(indices.shape, 0, batch);
  const std::int64_t slice = product(x.shape, batch + length, x.shape.size());
  const std::int64_t whole = product(x.shape, batch, x.shape.size());
  if (slice == 0 || tuples == 0) return;
  parallel(call, tuples, row_grain(slice), [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t tuple = begin; tuple < end; ++tuple) {
      std::int64_t offset = 0;
      bool found = true;
      for (std::size_t i = 0; i < length; ++i) {
        const std::int64_t size = x.shape[batch + i];
        const std::int64_t index = resolved(
            index_at(indices.dtype, indices.data,
                     tuple * static_cast<std::int64_t>(length) + static_cast<std::int64_t>(i)),
            size);
        found = found && index >= 0;
        offset = offset * size + index;
      }
      const std::int64_t of_batch = tuple / (tuples / batches) * whole;
      copy_elements(x, found ? of_batch + offset * slice : -1, y, tuple * slice, slice);
    }
  });
}

BoundKernel bind_gather_nd(const StepDescription& step) {
  return [batch = step.attributes->get_int("batch_dims", 0)](const Invocation& call) {
    gather_nd(call, static_cast<std::size_t>(batch));
  };
}

// A floating table may be kept in another width than the result.
bool accepts_gather(const StepDescription& step) {
  const DType table = step.inputs[0].dtype;
  const DType result = step.outputs[0].dtype;
  return all_plain(step) && is_index(step.inputs[1].dtype) &&
         (table == result || (is_float(table) && is_float(result)));
}

constexpr KernelRow kRows[] = {
    reference_row("Gather", "gather_reference", accepts_gather, bind_gather),
    reference_row("GatherElements", "gather_elements_reference", accepts_gather,
                  bind_gather_elements),
    reference_row("GatherND", "gather_nd_reference", accepts_gather, bind_gather_nd),
    reference_row("tenon.SelectRows", "select_rows_reference", accepts_gather, bind_select_rows),
};

}  // namespace

std::span<const KernelRow> gather_rows() { return kRows; }

}  // namespace tenon::kernels::cpu
