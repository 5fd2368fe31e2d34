#include "tensor/source.h"

#include <cstring>
#include <numeric>

#include <gtest/gtest.h>

#include "base/error.h"

namespace tenon {
namespace {

SourcePtr iota(Shape shape) {
  Tensor tensor(DType::f32, std::move(shape));
  auto values = tensor.as<float>();
  std::iota(values.begin(), values.end(), 0.0F);
  return owned_source(std::move(tensor));
}

std::vector<float> values(const SourcePtr& source, std::int64_t begin, std::int64_t end) {
  std::vector<float> out(static_cast<std::size_t>((end - begin) * source->row_count()));
  source->read(begin, end, reinterpret_cast<std::byte*>(out.data()));
  return out;
}

TEST(Source, TransposedReadsAnyRange) {
  const auto source = transposed_source(iota({70, 45}));
  EXPECT_EQ(source->shape(), (Shape{45, 70}));
  const auto rows = values(source, 3, 40);
  for (int r = 3; r < 40; ++r) {
    for (int c = 0; c < 70; ++c) EXPECT_EQ(rows[(r - 3) * 70 + c], static_cast<float>(c * 45 + r));
  }
}

TEST(Source, RearrangementsCompose) {
  const auto gathered = gathered_rows_source(iota({4, 2}), {3, 0, 1, 1});
  EXPECT_EQ(values(gathered, 0, 4), (std::vector<float>{6, 7, 0, 1, 2, 3, 2, 3}));
  const auto joined = concat_source({gathered, iota({1, 2})}, 0);
  EXPECT_EQ(values(joined, 3, 5), (std::vector<float>{2, 3, 0, 1}));
  const auto wide = concat_source({iota({2, 2}), iota({2, 1})}, 1);
  EXPECT_EQ(values(wide, 0, 2), (std::vector<float>{0, 1, 0, 2, 3, 1}));
  const auto reshaped = reshaped_source(joined, {2, 5});
  EXPECT_EQ(values(reshaped, 1, 2), (std::vector<float>{3, 2, 3, 0, 1}));
  const auto turned = transposed_source(wide);
  EXPECT_EQ(values(turned, 0, 3), (std::vector<float>{0, 2, 1, 3, 0, 1}));
}

TEST(Source, CastRoundsToNearest) {
  const auto half = cast_source(iota({3000, 3}), DType::bf16);
  const auto back = cast_source(half, DType::f32);
  EXPECT_EQ(values(back, 0, 1), (std::vector<float>{0, 1, 2}));
  EXPECT_EQ(values(back, 2999, 3000), (std::vector<float>{9024, 9024, 9024}));
}

TEST(Source, PartsThatDoNotFitAreRefused) {
  EXPECT_THROW(concat_source({iota({2, 2}), iota({2, 3})}, 0), Error);
  EXPECT_THROW(reshaped_source(iota({2, 3}), {4, 2}), Error);
}

TEST(Tensor, ElementCountRefusesOverflow) {
  EXPECT_EQ(element_count(Shape{}), 1);
  EXPECT_EQ(element_count(Shape{3, 0}), 0);
  EXPECT_THROW(element_count(Shape{1LL << 32, 1LL << 32}), Error);
  EXPECT_THROW(element_count(Shape{-1}), Error);
}

TEST(Tensor, AnyByteButZeroIsTrue) {
  Tensor tensor(DType::boolean, {4});
  const unsigned char bytes[] = {0, 1, 2, 255};
  std::memcpy(tensor.data(), bytes, sizeof bytes);
  const Tensor numbers = converted(tensor.view(), DType::f32);
  EXPECT_EQ(std::vector<float>(numbers.as<float>().begin(), numbers.as<float>().end()),
            (std::vector<float>{0, 1, 1, 1}));
}

}  // namespace
}  // namespace tenon
