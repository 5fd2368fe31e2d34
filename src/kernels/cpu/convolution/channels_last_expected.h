// One tenon.Conv run by a row, and its exact result with what a row may differ from it, for tests.
#pragma once

#include <cmath>

#include <gtest/gtest.h>

#include "kernels/cpu/convolution/channels_last_harness.h"
#include "kernels/cpu/linear/exact_activation.h"

namespace tenon::kernels {

// The picture that the kernel slides over, and how far each value may be off before any product:
// the prologue rounds a product and a sum, its silu has a slope of at most 1.1 and an error of
// 1.3e-7 |x|.
struct Slab {
  std::int64_t height;
  std::int64_t width;
  std::int64_t channels;
  std::vector<double> value;
  std::vector<double> error;
};

inline Slab slab_of(const ConvProblem& problem) {
  const ConvCase& c = problem.c;
  Slab slab{c.height * c.upsample + c.pads[0] + c.pads[2],
            c.width * c.upsample + c.pads[1] + c.pads[3],
            c.all_channels(),
            {},
            {}};
  const auto count = static_cast<std::size_t>(c.images * slab.height * slab.width * slab.channels);
  slab.value.assign(count, 0.0);
  slab.error.assign(count, 0.0);
  for (std::int64_t n = 0; n < c.images; ++n) {
    for (std::int64_t y = 0; y < c.height * c.upsample; ++y) {
      for (std::int64_t x = 0; x < c.width * c.upsample; ++x) {
        for (std::int64_t ch = 0; ch < slab.channels; ++ch) {
          const std::int64_t pixel = (n * c.height + y / c.upsample) * c.width + x / c.upsample;
          const bool first = ch < c.channels;
          double value = static_cast<double>(problem.data[first ? 0 : 6][static_cast<std::size_t>(
              first ? pixel * c.channels + ch : pixel * c.channels2 + ch - c.channels)]);
          double error = 0.0;
          if (c.scale_shift) {
            const auto at = static_cast<std::size_t>(n * 2 * slab.channels + ch);
            const double product = value * static_cast<double>(problem.data[5][at]);
            value = product + static_cast<double>(
                                  problem.data[5][at + static_cast<std::size_t>(slab.channels)]);
            error = static_cast<double>(kFp32Half) * (std::fabs(product) + std::fabs(value));
          }
          if (c.input_silu) {
            error = 1.1 * error + 2e-7 * std::fabs(value);
            value = value / (1.0 + std::exp(-value));
          }
          const auto at = static_cast<std::size_t>(
              ((n * slab.height + y + c.pads[0]) * slab.width + x + c.pads[1]) * slab.channels +
              ch);
          slab.value[at] = value;
          slab.error[at] = error;
        }
      }
    }
  }
  return slab;
}

/// Half the step that int8 inputs of each image have.
inline std::vector<double> half_steps(const Slab& slab, std::int64_t images) {
  std::vector<double> steps;
  const std::size_t size = slab.value.size() / static_cast<std::size_t>(images);
  for (std::size_t i = 0; i < slab.value.size(); i += size) {
    double low = 0.0;
    double high = 0.0;
    for (std::size_t j = i; j < i + size; ++j) {
      low = std::min(low, slab.value[j]);
      high = std::max(high, slab.value[j]);
    }
    steps.push_back(0.5 * (high - low) / 255.0 * 1.001);
  }
  return steps;
}

inline std::vector<float> run(const ConvProblem& problem, const KernelRow& row, ThreadPool& pool) {
  const StepDescription step = problem.describe(row.weight_format);
  EXPECT_TRUE(row.accepts(step));
  const Tensor weight = problem.packed(row, pool);
  const auto inputs = problem.inputs(weight);
  constexpr std::size_t kGuard = 64;
  std::vector<float> y(static_cast<std::size_t>(element_count(problem.result_shape())) + kGuard,
                       -77.0F);
  const std::vector<MutableTensorView> outputs = {
      {DType::f32, problem.result_shape(), reinterpret_cast<std::byte*>(y.data())}};
  const std::size_t needed =
      row.workspace == nullptr ? 0 : row.workspace(step, problem.shapes(), pool.size());
  Tensor workspace(DType::u8, {static_cast<std::int64_t>(needed + kGuard)});
  std::fill_n(workspace.data(), workspace.bytes(), std::byte{0xff});  // NaN where not written
  row.bind(step)({inputs, outputs, workspace.data(), &pool, nullptr});
  for (std::size_t i = 0; i < kGuard; ++i) {
    EXPECT_EQ(y[y.size() - 1 - i], -77.0F) << "written beyond the output";
    EXPECT_EQ(workspace.data()[needed + i], std::byte{0xff}) << "written beyond the workspace";
  }
  y.resize(y.size() - kGuard);
  return y;
}

// What may differ from the exact result:
//   any format: one addition and product in float for each of the depth, half a unit of the running
//   sum each, and the errors of the prologue;
//   bf16: both operands rounded to 8 bits;
//   int8: operands at most half a step of their scale off, inputs at an end of the range a whole
//   step.
// Activations have a slope of at most 1.13 and 4e-7 relative error of their own.
inline void check(const ConvProblem& problem, const std::vector<float>& y, DType stored) {
  const ConvCase& c = problem.c;
  const Slab slab = slab_of(problem);
  const std::vector<double> x_half = half_steps(slab, c.images);
  const std::int64_t in_group = c.all_channels() / c.group;
  for (std::int64_t row = 0; row < c.images * c.out_pixels(); ++row) {
    const std::int64_t n = row / c.out_pixels();
    const std::int64_t oy = row % c.out_pixels() / c.out_size(1);
    const std::int64_t ox = row % c.out_size(1);
    for (std::int64_t m = 0; m < c.columns; ++m) {
      const std::int64_t group = m / (c.columns / c.group);
      double sum = 0.0;
      double magnitude = 0.0;
      double allowed = 0.0;
      double inputs = 0.0;
      double weights = 0.0;
      double largest = 0.0;
      for (std::int64_t k = 0; k < c.depth(); ++k) {
        const std::int64_t tap = k / in_group;
        const std::int64_t sy = oy * c.stride + tap / c.kernel * c.dilation;
        const std::int64_t sx = ox * c.stride + tap % c.kernel * c.dilation;
        const auto at =
            static_cast<std::size_t>(((n * slab.height + sy) * slab.width + sx) * slab.channels +
                                     group * in_group + k % in_group);
        const double w =
            static_cast<double>(problem.data[1][static_cast<std::size_t>(k * c.columns + m)]);
        sum += slab.value[at] * w;
        magnitude += std::fabs(slab.value[at] * w);
        allowed += slab.error[at] * std::fabs(w);
        inputs += std::fabs(slab.value[at]);
        weights += std::fabs(w);
        largest = std::max(largest, std::fabs(w));
      }
      const auto depth = static_cast<double>(c.depth());
      if (stored == DType::bf16)
        allowed += magnitude * (2.0 * static_cast<double>(kBf16Half) + 1e-4);
      if (stored == DType::i8) {
        const double x_step = 2.0 * x_half[static_cast<std::size_t>(n)];
        const double w_half = 0.5 * largest / 127.0 * 1.001;
        allowed += x_step * weights + w_half * (inputs + depth * x_step);
      }
      allowed += magnitude * (depth + 4.0) * static_cast<double>(kFp32Half);
      const auto extra = [&](std::size_t index, std::int64_t at) {
        return problem.data[index].empty()
                   ? 0.0
                   : static_cast<double>(problem.data[index][static_cast<std::size_t>(at)]);
      };
      const double bias = extra(2, m);
      const double image_bias = extra(4, n * c.columns + m);
      allowed += 2.0 * static_cast<double>(kFp32Half) *
                 (std::fabs(sum) + std::fabs(bias) + std::fabs(image_bias));
      sum += bias + image_bias;
      if (!c.activation.empty()) allowed = 1.13 * allowed + 4e-7 * std::fabs(sum);
      const double expected =
          cpu::linear::activate(cpu::linear::parse_activation(c.activation).value(), sum) +
          extra(3, row * c.columns + m);
      allowed += std::fabs(expected) * static_cast<double>(kFp32Half) + 1e-30;
      const auto at = static_cast<std::size_t>(row * c.columns + m);
      ASSERT_LE(std::fabs(static_cast<double>(y[at]) - expected), allowed)
          << "picture " << n << " row " << oy << " column " << ox << " channel " << m << ": "
          << y[at] << " instead of " << expected;
    }
  }
}

}  // namespace tenon::kernels
