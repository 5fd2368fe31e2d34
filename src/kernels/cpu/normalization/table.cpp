// The rows of LayerNormalization and RMSNormalization.
#include <array>

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

}  // namespace

std::span<const KernelRow> normalization_rows() {
  static const std::array kRows = {
      KernelRow{.op = "LayerNormalization",
                .name = "layer_normalization_reference",
                .isa = Isa::none,
                .weight_format = "",
                .accepts = accepts_layer,
                .bind = normalization::bind_layer_reference,
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
