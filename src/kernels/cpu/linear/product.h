// The work that the thread split hands to an instruction set's kernel: plain data and two function
// pointers, so that files compiled for an instruction set share no code with others.
#pragma once

#include <cstddef>
#include <cstdint>

namespace tenon::kernels::cpu::linear {

/// Columns of a weight panel.
inline constexpr std::int64_t kPanelColumns = 64;
/// A step is the depth whose values fill 4 bytes: 1 float, 2 bfloat16 or 4 int8. Each row of a
/// panel, 64 columns of one step, has this many bytes.
inline constexpr std::int64_t kStepBytes = 4;
inline constexpr std::int64_t kPanelRowBytes = kPanelColumns * kStepBytes;
/// Panels hold a multiple of this many steps, the last ones zero.
inline constexpr std::int64_t kStepAlignment = 16;

/// Input rows in the type of the weights. Row r starts at data + r * stride bytes and has
/// `steps` steps, zero (for int8: the row's zero point) beyond the depth.
struct PreparedRows {
  std::byte* data;
  std::int64_t stride;
  std::int64_t steps;
  float* scale;        ///< int8 only: value = scale * (stored - zero)
  std::int32_t* zero;  ///< int8 only: 0 .. 255
};

/// Where the steps of the input rows lie: row r's depth is `runs` runs of `run_steps` steps each,
/// run t at row_offset[r] + run_offset[t] bytes. Rows of a matrix are one run; the windows of a
/// convolution are one for each of their lines, and overlap.
struct InputRuns {
  const std::int64_t* row_offset;
  const std::int64_t* run_offset;
  std::int64_t runs;
  std::int64_t run_steps;
};

/// y[r, c] = activation(sum_k x[r, k] w[k, c] + bias[c] + group_bias[r / group_rows, c]) +
/// residual[r, c]
struct Product {
  const std::byte* x;
  InputRuns runs;
  const float* row_scale;          ///< int8 only, as in PreparedRows
  const std::int32_t* row_zero;    ///< int8 only
  const std::byte* panels;         ///< [columns / 64][panel_steps][64] steps
  std::int64_t panel_steps;        ///< at least those of all runs
  const float* column_scale;       ///< int8 only
  const std::int32_t* column_sum;  ///< int8 only: of the stored weights
  const float* bias;               ///< may be null
  const float* group_bias;         ///< may be null; one row for so many rows of the result
  std::int64_t group_rows;
  const float* residual;  ///< may be null
  float* y;               ///< [rows, columns]
  std::int64_t columns;
  int activation;  ///< of enum Activation
};

/// A rectangle of the result: rows [row_begin, row_end), panels [panel_begin, panel_end).
struct Share {
  std::int64_t row_begin;
  std::int64_t row_end;
  std::int64_t panel_begin;
  std::int64_t panel_end;
};

/// What an instruction set provides for one packed format.
struct ProductKernel {
  /// Bytes one prepared row takes, before padding against cache conflicts.
  std::int64_t value_bytes;
  /// Converts rows [begin, end) of x, `depth` floats each.
  void (*prepare)(const float* x, std::int64_t depth, std::int64_t begin, std::int64_t end,
                  const PreparedRows& out) noexcept;
  /// Runs of a product with several of them have a multiple of so many steps.
  std::int64_t run_alignment;
  /// Computes the share. `scratch` has kPanelRowBytes for each row of it, and for 4 at
  /// least, 64-byte aligned.
  void (*multiply)(const Product& product, const Share& share, std::byte* scratch) noexcept;
};

}  // namespace tenon::kernels::cpu::linear
