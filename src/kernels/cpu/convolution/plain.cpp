#include "kernels/cpu/convolution/plain.h"

#include <algorithm>
#include <cmath>

#include "kernels/cpu/any_float.h"
#include "kernels/cpu/convolution/spec.h"
#include "kernels/cpu/linear/exact_activation.h"
#include "kernels/cpu/linear/matrix.h"

namespace tenon::kernels::cpu::convolution {
namespace {

// A unit of work: so many results of one group, over so many pixels.
constexpr std::int64_t kPixels = 16;
constexpr std::int64_t kColumns = 128;
constexpr std::int64_t kChannels = 64;  // read at a time

const TensorView* operand(const Invocation& call, std::size_t index) {
  return linear::input_data(call, index) == nullptr ? nullptr : &call.inputs[index];
}

double element(const TensorView* view, std::int64_t index) {
  return view == nullptr ? 0.0 : FloatReader(*view)[index];
}

// The pictures as the kernel sees them: joined, scaled, activated, enlarged and padded.
class Input {
 public:
  Input(const ConvSpec& spec, const Pictures& pictures, const Invocation& call)
      : spec_(spec),
        pictures_(pictures),
        x_(operand(call, kX)),
        x2_(operand(call, kX2)),
        scale_shift_(operand(call, kScaleShift)) {}

  /// out[i] = channel `first` + i at (row, column) of the padded picture.
  void read(std::int64_t image, std::int64_t row, std::int64_t column, std::int64_t first,
            std::int64_t count, double* out) const {
    row -= spec_.vertical.pad_before;
    column -= spec_.horizontal.pad_before;
    if (row < 0 || column < 0 || row >= pictures_.height * spec_.upsample ||
        column >= pictures_.width * spec_.upsample) {
      std::fill_n(out, count, 0.0);
      return;
    }
    const std::int64_t pixel = (image * pictures_.height + row / spec_.upsample) * pictures_.width +
                               column / spec_.upsample;
    for (std::int64_t i = 0; i < count; ++i) out[i] = value(image, pixel, first + i);
  }

 private:
  double value(std::int64_t image, std::int64_t pixel, std::int64_t channel) const {
    double x = channel < spec_.channels
                   ? element(x_, pixel * spec_.channels + channel)
                   : element(x2_, pixel * spec_.channels2 + channel - spec_.channels);
    if (scale_shift_ != nullptr) {
      const std::int64_t at = image * 2 * spec_.all_channels() + channel;
      x = x * element(scale_shift_, at) + element(scale_shift_, at + spec_.all_channels());
    }
    return spec_.input_silu ? linear::activate(linear::Activation::silu, x) : x;
  }

  const ConvSpec& spec_;
  const Pictures& pictures_;
  const TensorView* x_;
  const TensorView* x2_;
  const TensorView* scale_shift_;
};

struct Block {
  std::int64_t pixel;  // the first, counted over all pictures
  std::int64_t pixels;
  std::int64_t column;
  std::int64_t columns;
};

// Adds the products of channels [first, first + count) of the group at tap (ky, kx).
void add_tap(const ConvSpec& spec, const Pictures& pictures, const Invocation& call,
             const Block& block, std::int64_t ky, std::int64_t kx, std::int64_t first,
             std::int64_t count, double (&sums)[kPixels][kColumns]) {
  const Input input(spec, pictures, call);
  const std::int64_t in_group = spec.all_channels() / spec.group;
  const std::int64_t group = block.column / (spec.columns / spec.group);
  double values[kPixels][kChannels] = {};
  for (std::int64_t p = 0; p < block.pixels; ++p) {
    const std::int64_t pixel = block.pixel + p;
    const std::int64_t at = pixel % pictures.out_pixels();
    input.read(pixel / pictures.out_pixels(),
               at / pictures.out_width * spec.vertical.stride + ky * spec.vertical.dilation,
               at % pictures.out_width * spec.horizontal.stride + kx * spec.horizontal.dilation,
               group * in_group + first, count, values[p]);
  }
  const linear::Matrix weight = {.dtype = call.inputs[kWeight].dtype,
                                 .data = call.inputs[kWeight].data,
                                 .row_stride = spec.columns};
  double factors[kColumns] = {};
  for (std::int64_t c = 0; c < count; ++c) {
    weight.read((ky * spec.horizontal.kernel + kx) * in_group + first + c, block.column,
                block.columns, factors);
    for (std::int64_t p = 0; p < block.pixels; ++p) {
      for (std::int64_t m = 0; m < block.columns; ++m) sums[p][m] += values[p][c] * factors[m];
    }
  }
}

void compute(const ConvSpec& spec, const Pictures& pictures, const Invocation& call,
             const Block& block) {
  double sums[kPixels][kColumns] = {};
  const std::int64_t in_group = spec.all_channels() / spec.group;
  for (std::int64_t ky = 0; ky < spec.vertical.kernel; ++ky) {
    for (std::int64_t kx = 0; kx < spec.horizontal.kernel; ++kx) {
      for (std::int64_t c = 0; c < in_group; c += kChannels) {
        add_tap(spec, pictures, call, block, ky, kx, c, std::min(kChannels, in_group - c), sums);
      }
    }
  }
  const FloatWriter y(call.outputs[0]);
  for (std::int64_t p = 0; p < block.pixels; ++p) {
    const std::int64_t pixel = block.pixel + p;
    for (std::int64_t m = 0; m < block.columns; ++m) {
      const std::int64_t column = block.column + m;
      const std::int64_t index = pixel * spec.columns + column;
      const double sum =
          sums[p][m] + element(operand(call, kBias), column) +
          element(operand(call, kImageBias), pixel / pictures.out_pixels() * spec.columns + column);
      y.set(index,
            linear::activate(spec.activation, sum) + element(operand(call, kResidual), index));
    }
  }
}

void run(const ConvSpec& spec, const Invocation& call) {
  const Pictures pictures = pictures_of(spec, call.inputs[kX].shape);
  const std::int64_t pixels = pictures.images * pictures.out_pixels();
  const std::int64_t in_group = spec.columns / spec.group;
  const std::int64_t pixel_blocks = (pixels + kPixels - 1) / kPixels;
  const std::int64_t column_blocks = (in_group + kColumns - 1) / kColumns;
  const std::int64_t units = pixel_blocks * spec.group * column_blocks;
  call.pool->parallel_for(units, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t unit = begin; unit < end; ++unit) {
      const std::int64_t first = unit % column_blocks * kColumns;
      const std::int64_t group = unit / column_blocks % spec.group;
      const std::int64_t pixel = unit / column_blocks / spec.group * kPixels;
      compute(spec, pictures, call,
              {pixel, std::min(kPixels, pixels - pixel), group * in_group + first,
               std::min(kColumns, in_group - first)});
    }
  });
}

}  // namespace

bool accepts_conv_plain(const StepDescription& step) {
  const auto plain = [](const StepDescription::Operand& operand) {
    return !operand.present || (is_float(operand.dtype) && operand.format.empty());
  };
  return parse_conv(step).has_value() &&
         std::all_of(step.inputs.begin(), step.inputs.end(), plain) &&
         is_float(step.outputs[0].dtype);
}

BoundKernel bind_conv_plain(const StepDescription& step) {
  return [spec = *parse_conv(step)](const Invocation& call) { run(spec, call); };
}

}  // namespace tenon::kernels::cpu::convolution
