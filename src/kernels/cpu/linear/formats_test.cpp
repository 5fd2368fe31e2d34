// Packed formats: what comes back, from any source, and what is refused.
#include <cmath>

#include <gtest/gtest.h>

#include "kernels/cpu/linear/linear_harness.h"

namespace tenon::kernels {
namespace {

// Every format through sources of each kind; W comes back as precisely as the format promises.
class Format : public testing::TestWithParam<DType> {};

TEST_P(Format, GivesBackWhatItPacked) {
  ThreadPool pool(3);
  for (const std::int64_t k : {1, 3, 31, 64, 100, 257}) {
    for (const std::int64_t n : {1, 17, 64, 130}) {
      const Tensor w =
          Tensor::from_floats({k, n}, random_floats(static_cast<std::size_t>(k * n), 5));
      const SourcePtr plain = cast_source(owned_source(w), GetParam());
      const Tensor rounded = converted(plain->load().view(), DType::f32);
      Tensor turned(DType::f32, {n, k});
      transposed_source(owned_source(rounded))->read(0, n, turned.data());
      const SourcePtr twice = transposed_source(cast_source(owned_source(turned), GetParam()));
      for (const PackedFormat& format : cpu::linear_formats()) {
        Tensor packed(DType::u8, {static_cast<std::int64_t>(format.bytes(k, n))});
        Tensor again(DType::u8, packed.shape());
        format.pack(*plain, packed.data(), pool);
        format.pack(*twice, again.data(), pool);
        EXPECT_TRUE(std::equal(packed.data(), packed.data() + packed.bytes(), again.data()))
            << format.name << ": a transposed source is packed differently";

        Tensor back(DType::f32, {k, n});
        format.unpack(packed.data(), k, n, back.as<float>().data());
        for (std::int64_t i = 0; i < k * n; ++i) {
          const float value = rounded.as<float>()[static_cast<std::size_t>(i)];
          float greatest = 0.0F;
          for (std::int64_t row = 0; row < k; ++row) {
            const auto at = static_cast<std::size_t>(row * n + i % n);
            greatest = std::max(greatest, std::fabs(rounded.as<float>()[at]));
          }
          // Half a unit of bf16's eight bits; half a step of int8's scale, and its own rounding.
          const float allowed = format.dtype == DType::f32    ? 0.0F
                                : format.dtype == DType::bf16 ? std::fabs(value) * kBf16Half
                                                              : greatest / 127.0F * 0.5001F;
          ASSERT_LE(std::fabs(back.as<float>()[static_cast<std::size_t>(i)] - value), allowed)
              << format.name << " " << k << " x " << n << " element " << i;
        }
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Types, Format,
                         testing::Values(DType::f32, DType::bf16, DType::f16, DType::f64),
                         [](const auto& tested) { return std::string(dtype_name(tested.param)); });

TEST(FormatErrors, RefusesWhatInt8CannotHold) {
  ThreadPool pool(2);
  std::vector<float> values(6, 1.0F);
  values[4] = std::numeric_limits<float>::infinity();
  const PackedFormat& format = *format_named("panel64_int8");
  Tensor packed(DType::u8, {static_cast<std::int64_t>(format.bytes(3, 2))});
  EXPECT_THROW(format.pack(*owned_source(Tensor::from_floats({3, 2}, values)), packed.data(), pool),
               Error);
}

TEST(FormatErrors, PassesOnTheErrorOfItsSource) {
  class Broken final : public TensorSource {
   public:
    Broken() : TensorSource(DType::f32, {200, 8}) {}
    void read(std::int64_t, std::int64_t, std::byte*) const override { bad_input("cut short"); }
  };
  ThreadPool pool(2);
  for (const PackedFormat& format : cpu::linear_formats()) {
    Tensor packed(DType::u8, {static_cast<std::int64_t>(format.bytes(200, 8))});
    EXPECT_THROW(format.pack(Broken(), packed.data(), pool), Error) << format.name;
  }
}

}  // namespace
}  // namespace tenon::kernels
