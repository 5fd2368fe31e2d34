// The rows of tenon.CachedAttention, tenon.Attention, Attention and RotaryEmbedding.
#include <array>

#include "kernels/cpu/attention/reference.h"
#include "kernels/cpu/tables.h"

namespace tenon::kernels::cpu {

std::span<const KernelRow> attention_rows() {
  using namespace attention;
  static const std::array kRows = {
      KernelRow{.op = "tenon.CachedAttention",
                .name = "cached_attention_reference",
                .isa = Isa::none,
                .weight_format = "",
                .accepts = accepts_cached_reference,
                .bind = bind_cached_reference,
                .workspace = cached_reference_workspace,
                .page_bytes = cached_reference_page_bytes,
                .uses_state = true},
      KernelRow{.op = "tenon.Attention",
                .name = "attention_reference",
                .isa = Isa::none,
                .weight_format = "",
                .accepts = accepts_attention,
                .bind = bind_attention_reference,
                .workspace = attention_reference_workspace},
      KernelRow{.op = "Attention",
                .name = "onnx_attention_reference",
                .isa = Isa::none,
                .weight_format = "",
                .accepts = accepts_onnx_attention,
                .bind = bind_onnx_attention_reference,
                .workspace = attention_reference_workspace},
      KernelRow{.op = "RotaryEmbedding",
                .name = "rotary_embedding_reference",
                .isa = Isa::none,
                .weight_format = "",
                .accepts = accepts_rotary,
                .bind = bind_rotary_reference,
                .in_place = true},
  };
  return kRows;
}

}  // namespace tenon::kernels::cpu
