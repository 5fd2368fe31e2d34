#include "kernels/cpu/linear/reference.h"

#include "kernels/cpu/linear/exact_activation.h"
#include "kernels/cpu/linear/matrix.h"
#include "kernels/cpu/linear/operands.h"

namespace tenon::kernels::cpu::linear {
namespace {

bool all_plain_floats(const StepDescription& step) {
  const auto plain = [](const StepDescription::Operand& operand) {
    return !operand.present || (is_float(operand.dtype) && operand.format.empty());
  };
  return std::all_of(step.inputs.begin(), step.inputs.end(), plain) && !step.outputs.empty() &&
         is_float(step.outputs[0].dtype);
}

Matrix whole(const TensorView& view, std::int64_t columns) {
  return {.dtype = view.dtype, .data = view.data, .row_stride = columns};
}

double element(const TensorView& view, std::int64_t index) {
  double value = 0.0;
  whole(view, 1).read(index, 0, 1, &value);
  return value;
}

// The leading (batch) dimensions of a MatMul: where matrix b of the result finds its operands.
class Batches {
 public:
  using Dims = std::span<const std::int64_t>;

  Batches(Dims a, Dims b, Dims result) : rank_(result.size()) {
    fill(a, result.size(), a_strides_);
    fill(b, result.size(), b_strides_);
    for (std::size_t i = 0; i < rank_; ++i) {
      dims_[i] = result[i];
      count_ *= result[i];
    }
  }
  std::int64_t count() const { return count_; }
  std::int64_t index_in_a(std::int64_t batch) const { return index(batch, a_strides_); }
  std::int64_t index_in_b(std::int64_t batch) const { return index(batch, b_strides_); }

  static constexpr std::size_t kMaxRank = 8;

 private:
  using Strides = std::int64_t[kMaxRank];

  // A dimension of 1, or one that is missing, repeats: stride 0.
  static void fill(Dims dims, std::size_t rank, Strides& strides) {
    std::int64_t stride = 1;
    for (std::size_t i = dims.size(); i-- > 0;) {
      strides[rank - dims.size() + i] = dims[i] == 1 ? 0 : stride;
      stride *= dims[i];
    }
  }
  std::int64_t index(std::int64_t batch, const Strides& strides) const {
    std::int64_t found = 0;
    for (std::size_t i = rank_; i-- > 0;) {
      found += batch % dims_[i] * strides[i];
      batch /= dims_[i];
    }
    return found;
  }

  std::size_t rank_;
  std::int64_t count_ = 1;
  std::int64_t dims_[kMaxRank] = {};
  Strides a_strides_ = {};
  Strides b_strides_ = {};
};

void run_matmul(const Invocation& call) {
  const TensorView& a = call.inputs[0];
  const TensorView& b = call.inputs[1];
  const MutableTensorView& y = call.outputs[0];
  const std::int64_t rows = a.shape.size() == 1 ? 1 : a.shape[a.shape.size() - 2];
  const std::int64_t depth = a.shape.back();
  const std::int64_t columns = b.shape.size() == 1 ? 1 : b.shape.back();

  // A vector on the left is one row, a vector on the right one column; neither is in the result.
  const auto leading = [](const Shape& shape, std::size_t own) {
    return Batches::Dims(shape).first(shape.size() - own);
  };
  const std::size_t a_own = a.shape.size() == 1 ? 1 : 2;
  const std::size_t b_own = b.shape.size() == 1 ? 1 : 2;
  const Batches batches(leading(a.shape, a_own), leading(b.shape, b_own),
                        leading(y.shape, a_own + b_own - 2));

  const auto slice = [](const TensorView& view, std::int64_t index, std::int64_t size,
                        std::int64_t stride) {
    return Matrix{
        .dtype = view.dtype,
        .data = view.data + static_cast<std::size_t>(index * size) * dtype_size(view.dtype),
        .row_stride = stride};
  };
  multiply_in_double(
      *call.pool, batches.count(), rows, depth, columns,
      [&](std::int64_t batch) { return slice(a, batches.index_in_a(batch), rows * depth, depth); },
      [&](std::int64_t batch) {
        return slice(b, batches.index_in_b(batch), depth * columns, columns);
      },
      [&](std::int64_t batch, std::int64_t row, std::int64_t column, double sum) {
        store(y.dtype, y.data, (batch * rows + row) * columns + column, sum);
      });
}

}  // namespace

bool accepts_linear_reference(const StepDescription& step) {
  return is_linear(step) && all_plain_floats(step);
}

BoundKernel bind_linear_reference(const StepDescription& step) {
  const Shape& weight = step.inputs[kLinearWeight].shape;
  const std::int64_t depth = weight[0];
  const std::int64_t columns = weight[1];
  const auto activation =
      step.attributes == nullptr
          ? Activation::none
          : parse_activation(step.attributes->get_string("activation", "")).value();
  return [depth, columns, activation](const Invocation& call) {
    const MutableTensorView& y = call.outputs[0];
    const bool bias = input_data(call, kLinearBias) != nullptr;
    const bool residual = input_data(call, kLinearResidual) != nullptr;
    const std::int64_t rows = columns == 0 ? 0 : y.count() / columns;
    multiply_in_double(
        *call.pool, 1, rows, depth, columns,
        [&](std::int64_t) { return whole(call.inputs[kLinearX], depth); },
        [&](std::int64_t) { return whole(call.inputs[kLinearWeight], columns); },
        [&](std::int64_t, std::int64_t row, std::int64_t column, double sum) {
          const std::int64_t index = row * columns + column;
          if (bias) sum += element(call.inputs[kLinearBias], column);
          sum = activate(activation, sum);
          if (residual) sum += element(call.inputs[kLinearResidual], index);
          store(y.dtype, y.data, index, sum);
        });
  };
}

bool accepts_matmul_reference(const StepDescription& step) {
  const auto ranked = [](const StepDescription::Operand& operand) {
    return !operand.shape.empty() && operand.shape.size() <= Batches::kMaxRank;
  };
  return step.inputs.size() == 2 && all_plain_floats(step) && ranked(step.inputs[0]) &&
         ranked(step.inputs[1]);
}

BoundKernel bind_matmul_reference(const StepDescription&) { return run_matmul; }

bool accepts_gemm_reference(const StepDescription& step) {
  return has_input(step, 0) && has_input(step, 1) && all_plain_floats(step) &&
         step.inputs[0].shape.size() == 2 && step.inputs[1].shape.size() == 2 &&
         (!has_input(step, 2) || step.inputs[2].shape.size() <= 2);
}

BoundKernel bind_gemm_reference(const StepDescription& step) {
  const Attributes none;
  const Attributes& attributes = step.attributes == nullptr ? none : *step.attributes;
  const bool flip_a = attributes.get_int("transA", 0) != 0;
  const bool flip_b = attributes.get_int("transB", 0) != 0;
  const auto alpha = static_cast<double>(attributes.get_float("alpha", 1.0F));
  const auto beta = static_cast<double>(attributes.get_float("beta", 1.0F));
  return [flip_a, flip_b, alpha, beta](const Invocation& call) {
    const auto matrix = [](const TensorView& view, bool flip) {
      Matrix made = whole(view, view.shape[1]);
      if (flip) std::swap(made.row_stride, made.column_stride);
      return made;
    };
    const TensorView& a = call.inputs[0];
    const TensorView& b = call.inputs[1];
    const MutableTensorView& y = call.outputs[0];
    const std::int64_t columns = y.shape[1];

    // C of shape [], [1], [N], [1, N], [M, 1] or [M, N]: a dimension of 1 has stride 0.
    const TensorView* c = input_data(call, 2) == nullptr ? nullptr : &call.inputs[2];
    std::int64_t c_row = 0;
    std::int64_t c_column = 0;
    if (c != nullptr && !c->shape.empty()) {
      c_column = c->shape.back() == 1 ? 0 : 1;
      if (c->shape.size() == 2) c_row = c->shape[0] == 1 ? 0 : c->shape[1];
    }
    multiply_in_double(
        *call.pool, 1, y.shape[0], a.shape[flip_a ? 0 : 1], columns,
        [&](std::int64_t) { return matrix(a, flip_a); },
        [&](std::int64_t) { return matrix(b, flip_b); },
        [&](std::int64_t, std::int64_t row, std::int64_t column, double sum) {
          sum *= alpha;
          if (c != nullptr) sum += beta * element(*c, row * c_row + column * c_column);
          store(y.dtype, y.data, row * columns + column, sum);
        });
  };
}

}  // namespace tenon::kernels::cpu::linear
