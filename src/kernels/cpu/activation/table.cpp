// The rows of Gelu, Swish, tenon.SwiGlu and tenon.GeGlu.
#include <array>

#include "kernels/cpu/activation/bind.h"
#include "kernels/cpu/activation/reference.h"
#include "kernels/cpu/tables.h"

namespace tenon::kernels::cpu {
namespace {

using activation::bind_geglu_reference;
using activation::bind_gelu_reference;
using activation::bind_swiglu_reference;
using activation::bind_swish_reference;

bool one_float_type(const StepDescription& step) {
  return step.inputs.size() == 1 && step.outputs.size() == 1 && is_float(step.inputs[0].dtype) &&
         step.outputs[0].dtype == step.inputs[0].dtype;
}

bool known_form(const StepDescription& step) {
  const std::string form = step.attributes->get_string("approximate", "none");
  return form == "none" || form == "tanh";
}

bool accepts_gelu(const StepDescription& step) { return one_float_type(step) && known_form(step); }

bool accepts_halves(const StepDescription& step) {
  if (!one_float_type(step) || step.inputs[0].shape.empty()) return false;
  const std::int64_t width = step.inputs[0].shape.back();
  return width > 0 && width % 2 == 0;
}

bool plain_f32(const StepDescription& step) {
  return one_float_type(step) && step.inputs[0].dtype == DType::f32;
}

bool accepts_f32_gelu(const StepDescription& step) { return plain_f32(step) && known_form(step); }

bool accepts_f32_halves(const StepDescription& step) {
  return plain_f32(step) && accepts_halves(step);
}

using Bind = BoundKernel (*)(const StepDescription&, const activation::ActivationRuns&);

template <Bind bind, const activation::ActivationRuns& runs>
BoundKernel bind_runs(const StepDescription& step) {
  return bind(step, runs);
}

}  // namespace

std::span<const KernelRow> activation_rows() {
  static const std::array kRows = {
      KernelRow{.op = "Gelu",
                .name = "gelu_f32_avx512",
                .isa = Isa::avx512,
                .weight_format = "",
                .accepts = accepts_f32_gelu,
                .bind = bind_runs<activation::bind_gelu, activation::avx512::kRuns>,
                .in_place = true},
      KernelRow{.op = "Gelu",
                .name = "gelu_f32_avx2",
                .isa = Isa::avx2,
                .weight_format = "",
                .accepts = accepts_f32_gelu,
                .bind = bind_runs<activation::bind_gelu, activation::avx2::kRuns>,
                .in_place = true},
      KernelRow{.op = "Gelu",
                .name = "gelu_reference",
                .isa = Isa::none,
                .weight_format = "",
                .accepts = accepts_gelu,
                .bind = bind_gelu_reference,
                .in_place = true},
      KernelRow{.op = "Swish",
                .name = "swish_f32_avx512",
                .isa = Isa::avx512,
                .weight_format = "",
                .accepts = plain_f32,
                .bind = bind_runs<activation::bind_swish, activation::avx512::kRuns>,
                .in_place = true},
      KernelRow{.op = "Swish",
                .name = "swish_f32_avx2",
                .isa = Isa::avx2,
                .weight_format = "",
                .accepts = plain_f32,
                .bind = bind_runs<activation::bind_swish, activation::avx2::kRuns>,
                .in_place = true},
      KernelRow{.op = "Swish",
                .name = "swish_reference",
                .isa = Isa::none,
                .weight_format = "",
                .accepts = one_float_type,
                .bind = bind_swish_reference,
                .in_place = true},
      KernelRow{.op = "tenon.SwiGlu",
                .name = "swiglu_f32_avx512",
                .isa = Isa::avx512,
                .weight_format = "",
                .accepts = accepts_f32_halves,
                .bind = bind_runs<activation::bind_swiglu, activation::avx512::kRuns>},
      KernelRow{.op = "tenon.SwiGlu",
                .name = "swiglu_f32_avx2",
                .isa = Isa::avx2,
                .weight_format = "",
                .accepts = accepts_f32_halves,
                .bind = bind_runs<activation::bind_swiglu, activation::avx2::kRuns>},
      KernelRow{.op = "tenon.SwiGlu",
                .name = "swiglu_reference",
                .isa = Isa::none,
                .weight_format = "",
                .accepts = accepts_halves,
                .bind = bind_swiglu_reference},
      KernelRow{.op = "tenon.GeGlu",
                .name = "geglu_f32_avx512",
                .isa = Isa::avx512,
                .weight_format = "",
                .accepts = accepts_f32_halves,
                .bind = bind_runs<activation::bind_geglu, activation::avx512::kRuns>},
      KernelRow{.op = "tenon.GeGlu",
                .name = "geglu_f32_avx2",
                .isa = Isa::avx2,
                .weight_format = "",
                .accepts = accepts_f32_halves,
                .bind = bind_runs<activation::bind_geglu, activation::avx2::kRuns>},
      KernelRow{.op = "tenon.GeGlu",
                .name = "geglu_reference",
                .isa = Isa::none,
                .weight_format = "",
                .accepts = accepts_halves,
                .bind = bind_geglu_reference},
  };
  return kRows;
}

}  // namespace tenon::kernels::cpu
