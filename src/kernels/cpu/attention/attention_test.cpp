// The reference rows of tenon.Attention, Attention and RotaryEmbedding against values recorded from
// the onnx package's reference implementation (double precision), and against what must hold.
#include <cmath>
#include <limits>
#include <optional>
#include <vector>

#include <gtest/gtest.h>

#include "kernels/cpu/tables.h"

namespace tenon::kernels::cpu {
namespace {

const KernelRow& row_for(std::string_view op) {
  for (const KernelRow& row : attention_rows()) {
    if (row.op == op && row.isa == Isa::none) return row;
  }
  throw std::runtime_error("no such row");
}

/// The values that the recordings were made with.
Tensor pattern(Shape shape, std::int64_t seed) {
  Tensor made(DType::f64, std::move(shape));
  const auto values = made.as<double>();
  for (std::size_t i = 0; i < values.size(); ++i) {
    const std::int64_t n = static_cast<std::int64_t>(i) + seed * 131;
    values[i] = static_cast<double>(n * 7919 % 2003 - 1001) / 1000.0;
  }
  return made;
}

using Inputs = std::vector<std::optional<Tensor>>;

std::vector<Tensor> run(const KernelRow& row, const Attributes& attributes, const Inputs& inputs,
                        const std::vector<Shape>& out_shapes, DType type = DType::f64) {
  StepDescription step;
  step.op = row.op;
  step.attributes = &attributes;
  std::vector<TensorView> views;
  std::vector<Shape> shapes;
  for (const auto& input : inputs) {
    StepDescription::Operand operand;
    operand.present = input.has_value();
    views.push_back(input ? input->view() : TensorView{});
    operand.dtype = views.back().dtype;
    operand.shape = views.back().shape;
    shapes.push_back(operand.shape);
    step.inputs.push_back(operand);
  }
  std::vector<Tensor> results;
  std::vector<MutableTensorView> outputs;
  for (const Shape& shape : out_shapes) {
    StepDescription::Operand operand;
    operand.dtype = type;
    operand.shape = shape;
    step.outputs.push_back(operand);
    results.emplace_back(type, shape);
    outputs.push_back({type, shape, results.back().data()});
  }
  EXPECT_TRUE(row.accepts(step)) << row.name;
  ThreadPool pool(2);
  const std::size_t bytes = row.workspace == nullptr ? 0 : row.workspace(step, shapes, 2);
  std::vector<double> room(bytes / sizeof(double) + 1);
  row.bind(step)({.inputs = views,
                  .outputs = outputs,
                  .workspace = reinterpret_cast<std::byte*>(room.data()),
                  .pool = &pool});
  return results;
}

/// First, middle and last element, and the sum of (i + 1) mod 7 times element i.
void expect_recorded(const Tensor& y, std::vector<double> recorded) {
  const auto values = y.as<double>();
  double sum = 0.0;
  for (std::size_t i = 0; i < values.size(); ++i) {
    sum += static_cast<double>((i + 1) % 7) * values[i];
  }
  constexpr double kDigits = 1e-6;  // float attributes and nine recorded digits
  EXPECT_NEAR(values.front(), recorded[0], kDigits);
  EXPECT_NEAR(values[values.size() / 2], recorded[1], kDigits);
  EXPECT_NEAR(values.back(), recorded[2], kDigits);
  EXPECT_NEAR(sum, recorded[3], 100.0 * kDigits);
}

class OnnxAttention : public ::testing::Test {
 protected:
  const KernelRow& row_ = row_for("Attention");
  const Tensor q_ = pattern({2, 4, 3, 8}, 1);
  const Tensor k_ = pattern({2, 2, 5, 8}, 2);
  const Tensor v_ = pattern({2, 2, 5, 6}, 3);
  const Tensor past_k_ = pattern({2, 2, 4, 8}, 4);
  const Tensor past_v_ = pattern({2, 2, 4, 6}, 5);
  const Shape out_ = {2, 4, 3, 6};
};

TEST_F(OnnxAttention, CausalWithPastAndSoftcap) {
  const Attributes attributes = {
      {"is_causal", std::int64_t{1}}, {"softcap", 0.5F}, {"scale", 0.7F}};
  const auto made = run(row_, attributes, {q_, k_, v_, std::nullopt, past_k_, past_v_},
                        {out_, {2, 2, 9, 8}, {2, 2, 9, 6}});
  expect_recorded(made[0], {-0.057814918, -0.121871692, -0.146435416, -13.5361888});
  expect_recorded(made[1], {0.342, 0.399, -0.094, -5.513});
  expect_recorded(made[2], {0.177, -0.281, -0.545, -26.209});
}

TEST_F(OnnxAttention, BooleanMaskShorterThanTheKeys) {
  Tensor mask(DType::boolean, {3, 7});
  for (std::size_t i = 0; i < 21; ++i) mask.as<bool>()[i] = i % 3 != 0;
  const auto made = run(row_, {}, {q_, k_, v_, mask, past_k_, past_v_}, {out_});
  expect_recorded(made[0], {-0.287113463, -0.179744728, -0.144172132, 16.3209318});
}

TEST_F(OnnxAttention, AdditiveMaskBroadcastOverHeads) {
  const auto made = run(row_, {}, {q_, k_, v_, pattern({2, 1, 3, 5}, 6)}, {out_});
  expect_recorded(made[0], {0.248514838, 0.182078293, -0.0583244117, -2.60568247});
}

TEST_F(OnnxAttention, ThreeDimensionsAndPaddedKeys) {
  const Attributes attributes = {{"q_num_heads", std::int64_t{4}},
                                 {"kv_num_heads", std::int64_t{2}},
                                 {"is_causal", std::int64_t{1}}};
  const std::vector<std::int64_t> lengths = {5, 4};
  const auto made = run(row_, attributes,
                        {pattern({2, 3, 32}, 1), pattern({2, 5, 16}, 2), pattern({2, 5, 12}, 3),
                         std::nullopt, std::nullopt, std::nullopt, Tensor::from_ints({2}, lengths)},
                        {{2, 3, 24}});
  expect_recorded(made[0], {0.0808762467, 0.0521314451, 0.210766593, 29.7633338});
}

TEST_F(OnnxAttention, SlidingWindow) {
  const Attributes attributes = {{"left_window_size", std::int64_t{1}},
                                 {"right_window_size", std::int64_t{1}}};
  const auto made = run(row_, attributes, {q_, k_, v_}, {out_});
  expect_recorded(made[0], {0.365160505, 0.590533627, 0.187651747, 4.03858714});
}

TEST_F(OnnxAttention, TenonAttentionIsTheSameFormula) {
  const Tensor mask = pattern({2, 1, 3, 5}, 6);
  const Attributes attributes = {{"scale", 0.25F}};
  const auto onnx = run(row_, attributes, {q_, k_, v_, mask}, {out_});
  const auto ours = run(row_for("tenon.Attention"), attributes, {q_, k_, v_, mask}, {out_});
  for (std::size_t i = 0; i < ours[0].as<double>().size(); ++i) {
    ASSERT_EQ(ours[0].as<double>()[i], onnx[0].as<double>()[i]);
  }
}

TEST_F(OnnxAttention, HiddenKeysNeverMatter) {
  // The mask hides keys 3 and 4, whose values are not even numbers.
  Tensor k = k_;
  Tensor v = v_;
  constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
  for (std::size_t head = 0; head < 4; ++head) {
    for (std::size_t i = 0; i < 16; ++i) k.as<double>()[head * 40 + 24 + i] = kNan;
    for (std::size_t i = 0; i < 12; ++i) v.as<double>()[head * 30 + 18 + i] = kNan;
  }
  Tensor mask(DType::boolean, {1, 5});
  for (std::size_t i = 0; i < 5; ++i) mask.as<bool>()[i] = i < 3;
  const auto made = run(row_for("tenon.Attention"), {{"scale", 0.5F}}, {q_, k, v, mask}, {out_});
  for (const double y : made[0].as<double>()) ASSERT_FALSE(std::isnan(y));
}

TEST_F(OnnxAttention, RowsThatSeeNothing) {
  const auto hidden = [&](float value) {
    const std::vector<float> all(5, value);
    return run(row_for("tenon.Attention"), {{"scale", 0.5F}},
               {q_, k_, v_, Tensor::from_floats({1, 5}, all)}, {out_});
  };
  const auto zeros = hidden(-std::numeric_limits<float>::infinity());
  for (const double y : zeros[0].as<double>()) ASSERT_EQ(y, 0.0);
  // Equal finite values are no mask at all; the greatest of them swallow the scores: uniform.
  const auto uniform = hidden(std::numeric_limits<float>::lowest());
  double mean = 0.0;
  for (std::size_t t = 0; t < 5; ++t) mean += v_.as<double>()[t * 6] / 5.0;
  EXPECT_NEAR(uniform[0].as<double>()[0], mean, 1e-12);
}

TEST_F(OnnxAttention, RefusesWhatItCannotDo) {
  const Attributes none;
  StepDescription step;
  step.attributes = &none;
  step.inputs.resize(3);
  step.inputs[0].shape = {1, 4, 3, 8};
  step.inputs[1].shape = {1, 3, 5, 8};
  step.inputs[2].shape = {1, 3, 5, 8};
  step.outputs.resize(1);
  EXPECT_FALSE(row_.accepts(step)) << "4 heads do not divide among 3";
  EXPECT_FALSE(row_for("tenon.Attention").accepts(step));
  step.inputs[1].shape[1] = step.inputs[2].shape[1] = 2;
  EXPECT_TRUE(row_.accepts(step));
  step.outputs.resize(4);
  EXPECT_FALSE(row_.accepts(step)) << "qk_matmul_output";
  step.outputs.resize(1);
  for (auto& input : step.inputs) input.shape = {1, 3, 8};
  EXPECT_FALSE(row_.accepts(step)) << "three dimensions without numbers of heads";
}

TEST(RotaryEmbedding, MatchesRecordings) {
  const KernelRow& row = row_for("RotaryEmbedding");
  const std::vector<std::int64_t> ids = {0, 1, 2, 3, 4, 0, 2, 1};
  const Inputs inputs = {pattern({2, 3, 4, 10}, 1), pattern({5, 3}, 2), pattern({5, 3}, 3),
                         Tensor::from_ints({2, 4}, ids)};
  Attributes attributes = {{"rotary_embedding_dim", std::int64_t{6}}};
  expect_recorded(run(row, attributes, inputs, {{2, 3, 4, 10}})[0],
                  {0.279558, -0.220731, 0.643, 12.117408});
  attributes.set("interleaved", std::int64_t{1});
  expect_recorded(run(row, attributes, inputs, {{2, 3, 4, 10}})[0],
                  {0.185256, -0.107457, 0.643, 32.035377});
  const Attributes three = {{"num_heads", std::int64_t{3}}};
  expect_recorded(
      run(row, three, {pattern({2, 4, 30}, 1), pattern({2, 4, 5}, 2), pattern({2, 4, 5}, 3)},
          {{2, 4, 30}})[0],
      {0.37386, 0.25143, -1.405106, 13.590052});
}

TEST(RotaryEmbedding, PositionsOutsideTheCachesGiveNan) {
  const std::vector<std::int64_t> ids = {0, 5, -1};
  const auto made = run(row_for("RotaryEmbedding"), {{"rotary_embedding_dim", std::int64_t{4}}},
                        {pattern({1, 1, 3, 6}, 1), pattern({5, 2}, 2), pattern({5, 2}, 3),
                         Tensor::from_ints({1, 3}, ids)},
                        {{1, 1, 3, 6}});
  for (std::size_t i = 0; i < 18; ++i) {
    EXPECT_EQ(std::isnan(made[0].as<double>()[i]), i >= 6 && i % 6 < 4) << i;
  }
}

}  // namespace
}  // namespace tenon::kernels::cpu
