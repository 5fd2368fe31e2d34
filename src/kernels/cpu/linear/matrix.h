// A strided matrix of any float type, read as double: what the reference products work on.
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>

#include "base/half.h"
#include "base/thread_pool.h"
#include "tensor/dtype.h"

namespace tenon::kernels::cpu::linear {

/// Calls body(T{}) with the C++ type of a float dtype.
template <typename Body>
void visit_float(DType type, Body&& body) {
  switch (type) {
    case DType::f16:
      return body(Float16{});
    case DType::bf16:
      return body(BFloat16{});
    case DType::f64:
      return body(double{});
    default:
      return body(float{});
  }
}

/// Element (r, c) lies at data + (r * row_stride + c * column_stride) elements. Borrowed.
struct Matrix {
  DType dtype = DType::f32;
  const std::byte* data = nullptr;
  std::int64_t row_stride = 0;
  std::int64_t column_stride = 1;

  /// out[i] = element (row, column + i).
  void read(std::int64_t row, std::int64_t column, std::int64_t count, double* out) const {
    visit_float(dtype, [&](auto tag) {
      using T = decltype(tag);
      const T* from = reinterpret_cast<const T*>(data) + row * row_stride + column * column_stride;
      if (column_stride == 1) {
        for (std::int64_t i = 0; i < count; ++i) out[i] = widen(from[i]);
      } else {
        for (std::int64_t i = 0; i < count; ++i) out[i] = widen(from[i * column_stride]);
      }
    });
  }

  static double widen(float value) { return static_cast<double>(value); }
  static double widen(double value) { return value; }
  static double widen(BFloat16 value) { return static_cast<double>(static_cast<float>(value)); }
  static double widen(Float16 value) { return static_cast<double>(static_cast<float>(value)); }
};

/// Writes element `index` of a dense tensor, rounded to nearest even.
inline void store(DType dtype, std::byte* data, std::int64_t index, double value) {
  switch (dtype) {
    case DType::f64:
      reinterpret_cast<double*>(data)[index] = value;
      break;
    case DType::f16:
      reinterpret_cast<Float16*>(data)[index] = Float16(static_cast<float>(value));
      break;
    case DType::bf16:
      reinterpret_cast<BFloat16*>(data)[index] = BFloat16(static_cast<float>(value));
      break;
    default:
      reinterpret_cast<float*>(data)[index] = static_cast<float>(value);
  }
}

/// Products of `batches` pairs of matrices, each [rows, depth] x [depth, columns], summed in
/// double. left(b) and right(b) give the matrices of batch b; finish(b, row, column, sum) takes
/// each element once, on any thread. Allocates nothing.
///
/// A unit of work is a block of kRows x kColumns results: its panel of the right matrix is widened
/// once, kDepth rows at a time, and used by all its rows.
template <typename Left, typename Right, typename Finish>
void multiply_in_double(ThreadPool& pool, std::int64_t batches, std::int64_t rows,
                        std::int64_t depth, std::int64_t columns, const Left& left,
                        const Right& right, const Finish& finish) {
  constexpr std::int64_t kRows = 32;
  constexpr std::int64_t kColumns = 128;
  constexpr std::int64_t kDepth = 4;
  const std::int64_t row_blocks = (rows + kRows - 1) / kRows;
  const std::int64_t column_blocks = (columns + kColumns - 1) / kColumns;

  const auto block = [&](std::int64_t batch, std::int64_t row0, std::int64_t column0) {
    const Matrix x = left(batch);
    const Matrix w = right(batch);
    const std::int64_t height = std::min(kRows, rows - row0);
    const std::int64_t width = std::min(kColumns, columns - column0);
    double sums[kRows][kColumns] = {};
    double panel[kDepth][kColumns] = {};
    double inputs[kDepth] = {};
    for (std::int64_t k = 0; k < depth; k += kDepth) {
      const std::int64_t deep = std::min(kDepth, depth - k);
      for (std::int64_t d = 0; d < kDepth; ++d) {
        if (d < deep) {
          w.read(k + d, column0, width, panel[d]);
        } else {
          std::fill_n(panel[d], kColumns, 0.0);
          inputs[d] = 0.0;
        }
      }
      for (std::int64_t r = 0; r < height; ++r) {
        x.read(row0 + r, k, deep, inputs);
        double* sum = sums[r];
        for (std::int64_t c = 0; c < kColumns; ++c) {
          sum[c] += (inputs[0] * panel[0][c] + inputs[1] * panel[1][c]) +
                    (inputs[2] * panel[2][c] + inputs[3] * panel[3][c]);
        }
      }
    }
    for (std::int64_t r = 0; r < height; ++r) {
      for (std::int64_t c = 0; c < width; ++c) finish(batch, row0 + r, column0 + c, sums[r][c]);
    }
  };

  pool.parallel_for(
      batches * row_blocks * column_blocks, 1, [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t unit = begin; unit < end; ++unit) {
          const std::int64_t column_block = unit % column_blocks;
          const std::int64_t row_block = unit / column_blocks % row_blocks;
          block(unit / column_blocks / row_blocks, row_block * kRows, column_block * kColumns);
        }
      });
}

}  // namespace tenon::kernels::cpu::linear
