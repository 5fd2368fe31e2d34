#include "kernels/cpu/group_norm/bind.h"

#include <algorithm>
#include <cmath>

#include "kernels/cpu/group_norm/spec.h"

namespace tenon::kernels::cpu::group_norm {
namespace {

// Pictures are cut alike for any number of threads: into parts of at least so many pixels.
constexpr std::int64_t kPartPixels = 256;
constexpr std::int64_t kMostParts = 64;
// Elements of some microseconds of work: what waking a thread must be worth.
constexpr std::int64_t kGrain = 8192;

/// Mean of a set and the sum of squared distances from it.
struct Moments {
  double count;
  double mean;
  double distance;

  void join(const Moments& other) {
    const double all = count + other.count;
    if (all == 0.0) return;
    const double apart = other.mean - mean;
    mean += apart * (other.count / all);
    distance += other.distance + apart * apart * (count * (other.count / all));
    count = all;
  }
};

/// The parts of a call, and where their results and the scratch of the members lie.
struct Layout {
  Layout(const GroupSpec& spec, const Shape& x) : images(x[0]) {
    const std::int64_t elements = element_count(std::span(x).subspan(1));
    pixels = elements / spec.channels;
    parts = std::clamp<std::int64_t>(pixels / kPartPixels, 1, kMostParts);
    moments = images * parts * spec.groups;
    room = (spec.all_channels() / kChannelUnit + 2) * kChannelUnit;
  }
  std::size_t bytes(int threads) const {
    return static_cast<std::size_t>(moments) * sizeof(Moments) +
           static_cast<std::size_t>(threads * room) * (2 * sizeof(double) + 3 * sizeof(float));
  }

  std::int64_t images;
  std::int64_t pixels;
  std::int64_t parts;
  std::int64_t moments;
  std::int64_t room;  // channels that each array of a member can hold, both inputs rounded up
};

const float* floats(const TensorView& view) { return reinterpret_cast<const float*>(view.data); }

class GroupScale {
 public:
  GroupScale(const GroupSpec& spec, const GroupKernels& kernels, const Invocation& call)
      : spec_(spec), kernels_(kernels), call_(call), layout_(spec, call.inputs[kX].shape) {}

  void operator()() const {
    const std::int64_t units = layout_.images * layout_.parts;
    const std::int64_t members = call_.pool->size();
    call_.pool->run([&](int member) {
      for (std::int64_t i = units * member / members; i < units * (member + 1) / members; ++i) {
        sum_part(i / layout_.parts, i % layout_.parts, member);
      }
    });
    for (std::int64_t image = 0; image < layout_.images; ++image) {
      for (std::int64_t group = 0; group < spec_.groups; ++group) write(image, group);
    }
  }

 private:
  Moments* moments(std::int64_t image, std::int64_t part) const {
    return reinterpret_cast<Moments*>(call_.workspace) +
           (image * layout_.parts + part) * spec_.groups;
  }

  void sum_part(std::int64_t image, std::int64_t part, int member) const {
    const std::int64_t begin = layout_.pixels * part / layout_.parts;
    const std::int64_t pixels = layout_.pixels * (part + 1) / layout_.parts - begin;
    auto* doubles =
        reinterpret_cast<double*>(moments(layout_.images, 0)) + member * 2 * layout_.room;
    auto* scratch = reinterpret_cast<float*>(reinterpret_cast<double*>(moments(layout_.images, 0)) +
                                             call_.pool->size() * 2 * layout_.room) +
                    member * 3 * layout_.room;
    double* mean = doubles;
    double* distance = doubles + layout_.room;
    const auto sum = [&](std::size_t input, std::int64_t channels, std::int64_t first) {
      const std::int64_t pixel = image * layout_.pixels + begin;
      kernels_.sum({.x = floats(call_.inputs[input]) + pixel * channels,
                    .pixels = pixels,
                    .channels = channels,
                    .shift = scratch,
                    .sum = scratch + layout_.room,
                    .squares = scratch + 2 * layout_.room,
                    .mean = mean + first,
                    .distance = distance + first});
    };
    sum(kX, spec_.channels, 0);
    if (spec_.channels2 > 0) sum(kX2, spec_.channels2, spec_.channels);
    const std::int64_t width = spec_.all_channels() / spec_.groups;
    for (std::int64_t group = 0; group < spec_.groups; ++group) {
      Moments all = {0.0, 0.0, 0.0};
      for (std::int64_t c = group * width; c < (group + 1) * width; ++c) {
        all.join({static_cast<double>(pixels), mean[c], distance[c]});
      }
      moments(image, part)[group] = all;
    }
  }

  void write(std::int64_t image, std::int64_t group) const {
    Moments all = {0.0, 0.0, 0.0};
    for (std::int64_t part = 0; part < layout_.parts; ++part) all.join(moments(image, part)[group]);
    const double inverse = 1.0 / std::sqrt(std::max(all.distance, 0.0) / all.count + spec_.epsilon);
    const std::int64_t width = spec_.all_channels() / spec_.groups;
    auto* y = reinterpret_cast<float*>(call_.outputs[0].data) + image * 2 * spec_.all_channels();
    for (std::int64_t c = group * width; c < (group + 1) * width; ++c) {
      const double scale = static_cast<double>(floats(call_.inputs[kGamma])[c]) * inverse;
      y[c] = static_cast<float>(scale);
      y[spec_.all_channels() + c] = static_cast<float>(
          static_cast<double>(floats(call_.inputs[kBeta])[c]) - all.mean * scale);
    }
  }

  const GroupSpec& spec_;
  const GroupKernels& kernels_;
  const Invocation& call_;
  Layout layout_;
};

bool is_f32(const StepDescription& step) {
  return step.outputs[0].dtype == DType::f32 &&
         std::all_of(step.inputs.begin(), step.inputs.end(),
                     [](const auto& input) { return !input.present || input.dtype == DType::f32; });
}

}  // namespace

bool accepts_f32_group_scale(const StepDescription& step) {
  return parse_group_scale(step).has_value() && is_f32(step);
}

BoundKernel bind_group_scale(const StepDescription& step, const GroupKernels& kernels) {
  return [spec = *parse_group_scale(step), &kernels](const Invocation& call) {
    GroupScale(spec, kernels, call)();
  };
}

std::size_t group_scale_workspace(const StepDescription& step, std::span<const Shape> inputs,
                                  int threads) {
  return Layout(*parse_group_scale(step), inputs[kX]).bytes(threads);
}

bool accepts_f32_scale_shift(const StepDescription& step) {
  return parse_scale_shift(step).has_value() && is_f32(step);
}

BoundKernel bind_scale_shift(const StepDescription& step, const GroupKernels& kernels) {
  return [spec = *parse_scale_shift(step), &kernels](const Invocation& call) {
    const TensorView& x = call.inputs[0];
    const std::int64_t pixels = x.count() / spec.channels;
    if (pixels == 0) return;
    const std::int64_t in_image = pixels / x.shape[0];
    const std::int64_t grain = std::max<std::int64_t>(1, kGrain / spec.channels);
    call.pool->parallel_for(pixels, grain, [&](std::int64_t begin, std::int64_t end) {
      while (begin < end) {
        const std::int64_t image = begin / in_image;
        const std::int64_t stop = std::min(end, (image + 1) * in_image);
        const float* scale = floats(call.inputs[1]) + image * 2 * spec.channels;
        kernels.scale({.x = floats(x) + begin * spec.channels,
                       .scale = scale,
                       .shift = scale + spec.channels,
                       .y = reinterpret_cast<float*>(call.outputs[0].data) + begin * spec.channels,
                       .pixels = stop - begin,
                       .channels = spec.channels,
                       .activation = static_cast<int>(spec.activation)});
        begin = stop;
      }
    });
  };
}

}  // namespace tenon::kernels::cpu::group_norm
