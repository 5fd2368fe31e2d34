// The plain products: shapes that broadcast, transposed and scaled operands, mixed types.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "kernels/cpu/linear/linear_harness.h"

namespace tenon::kernels {
namespace {

// The plain products, against sums written out here.
std::vector<float> run_plain(std::string_view name, const Attributes& attributes,
                             const std::vector<Tensor>& inputs, const Shape& result) {
  const KernelRow& row = row_named(name);
  StepDescription step{.op = row.op, .attributes = &attributes, .inputs = {}, .outputs = {}};
  std::vector<TensorView> views;
  for (const Tensor& input : inputs) {
    step.inputs.push_back({input.dtype(), input.shape(), false, true, ""});
    views.push_back(input.view());
  }
  step.outputs.push_back({DType::f32, result, false, true, ""});
  EXPECT_TRUE(row.accepts(step));
  Tensor y(DType::f32, result);
  const std::vector<MutableTensorView> outputs = {{DType::f32, result, y.data()}};
  ThreadPool pool(2);
  row.bind(step)({views, outputs, nullptr, &pool, nullptr});
  const auto values = y.as<float>();
  return {values.begin(), values.end()};
}

Tensor counted(Shape shape, float first) {
  Tensor made(DType::f32, std::move(shape));
  for (float& value : made.as<float>()) value = first++;
  return made;
}

TEST(MatMul, BroadcastsBatchesAndTakesVectors) {
  const Tensor a = counted({2, 1, 2, 3}, 0);
  const Tensor b = counted({2, 3, 2}, 1);
  const std::vector<float> y = run_plain("matmul_reference", {}, {a, b}, {2, 2, 2, 2});
  for (std::size_t i = 0; i < 2; ++i) {
    for (std::size_t j = 0; j < 2; ++j) {
      for (std::size_t r = 0; r < 2; ++r) {
        for (std::size_t c = 0; c < 2; ++c) {
          float sum = 0.0F;
          for (std::size_t k = 0; k < 3; ++k) {
            sum += a.as<float>()[i * 6 + r * 3 + k] * b.as<float>()[j * 6 + k * 2 + c];
          }
          EXPECT_EQ(y[((i * 2 + j) * 2 + r) * 2 + c], sum);
        }
      }
    }
  }
  using testing::ElementsAre;
  const Tensor row = counted({3}, 1);
  EXPECT_THAT(run_plain("matmul_reference", {}, {row, row}, {}), ElementsAre(14));
  EXPECT_THAT(run_plain("matmul_reference", {}, {row, counted({3, 2}, 0)}, {2}),
              ElementsAre(16, 22));
  EXPECT_THAT(run_plain("matmul_reference", {}, {counted({2, 3}, 0), row}, {2}),
              ElementsAre(8, 26));
  EXPECT_THAT(run_plain("matmul_reference", {}, {row, counted({2, 3, 1}, 0)}, {2, 1}),
              ElementsAre(8, 26));
  EXPECT_TRUE(run_plain("matmul_reference", {}, {counted({0, 3}, 0), row}, {0}).empty());
}

TEST(MatMul, MixesTypes) {
  const Tensor a = counted({2, 3}, 0);
  const Tensor b = converted(counted({3, 2}, 1).view(), DType::bf16);
  EXPECT_THAT(run_plain("matmul_reference", {}, {a, b}, {2, 2}),
              testing::ElementsAre(13, 16, 40, 52));
}

TEST(Gemm, TransposesScalesAndAdds) {
  const Tensor a = counted({2, 3}, 0);
  const Tensor a_turned = Tensor::from_floats({3, 2}, std::vector<float>{0, 3, 1, 4, 2, 5});
  const Tensor b = counted({3, 2}, 1);
  const Tensor b_turned = Tensor::from_floats({2, 3}, std::vector<float>{1, 3, 5, 2, 4, 6});
  using testing::ElementsAre;
  EXPECT_THAT(run_plain("gemm_reference", {}, {a, b}, {2, 2}), ElementsAre(13, 16, 40, 52));
  const Attributes turned = {{"transA", std::int64_t{1}}, {"transB", std::int64_t{1}}};
  EXPECT_THAT(run_plain("gemm_reference", turned, {a_turned, b_turned}, {2, 2}),
              ElementsAre(13, 16, 40, 52));
  const Attributes scaled = {{"alpha", 0.5F}, {"beta", 2.0F}};
  const auto with_c = [&](const Tensor& c) {
    return run_plain("gemm_reference", scaled, {a, b, c}, {2, 2});
  };
  EXPECT_THAT(with_c(counted({2}, 1)), ElementsAre(8.5F, 12, 22, 30));
  EXPECT_THAT(with_c(counted({2, 1}, 1)), ElementsAre(8.5F, 10, 24, 30));
  EXPECT_THAT(with_c(counted({2, 2}, 1)), ElementsAre(8.5F, 12, 26, 34));
  EXPECT_THAT(with_c(counted({}, 1)), ElementsAre(8.5F, 10, 22, 28));
}

TEST(LinearReference, TakesAnyFloatWeight) {
  const Tensor x = counted({2, 3}, 0);
  for (const DType dtype : {DType::f16, DType::bf16, DType::f64}) {
    const Tensor w = converted(counted({3, 2}, 1).view(), dtype);
    EXPECT_THAT(run_plain("linear_reference", {}, {x, w}, {2, 2}),
                testing::ElementsAre(13, 16, 40, 52));
  }
}

}  // namespace
}  // namespace tenon::kernels
