#include "verify/tensor_experiments.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>

#include "base/error.h"
#include "base/interrupt.h"
#include "passes/layouts.h"
#include "verify/output_errors.h"
#include "verify/source_values.h"
#include "verify/trace.h"

namespace tenon::verify {
namespace {

using session::TensorMap;

constexpr double kImprovement = 10;
constexpr double kGoodEnough = 2e-2;  // what a recording made in half precision leaves
// Factors by which latents of published autoencoders are scaled: Stable Diffusion 1 and 2, XL.
constexpr std::array kScales = {0.18215, 0.13025};

struct Edit {
  std::string cause, found, advice;
  std::function<void(TensorMap&)> inputs;  // either may be empty
  std::function<void(TensorMap&)> outputs;
};

// The elements of one order under the shape of the other.
Tensor turned(const Tensor& tensor, const std::vector<std::int64_t>& order) {
  const Tensor moved = passes::permuted(tensor.view(), order);
  TensorView view = moved.view();
  view.shape = tensor.shape();
  return Tensor::copy_of(view);
}

// A picture or latents whose three last sizes are those of `order` taken backwards.
Tensor turned_back(const Tensor& tensor, const std::vector<std::int64_t>& order) {
  TensorView view = tensor.view();
  Shape& shape = view.shape;
  const Shape from = shape;
  for (std::size_t i = 0; i < order.size(); ++i)
    shape[i] = from[static_cast<std::size_t>(order[i])];
  std::vector<std::int64_t> inverse(order.size());
  for (std::size_t i = 0; i < order.size(); ++i)
    inverse[static_cast<std::size_t>(order[i])] = static_cast<std::int64_t>(i);
  return passes::permuted(view, inverse);
}

Tensor mapped(const Tensor& tensor, const std::function<double(double)>& change) {
  Tensor wide = converted(tensor.view(), DType::f32);
  for (float& value : wide.as<float>()) value = static_cast<float>(change(value));
  return converted(wide.view(), tensor.dtype());
}

Tensor with_reversed_channels(const Tensor& tensor) {
  Tensor made(tensor.dtype(), tensor.shape());
  const auto channels = static_cast<std::size_t>(tensor.shape()[1]);
  const std::size_t plane = tensor.bytes() / static_cast<std::size_t>(tensor.shape()[0]) / channels;
  for (std::size_t i = 0; i * plane < tensor.bytes(); ++i) {
    const std::size_t image = i / channels * channels;
    const std::size_t other = image + channels - 1 - i % channels;
    std::copy_n(tensor.data() + other * plane, plane, made.data() + i * plane);
  }
  return made;
}

bool is_spatial(const Tensor& tensor) {
  return is_float(tensor.dtype()) && tensor.shape().size() == 4;
}

void add_swaps(const TensorMap& inputs, std::vector<Edit>& edits) {
  for (auto a = inputs.begin(); a != inputs.end(); ++a) {
    for (auto b = std::next(a); b != inputs.end(); ++b) {
      if (a->second.shape() != b->second.shape() || a->second.count() < 2) continue;
      const std::string x = a->first;
      const std::string y = b->first;
      edits.push_back(
          {"swapped-inputs",
           fmt::format("the inputs {} and {} have changed places: they have the same shape {}", x,
                       y, to_string(a->second.shape())),
           "give each under the other's name, or name them right when exporting",
           [x, y](TensorMap& given) { std::swap(given.at(x), given.at(y)); },
           {}});
    }
  }
}

void add_layouts(const std::string& name, const Tensor& tensor, bool input,
                 std::vector<Edit>& edits) {
  if (!is_spatial(tensor)) return;
  const auto order = passes::last_order(4);
  const std::string what = input ? "input " : "output ";
  const auto change = [name](auto turn) {
    return [=](TensorMap& map) { map.at(name) = turn(map.at(name)); };
  };
  const std::function<void(TensorMap&)> to_last =
      change([order](const Tensor& t) { return turned(t, order); });
  const std::function<void(TensorMap&)> to_first =
      change([order](const Tensor& t) { return turned_back(t, order); });
  const std::string last = what + name + " is read channels last (NHWC) under the shape of NCHW";
  const std::string first = what + name + " holds NHWC under the shape of NCHW";
  const std::string advice = "transpose it to [N, C, H, W] before it is given that shape";
  edits.push_back({"layout", input ? last : first, advice, input ? to_last : nullptr,
                   input ? nullptr : to_last});
  edits.push_back({"layout", input ? first : last, advice, input ? to_first : nullptr,
                   input ? nullptr : to_first});
}

void add_scales(const std::string& name, const Tensor& tensor, std::vector<Edit>& edits) {
  if (!is_spatial(tensor) || tensor.shape()[1] == 3) return;
  for (const double scale : kScales) {
    edits.push_back(
        {"latent-scale",
         fmt::format("{} is divided by the scaling factor {} inside the engine as well", name,
                     scale),
         "give it as the scheduler left it, or export the autoencoder without the division",
         [=](TensorMap& map) {
           map.at(name) = mapped(map.at(name), [=](double v) { return v * scale; });
         },
         {}});
    edits.push_back(
        {"latent-scale",
         fmt::format("{} is not divided by the scaling factor {}", name, scale),
         "divide the latents by scaling_factor of vae/config.json before they are decoded",
         [=](TensorMap& map) {
           map.at(name) = mapped(map.at(name), [=](double v) { return v / scale; });
         },
         {}});
  }
}

void add_times(const std::string& name, const Tensor& tensor, std::vector<Edit>& edits) {
  if (name.find("timestep") == std::string::npos || tensor.shape().size() > 1) return;
  const auto add = [&](std::string found, std::function<double(double)> change) {
    edits.push_back({"timestep",
                     std::move(found),
                     "give it in steps of training, 0 to 999, in the type that the model was "
                     "exported with",
                     [=](TensorMap& map) { map.at(name) = mapped(map.at(name), change); },
                     {}});
  };
  add(name + " is taken as a share of 0 to 1 and multiplied by 1000 inside",
      [](double t) { return t / 1000; });
  add(name + " is divided by 1000 before it is used", [](double t) { return t * 1000; });
  add(name + " counts from the other end", [](double t) { return 999 - t; });
  add(name + " is one step late", [](double t) { return t + 1; });
  add(name + " is one step early", [](double t) { return t - 1; });
}

void add_colours(const std::string& name, const Tensor& tensor, bool input,
                 std::vector<Edit>& edits) {
  if (!is_spatial(tensor) || tensor.shape()[1] != 3) return;
  const auto add = [&](std::string cause, std::string found, std::string advice,
                       std::function<Tensor(const Tensor&)> change) {
    const std::function<void(TensorMap&)> apply = [=](TensorMap& map) {
      map.at(name) = change(map.at(name));
    };
    edits.push_back({std::move(cause), std::move(found), std::move(advice), input ? apply : nullptr,
                     input ? nullptr : apply});
  };
  add("channel-order", name + " has its colours the other way round: BGR in place of RGB",
      "reverse the three channels", with_reversed_channels);
  const auto change = [](double factor, double shift) {
    return [=](const Tensor& t) { return mapped(t, [=](double v) { return v * factor + shift; }); };
  };
  add("picture-range", name + " is in 0 to 1 in place of -1 to 1", "take 2 x - 1 of it",
      input ? change(0.5, 0.5) : change(2, -1));
}

std::vector<Edit> edits_of(const TensorMap& inputs, const TensorMap& outputs) {
  std::vector<Edit> edits;
  add_swaps(inputs, edits);
  for (const auto& [name, tensor] : inputs) {
    add_colours(name, tensor, true, edits);
    add_layouts(name, tensor, true, edits);
    add_scales(name, tensor, edits);
    add_times(name, tensor, edits);
  }
  for (const auto& [name, tensor] : outputs) {
    add_colours(name, tensor, false, edits);
    add_layouts(name, tensor, false, edits);
  }
  return edits;
}

// Another number of the input's type that every network tells from its own.
Tensor other_numbers(const Tensor& tensor) {
  if (is_float(tensor.dtype())) return mapped(tensor, [](double v) { return 1 - 2 * v; });
  return mapped(tensor, [](double v) { return v > 0 ? std::floor(v / 2) : v + 1; });
}

// An input that changes nothing: a tracer has made a constant of it.
std::optional<TensorExperiment> find_ignored_input(
    TensorSubject& b, const TensorMap& given, const TensorMap& unedited,
    std::span<const std::pair<std::string, std::string>> pairs, double before) {
  std::vector<std::pair<std::string, std::string>> own;
  for (const auto& [in_a, in_b] : pairs) own.emplace_back(in_b, in_b);
  for (const auto& [name, tensor] : given) {
    TensorMap changed = given;
    changed.at(name) = other_numbers(tensor);
    if (relative_error(own, unedited, b.run(changed)) > 0) continue;
    return {{"ignored-input",
             fmt::format("the input {} changes nothing: it became a constant when the model was "
                         "exported, or nothing reads it",
                         name),
             "export the model with that input as a tensor", before, before}};
  }
  return std::nullopt;
}

bool explains(double after, double before) {
  return after <= std::min(kGoodEnough, before / kImprovement);
}

}  // namespace

std::optional<TensorExperiment> run_tensor_experiments(
    TensorSubject& b, const TensorMap& inputs, const TensorMap& wanted,
    std::span<const std::pair<std::string, std::string>> pairs) {
  const TensorMap given = b.fitted(inputs);
  const TensorMap unedited = b.run(given);
  const double before = relative_error(pairs, wanted, unedited);
  for (const Edit& edit : edits_of(given, unedited)) {
    check_interrupt();
    try {
      TensorMap changed = given;
      if (edit.inputs) edit.inputs(changed);
      TensorMap outputs = edit.inputs ? b.run(changed) : unedited;
      if (edit.outputs) edit.outputs(outputs);
      const double after = relative_error(pairs, wanted, outputs);
      if (explains(after, before)) return {{edit.cause, edit.found, edit.advice, before, after}};
    } catch (const Error& error) {
      if (error.code() == ErrorCode::interrupted) throw;  // else: sizes that do not fit
    }
  }
  return find_ignored_input(b, given, unedited, pairs, before);
}

std::optional<TensorExperiment> find_other_output(
    const Watched& a, const TensorMap& wanted, const TensorMap& found,
    std::span<const std::pair<std::string, std::string>> pairs) {
  std::optional<TensorExperiment> best;
  const double before = relative_error(pairs, wanted, found);
  for (const auto& [in_a, in_b] : pairs) {
    const Tensor& output = found.at(in_b);
    a.run([&](const engine::Step& step, const engine::Value& value, const TensorView& view) {
      if (view.count() != output.count() || !is_float(view.dtype) || value.name == in_a) return;
      ValueError error;
      measure(view, output.view(), error);
      if (error.not_finite + error.nan_in_both > 0 || !explains(error.relative, before)) return;
      if (best && best->after <= error.relative) return;
      best = {"other-output",
              fmt::format("{} is what {} gives inside A ({})", in_b,
                          step.module.empty() ? step.name : step.module, source_name(value.name)),
              "take the output of the layer that the model was trained with", before,
              error.relative};
    });
  }
  return best;
}

}  // namespace tenon::verify
