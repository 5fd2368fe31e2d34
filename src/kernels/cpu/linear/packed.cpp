#include "kernels/cpu/linear/packed.h"

#include <algorithm>

#include "kernels/cpu/linear/operands.h"

namespace tenon::kernels::cpu::linear {
namespace {

constexpr std::int64_t kLine = 64;
// Rows of one share: its sums (256 bytes a row) stay in the second-level cache beside the weights.
constexpr std::int64_t kShareRows = 240;
// What products of few rows need to work on several panels at once.
constexpr std::int64_t kLeastScratchRows = 4;
// So few values are cheaper to convert on every thread than to wait for one another.
constexpr std::int64_t kPrivateValues = 65536;

std::int64_t round_up(std::int64_t value, std::int64_t unit) {
  return (value + unit - 1) / unit * unit;
}

struct Sizes {
  std::int64_t depth;
  std::int64_t columns;
  std::int64_t value_bytes;
};

Sizes sizes_of(const StepDescription& step, const ProductKernel& kernel) {
  const Shape& weight = step.inputs[kLinearWeight].shape;
  return {weight[0], weight[1], kernel.value_bytes};
}

// How `rows` input rows and their sums lie in the workspace, and who computes what.
class Plan {
 public:
  Plan(const Sizes& sizes, std::int64_t rows, int threads)
      : layout_(sizes.depth, sizes.columns, sizes.value_bytes), rows_(rows), threads_(threads) {
    // An odd number of cache lines keeps the rows of a tile in different sets.
    stride_ = (layout_.steps * kStepBytes / kLine | 1) * kLine;
    row_blocks_ = std::max<std::int64_t>(1, (rows + kShareRows - 1) / kShareRows);
    // Enough shares for every thread, as long as each keeps rows to reuse the weights on.
    while (layout_.panels * row_blocks_ < 8 * threads && rows / (row_blocks_ + 1) >= 48) {
      ++row_blocks_;
    }
    // Float rows of whole cache lines are read where they lie.
    in_place_ = sizes.value_bytes == 4 && sizes.depth == layout_.steps;
    private_ = rows * sizes.depth <= kPrivateValues;
  }

  const PanelLayout& layout() const { return layout_; }
  bool in_place() const { return in_place_; }
  bool is_private() const { return private_; }
  std::int64_t shares() const { return layout_.panels * row_blocks_; }
  std::int64_t row_begin(std::int64_t block) const { return rows_ * block / row_blocks_; }

  // [row offsets], [rows in stored type][scales][zeros] once or for each thread, each thread's
  // sums.
  std::int64_t offset_bytes() const { return round_up(rows_ * 8, kLine); }
  std::int64_t copy_bytes() const {
    return in_place_ ? 0 : rows_ * stride_ + 2 * round_up(rows_ * 4, kLine);
  }
  std::int64_t sum_bytes() const {
    const std::int64_t rows = (rows_ + row_blocks_ - 1) / row_blocks_;
    return std::max(rows, kLeastScratchRows) * kPanelRowBytes;
  }
  std::int64_t bytes() const {
    return offset_bytes() + copy_bytes() * (private_ ? threads_ : 1) + sum_bytes() * threads_;
  }

  PreparedRows prepared(const float* x, std::byte* workspace, int member) const {
    if (in_place_) {
      return {const_cast<std::byte*>(reinterpret_cast<const std::byte*>(x)),
              layout_.steps * kStepBytes, layout_.steps, nullptr, nullptr};
    }
    std::byte* copy = workspace + offset_bytes() + (private_ ? member * copy_bytes() : 0);
    std::byte* scales = copy + rows_ * stride_;
    return {copy, stride_, layout_.steps, reinterpret_cast<float*>(scales),
            reinterpret_cast<std::int32_t*>(scales + round_up(rows_ * 4, kLine))};
  }
  // Rows of a matrix are one run each.
  InputRuns runs(std::byte* workspace) const {
    static constexpr std::int64_t kFirst = 0;
    auto* offsets = reinterpret_cast<std::int64_t*>(workspace);
    const std::int64_t stride = in_place_ ? layout_.steps * kStepBytes : stride_;
    for (std::int64_t row = 0; row < rows_; ++row) offsets[row] = row * stride;
    return {offsets, &kFirst, 1, layout_.steps};
  }
  std::byte* sums(std::byte* workspace, int member) const {
    return workspace + offset_bytes() + copy_bytes() * (private_ ? threads_ : 1) +
           member * sum_bytes();
  }

  // The member's contiguous range of shares, as rectangles.
  template <typename Body>
  void for_each_share(int member, const Body& body) const {
    std::int64_t share = shares() * member / threads_;
    const std::int64_t end = shares() * (member + 1) / threads_;
    while (share < end) {
      const std::int64_t block = share / layout_.panels;
      const std::int64_t first = share % layout_.panels;
      const std::int64_t count = std::min(end - share, layout_.panels - first);
      body(Share{row_begin(block), row_begin(block + 1), first, first + count});
      share += count;
    }
  }

 private:
  PanelLayout layout_;
  std::int64_t rows_;
  std::int64_t threads_;
  std::int64_t stride_;
  std::int64_t row_blocks_;
  bool in_place_;
  bool private_;
};

void run(const Invocation& call, const Sizes& sizes, Activation activation,
         const ProductKernel& kernel) {
  const MutableTensorView& out = call.outputs[0];
  const std::int64_t rows = sizes.columns == 0 ? 0 : out.count() / sizes.columns;
  if (rows == 0) return;
  ThreadPool& pool = *call.pool;
  const Plan plan(sizes, rows, pool.size());
  const auto* x = reinterpret_cast<const float*>(call.inputs[kLinearX].data);
  const std::byte* packed = call.inputs[kLinearWeight].data;

  const PreparedRows common = plan.prepared(x, call.workspace, 0);
  const Product shared = {
      .x = common.data,
      .runs = plan.runs(call.workspace),
      .row_scale = common.scale,
      .row_zero = common.zero,
      .panels = packed,
      .panel_steps = plan.layout().steps,
      .column_scale = reinterpret_cast<const float*>(packed + plan.layout().scale_offset()),
      .column_sum = reinterpret_cast<const std::int32_t*>(packed + plan.layout().sum_offset()),
      .bias = reinterpret_cast<const float*>(input_data(call, kLinearBias)),
      .group_bias = nullptr,
      .group_rows = 1,
      .residual = reinterpret_cast<const float*>(input_data(call, kLinearResidual)),
      .y = reinterpret_cast<float*>(out.data),
      .columns = sizes.columns,
      .activation = static_cast<int>(activation),
  };
  if (!plan.in_place() && !plan.is_private()) {
    pool.parallel_for(rows, 1, [&](std::int64_t begin, std::int64_t end) {
      kernel.prepare(x, sizes.depth, begin, end, common);
    });
  }
  pool.run([&](int member) {
    Product product = shared;
    if (!plan.in_place() && plan.is_private()) {
      const PreparedRows own = plan.prepared(x, call.workspace, member);
      kernel.prepare(x, sizes.depth, 0, rows, own);
      product.x = own.data;
      product.row_scale = own.scale;
      product.row_zero = own.zero;
    }
    plan.for_each_share(member, [&](const Share& share) {
      kernel.multiply(product, share, plan.sums(call.workspace, member));
    });
  });
}

}  // namespace

bool accepts_packed(const StepDescription& step, std::string_view format) {
  if (!is_linear(step)) return false;
  const auto is_f32 = [&](std::size_t index) {
    return !has_input(step, index) ||
           (step.inputs[index].dtype == DType::f32 && step.inputs[index].format.empty());
  };
  const StepDescription::Operand& weight = step.inputs[kLinearWeight];
  return weight.constant && weight.format == format && is_f32(kLinearX) && is_f32(kLinearBias) &&
         is_f32(kLinearResidual) && step.outputs[0].dtype == DType::f32 &&
         (format != kPanel64Int8 || weight.shape[0] <= kMaxInt8Depth);
}

BoundKernel bind_packed(const StepDescription& step, const ProductKernel& kernel) {
  const auto activation =
      step.attributes == nullptr
          ? Activation::none
          : parse_activation(step.attributes->get_string("activation", "")).value();
  return [sizes = sizes_of(step, kernel), activation, &kernel](const Invocation& call) {
    run(call, sizes, activation, kernel);
  };
}

std::size_t packed_workspace(const StepDescription& step, std::span<const Shape> inputs,
                             int threads, const ProductKernel& kernel) {
  const Shape& x = inputs[kLinearX];
  const std::int64_t rows = element_count(std::span(x).first(x.size() - 1));
  return static_cast<std::size_t>(Plan(sizes_of(step, kernel), rows, threads).bytes());
}

}  // namespace tenon::kernels::cpu::linear
