// The rows of LayerNormalization and RMSNormalization.
#include <array>

#include "kernels/cpu/normalization/bind.h"
#include "kernels/cpu/normalization/reference.h"
#include "kernels/cpu/normalization/spec.h"
#include "kernels/cpu/tables.h"

namespace tenon::kernels::cpu {
namespace {

bool accepts_layer(const StepDescription& step) {
  return step.inputs.size() <= 3 && normalization::parse_norm(step).has_value();
}

bool accepts_rms(const StepDescription& step) {
  return step.inputs.size() == 2 && normalization::parse_norm(step).has_value();
}

bool accepts_f32_layer(const StepDescription& step) {
  return accepts_layer(step) && normalization::accepts_f32(step);
}

bool accepts_f32_rms(const StepDescription& step) {
  return accepts_rms(step) && normalization::accepts_f32(step);
}

template <const normalization::NormRows& rows>
BoundKernel bind_layer(const StepDescription& step) {
  return normalization::bind_norm(step, rows.layer);
}

template <const normalization::NormRows& rows>
BoundKernel bind_rms(const StepDescription& step) {
  return normalization::bind_norm(step, rows.rms);
}

}  // namespace

std::span<const KernelRow> normalization_rows() {
  static const std::array kRows = {
      KernelRow{.op = "LayerNormalization",
                .name = "layer_normalization_f32_avx512",
                .isa = Isa::avx512,
                .weight_format = "",
                .accepts = accepts_f32_layer,
                .bind = bind_layer<normalization::avx512::kRows>,
                .in_place = true},
      KernelRow{.op = "LayerNormalization",
                .name = "layer_normalization_f32_avx2",
                .isa = Isa::avx2,
                .weight_format = "",
                .accepts = accepts_f32_layer,
                .bind = bind_layer<normalization::avx2::kRows>,
                .in_place = true},
      KernelRow{.op = "LayerNormalization",
                .name = "layer_normalization_reference",
                .isa = Isa::none,
                .weight_format = "",
                .accepts = accepts_layer,
                .bind = normalization::bind_layer_reference,
                .in_place = true},
      KernelRow{.op = "RMSNormalization",
                .name = "rms_normalization_f32_avx512",
                .isa = Isa::avx512,
                .weight_format = "",
                .accepts = accepts_f32_rms,
                .bind = bind_rms<normalization::avx512::kRows>,
                .in_place = true},
      KernelRow{.op = "RMSNormalization",
                .name = "rms_normalization_f32_avx2",
                .isa = Isa::avx2,
                .weight_format = "",
                .accepts = accepts_f32_rms,
                .bind = bind_rms<normalization::avx2::kRows>,
                .in_place = true},
      KernelRow{.op = "RMSNormalization",
                .name = "rms_normalization_reference",
                .isa = Isa::none,
                .weight_format = "",
                .accepts = accepts_rms,
                .bind = normalization::bind_rms_reference,
                .in_place = true},
  };
  return kRows;
}

}  // namespace tenon::kernels::cpu
