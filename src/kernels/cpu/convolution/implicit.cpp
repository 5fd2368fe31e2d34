#include "kernels/cpu/convolution/implicit.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "kernels/cpu/convolution/band.h"
#include "kernels/cpu/linear/row_scale.h"

namespace tenon::kernels::cpu::convolution {
namespace {

const float* floats(const Invocation& call, std::size_t index) {
  return reinterpret_cast<const float*>(linear::input_data(call, index));
}

// Keeps the bytes of any slab of real pictures in 64 bits; beyond it the plain row serves.
constexpr std::int64_t kMostSize = 4096;

bool is_moderate(const Axis& axis) {
  return std::max({axis.kernel, axis.stride, axis.dilation, axis.pad_before, axis.pad_after}) <=
         kMostSize;
}

// One call: its operands, plan and workspace.
class Run {
 public:
  Run(const ConvSpec& spec, const ConvKernel& kernel, const Invocation& call)
      : spec_(spec),
        kernel_(kernel),
        call_(call),
        pictures_(pictures_of(spec, call.inputs[kX].shape)),
        plan_(spec, pictures_, kernel, floats(call, kScaleShift) != nullptr, call.pool->size()) {}

  void operator()() const {
    if (pictures_.images * pictures_.out_pixels() == 0 || spec_.columns == 0) return;
    if (kernel_.range != nullptr) find_ranges();
    for (std::int64_t run = 0; run < plan_.runs(); ++run) {
      at<std::int64_t>(plan_.run_offsets_at())[run] = plan_.run_offset(run);
    }
    for (std::int64_t i = 0; i < plan_.bands(); ++i) {
      const Band band = plan_.band(i);
      if (!plan_.in_place()) convert(band);
      if (plan_.copies_windows()) copy_windows(band);
      describe_rows(band);
      multiply(band);
    }
  }

 private:
  template <typename T>
  T* at(std::int64_t offset) const {
    return reinterpret_cast<T*>(call_.workspace + offset);
  }

  // Line `line` of both inputs in turn: body(pixels, first channel).
  template <typename Body>
  void for_each_input(std::int64_t image, std::int64_t line, const Body& body) const {
    const float* scale = floats(call_, kScaleShift);
    if (scale != nullptr) scale += image * 2 * spec_.all_channels();
    const std::int64_t pixel = (image * pictures_.height + line) * pictures_.width;
    const auto input = [&](const float* x, std::int64_t channels, std::int64_t first) {
      const float* own = scale == nullptr ? nullptr : scale + first;
      body(Pixels{.x = x + pixel * channels,
                  .pixels = pictures_.width,
                  .channels = channels,
                  .scale = own,
                  .shift = own == nullptr ? nullptr : own + spec_.all_channels(),
                  .silu = spec_.input_silu},
           first);
    };
    input(floats(call_, kX), spec_.channels, 0);
    if (spec_.channels2 > 0) input(floats(call_, kX2), spec_.channels2, spec_.channels);
  }

  void find_ranges() const {
    auto* ranges = at<ValueRange>(plan_.ranges_at());
    const std::int64_t lines = pictures_.images * pictures_.height;
    call_.pool->parallel_for(lines, 1, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) {
        ranges[i] = {0.0F, 0.0F};
        for_each_input(i / pictures_.height, i % pictures_.height,
                       [&](const Pixels& pixels, std::int64_t) {
                         ranges[i] = joined(ranges[i], kernel_.range(pixels));
                       });
      }
    });
    for (std::int64_t i = 0; i < lines; ++i) {
      ValueRange& whole = ranges[i / pictures_.height * pictures_.height];
      whole = joined(whole, ranges[i]);
    }
  }
  static ValueRange joined(const ValueRange& a, const ValueRange& b) {
    if (std::isnan(a.low) || std::isnan(b.low)) return {std::nanf(""), std::nanf("")};
    return {std::min(a.low, b.low), std::max(a.high, b.high)};
  }
  linear::RowScale scale_of(std::int64_t image) const {
    if (kernel_.range == nullptr) return {};
    const ValueRange& range = at<ValueRange>(plan_.ranges_at())[image * pictures_.height];
    return linear::row_scale(range.low, range.high);
  }

  void convert(const Band& band) const {
    const std::int64_t lines = plan_.slab_lines(band);
    const std::int64_t count = (band.image_end - band.image_begin) * lines;
    call_.pool->parallel_for(count, 1, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) {
        convert_line(band.image_begin + i / lines,
                     band.line_begin * spec_.vertical.stride + i % lines,
                     at<std::byte>(plan_.slab_at()) + i * plan_.line_bytes());
      }
    });
  }

  // Line `padded` of a padded and enlarged picture.
  void convert_line(std::int64_t image, std::int64_t padded, std::byte* out) const {
    const linear::RowScale scale = scale_of(image);
    const std::int64_t line = padded - spec_.vertical.pad_before;
    const std::int64_t width = pictures_.width * spec_.upsample;
    if (line < 0 || line >= pictures_.height * spec_.upsample || width == 0) {
      std::memset(out, scale.zero, static_cast<std::size_t>(plan_.line_bytes()));
      return;
    }
    const std::int64_t before = spec_.horizontal.pad_before * plan_.pixel_bytes();
    const std::int64_t after = before + width * plan_.pixel_bytes();
    std::memset(out, scale.zero, static_cast<std::size_t>(before));
    std::memset(out + after, scale.zero, static_cast<std::size_t>(plan_.line_bytes() - after));
    const std::int64_t value_bytes = kernel_.product->value_bytes;
    for_each_input(image, line / spec_.upsample, [&](Pixels pixels, std::int64_t first) {
      const bool is_dense = pixels.scale == nullptr && spec_.upsample == 1 && spec_.channels2 == 0;
      if (is_dense) {  // one pixel with the channels of all
        pixels.channels *= pixels.pixels;
        pixels.pixels = 1;
      }
      kernel_.convert(pixels, {.out = out + before + first * value_bytes,
                               .stride = plan_.pixel_bytes(),
                               .copies = spec_.upsample,
                               .inverse = scale.inverse,
                               .zero = scale.zero});
    });
  }

  const std::byte* slab(const Band& band) const {
    if (!plan_.in_place()) return at<std::byte>(plan_.slab_at());
    const std::int64_t line =
        band.image_begin * pictures_.height + band.line_begin * spec_.vertical.stride;
    return linear::input_data(call_, kX) + line * plan_.line_bytes();
  }

  void copy_windows(const Band& band) const {
    const std::int64_t filled = plan_.runs() * plan_.run_bytes();
    const std::int64_t whole = plan_.layout().steps * linear::kStepBytes;
    const std::byte* from = slab(band);
    call_.pool->parallel_for(plan_.rows(band), 1, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t row = begin; row < end; ++row) {
        auto* out = at<std::byte>(plan_.windows_at()) + row * plan_.window_stride();
        const std::byte* window = from + plan_.window_offset(band, row);
        for (std::int64_t run = 0; run < plan_.runs(); ++run) {
          std::memcpy(out + run * plan_.run_bytes(), window + plan_.run_offset(run),
                      static_cast<std::size_t>(plan_.run_bytes()));
        }
        std::memset(out + filled, 0, static_cast<std::size_t>(whole - filled));
      }
    });
  }

  void describe_rows(const Band& band) const {
    auto* offsets = at<std::int64_t>(plan_.row_offsets_at());
    const std::int64_t rows = plan_.rows(band);
    for (std::int64_t row = 0; row < rows; ++row) {
      offsets[row] =
          plan_.copies_windows() ? row * plan_.window_stride() : plan_.window_offset(band, row);
    }
    if (kernel_.range == nullptr) return;
    const std::int64_t in_image = rows / (band.image_end - band.image_begin);
    for (std::int64_t image = band.image_begin; image < band.image_end; ++image) {
      const linear::RowScale scale = scale_of(image);
      const std::int64_t first = (image - band.image_begin) * in_image;
      std::fill_n(at<float>(plan_.row_scales_at()) + first, in_image, scale.scale);
      std::fill_n(at<std::int32_t>(plan_.row_zeros_at()) + first, in_image, scale.zero);
    }
  }

  linear::InputRuns input_runs() const {
    static constexpr std::int64_t kFirst = 0;
    const auto* offsets = at<std::int64_t>(plan_.row_offsets_at());
    if (plan_.copies_windows()) return {offsets, &kFirst, 1, plan_.layout().steps};
    return {offsets, at<std::int64_t>(plan_.run_offsets_at()), plan_.runs(),
            plan_.run_bytes() / linear::kStepBytes};
  }

  linear::Product product(const Band& band) const {
    const std::byte* packed = call_.inputs[kWeight].data;
    const linear::PanelLayout& layout = plan_.layout();
    const std::int64_t first =
        band.image_begin * pictures_.out_pixels() + band.line_begin * pictures_.out_width;
    const float* residual = floats(call_, kResidual);
    const float* image_bias = floats(call_, kImageBias);
    if (residual != nullptr) residual += first * spec_.columns;
    if (image_bias != nullptr) image_bias += band.image_begin * spec_.columns;
    return {
        .x = plan_.copies_windows() ? at<std::byte>(plan_.windows_at()) : slab(band),
        .runs = input_runs(),
        .row_scale = at<float>(plan_.row_scales_at()),
        .row_zero = at<std::int32_t>(plan_.row_zeros_at()),
        .panels = packed,
        .panel_steps = layout.steps,
        .column_scale = reinterpret_cast<const float*>(packed + layout.scale_offset()),
        .column_sum = reinterpret_cast<const std::int32_t*>(packed + layout.sum_offset()),
        .bias = floats(call_, kBias),
        .group_bias = image_bias,
        .group_rows = plan_.rows(band) / (band.image_end - band.image_begin),
        .residual = residual,
        .y = reinterpret_cast<float*>(call_.outputs[0].data) + first * spec_.columns,
        .columns = spec_.columns,
        .activation = static_cast<int>(spec_.activation),
    };
  }

  // Each member takes a contiguous range of shares: block by block of rows, panel by panel.
  void multiply(const Band& band) const {
    const linear::Product work = product(band);
    const std::int64_t rows = plan_.rows(band);
    const std::int64_t units = (rows + kRowUnit - 1) / kRowUnit;
    const std::int64_t blocks = plan_.row_blocks(rows);
    const std::int64_t panels = plan_.layout().panels;
    const auto row_begin = [&](std::int64_t block) {
      return std::min(rows, units * block / blocks * kRowUnit);
    };
    call_.pool->run([&](int member) {
      const std::int64_t members = call_.pool->size();
      std::int64_t share = panels * blocks * member / members;
      const std::int64_t end = panels * blocks * (member + 1) / members;
      while (share < end) {
        const std::int64_t block = share / panels;
        const std::int64_t first = share % panels;
        const std::int64_t count = std::min(end - share, panels - first);
        if (row_begin(block) < row_begin(block + 1)) {
          kernel_.product->multiply(work,
                                    {row_begin(block), row_begin(block + 1), first, first + count},
                                    at<std::byte>(plan_.sums_at(member)));
        }
        share += count;
      }
    });
  }

  const ConvSpec& spec_;
  const ConvKernel& kernel_;
  const Invocation& call_;
  Pictures pictures_;
  BandPlan plan_;
};

}  // namespace

bool accepts_implicit(const StepDescription& step, std::string_view format, bool depthwise) {
  const auto spec = parse_conv(step);
  if (!spec || !is_moderate(spec->vertical) || !is_moderate(spec->horizontal)) return false;
  for (std::size_t i = 0; i < step.inputs.size(); ++i) {
    const StepDescription::Operand& input = step.inputs[i];
    if (i != kWeight && input.present && (input.dtype != DType::f32 || !input.format.empty())) {
      return false;
    }
  }
  const StepDescription::Operand& weight = step.inputs[kWeight];
  if (step.outputs[0].dtype != DType::f32 || weight.format != format) return false;
  if (depthwise) {
    return weight.dtype == DType::f32 && spec->group == spec->all_channels() &&
           spec->group == spec->columns;
  }
  return weight.constant && spec->group == 1 && spec->all_channels() > 0 &&
         (format != linear::kPanel64Int8 || spec->depth() <= linear::kMaxInt8Depth);
}

BoundKernel bind_implicit(const StepDescription& step, const ConvKernel& kernel) {
  return [spec = *parse_conv(step), &kernel](const Invocation& call) { Run(spec, kernel, call)(); };
}

std::size_t implicit_workspace(const StepDescription& step, std::span<const Shape> inputs,
                               int threads, const ConvKernel& kernel) {
  const ConvSpec spec = *parse_conv(step);
  const BandPlan plan(spec, pictures_of(spec, inputs[kX]), kernel,
                      linear::has_input(step, kScaleShift), threads);
  return static_cast<std::size_t>(plan.bytes());
}

}  // namespace tenon::kernels::cpu::convolution
