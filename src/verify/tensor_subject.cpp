#include "verify/tensor_subject.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/error.h"

namespace tenon::verify {
namespace {

using engine::Value;

Tensor reshaped(const Tensor& tensor, Shape shape) {
  TensorView view = tensor.view();
  view.shape = std::move(shape);
  return Tensor::copy_of(view);
}

// Pictures that run together: the first size of what is no list of numbers.
std::int64_t batch_of(const session::TensorMap& inputs) {
  for (const auto& [name, tensor] : inputs) {
    if (tensor.shape().size() >= 2) return tensor.shape()[0];
  }
  return 1;
}

bool all_equal(const Tensor& tensor) {
  const std::size_t size = dtype_size(tensor.dtype());
  for (std::size_t at = size; at < tensor.bytes(); at += size) {
    if (!std::equal(tensor.data(), tensor.data() + size, tensor.data() + at)) return false;
  }
  return tensor.count() > 0;
}

// One number for all pictures where the engine wants one for each, or the other way round.
Tensor with_rank(const Tensor& tensor, const Value& value, std::int64_t batch) {
  if (tensor.shape().size() == value.shape.size()) return tensor;
  if (tensor.count() == 1 && value.shape.size() == 1) {
    const std::int64_t count = value.shape[0].constant().value_or(batch);
    Tensor repeated(tensor.dtype(), {count});
    const std::size_t size = dtype_size(tensor.dtype());
    for (std::size_t at = 0; at < repeated.bytes(); at += size)
      std::copy_n(tensor.data(), size, repeated.data() + at);
    return repeated;
  }
  if (tensor.shape().size() == 1 && value.shape.empty() && all_equal(tensor)) {
    Tensor first(tensor.dtype(), {1});
    std::copy_n(tensor.data(), dtype_size(tensor.dtype()), first.data());
    return reshaped(first, {});
  }
  return tensor;
}

bool agrees(const DimShape& wanted, std::span<const std::int64_t> shape) {
  if (wanted.size() != shape.size()) return false;
  for (std::size_t i = 0; i < shape.size(); ++i) {
    if (wanted[i].constant().value_or(shape[i]) != shape[i]) return false;
  }
  return true;
}

void check_shape(const std::string& subject, const Value& value, const Tensor& tensor) {
  const Shape& shape = tensor.shape();
  if (agrees(value.shape, shape)) return;
  Error error(ErrorCode::bad_input,
              fmt::format("{}: input {} is {} {}, the engine takes {}", subject, value.name,
                          dtype_name(tensor.dtype()), to_string(shape), to_string(value.shape)));
  if (shape.size() == 4 && agrees(value.shape, Shape{shape[0], shape[3], shape[1], shape[2]}))
    error.hint("it lies channels last (NHWC): transpose it to [N, C, H, W]");
  else if (shape.size() == 4 && agrees(value.shape, Shape{shape[0], shape[2], shape[3], shape[1]}))
    error.hint("it lies channels first (NCHW): transpose it to [N, H, W, C]");
  throw error;
}

Tensor with_type(const std::string& subject, const Tensor& tensor, const Value& value) {
  if (tensor.dtype() == value.dtype) return tensor;
  const auto fails = [&](const std::string& what) {
    Error error(ErrorCode::bad_input, fmt::format("{}: input {} {}, the engine takes {}", subject,
                                                  value.name, what, dtype_name(value.dtype)));
    throw error.hint("export the model with an input of that type");
  };
  if (is_float(tensor.dtype()) && !is_float(value.dtype)) {
    const Tensor wide = converted(tensor.view(), DType::f32);
    for (const float number : wide.as<float>()) {
      if (!(std::abs(number) < 2147483648.0F) || number != std::trunc(number))
        fails(fmt::format("holds {} as {}", number, dtype_name(tensor.dtype())));
    }
  } else if (tensor.dtype() == DType::i64 && value.dtype == DType::i32) {
    for (const std::int64_t number : tensor.as<std::int64_t>()) {
      if (number != static_cast<std::int32_t>(number)) fails(fmt::format("holds {}", number));
    }
  }
  return converted(tensor.view(), value.dtype);
}

}  // namespace

TensorSubject::TensorSubject(std::string name, std::shared_ptr<const engine::Engine> engine,
                             backend::Backend& backend)
    : name_(std::move(name)), backend_(backend) {
  if (engine->state.layers > 0)
    bad_input("{} keeps a cache of keys and values: compare it on token ids", name_);
  session_ = std::make_unique<session::TensorSession>(std::move(engine), backend_);
}

session::TensorMap TensorSubject::fitted(const session::TensorMap& inputs) const {
  const std::int64_t batch = batch_of(inputs);
  session::TensorMap made;
  for (const auto index : engine().inputs) {
    const Value& value = engine().values[static_cast<std::size_t>(index)];
    const auto found = inputs.find(value.name);
    if (found == inputs.end()) {
      std::string given;
      for (const auto& [name, tensor] : inputs) given += (given.empty() ? "" : ", ") + name;
      bad_input("{}: input {} ({} {}) is not among those given: {}", name_, value.name,
                dtype_name(value.dtype), to_string(value.shape), given);
    }
    const Tensor ranked = with_rank(found->second, value, batch);
    check_shape(name_, value, ranked);
    made.emplace(value.name, with_type(name_, ranked, value));
  }
  return made;
}

session::TensorMap TensorSubject::run(const session::TensorMap& inputs) {
  return with_context(name_, [&] { return session_->run(fitted(inputs)); });
}

Watched TensorSubject::watched(const session::TensorMap& inputs) {
  return {engine(), [this, &inputs](session::Observer observer) {
            session_->executor().observe(std::move(observer));
            try {
              run(inputs);
            } catch (...) {
              session_->executor().observe({});
              throw;
            }
            session_->executor().observe({});
          }};
}

double TensorSubject::products(const session::TensorMap& inputs) {
  const session::TensorMap ready = fitted(inputs);
  std::vector<TensorView> views;
  for (const auto index : engine().inputs)
    views.push_back(ready.at(engine().values[static_cast<std::size_t>(index)].name).view());
  session_->executor().prepare(views);
  const Dim::Bindings& sizes = session_->executor().sizes();
  double sum = 0;
  for (const engine::Step& step : engine().steps) {
    const bool convolves = step.op.find("Conv") != std::string::npos;
    if (!convolves && step.op.find("MatMul") == std::string::npos &&
        step.op.find("Linear") == std::string::npos && step.op != "Gemm")
      continue;
    for (std::size_t i = 1; i < std::min<std::size_t>(step.inputs.size(), 2); ++i) {
      const Value& weight = engine().values[static_cast<std::size_t>(step.inputs[i])];
      if (weight.constant < 0) continue;
      const Shape shape = engine().constants[static_cast<std::size_t>(weight.constant)].shape;
      const std::int64_t channels = shape.size() > 2 ? shape.front() : shape.back();
      const auto& written = engine().values[static_cast<std::size_t>(step.outputs[0])].shape;
      sum += static_cast<double>(element_count(shape)) / static_cast<double>(channels) *
             static_cast<double>(element_count(evaluate(written, sizes)));
    }
  }
  return sum;
}

}  // namespace tenon::verify
