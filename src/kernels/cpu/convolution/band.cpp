#include "kernels/cpu/convolution/band.h"

#include <algorithm>

namespace tenon::kernels::cpu::convolution {
namespace {

using linear::kPanelRowBytes;
using linear::kStepBytes;

constexpr std::int64_t kLine = 64;
// A band stays in the third-level cache from its conversion to its last use.
constexpr std::int64_t kBandBytes = std::int64_t{12} << 20;
// Shorter runs would load and store the sums too often.
constexpr std::int64_t kLeastRunSteps = 48;
// Rows of one share: its sums (256 bytes a row) stay in the second-level cache beside the weights.
constexpr std::int64_t kShareRows = 240;
constexpr std::int64_t kLeastScratchRows = 4;  // as the products ask

std::int64_t round_up(std::int64_t value, std::int64_t unit) {
  return (value + unit - 1) / unit * unit;
}

bool reads_in_place(const ConvSpec& spec, const ConvKernel& kernel, bool has_scale) {
  const bool padded = spec.vertical.pad_before + spec.vertical.pad_after +
                          spec.horizontal.pad_before + spec.horizontal.pad_after !=
                      0;
  return kernel.product->value_bytes == 4 && !padded && !has_scale && spec.upsample == 1 &&
         spec.channels2 == 0 && !spec.input_silu;
}

}  // namespace

BandPlan::BandPlan(const ConvSpec& spec, const Pictures& pictures, const ConvKernel& kernel,
                   bool has_scale, int threads)
    : layout_(spec.depth(), spec.columns, kernel.product->value_bytes),
      vertical_(spec.vertical),
      horizontal_(spec.horizontal),
      images_(pictures.images),
      height_(pictures.height),
      out_height_(pictures.out_height),
      out_width_(pictures.out_width),
      slab_width_(std::max(horizontal_.reach(pictures.out_width),
                           horizontal_.pad_before + pictures.width * spec.upsample)),
      pixel_bytes_(spec.all_channels() * kernel.product->value_bytes),
      // An odd number of cache lines keeps the rows of a tile in different sets.
      window_stride_((layout_.steps * kStepBytes / kLine | 1) * kLine),
      threads_(threads),
      in_place_(reads_in_place(spec, kernel, has_scale)) {
  choose_runs(kernel);
  choose_bands();
  place(kernel);
}

void BandPlan::choose_runs(const ConvKernel& kernel) {
  // Without dilation the pixels of one line of a window are neighbours.
  taps_apart_ = kernel.depthwise || (horizontal_.dilation != 1 && horizontal_.kernel != 1);
  runs_ = vertical_.kernel * (taps_apart_ ? horizontal_.kernel : 1);
  run_bytes_ = pixel_bytes_ * (taps_apart_ ? 1 : horizontal_.kernel);
  if (kernel.depthwise) return;
  const std::int64_t unit = kernel.product->run_alignment * kStepBytes;
  const bool is_short = runs_ > 1 && run_bytes_ < kLeastRunSteps * kStepBytes;
  copies_windows_ = run_bytes_ % unit != 0 || is_short;
}

void BandPlan::choose_bands() {
  if (images_ * out_height_ * out_width_ == 0) return;
  const std::int64_t line = (in_place_ ? 0 : vertical_.stride * line_bytes()) +
                            (copies_windows_ ? out_width_ * window_stride_ : 0);
  const std::int64_t lines =
      std::max<std::int64_t>(1, kBandBytes / std::max<std::int64_t>(1, line));
  if (lines >= out_height_) {
    image_parts_ = (images_ + lines / out_height_ - 1) / (lines / out_height_);
  } else {
    image_parts_ = images_;
    line_parts_ = (out_height_ + lines - 1) / lines;
  }
}

void BandPlan::place(const ConvKernel& kernel) {
  // The largest band: parts of a number of things differ by one.
  const Band largest{0, (images_ + image_parts_ - 1) / image_parts_, 0,
                     (out_height_ + line_parts_ - 1) / line_parts_};
  const std::int64_t row_count = rows(largest);
  std::int64_t end = 0;
  const auto take = [&end](std::int64_t bytes) {
    const std::int64_t at = end;
    end += round_up(bytes, kLine);
    return at;
  };
  take(kernel.range == nullptr ? 0 : images_ * height_ * 8);
  row_offsets_at_ = take(row_count * 8);
  run_offsets_at_ = take(runs_ * 8);
  row_scales_at_ = take(kernel.range == nullptr ? 0 : row_count * 4);
  row_zeros_at_ = take(kernel.range == nullptr ? 0 : row_count * 4);
  slab_at_ = take(in_place_ ? 0 : largest.image_end * slab_lines(largest) * line_bytes());
  windows_at_ = take(copies_windows_ ? row_count * window_stride_ : 0);
  // Row blocks begin at whole units, so that one may have a unit more than its even share.
  sum_bytes_ =
      std::max(std::min(row_count, kShareRows + kRowUnit), kLeastScratchRows) * kPanelRowBytes;
  sums_at_ = end;
}

Band BandPlan::band(std::int64_t index) const {
  const std::int64_t part = index % line_parts_;
  const std::int64_t image = index / line_parts_;
  return {images_ * image / image_parts_, images_ * (image + 1) / image_parts_,
          out_height_ * part / line_parts_, out_height_ * (part + 1) / line_parts_};
}

std::int64_t BandPlan::slab_lines(const Band& band) const {
  return in_place_ ? height_ : vertical_.reach(band.line_end - band.line_begin);
}

std::int64_t BandPlan::run_offset(std::int64_t run) const {
  if (!taps_apart_) return run * vertical_.dilation * line_bytes();
  return run / horizontal_.kernel * vertical_.dilation * line_bytes() +
         run % horizontal_.kernel * horizontal_.dilation * pixel_bytes_;
}

std::int64_t BandPlan::window_offset(const Band& band, std::int64_t row) const {
  const std::int64_t lines = band.line_end - band.line_begin;
  const std::int64_t line = row / out_width_ % lines;
  const std::int64_t image = row / out_width_ / lines;
  return (image * slab_lines(band) + line * vertical_.stride) * line_bytes() +
         row % out_width_ * horizontal_.stride * pixel_bytes_;
}

std::int64_t BandPlan::row_blocks(std::int64_t rows) const {
  std::int64_t blocks = std::max<std::int64_t>(1, (rows + kShareRows - 1) / kShareRows);
  // Enough shares for every thread, as long as each keeps rows to reuse the weights on.
  while (layout_.panels * blocks < 8 * threads_ && rows / (blocks + 1) >= kRowUnit) ++blocks;
  return blocks;
}

}  // namespace tenon::kernels::cpu::convolution
