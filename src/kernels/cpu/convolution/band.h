// How the work of one tenon.Conv is cut into bands of result lines, and how a band lies in the
// workspace. Arithmetic only.
#pragma once

#include "kernels/cpu/convolution/convert.h"
#include "kernels/cpu/convolution/spec.h"
#include "kernels/cpu/linear/formats.h"

namespace tenon::kernels::cpu::convolution {

/// Row blocks begin at multiples of it: whole tiles of every kernel (4, 6 and 16 rows).
inline constexpr std::int64_t kRowUnit = 48;

/// Several whole pictures, or some lines of one.
struct Band {
  std::int64_t image_begin;
  std::int64_t image_end;
  std::int64_t line_begin;  ///< of results
  std::int64_t line_end;
};

/// The slab of a band is [images][slab_lines][slab_width][channels] in the type of the products:
/// what the windows of its results cover, padding included. Where the lines of a window make no
/// whole steps (few or odd channels), every window is copied to a row of its own.
class BandPlan {
 public:
  BandPlan(const ConvSpec& spec, const Pictures& pictures, const ConvKernel& kernel, bool has_scale,
           int threads);

  std::int64_t bands() const { return image_parts_ * line_parts_; }
  Band band(std::int64_t index) const;
  std::int64_t rows(const Band& band) const {
    return (band.image_end - band.image_begin) * (band.line_end - band.line_begin) * out_width_;
  }

  /// The input is read where it lies, without a slab.
  bool in_place() const { return in_place_; }
  bool copies_windows() const { return copies_windows_; }
  const linear::PanelLayout& layout() const { return layout_; }

  std::int64_t slab_lines(const Band& band) const;
  std::int64_t slab_width() const { return slab_width_; }
  std::int64_t pixel_bytes() const { return pixel_bytes_; }
  std::int64_t line_bytes() const { return slab_width_ * pixel_bytes_; }
  std::int64_t window_stride() const { return window_stride_; }

  /// The lines of a window in the slab: `runs` of run_bytes each.
  std::int64_t runs() const { return runs_; }
  std::int64_t run_bytes() const { return run_bytes_; }
  std::int64_t run_offset(std::int64_t run) const;
  /// Of the window of result `row` of the band, from the slab's begin.
  std::int64_t window_offset(const Band& band, std::int64_t row) const;

  /// Blocks of rows that `rows` results are cut into, each of at most 288.
  std::int64_t row_blocks(std::int64_t rows) const;

  // Places in the workspace, each aligned to a cache line.
  std::int64_t ranges_at() const { return 0; }
  std::int64_t row_offsets_at() const { return row_offsets_at_; }
  std::int64_t run_offsets_at() const { return run_offsets_at_; }
  std::int64_t row_scales_at() const { return row_scales_at_; }
  std::int64_t row_zeros_at() const { return row_zeros_at_; }
  std::int64_t slab_at() const { return slab_at_; }
  std::int64_t windows_at() const { return windows_at_; }
  std::int64_t sums_at(std::int64_t member) const { return sums_at_ + member * sum_bytes_; }
  std::int64_t bytes() const { return sums_at_ + threads_ * sum_bytes_; }

 private:
  void choose_runs(const ConvKernel& kernel);
  void choose_bands();
  void place(const ConvKernel& kernel);

  linear::PanelLayout layout_;
  Axis vertical_;
  Axis horizontal_;
  std::int64_t images_;
  std::int64_t height_;
  std::int64_t out_height_;
  std::int64_t out_width_;
  std::int64_t slab_width_;
  std::int64_t pixel_bytes_;
  std::int64_t window_stride_;
  std::int64_t threads_;
  bool in_place_;
  bool copies_windows_ = false;
  bool taps_apart_ = false;
  std::int64_t runs_ = 0;
  std::int64_t run_bytes_ = 0;
  std::int64_t image_parts_ = 1;
  std::int64_t line_parts_ = 1;
  std::int64_t row_offsets_at_ = 0;
  std::int64_t run_offsets_at_ = 0;
  std::int64_t row_scales_at_ = 0;
  std::int64_t row_zeros_at_ = 0;
  std::int64_t slab_at_ = 0;
  std::int64_t windows_at_ = 0;
  std::int64_t sums_at_ = 0;
  std::int64_t sum_bytes_ = 0;
};

}  // namespace tenon::kernels::cpu::convolution
