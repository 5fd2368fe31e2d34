// Einsum: every output element is a sum, in float64 or int64, of products of one element of each
// operand, over all indices that the output does not have.
#include <array>

#include "kernels/cpu/reduction/rows.h"
#include "kernels/cpu/reference/accepts.h"
#include "kernels/cpu/reference/strided.h"
#include "tensor/einsum_equation.h"

namespace tenon::kernels::cpu {
namespace {

using namespace reference;

constexpr std::size_t kMostOperands = 16;
constexpr std::size_t kMostLabels = EinsumEquation::kFirstEllipsis + kMaxRank;

// Sizes of the indices, those of the output first, and how far each moves in each operand.
struct Indices {
  std::size_t output = 0;
  std::size_t all = 0;
  std::array<std::int64_t, kMostLabels> sizes{};
  std::array<std::array<std::int64_t, kMostLabels>, kMostOperands> strides{};

  Indices(const EinsumEquation& equation, std::span<const TensorView> inputs) noexcept;
  std::int64_t summed() const noexcept {  // but for the last index
    std::int64_t count = 1;
    for (std::size_t i = output; i + 1 < all; ++i) count *= sizes[i];
    return count;
  }
  // Moves `offsets` to the place of `index` among the indices [first, last).
  void move(std::int64_t index, std::size_t first, std::size_t last, std::size_t operands,
            std::int64_t* offsets) const noexcept {
    for (std::size_t i = last; i-- > first;) {
      const std::int64_t at = index % sizes[i];
      index /= sizes[i];
      for (std::size_t k = 0; k < operands; ++k) offsets[k] += at * strides[k][i];
    }
  }
};

Indices::Indices(const EinsumEquation& equation, std::span<const TensorView> inputs) noexcept {
  std::array<std::size_t, kMostLabels> places{};
  std::array<bool, kMostLabels> known{};
  const auto add = [&](int label) {
    const auto at = static_cast<std::size_t>(label);
    if (!known[at]) {
      known[at] = true;
      places[at] = all++;
      sizes[places[at]] = 1;
    }
    return places[at];
  };
  for (const int label : equation.output) add(label);
  output = all;
  for (std::size_t k = 0; k < inputs.size(); ++k) {
    std::array<std::int64_t, kMaxRank> moves{};
    row_major(inputs[k].shape, moves.data());
    for (std::size_t axis = 0; axis < inputs[k].shape.size(); ++axis) {
      const std::size_t place = add(equation.operands[k][axis]);
      const std::int64_t size = inputs[k].shape[axis];
      if (size != 1) sizes[place] = size;
      if (size != 1) strides[k][place] += moves[axis];
    }
  }
}

void load(const TensorView& view, std::int64_t offset, std::int64_t stride, std::int64_t count,
          double* out) {
  load_real(view.dtype, view.data, offset, stride, count, out);
}
void load(const TensorView& view, std::int64_t offset, std::int64_t stride, std::int64_t count,
          std::int64_t* out) {
  load_integer(view.dtype, view.data, offset, stride, count, out);
}
void store(const MutableTensorView& y, std::int64_t offset, const double* value) {
  store_real(y.dtype, y.data, offset, 1, 1, value);
}
void store(const MutableTensorView& y, std::int64_t offset, const std::int64_t* value) {
  store_integer(y.dtype, y.data, offset, 1, 1, value);
}
double multiply(double a, double b) { return a * b; }
double add(double a, double b) { return a + b; }
std::int64_t multiply(std::int64_t a, std::int64_t b) {  // wraps around
  return static_cast<std::int64_t>(static_cast<std::uint64_t>(a) * static_cast<std::uint64_t>(b));
}
std::int64_t add(std::int64_t a, std::int64_t b) {
  return static_cast<std::int64_t>(static_cast<std::uint64_t>(a) + static_cast<std::uint64_t>(b));
}

// The sum over the last index.
template <typename Wide>
Wide line(const Invocation& call, const Indices& indices, const std::int64_t* offsets) {
  const std::size_t last = indices.all - 1;
  const bool sums = indices.all > indices.output;
  Wide sum = 0;
  blocks(0, sums ? indices.sizes[last] : 1, [&](std::int64_t begin, std::int64_t count) {
    Wide products[kBlock];
    Wide factors[kBlock];
    std::fill(products, products + count, Wide{1});
    for (std::size_t k = 0; k < call.inputs.size(); ++k) {
      const std::int64_t stride = sums ? indices.strides[k][last] : 0;
      load(call.inputs[k], offsets[k] + begin * stride, stride, count, factors);
      for (std::int64_t i = 0; i < count; ++i) products[i] = multiply(products[i], factors[i]);
    }
    for (std::int64_t i = 0; i < count; ++i) sum = add(sum, products[i]);
  });
  return sum;
}

template <typename Wide>
void run_einsum(const Invocation& call, const EinsumEquation& equation) {
  const MutableTensorView& y = call.outputs[0];
  const Indices indices(equation, call.inputs);
  const std::size_t operands = call.inputs.size();
  const std::int64_t summed = indices.summed();
  const std::size_t last = indices.all > indices.output ? indices.all - 1 : indices.all;
  const std::int64_t grain = std::max<std::int64_t>(1, 256 / std::max<std::int64_t>(1, summed));
  parallel(call, y.count(), grain, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      std::array<std::int64_t, kMostOperands> start{};
      indices.move(i, 0, indices.output, operands, start.data());
      Wide sum = 0;
      for (std::int64_t s = 0; s < summed; ++s) {
        auto offsets = start;
        indices.move(s, indices.output, last, operands, offsets.data());
        sum = add(sum, line<Wide>(call, indices, offsets.data()));
      }
      store(y, i, &sum);
    }
  });
}

BoundKernel bind_einsum(const StepDescription& step) {
  std::vector<std::size_t> ranks;
  for (const auto& operand : step.inputs) ranks.push_back(operand.shape.size());
  auto equation = EinsumEquation::read(step.attributes->get_string("equation", ""), ranks);
  return [equation = std::move(equation)](const Invocation& call) {
    if (is_float(call.outputs[0].dtype)) {
      run_einsum<double>(call, equation);
    } else {
      run_einsum<std::int64_t>(call, equation);
    }
  };
}

bool accepts_einsum(const StepDescription& step) {
  return all_numbers(step) && step.inputs.size() <= kMostOperands;
}

constexpr KernelRow kRows[] = {
    {.op = "Einsum",
     .name = "einsum_reference",
     .isa = Isa::none,
     .weight_format = "",
     .accepts = accepts_einsum,
     .bind = bind_einsum},
};

}  // namespace

std::span<const KernelRow> einsum_rows() { return kRows; }

}  // namespace tenon::kernels::cpu
