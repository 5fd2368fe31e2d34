#include "serving/repository/warm_up.h"

#include <cstring>
#include <future>
#include <random>

#include "base/interrupt.h"
#include "base/log.h"
#include "base/mapped_file.h"
#include "serving/data_type.h"

namespace tenon::serving {
namespace {

namespace fs = std::filesystem;
using Sample = inference::ModelWarmup;

constexpr std::int64_t kSide = 64;  // of a picture, in pixels
constexpr std::size_t kMaxBytes = std::size_t{1} << 30;

// What a sink hears, for a thread that waits.
class Done {
 public:
  void set() { promise_.set_value(); }
  void set(std::exception_ptr error) { promise_.set_exception(std::move(error)); }
  void wait() {
    std::future<void> future = promise_.get_future();
    while (future.wait_for(std::chrono::milliseconds(20)) != std::future_status::ready)
      check_interrupt();
    future.get();
  }

 private:
  std::promise<void> promise_;
};

class WarmTensors final : public TensorSink {
 public:
  void computed(TensorResult) override { done.set(); }
  void failed(std::exception_ptr error) override { done.set(std::move(error)); }
  Done done;
};

class WarmText final : public TextSink {
 public:
  void token(const pipelines::TokenEvent&) override {}
  void finished(const TextUsage&) override { done.set(); }
  void failed(const Error& error) override { done.set(std::make_exception_ptr(error)); }
  Done done;
};

void run_tensors(ServedModel& model, TensorMap inputs) {
  const auto sink = std::make_shared<WarmTensors>();
  TensorRequest request;
  request.inputs = std::move(inputs);
  const auto& config = model.info().config;
  if (config.has_sequence_batching()) request.sequence = {std::uint64_t{1}, true, true};
  model.tensors()->submit(std::move(request), sink);
  sink->done.wait();
}

void run_text(TextService& service) {
  const auto sink = std::make_shared<WarmText>();
  TextRequest request;
  request.prompt = {0};
  request.config.max_new_tokens = 1;
  service.submit(std::move(request), sink);
  sink->done.wait();
}

void run_picture(PictureService& service) {
  pipelines::ImageRequest request;
  request.width = request.height = kSide;
  request.steps = 1;
  service.draw(request, {});
}

Tensor zeros(DType dtype, Shape shape) {
  Tensor made(dtype, std::move(shape));
  std::memset(made.data(), 0, made.bytes());
  return made;
}

// Zeros and ones are indices of every table; reals lie in [0, 1).
Tensor random(DType dtype, Shape shape) {
  std::mt19937 engine(0);
  Tensor made = zeros(dtype, std::move(shape));
  const std::size_t size = dtype_size(dtype);
  if (dtype == DType::f32) {
    auto* const values = reinterpret_cast<float*>(made.data());
    for (std::int64_t i = 0; i < made.count(); ++i)
      values[i] = static_cast<float>(engine() >> 8) * 0x1p-24F;
  } else if (dtype == DType::f64) {
    auto* const values = reinterpret_cast<double*>(made.data());
    for (std::int64_t i = 0; i < made.count(); ++i)
      values[i] = static_cast<double>(engine()) * 0x1p-32;
  } else if (dtype == DType::f16 || dtype == DType::bf16) {
    // Exponents of powers of two below one.
    for (std::size_t at = 1; at < made.bytes(); at += 2)
      made.data()[at] = static_cast<std::byte>(dtype == DType::f16 ? 0x30 + engine() % 12 : 0x3e);
  } else {
    for (std::size_t at = 0; at < made.bytes(); at += size)
      made.data()[at] = static_cast<std::byte>(engine() % 2);
  }
  return made;
}

Tensor from_file(DType dtype, Shape shape, const fs::path& file) {
  Tensor made(dtype, std::move(shape));
  const std::string bytes = read_file(file, kMaxBytes);
  if (bytes.size() != made.bytes()) {
    bad_input("{}: holds {} bytes, {} were expected for {} {}", file.string(), bytes.size(),
              made.bytes(), dtype_name(dtype), to_string(made.shape()));
  }
  std::memcpy(made.data(), bytes.data(), bytes.size());
  return made;
}

Tensor values_of(const Sample::Input& input, std::uint32_t batch, const fs::path& folder) {
  Shape shape(input.dims().begin(), input.dims().end());
  if (batch > 0) shape.insert(shape.begin(), batch);
  const auto dtype = dtype_of(input.data_type());
  if (!dtype)
    bad_input("data_type {} is not computed with", inference::DataType_Name(input.data_type()));
  if (static_cast<std::size_t>(element_count(shape)) > kMaxBytes / dtype_size(*dtype))
    bad_input("{} is larger than 1 GiB", to_string(shape));
  if (input.has_input_data_file())
    return from_file(*dtype, std::move(shape), folder / "warmup" / input.input_data_file());
  return input.random_data() ? random(*dtype, std::move(shape)) : zeros(*dtype, std::move(shape));
}

void run_sample(ServedModel& model, const Sample& sample, const fs::path& folder) {
  if (model.tensors() == nullptr) {
    Error error(ErrorCode::bad_input,
                "model_warmup is for models of tensors: this one is warmed by itself");
    throw error.hint("remove it");
  }
  for (std::uint32_t i = 0; i < std::max(sample.count(), 1U); ++i) {
    check_interrupt();
    TensorMap inputs;
    for (const auto& [name, input] : sample.inputs())
      inputs[name] =
          with_context(name, [&] { return values_of(input, sample.batch_size(), folder); });
    run_tensors(model, std::move(inputs));
  }
}

void run_once(ServedModel& model) {
  if (model.text() != nullptr) return run_text(*model.text());
  if (model.pictures() != nullptr) return run_picture(*model.pictures());
  TensorMap inputs;
  for (const TensorSpec& spec : model.info().inputs) {
    Shape shape = spec.shape;
    for (auto& size : shape) size = std::max<std::int64_t>(size, 1);
    inputs[spec.name] = zeros(spec.dtype, std::move(shape));
  }
  run_tensors(model, std::move(inputs));
}

}  // namespace

void warm_up(ServedModel& model, const inference::ModelConfig& config, const fs::path& folder) {
  for (const Sample& sample : config.model_warmup()) {
    with_context("model_warmup " + sample.name(), [&] { run_sample(model, sample, folder); });
  }
  if (config.model_warmup_size() > 0) return;
  try {
    run_once(model);
  } catch (const Error& error) {
    if (error.code() == ErrorCode::interrupted) throw;
    log::info("{}: is not warm: it refused a run on zeros: {}", model.info().name, error.what());
  }
}

}  // namespace tenon::serving
