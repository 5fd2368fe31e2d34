#include "kernels/cpu/convolution/spec.h"

#include <algorithm>

namespace tenon::kernels::cpu::convolution {
namespace {

constexpr std::int64_t kMostSize = std::int64_t{1} << 31;  // keeps all index arithmetic in 64 bits

// The attribute's `count` numbers, each from `least` on; `fallback` for an absent one, nothing for
// a wrong one.
std::vector<std::int64_t> sizes(const Attributes& attributes, std::string_view name,
                                std::size_t count, std::int64_t fallback, std::int64_t least) {
  auto found = attributes.get_ints(name);
  if (found.empty()) return std::vector<std::int64_t>(count, fallback);
  const bool suits = found.size() == count && std::all_of(found.begin(), found.end(), [&](auto n) {
                       return n >= least && n <= kMostSize;
                     });
  if (!suits) found.clear();
  return found;
}

bool parse_axes(const Attributes& attributes, ConvSpec& spec) {
  const auto kernel = sizes(attributes, "kernel_shape", 2, 1, 1);
  const auto strides = sizes(attributes, "strides", 2, 1, 1);
  const auto dilations = sizes(attributes, "dilations", 2, 1, 1);
  const auto pads = sizes(attributes, "pads", 4, 0, 0);
  if (kernel.empty() || strides.empty() || dilations.empty() || pads.empty()) return false;
  spec.vertical = {kernel[0], strides[0], dilations[0], pads[0], pads[2]};
  spec.horizontal = {kernel[1], strides[1], dilations[1], pads[1], pads[3]};
  return true;
}

bool parse_attributes(const Attributes& attributes, ConvSpec& spec) {
  if (!parse_axes(attributes, spec)) return false;
  spec.group = attributes.get_int("group", 1);
  spec.upsample = attributes.get_int("upsample", 1);
  const auto activation = linear::parse_activation(attributes.get_string("activation", ""));
  const std::string input_activation = attributes.get_string("input_activation", "");
  if (!activation || (!input_activation.empty() && input_activation != "silu")) return false;
  spec.activation = *activation;
  spec.input_silu = !input_activation.empty();
  return spec.group >= 1 && (spec.upsample == 1 || spec.upsample == 2);
}

// An absent operand suits; a dimension of -1 on either side is not known yet.
bool suits(const StepDescription& step, std::size_t index, const Shape& wanted) {
  if (!linear::has_input(step, index)) return true;
  const Shape& shape = step.inputs[index].shape;
  return std::equal(shape.begin(), shape.end(), wanted.begin(), wanted.end(),
                    [](auto a, auto b) { return a == b || a == -1 || b == -1; });
}

}  // namespace

std::optional<ConvSpec> parse_conv(const StepDescription& step) {
  if (!linear::has_input(step, kX) || !linear::has_input(step, kWeight) || step.outputs.empty()) {
    return std::nullopt;
  }
  const Shape& x = step.inputs[kX].shape;
  const Shape& weight = step.inputs[kWeight].shape;
  ConvSpec spec;
  static const Attributes kNone;
  if (x.size() != 4 || weight.size() != 2 || x[3] < 0 || weight[0] < 0 || weight[1] < 0 ||
      !parse_attributes(step.attributes == nullptr ? kNone : *step.attributes, spec)) {
    return std::nullopt;
  }
  spec.channels = x[3];
  spec.columns = weight[1];
  if (linear::has_input(step, kX2)) {
    if (step.inputs[kX2].shape.size() != 4 || step.inputs[kX2].shape[3] < 0) return std::nullopt;
    spec.channels2 = step.inputs[kX2].shape[3];
  }
  const std::int64_t all = spec.all_channels();
  const std::int64_t taps = spec.vertical.kernel * spec.horizontal.kernel;
  const bool whole = all % spec.group == 0 && spec.columns % spec.group == 0 &&
                     weight[0] % taps == 0 && weight[0] / taps == all / spec.group;
  const Shape picture = {x[0], x[1], x[2], spec.channels2};
  if (!whole || !suits(step, kBias, {spec.columns}) ||
      !suits(step, kResidual, {x[0], -1, -1, spec.columns}) ||
      !suits(step, kImageBias, {x[0], spec.columns}) || !suits(step, kScaleShift, {x[0], 2, all}) ||
      !suits(step, kX2, picture)) {
    return std::nullopt;
  }
  return spec;
}

Pictures pictures_of(const ConvSpec& spec, const Shape& x) {
  const auto results = [&](const Axis& axis, std::int64_t size) {
    const std::int64_t room =
        size * spec.upsample + axis.pad_before + axis.pad_after - axis.reach(1);
    return room < 0 ? 0 : room / axis.stride + 1;
  };
  return {x[0], x[1], x[2], results(spec.vertical, x[1]), results(spec.horizontal, x[2])};
}

}  // namespace tenon::kernels::cpu::convolution
