// Every tiny checkpoint, by the reference run and by the optimized engine, against what
// transformers gave.
#include <numeric>

#include <gtest/gtest.h>

#include "backend/cpu/cpu_backend.h"
#include "models/model.h"
#include "planner/planner.h"
#include "recording.h"
#include "session/decoder_session.h"
#include "session/tensor_session.h"

namespace tenon::tests {
namespace {

// Logits are of the order of 1 to 10; both sides sum a few hundred float32 products in different
// orders.
constexpr double kTolerance = 1e-4;

backend::CpuBackend& cpu() {
  static backend::CpuBackend backend(2);
  return backend;
}

graph::Graph graph_of(const std::string& name) {
  return models::build(checkpoint::Checkpoint::open(model_folder(name)));
}

std::shared_ptr<const engine::Engine> compiled(const std::string& name, const Target& target) {
  graph::Graph graph = graph_of(name);
  planner::CompileOptions options;
  options.target = target;
  options.name = name;
  return planner::compile(graph, options);
}

// Inputs of the exported form: no past yet.
session::TensorMap prefill_inputs(const engine::Engine& engine, const Tensor& ids,
                                  const Tensor* mask, const Tensor* positions) {
  session::TensorMap inputs;
  const std::int64_t batch = ids.shape()[0];
  const std::int64_t length = ids.shape()[1];
  for (const auto index : engine.inputs) {
    const engine::Value& value = engine.values[static_cast<std::size_t>(index)];
    if (value.name == "input_ids") {
      inputs[value.name] = ids;
    } else if (value.name == "attention_mask") {
      inputs[value.name] =
          mask != nullptr ? *mask
                          : Tensor::from_ints({batch, length},
                                              std::vector<std::int64_t>(
                                                  static_cast<std::size_t>(batch * length), 1));
    } else if (value.name == "position_ids") {
      std::vector<std::int64_t> places(static_cast<std::size_t>(batch * length));
      for (std::size_t i = 0; i < places.size(); ++i)
        places[i] = static_cast<std::int64_t>(i) % length;
      inputs[value.name] =
          positions != nullptr ? *positions : Tensor::from_ints({batch, length}, places);
    } else {
      inputs[value.name] =
          Tensor(value.dtype, {batch, *value.shape[1].constant(), 0, *value.shape[3].constant()});
    }
  }
  return inputs;
}

class Models : public testing::TestWithParam<std::string> {};

TEST_P(Models, ReferenceRunGivesTheRecordedLogits) {
  const Recording expected = read_recording(GetParam());
  const auto engine = compiled(GetParam(), Target::reference_run());
  session::TensorSession session(engine, cpu());
  const auto plain = session.run(prefill_inputs(*engine, expected.at("ids"), nullptr, nullptr));
  EXPECT_LE(largest_difference(plain.at("logits").view(), expected.at("logits").view()),
            kTolerance);
  const Tensor& mask = expected.at("left_mask");
  const auto left = session.run(
      prefill_inputs(*engine, expected.at("left_ids"), &mask, &expected.at("left_position_ids")));
  EXPECT_LE(largest_difference(left.at("logits").view(), expected.at("left_logits").view(),
                               mask.as<std::int64_t>()),
            kTolerance);
}

std::vector<std::int32_t> row_of(const Tensor& ids, std::int64_t row) {
  const auto all = ids.as<std::int64_t>();
  const auto length = static_cast<std::size_t>(ids.shape()[1]);
  return {all.begin() + static_cast<std::ptrdiff_t>(static_cast<std::size_t>(row) * length),
          all.begin() + static_cast<std::ptrdiff_t>((static_cast<std::size_t>(row) + 1) * length)};
}

TEST_P(Models, EngineGivesTheRecordedLogits) {
  const Recording expected = read_recording(GetParam());
  const auto engine = compiled(GetParam(), Target::native(Precision::fp32));
  ASSERT_GT(engine->state.layers, 0) << "the cache was not recognised";
  session::DecoderSession session(engine, cpu(), 4096);
  const Tensor& ids = expected.at("ids");
  std::vector<std::vector<std::int32_t>> prompts;
  std::vector<session::DecoderSession::Input> inputs;
  for (std::int64_t row = 0; row < ids.shape()[0]; ++row) prompts.push_back(row_of(ids, row));
  for (const auto& prompt : prompts)
    inputs.push_back({session.create(), prompt, session::Logits::all});
  TensorView logits = session.forward(inputs);
  logits.shape = expected.at("logits").shape();
  EXPECT_LE(largest_difference(logits, expected.at("logits").view()), kTolerance);
}

TEST_P(Models, DecodeWithTheCacheGivesTheRecordedLogits) {
  const Recording expected = read_recording(GetParam());
  const auto engine = compiled(GetParam(), Target::native(Precision::fp32));
  session::DecoderSession session(engine, cpu(), 4096);
  const std::vector<std::int32_t> ids = row_of(expected.at("decode_ids"), 0);
  const Tensor& steps = expected.at("decode_step_logits");
  const std::size_t prefill = ids.size() + 1 - static_cast<std::size_t>(steps.shape()[0]);
  const auto sequence = session.create();
  for (std::size_t at = 0; at < ids.size();) {
    const std::size_t count = at == 0 ? prefill : 1;
    const session::DecoderSession::Input input{sequence, std::span(ids).subspan(at, count)};
    const TensorView logits = session.forward(std::span(&input, 1));
    const std::size_t step = at == 0 ? 0 : at - prefill + 1;
    TensorView wanted{DType::f32, logits.shape, steps.data() + step * logits.bytes()};
    EXPECT_LE(largest_difference(logits, wanted), kTolerance) << "step " << step;
    at += count;
  }
}

std::vector<std::string> sound_models() {
  std::vector<std::string> names = model_names();
  std::erase(names, "llama-wrong-rotary");  // a planted fault, which must be found
  return names;
}

TEST(PlantedFault, UnpermutedRotaryRowsDepartFromTheRecording) {
  const Recording expected = read_recording("llama-wrong-rotary");
  const auto engine = compiled("llama-wrong-rotary", Target::reference_run());
  session::TensorSession session(engine, cpu());
  const auto logits = session.run(prefill_inputs(*engine, expected.at("ids"), nullptr, nullptr));
  EXPECT_GT(largest_difference(logits.at("logits").view(), expected.at("logits").view()), 0.1);
}

INSTANTIATE_TEST_SUITE_P(Tiny, Models, testing::ValuesIn(sound_models()), [](const auto& model) {
  std::string name = model.param;
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
});

}  // namespace
}  // namespace tenon::tests
