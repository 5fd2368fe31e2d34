// A build without any one pass computes the same logits.
#include <gtest/gtest.h>

#include "../models/recording.h"
#include "backend/cpu/cpu_backend.h"
#include "models/model.h"
#include "planner/planner.h"
#include "session/decoder_session.h"
#include "session/tensor_session.h"

namespace tenon::tests {
namespace {

// As for the models themselves: a few hundred float32 products summed in different orders.
constexpr double kTolerance = 1e-4;

session::TensorMap exported_inputs(const engine::Engine& engine, const Tensor& ids) {
  session::TensorMap inputs;
  for (const auto index : engine.inputs) {
    const engine::Value& value = engine.values[static_cast<std::size_t>(index)];
    Shape shape = ids.shape();
    if (value.shape.size() == 4)
      shape = {shape[0], *value.shape[1].constant(), 0, *value.shape[3].constant()};
    Tensor made(value.dtype, shape);
    if (value.name == "input_ids") made = ids;
    if (value.name == "attention_mask" || value.name == "position_ids") {
      auto numbers = made.as<std::int64_t>();
      for (std::size_t i = 0; i < numbers.size(); ++i)
        numbers[i] = value.name == "attention_mask" ? 1 : static_cast<std::int64_t>(i) % shape[1];
    }
    inputs.emplace(value.name, std::move(made));
  }
  return inputs;
}

Tensor decoded(const std::shared_ptr<const engine::Engine>& engine, backend::Backend& cpu,
               const Tensor& ids) {
  session::DecoderSession session(engine, cpu, 1024);
  const auto all = ids.as<std::int64_t>();
  std::vector<std::vector<std::int32_t>> rows;
  std::vector<session::DecoderSession::Input> inputs;
  for (std::int64_t b = 0; b < ids.shape()[0]; ++b) {
    const auto row = all.subspan(static_cast<std::size_t>(b * ids.shape()[1]),
                                 static_cast<std::size_t>(ids.shape()[1]));
    rows.emplace_back(row.begin(), row.end());
  }
  for (const auto& row : rows) inputs.push_back({session.create(), row, session::Logits::all});
  return Tensor::copy_of(session.forward(inputs));
}

class SkippedPass : public testing::TestWithParam<std::tuple<std::string, std::string>> {};

TEST_P(SkippedPass, GivesTheSameLogits) {
  const auto& [model, pass] = GetParam();
  const Recording expected = read_recording(model);
  graph::Graph graph = models::build(checkpoint::Checkpoint::open(model_folder(model)));
  planner::CompileOptions options;
  options.target = Target::native(Precision::fp32);
  options.target.skip_passes = {pass};
  const auto engine = planner::compile(graph, options);
  backend::CpuBackend cpu(2);
  const Tensor& ids = expected.at("ids");
  TensorView logits;
  Tensor kept;
  if (engine->state.layers > 0) {
    kept = decoded(engine, cpu, ids);
  } else {
    session::TensorSession session(engine, cpu);
    kept = session.run(exported_inputs(*engine, ids)).at("logits");
  }
  logits = kept.view();
  logits.shape = expected.at("logits").shape();
  EXPECT_LE(largest_difference(logits, expected.at("logits").view()), kTolerance);
}

std::vector<std::string> pass_names() {
  std::vector<std::string> names;
  for (const auto& pass : passes::all_passes()) names.emplace_back(pass.name);
  return names;
}

INSTANTIATE_TEST_SUITE_P(Tiny, SkippedPass,
                         testing::Combine(testing::Values("llama-gqa", "neox-parallel"),
                                          testing::ValuesIn(pass_names())),
                         [](const auto& test) {
                           const bool llama = std::get<0>(test.param) == "llama-gqa";
                           return (llama ? "llama_" : "neox_") + std::get<1>(test.param);
                         });

}  // namespace
}  // namespace tenon::tests
