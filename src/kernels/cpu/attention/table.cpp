// The rows of tenon.CachedAttention, tenon.Attention, Attention and RotaryEmbedding.
#include <array>

#include "kernels/cpu/attention/cached.h"
#include "kernels/cpu/attention/flash_driver.h"
#include "kernels/cpu/attention/reference.h"
#include "kernels/cpu/tables.h"

namespace tenon::kernels::cpu {
namespace {

template <const attention::TileKernel& tile>
BoundKernel bind_tiles(const StepDescription& step) {
  return attention::bind_cached(step, tile);
}

template <const attention::FlashKernel& kernel>
constexpr KernelRow flash_row(std::string_view name, Isa isa,
                              bool (*accepts)(const StepDescription&)) {
  return {.op = "tenon.Attention",
          .name = name,
          .isa = isa,
          .weight_format = "",
          .accepts = accepts,
          .bind = [](const StepDescription& step) { return attention::bind_flash(step, kernel); },
          .workspace =
              [](const StepDescription& step, std::span<const Shape> inputs, int threads) {
                return attention::flash_workspace(step, inputs, threads, kernel);
              }};
}

}  // namespace

std::span<const KernelRow> attention_rows() {
  using namespace attention;
  static const std::array kRows = {
      KernelRow{.op = "tenon.CachedAttention",
                .name = "cached_attention_bf16_avx512_bf16",
                .isa = Isa::avx512_bf16,
                .weight_format = "",
                .accepts = accepts_bfloat_cache,
                .bind = bind_tiles<avx512_bf16::kBFloatTile>,
                .workspace = cached_workspace,
                .page_bytes = bfloat_page_bytes,
                .uses_state = true},
      KernelRow{.op = "tenon.CachedAttention",
                .name = "cached_attention_bf16_avx512",
                .isa = Isa::avx512,
                .weight_format = "",
                .accepts = accepts_bfloat_cache,
                .bind = bind_tiles<avx512::kBFloatTile>,
                .workspace = cached_workspace,
                .page_bytes = bfloat_page_bytes,
                .uses_state = true},
      KernelRow{.op = "tenon.CachedAttention",
                .name = "cached_attention_f32_avx512",
                .isa = Isa::avx512,
                .weight_format = "",
                .accepts = accepts_float_cache,
                .bind = bind_tiles<avx512::kFloatTile>,
                .workspace = cached_workspace,
                .page_bytes = float_page_bytes,
                .uses_state = true},
      KernelRow{.op = "tenon.CachedAttention",
                .name = "cached_attention_bf16_avx2",
                .isa = Isa::avx2,
                .weight_format = "",
                .accepts = accepts_bfloat_cache,
                .bind = bind_tiles<avx2::kBFloatTile>,
                .workspace = cached_workspace,
                .page_bytes = bfloat_page_bytes,
                .uses_state = true},
      KernelRow{.op = "tenon.CachedAttention",
                .name = "cached_attention_f32_avx2",
                .isa = Isa::avx2,
                .weight_format = "",
                .accepts = accepts_float_cache,
                .bind = bind_tiles<avx2::kFloatTile>,
                .workspace = cached_workspace,
                .page_bytes = float_page_bytes,
                .uses_state = true},
      KernelRow{.op = "tenon.CachedAttention",
                .name = "cached_attention_reference",
                .isa = Isa::none,
                .weight_format = "",
                .accepts = accepts_cached_reference,
                .bind = bind_cached_reference,
                .workspace = cached_reference_workspace,
                .page_bytes = cached_reference_page_bytes,
                .uses_state = true},
      flash_row<amx::kTileFlash>("attention_bf16_amx", Isa::amx_bf16, accepts_narrow_flash),
      flash_row<avx512_bf16::kPairFlash>("attention_bf16_avx512_bf16", Isa::avx512_bf16,
                                         accepts_narrow_flash),
      flash_row<avx512::kFloatFlash>("attention_f32_avx512", Isa::avx512, accepts_flash),
      flash_row<avx2::kFloatFlash>("attention_f32_avx2", Isa::avx2, accepts_flash),
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
