// What tests and benches of tenon.Conv share: one convolution with its data, described and run.
#pragma once

#include <string>
#include <utility>

#include "kernels/cpu/convolution/spec.h"
#include "kernels/cpu/linear/linear_harness.h"

namespace tenon::kernels {

struct ConvCase {
  std::int64_t images = 1;
  std::int64_t height = 1;
  std::int64_t width = 1;
  std::int64_t channels = 1;
  std::int64_t columns = 1;
  std::int64_t kernel = 1;
  std::vector<std::int64_t> pads = {0, 0, 0, 0};
  std::int64_t stride = 1;
  std::int64_t dilation = 1;
  std::int64_t group = 1;
  std::int64_t upsample = 1;
  std::int64_t channels2 = 0;
  bool bias = false;
  bool residual = false;
  bool image_bias = false;
  bool scale_shift = false;
  bool input_silu = false;
  std::string activation = "";

  Attributes attributes() const {
    return {{"kernel_shape", std::vector<std::int64_t>{kernel, kernel}},
            {"pads", pads},
            {"strides", std::vector<std::int64_t>{stride, stride}},
            {"dilations", std::vector<std::int64_t>{dilation, dilation}},
            {"group", group},
            {"upsample", upsample},
            {"activation", activation},
            {"input_activation", std::string(input_silu ? "silu" : "")}};
  }
  std::int64_t all_channels() const { return channels + channels2; }
  std::int64_t depth() const { return kernel * kernel * all_channels() / group; }
  cpu::convolution::Axis axis(std::size_t which) const {
    return {kernel, stride, dilation, pads[which], pads[which + 2]};
  }
  std::int64_t out_size(std::size_t which) const {
    const std::int64_t size = (which == 0 ? height : width) * upsample;
    return (size + pads[which] + pads[which + 2] - axis(which).reach(1)) / stride + 1;
  }
  std::int64_t out_pixels() const { return out_size(0) * out_size(1); }
};

/// The data of a case. Values are normal; every seventh of x is moved off the centre.
class ConvProblem {
 public:
  explicit ConvProblem(ConvCase made)
      : c(std::move(made)),
        attributes_(c.attributes()),
        shapes_{{c.images, c.height, c.width, c.channels},
                {c.depth(), c.columns},
                {c.columns},
                {c.images, c.out_size(0), c.out_size(1), c.columns},
                {c.images, c.columns},
                {c.images, 2, c.all_channels()},
                {c.images, c.height, c.width, c.channels2}} {
    for (std::size_t i = 0; i < 7; ++i) {
      if (present(i)) {
        data[i] = random_floats(static_cast<std::size_t>(element_count(shapes_[i])),
                                static_cast<unsigned>(i + 1));
      }
    }
    for (std::size_t i = 0; i < data[0].size(); i += 7) data[0][i] += 2.0F;
  }

  bool present(std::size_t input) const {
    const bool flags[] = {true,         true,          c.bias,         c.residual,
                          c.image_bias, c.scale_shift, c.channels2 > 0};
    return flags[input];
  }
  const Shape& result_shape() const { return shapes_[3]; }
  const std::vector<Shape>& shapes() const { return shapes_; }

  StepDescription describe(std::string_view format) const {
    StepDescription step{
        .op = "tenon.Conv", .attributes = &attributes_, .inputs = {}, .outputs = {}};
    for (std::size_t i = 0; i < 7; ++i) {
      Shape known = shapes_[i];
      if (i != 1 && i != 2) known[0] = -1;
      if (known.size() == 4) known[1] = known[2] = -1;
      step.inputs.push_back({DType::f32, known, i == 1, present(i), i == 1 ? format : ""});
    }
    step.outputs.push_back({DType::f32, {-1, -1, -1, c.columns}, false, true, ""});
    return step;
  }

  /// The weight as the row wants it.
  Tensor packed(const KernelRow& row, ThreadPool& pool) const {
    Tensor weight = Tensor::from_floats({c.depth(), c.columns}, data[1]);
    const PackedFormat* format = format_named(row.weight_format);
    if (format == nullptr) return weight;
    Tensor made(DType::u8, {static_cast<std::int64_t>(format->bytes(c.depth(), c.columns))});
    format->pack(*owned_source(std::move(weight)), made.data(), pool);
    return made;
  }
  std::vector<TensorView> inputs(const Tensor& weight) const {
    std::vector<TensorView> views;
    for (std::size_t i = 0; i < 7; ++i) {
      const std::byte* bytes = data[i].empty() ? nullptr : std::as_bytes(std::span(data[i])).data();
      views.push_back({DType::f32, shapes_[i], i == 1 ? weight.data() : bytes});
    }
    return views;
  }

  ConvCase c;
  std::vector<float> data[7];  ///< as the inputs of the operator; empty when absent

 private:
  Attributes attributes_;
  std::vector<Shape> shapes_;
};

}  // namespace tenon::kernels
