// The rows of operators of two inputs.
#include "kernels/cpu/elementwise/binary.h"
#include "kernels/cpu/elementwise/formulas.h"
#include "kernels/cpu/elementwise/rows.h"
#include "kernels/cpu/reference/accepts.h"

namespace tenon::kernels::cpu {
namespace {

using namespace reference;

template <typename Op, typename T>
void loop(const T* a, const T* b, T* y, std::int64_t count) {
  for (std::int64_t i = 0; i < count; ++i) y[i] = Op::apply(a[i], b[i]);
}

// One loop for each pair of strides, so that each is a plain vector loop.
template <typename Op>
void loop_single(const float* a, std::int64_t a_stride, const float* b, std::int64_t b_stride,
                 float* y, std::int64_t count) {
  if (a_stride != 0 && b_stride != 0) {
    for (std::int64_t i = 0; i < count; ++i) y[i] = Op::apply(a[i], b[i]);
  } else if (a_stride != 0) {
    const float right = *b;
    for (std::int64_t i = 0; i < count; ++i) y[i] = Op::apply(a[i], right);
  } else {
    const float left = *a;
    for (std::int64_t i = 0; i < count; ++i) y[i] = Op::apply(left, b[i * b_stride]);
  }
}

// In float32 as in double: one rounding of the exact result.
template <typename Op>
BoundKernel bind_exact(const StepDescription&) {
  return [](const Invocation& call) {
    run_binary(call, {loop<Op, double>, loop<Op, std::int64_t>, loop_single<Op>});
  };
}

template <typename Op>
BoundKernel bind_wide(const StepDescription&) {
  return [](const Invocation& call) {
    run_binary(call, {loop<Op, double>, loop<Op, std::int64_t>, nullptr});
  };
}

template <typename Op>
BoundKernel bind_bits(const StepDescription&) {
  return [](const Invocation& call) {
    run_binary(call, {nullptr, loop<Op, std::int64_t>, nullptr});
  };
}

BoundKernel bind_mod(const StepDescription& step) {
  return step.attributes->get_int("fmod", 0) != 0 ? bind_wide<Fmod>(step) : bind_wide<Mod>(step);
}

// An exponent may have its own type.
bool accepts_pow(const StepDescription& step) {
  return moves_input(step) && step.inputs[0].dtype != DType::boolean &&
         step.inputs[1].dtype != DType::boolean;
}

bool accepts_comparison(const StepDescription& step) {
  const DType a = step.inputs[0].dtype;
  const DType b = step.inputs[1].dtype;
  return all_plain(step) && step.outputs[0].dtype == DType::boolean &&
         (a == b || (is_float(a) && is_float(b)));
}

bool accepts_bits(const StepDescription& step) {
  return all_same(step) && !is_float(step.outputs[0].dtype);
}

constexpr KernelRow row(std::string_view op, std::string_view name,
                        bool (*accepts)(const StepDescription&),
                        BoundKernel (*bind)(const StepDescription&)) {
  return {.op = op,
          .name = name,
          .isa = Isa::none,
          .weight_format = "",
          .accepts = accepts,
          .bind = bind};
}

constexpr KernelRow kRows[] = {
    row("Add", "add_reference", all_numbers, bind_exact<Add>),
    row("Sub", "sub_reference", all_numbers, bind_exact<Sub>),
    row("Mul", "mul_reference", all_numbers, bind_exact<Mul>),
    row("Div", "div_reference", all_numbers, bind_exact<Div>),
    row("Pow", "pow_reference", accepts_pow, bind_wide<Pow>),
    row("Mod", "mod_reference", all_numbers, bind_mod),
    row("PRelu", "prelu_reference", all_numbers, bind_wide<PRelu>),
    row("Equal", "equal_reference", accepts_comparison, bind_wide<Equal>),
    row("Greater", "greater_reference", accepts_comparison, bind_wide<Greater>),
    row("GreaterOrEqual", "greater_or_equal_reference", accepts_comparison,
        bind_wide<GreaterOrEqual>),
    row("Less", "less_reference", accepts_comparison, bind_wide<Less>),
    row("LessOrEqual", "less_or_equal_reference", accepts_comparison, bind_wide<LessOrEqual>),
    row("And", "and_reference", accepts_bits, bind_bits<BitAnd>),
    row("Or", "or_reference", accepts_bits, bind_bits<BitOr>),
    row("Xor", "xor_reference", accepts_bits, bind_bits<BitXor>),
    row("BitwiseAnd", "bitwise_and_reference", accepts_bits, bind_bits<BitAnd>),
    row("BitwiseOr", "bitwise_or_reference", accepts_bits, bind_bits<BitOr>),
    row("BitwiseXor", "bitwise_xor_reference", accepts_bits, bind_bits<BitXor>),
};

}  // namespace

std::span<const KernelRow> binary_rows() { return kRows; }

}  // namespace tenon::kernels::cpu
