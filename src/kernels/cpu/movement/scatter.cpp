// Operators that place updates into a copy of the data, one after another. An index outside its
// axis places nothing.
#include <array>
#include <cstring>

#include "kernels/cpu/elementwise/formulas.h"
#include "kernels/cpu/movement/rows.h"
#include "kernels/cpu/reference/accepts.h"
#include "kernels/cpu/reference/strided.h"

namespace tenon::kernels::cpu {
namespace {

using namespace reference;

enum class Reduction { none, add, mul, max, min };

Reduction reduction_of(const StepDescription& step) {
  const std::string name = step.attributes->get_string("reduction", "none");
  if (name == "add") return Reduction::add;
  if (name == "mul") return Reduction::mul;
  if (name == "max") return Reduction::max;
  return name == "min" ? Reduction::min : Reduction::none;
}

template <typename T>
T combined(Reduction how, T old, T update) {
  switch (how) {
    case Reduction::none:
      return update;
    case Reduction::add:
      return Add::apply(old, update);
    case Reduction::mul:
      return Mul::apply(old, update);
    case Reduction::max:
      return Max::apply(old, update);
    case Reduction::min:
      return Min::apply(old, update);
  }
  return update;
}

template <typename Wide, typename Load, typename Store>
void combine(Reduction how, const MutableTensorView& y, std::int64_t to, const TensorView& updates,
             std::int64_t from, std::int64_t count, Load load, Store store) {
  blocks(0, count, [&](std::int64_t at, std::int64_t part) {
    Wide old[kBlock];
    Wide update[kBlock];
    load(y.dtype, y.data, to + at, 1, part, old);
    load(updates.dtype, updates.data, from + at, 1, part, update);
    for (std::int64_t i = 0; i < part; ++i) old[i] = combined(how, old[i], update[i]);
    store(y.dtype, y.data, to + at, 1, part, old);
  });
}

void place(Reduction how, const MutableTensorView& y, std::int64_t to, const TensorView& updates,
           std::int64_t from, std::int64_t count) {
  if (is_float(y.dtype)) {
    combine<double>(how, y, to, updates, from, count, load_real, store_real);
  } else {
    combine<std::int64_t>(how, y, to, updates, from, count, load_integer, store_integer);
  }
}

void copy_data(const Invocation& call) {
  if (call.inputs[0].data != call.outputs[0].data)
    std::memcpy(call.outputs[0].data, call.inputs[0].data, call.inputs[0].bytes());
}

// y[indices[t], ...] = updates[t, ...] for each tuple t of the indices' last axis
BoundKernel bind_scatter_nd(const StepDescription& step) {
  return [how = reduction_of(step)](const Invocation& call) {
    copy_data(call);
    const TensorView& indices = call.inputs[1];
    const MutableTensorView& y = call.outputs[0];
    const auto length = static_cast<std::size_t>(indices.shape.back());
    const std::int64_t tuples = product(indices.shape, 0, indices.shape.size() - 1);
    const std::int64_t slice = product(y.shape, length, y.shape.size());
    const std::int64_t* at = indices.as<std::int64_t>().data();
    for (std::int64_t tuple = 0; tuple < tuples; ++tuple) {
      std::int64_t offset = 0;
      bool found = true;
      for (std::size_t i = 0; i < length; ++i, ++at) {
        const std::int64_t size = y.shape[i];
        found = found && *at >= -size && *at < size;
        if (found) offset = offset * size + (*at < 0 ? *at + size : *at);
      }
      if (found) place(how, y, offset * slice, call.inputs[2], tuple * slice, slice);
    }
  };
}

// y[i with coordinate `axis` replaced by indices[i]] = updates[i]
BoundKernel bind_scatter_elements(const StepDescription& step) {
  return [how = reduction_of(step),
          given_axis = step.attributes->get_int("axis", 0)](const Invocation& call) {
    copy_data(call);
    const TensorView& indices = call.inputs[1];
    const MutableTensorView& y = call.outputs[0];
    const std::size_t axis = positive_axis(given_axis, y.shape.size());
    std::array<std::int64_t, kMaxRank> strides{};
    row_major(y.shape, strides.data());
    Strided where;
    for (std::size_t i = 0; i < y.shape.size(); ++i) {
      if (i != axis && indices.shape[i] > y.shape[i]) return;
      where.add_axis(indices.shape[i], i == axis ? 0 : strides[i]);
    }
    const std::int64_t count = indices.count();
    const std::int64_t size = y.shape[axis];
    for (std::int64_t i = 0; i < count; ++i) {
      const std::int64_t index = index_at(indices.dtype, indices.data, i);
      if (index < -size || index >= size) continue;
      const std::int64_t along = (index < 0 ? index + size : index) * strides[axis];
      place(how, y, where.at(i).offset + along, call.inputs[2], i, 1);
    }
  };
}

bool accepts_scatter(const StepDescription& step) {
  return moves_input(step) && is_index(step.inputs[1].dtype) &&
         step.inputs[2].dtype == step.outputs[0].dtype;
}

constexpr KernelRow kRows[] = {
    in_place_row("ScatterND", "scatter_nd_reference", accepts_scatter, bind_scatter_nd),
    in_place_row("ScatterElements", "scatter_elements_reference", accepts_scatter,
                 bind_scatter_elements),
};

}  // namespace

std::span<const KernelRow> scatter_rows() { return kRows; }

}  // namespace tenon::kernels::cpu
