// The normalizations against their formulas, and the fast rows against the reference in double.
#include <cmath>
#include <vector>

#include <gtest/gtest.h>

#include "kernels/cpu/tables.h"

namespace tenon::kernels::cpu {
namespace {

const KernelRow& row_named(std::string_view name) {
  for (const KernelRow& row : normalization_rows()) {
    if (row.name == name) return row;
  }
  throw std::runtime_error("no such row");
}

std::vector<float> pattern(std::int64_t count, float spread, float centre) {
  std::vector<float> values(static_cast<std::size_t>(count));
  for (std::size_t i = 0; i < values.size(); ++i) {
    values[i] = centre + spread * static_cast<float>(static_cast<int>(i * 7919 % 2003) - 1001);
  }
  return values;
}

StepDescription describe(const Attributes& attributes, const std::vector<Tensor>& inputs) {
  StepDescription step;
  step.attributes = &attributes;
  step.inputs.resize(inputs.size());
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    step.inputs[i].dtype = inputs[i].dtype();
    step.inputs[i].shape = inputs[i].shape();
  }
  step.outputs.resize(1);
  step.outputs[0].dtype = inputs[0].dtype();
  step.outputs[0].shape = inputs[0].shape();
  return step;
}

/// The result; input 0's memory is written over when `in_place`.
Tensor run(const KernelRow& row, const Attributes& attributes, std::vector<Tensor> inputs,
           int threads = 1, bool in_place = false) {
  const StepDescription step = describe(attributes, inputs);
  EXPECT_TRUE(row.accepts(step)) << row.name;
  Tensor y(inputs[0].dtype(), inputs[0].shape());
  std::vector<TensorView> views;
  for (const Tensor& input : inputs) views.push_back(input.view());
  const MutableTensorView out{y.dtype(), y.shape(), in_place ? inputs[0].data() : y.data()};
  ThreadPool pool(threads);
  row.bind(step)({.inputs = views, .outputs = std::span(&out, 1), .pool = &pool});
  return in_place ? inputs[0] : y;
}

TEST(Normalization, ReferenceKnowsFixedValues) {
  // Mean 2.5 and variance 1.25; mean of squares 7.5.
  const std::vector<Tensor> inputs = {
      Tensor::from_floats({1, 4}, std::vector<float>{1, 2, 3, 4}),
      Tensor::from_floats({4}, std::vector<float>{1, 1, 2, 1}),
  };
  const Attributes attributes = {{"epsilon", 0.0F}};
  const Tensor layer = run(row_named("layer_normalization_reference"), attributes, inputs);
  EXPECT_FLOAT_EQ(layer.as<float>()[0], -1.34164079F);
  EXPECT_FLOAT_EQ(layer.as<float>()[2], 2.0F * 0.447213595F);
  const Tensor rms = run(row_named("rms_normalization_reference"), attributes, inputs);
  EXPECT_FLOAT_EQ(rms.as<float>()[0], 0.365148372F);
  EXPECT_FLOAT_EQ(rms.as<float>()[2], 2.0F * 1.09544512F);
}

TEST(Normalization, ReferenceSpansSeveralAxes) {
  const std::vector<float> values = pattern(2 * 3 * 4, 0.01F, 0.5F);
  const std::vector<float> scales = pattern(12, 0.001F, 1.0F);
  const Tensor wide =
      run(row_named("layer_normalization_reference"), {{"axis", std::int64_t{1}}},
          {Tensor::from_floats({2, 3, 4}, values), Tensor::from_floats({3, 4}, scales),
           Tensor::from_floats({3, 4}, scales)});
  const Tensor flat = run(row_named("layer_normalization_reference"), {},
                          {Tensor::from_floats({2, 12}, values), Tensor::from_floats({12}, scales),
                           Tensor::from_floats({12}, scales)});
  for (std::size_t i = 0; i < 24; ++i) EXPECT_EQ(wide.as<float>()[i], flat.as<float>()[i]);
}

TEST(Normalization, FastRowsMatchReference) {
  for (const KernelRow& row : normalization_rows()) {
    if (row.isa == Isa::none || row.isa > native_isa()) continue;
    const bool layer = row.op == "LayerNormalization";
    const KernelRow& reference =
        row_named(layer ? "layer_normalization_reference" : "rms_normalization_reference");
    for (const std::int64_t length : {1, 3, 8, 31, 32, 33, 80, 1000, 4096}) {
      // The last centre is a thousand deviations from zero: the mean must not eat the digits.
      for (const float centre : {0.0F, 1.0F, 10000.0F}) {
        const std::int64_t rows = 21;
        std::vector<Tensor> inputs = {
            Tensor::from_floats({1, rows, length}, pattern(rows * length, 0.01F, centre)),
            Tensor::from_floats({length}, pattern(length, 0.001F, 1.0F))};
        if (layer) inputs.push_back(Tensor::from_floats({length}, pattern(length, 0.002F, 0.3F)));
        std::vector<Tensor> wide;
        for (const Tensor& input : inputs) wide.push_back(converted(input.view(), DType::f64));
        const Attributes attributes = {{"epsilon", 1e-6F}};
        const Tensor want = run(reference, attributes, wide);
        const Tensor got = run(row, attributes, inputs, 3);
        const Tensor over = run(row, attributes, inputs, 1, true);
        for (std::size_t i = 0; i < got.as<float>().size(); ++i) {
          const double truth = want.as<double>()[i];
          const double bound = 0.51 * 0x1p-23 * std::abs(truth) + 1e-11;
          ASSERT_NEAR(static_cast<double>(got.as<float>()[i]), truth, bound)
              << row.name << " length " << length << " centre " << centre << " at " << i;
          ASSERT_EQ(got.as<float>()[i], over.as<float>()[i]) << row.name;
        }
      }
    }
  }
}

TEST(Normalization, WritesNothingBeyondItsOutput) {
  for (const KernelRow& row : normalization_rows()) {
    if (row.isa > native_isa()) continue;
    for (std::int64_t length = 1; length < 40; ++length) {
      const Attributes none;
      const std::vector<Tensor> inputs = {
          Tensor::from_floats({2, length}, pattern(2 * length, 0.1F, 0.0F)),
          Tensor::from_floats({length}, pattern(length, 0.0F, 1.0F))};
      std::vector<float> y(static_cast<std::size_t>(2 * length) + 32, 77.0F);
      const std::vector<TensorView> views = {inputs[0].view(), inputs[1].view()};
      const MutableTensorView out{DType::f32, inputs[0].shape(),
                                  std::as_writable_bytes(std::span(y)).subspan(64).data()};
      ThreadPool pool(2);
      row.bind(describe(none, inputs))(
          {.inputs = views, .outputs = std::span(&out, 1), .pool = &pool});
      for (std::size_t i = 0; i < 16; ++i) {
        ASSERT_EQ(y[i], 77.0F) << row.name;
        ASSERT_EQ(y[y.size() - 1 - i], 77.0F) << row.name;
      }
      ASSERT_NE(y[y.size() - 17], 77.0F) << row.name;
    }
  }
}

TEST(Normalization, TakesEveryFloatTypeAndAScalarScale) {
  const Tensor x = Tensor::from_floats({2}, std::vector<float>{3.0F, 4.0F});
  const Tensor one = Tensor::from_floats({1}, std::vector<float>{2.0F});
  for (const DType type : {DType::f16, DType::bf16, DType::f32, DType::f64}) {
    const Tensor y = run(row_named("rms_normalization_reference"), {{"epsilon", 0.0F}},
                         {converted(x.view(), type), converted(one.view(), type)});
    EXPECT_NEAR(converted(y.view(), DType::f32).as<float>()[0], 1.69705627F, 0x1p-8);
  }
}

TEST(Normalization, RefusesWhatItCannotDo) {
  const Tensor x = Tensor::from_floats({2, 3}, pattern(6, 1.0F, 0.0F));
  const Tensor scale = Tensor::from_floats({3}, pattern(3, 1.0F, 0.0F));
  for (const KernelRow& row : normalization_rows()) {
    Attributes attributes;
    StepDescription step = describe(attributes, {x, scale});
    EXPECT_TRUE(row.accepts(step));
    step.inputs[1].shape = {4};
    EXPECT_FALSE(row.accepts(step)) << "a scale of another length";
    step.inputs[1].shape = {3};
    step.inputs[0].shape = {2, -1};
    EXPECT_FALSE(row.accepts(step)) << "a row of unknown length";
    step.inputs[0].shape = {2, 3};
    step.outputs.resize(2);
    EXPECT_FALSE(row.accepts(step)) << "the mean as second output";
    step.outputs.resize(1);
    attributes.set("axis", std::int64_t{2});
    EXPECT_FALSE(row.accepts(step)) << "an axis that is not there";
  }
}

}  // namespace
}  // namespace tenon::kernels::cpu
