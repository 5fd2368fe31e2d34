// Decoders that give pooled states: every recorded checkpoint, by the reference run and by the
// optimized engine, against transformers' states of each text alone.
#include <algorithm>

#include <gtest/gtest.h>

#include "backend/cpu/cpu_backend.h"
#include "models/model.h"
#include "planner/planner.h"
#include "recording.h"
#include "session/tensor_session.h"

namespace tenon::tests {
namespace {

// Two float32 implementations. A sum of n <= 64 products departs from the exact one by at most
// n * 2^-24 of its magnitudes, whatever the order: 4e-6. On the way to a state stand 2 or 3 layers
// of 4 such sums, 12 in all, and normed states are of order 2: 12 * 4e-6 * 2.
constexpr double kTolerance = 1e-4;

using Ids = std::vector<std::int64_t>;

backend::CpuBackend& cpu() {
  static backend::CpuBackend backend(2);
  return backend;
}

Recording& recorded() {
  static Recording all = read_npz(model_folder("") / "embeddings.npz");
  return all;
}

/// The texts of the left-padded batch, without padding.
std::vector<Ids> texts_of(const std::string& model) {
  const Recording expected = read_recording(model);
  const Tensor& ids = expected.at("left_ids");
  const auto mask = expected.at("left_mask").as<std::int64_t>();
  const auto length = static_cast<std::size_t>(ids.shape()[1]);
  std::vector<Ids> texts(static_cast<std::size_t>(ids.shape()[0]));
  for (std::size_t i = 0; i < mask.size(); ++i) {
    if (mask[i] != 0) texts[i / length].push_back(ids.as<std::int64_t>()[i]);
  }
  return texts;
}

struct Batch {
  Ids ids, mask;
  std::int64_t rows = 0;
};

constexpr std::size_t kLength = 12;
constexpr std::int64_t kPadding = 1;  // any id: it must not matter

void add_row(Batch& batch, const Ids& text, std::size_t left) {
  Ids ids(kLength, kPadding), mask(kLength, 0);
  std::copy(text.begin(), text.end(), ids.begin() + static_cast<std::ptrdiff_t>(left));
  std::fill_n(mask.begin() + static_cast<std::ptrdiff_t>(left), text.size(), 1);
  batch.ids.insert(batch.ids.end(), ids.begin(), ids.end());
  batch.mask.insert(batch.mask.end(), mask.begin(), mask.end());
  ++batch.rows;
}

Tensor run(session::TensorSession& session, const Batch& batch) {
  const Shape shape{batch.rows, static_cast<std::int64_t>(kLength)};
  return session
      .run({{"input_ids", Tensor::from_ints(shape, batch.ids)},
            {"attention_mask", Tensor::from_ints(shape, batch.mask)}})
      .at(std::string(models::kPooledOutput));
}

TensorView row_of(const Tensor& tensor, std::int64_t row) {
  const std::int64_t width = tensor.shape()[1];
  return {DType::f32, {1, width}, tensor.data() + row * width * std::int64_t{sizeof(float)}};
}

class Pooled : public testing::TestWithParam<std::string> {
 protected:
  void check(models::Pooling pooling, const char* name, const Target& target) {
    models::BuildOptions build;
    build.pooling = pooling;
    graph::Graph graph =
        models::build(checkpoint::Checkpoint::open(model_folder(GetParam())), build);
    planner::CompileOptions options;
    options.target = target;
    const auto engine = planner::compile(graph, options);
    EXPECT_EQ(engine->inputs.size(), 2U);
    EXPECT_EQ(engine->state.layers, 0);
    session::TensorSession session(engine, cpu());
    const Tensor& expected = recorded().at(GetParam() + "." + name);
    const auto texts = texts_of(GetParam());
    Batch left, right, both;
    for (const Ids& text : texts) {
      add_row(left, text, kLength - text.size());
      add_row(right, text, 0);
      add_row(both, text, 0);
      add_row(both, text, kLength - text.size());
      add_row(both, text, (kLength - text.size()) / 2);
    }
    add_row(both, {}, 0);
    const Tensor from_left = run(session, left);
    const Tensor from_right = run(session, right);
    const Tensor from_both = run(session, both);
    EXPECT_LE(largest_difference(from_left.view(), expected.view()), kTolerance);
    EXPECT_LE(largest_difference(from_right.view(), expected.view()), kTolerance);
    for (std::int64_t row = 0; row + 1 < both.rows; ++row) {
      EXPECT_LE(largest_difference(row_of(from_both, row), row_of(expected, row / 3)), kTolerance)
          << "row " << row;
    }
    for (const float value : row_of(from_both, both.rows - 1).as<float>()) EXPECT_EQ(value, 0);
  }
};

TEST_P(Pooled, ReferenceRunGivesTheRecordedMeans) {
  check(models::Pooling::mean, "mean", Target::reference_run());
}
TEST_P(Pooled, ReferenceRunGivesTheRecordedLastStates) {
  check(models::Pooling::last, "last", Target::reference_run());
}
TEST_P(Pooled, EngineGivesTheRecordedMeans) {
  check(models::Pooling::mean, "mean", Target::native(Precision::fp32));
}
TEST_P(Pooled, EngineGivesTheRecordedLastStates) {
  check(models::Pooling::last, "last", Target::native(Precision::fp32));
}

std::vector<std::string> pooled_models() {
  std::vector<std::string> names;
  for (const std::string& name : model_names()) {
    if (recorded().contains(name + ".mean")) names.push_back(name);
  }
  return names;
}

INSTANTIATE_TEST_SUITE_P(Tiny, Pooled, testing::ValuesIn(pooled_models()), [](const auto& model) {
  std::string name = model.param;
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
});

}  // namespace
}  // namespace tenon::tests
