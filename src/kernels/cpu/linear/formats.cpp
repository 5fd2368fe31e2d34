#include "kernels/cpu/linear/formats.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstring>
#include <exception>
#include <limits>
#include <mutex>

#include "base/error.h"
#include "base/half.h"
#include "kernels/cpu/tables.h"

namespace tenon::kernels::cpu::linear {
namespace {

constexpr std::int64_t kBlockRows = 64;  // a multiple of the depth of 16 steps in every format
constexpr std::int64_t kMemory = std::int64_t{48} << 20;  // for the blocks being read

// Reads W in blocks of 64 rows and calls body(first_row, rows, data) for each, on all members of
// the pool at once, in any order. `data` has the source's type.
template <typename Body>
void for_each_block(const TensorSource& weight, ThreadPool& pool, const Body& body) {
  const std::int64_t depth = weight.shape()[0];
  const std::int64_t row_bytes =
      weight.shape()[1] * static_cast<std::int64_t>(dtype_size(weight.dtype()));
  const std::int64_t blocks = (depth + kBlockRows - 1) / kBlockRows;
  const auto view = weight.view();

  // Only as many members as the memory has room for blocks.
  const std::int64_t block_bytes = kBlockRows * row_bytes;
  const std::int64_t room =
      std::max<std::int64_t>(1, kMemory / std::max<std::int64_t>(1, block_bytes));
  const std::int64_t members = std::min<std::int64_t>({pool.size(), room, blocks});
  std::vector<std::byte> buffers(view ? 0 : static_cast<std::size_t>(members * block_bytes));

  std::atomic<std::int64_t> next{0};
  std::exception_ptr failure;
  std::mutex failure_mutex;  // guards failure
  pool.run([&](int member) {
    if (member >= members) return;
    try {
      for (std::int64_t block = next++; block < blocks; block = next++) {
        const std::int64_t first = block * kBlockRows;
        const std::int64_t rows = std::min(kBlockRows, depth - first);
        if (view) {
          body(first, rows, view->data + first * row_bytes);
        } else {
          std::byte* buffer = buffers.data() + member * block_bytes;
          weight.read(first, first + rows, buffer);
          body(first, rows, static_cast<const std::byte*>(buffer));
        }
      }
    } catch (...) {
      const std::lock_guard lock(failure_mutex);
      failure = std::current_exception();
      next = blocks;
    }
  });
  if (failure) std::rethrow_exception(failure);
}

void check_matrix(const TensorSource& weight) {
  if (weight.shape().size() != 2 || !is_float(weight.dtype())) {
    fail(ErrorCode::internal, "a matrix of floats can be packed, found {} {}",
         dtype_name(weight.dtype()), to_string(std::span(weight.shape())));
  }
}

// The values of columns [column, column + 64) of one row as float, zero beyond the matrix.
void read_row(const TensorSource& weight, const std::byte* row, std::int64_t column, float* out) {
  const std::int64_t count = std::min(kPanelColumns, weight.shape()[1] - column);
  const std::size_t element = dtype_size(weight.dtype());
  convert(weight.dtype(), row + static_cast<std::size_t>(column) * element, DType::f32,
          reinterpret_cast<std::byte*>(out), static_cast<std::size_t>(count));
  std::fill(out + count, out + kPanelColumns, 0.0F);
}

// Packs every panel: store(value, column) gives the stored form of each value.
template <typename Stored, typename Store>
void pack_panels(const TensorSource& weight, std::byte* out, ThreadPool& pool, const Store& store) {
  constexpr std::int64_t kPerStep = kStepBytes / static_cast<std::int64_t>(sizeof(Stored));
  const std::int64_t depth = weight.shape()[0];
  const std::int64_t columns = weight.shape()[1];
  const PanelLayout layout(depth, columns, sizeof(Stored));
  const std::int64_t row_bytes = columns * static_cast<std::int64_t>(dtype_size(weight.dtype()));
  for_each_block(weight, pool, [&](std::int64_t first, std::int64_t rows, const std::byte* data) {
    const std::int64_t end_step = first + rows == depth ? layout.steps : (first + rows) / kPerStep;
    for (std::int64_t panel = 0; panel < layout.panels; ++panel) {
      for (std::int64_t step = first / kPerStep; step < end_step; ++step) {
        auto* to =
            reinterpret_cast<Stored*>(out + panel * layout.panel_bytes() + step * kPanelRowBytes);
        for (std::int64_t i = 0; i < kPerStep; ++i) {
          const std::int64_t k = step * kPerStep + i;
          float values[kPanelColumns] = {};
          if (k < depth) {
            read_row(weight, data + (k - first) * row_bytes, panel * kPanelColumns, values);
          }
          for (std::int64_t c = 0; c < kPanelColumns; ++c) {
            to[c * kPerStep + i] = store(values[c], panel * kPanelColumns + c);
          }
        }
      }
    }
  });
  weight.release();
}

template <typename Stored>
std::size_t panel_bytes(std::int64_t k, std::int64_t n) {
  return static_cast<std::size_t>(PanelLayout(k, n, sizeof(Stored)).scale_offset());
}

void pack_fp32(const TensorSource& weight, std::byte* out, ThreadPool& pool) {
  check_matrix(weight);
  pack_panels<float>(weight, out, pool, [](float value, std::int64_t) { return value; });
}

void pack_bf16(const TensorSource& weight, std::byte* out, ThreadPool& pool) {
  check_matrix(weight);
  pack_panels<BFloat16>(weight, out, pool,
                        [](float value, std::int64_t) { return BFloat16(value); });
}

std::size_t int8_bytes(std::int64_t k, std::int64_t n) {
  const PanelLayout layout(k, n, sizeof(std::int8_t));
  return static_cast<std::size_t>(layout.sum_offset() + layout.panels * kPanelRowBytes);
}

// The greatest magnitude of each column, `columns` rounded up to whole panels.
std::vector<float> column_maxima(const TensorSource& weight, ThreadPool& pool) {
  const std::int64_t columns = weight.shape()[1];
  const PanelLayout layout(weight.shape()[0], columns, sizeof(std::int8_t));
  const std::int64_t row_bytes = columns * static_cast<std::int64_t>(dtype_size(weight.dtype()));
  std::vector<float> maxima(static_cast<std::size_t>(layout.panels * kPanelColumns), 0.0F);
  std::mutex mutex;  // guards maxima
  for_each_block(weight, pool, [&](std::int64_t, std::int64_t rows, const std::byte* data) {
    std::vector<float> found(maxima.size(), 0.0F);
    for (std::int64_t panel = 0; panel < layout.panels; ++panel) {
      float* greatest = found.data() + panel * kPanelColumns;
      for (std::int64_t row = 0; row < rows; ++row) {
        float values[kPanelColumns];
        read_row(weight, data + row * row_bytes, panel * kPanelColumns, values);
        for (std::int64_t c = 0; c < kPanelColumns; ++c) {
          const float magnitude = std::fabs(values[c]);
          greatest[c] = magnitude <= greatest[c] ? greatest[c] : magnitude;  // keeps a NaN
        }
      }
    }
    const std::lock_guard lock(mutex);
    for (std::size_t c = 0; c < maxima.size(); ++c) {
      maxima[c] = found[c] <= maxima[c] ? maxima[c] : found[c];
    }
  });
  return maxima;
}

void pack_int8(const TensorSource& weight, std::byte* out, ThreadPool& pool) {
  check_matrix(weight);
  const PanelLayout layout(weight.shape()[0], weight.shape()[1], sizeof(std::int8_t));
  const std::vector<float> maxima = column_maxima(weight, pool);
  std::vector<float> inverse(maxima.size());
  auto* scales = reinterpret_cast<float*>(out + layout.scale_offset());
  for (std::size_t c = 0; c < maxima.size(); ++c) {
    if (!std::isfinite(maxima[c])) {
      bad_input("column {} of a weight holds a value that is not finite: int8 cannot hold it", c);
    }
    scales[c] = maxima[c] / 127.0F;
    // A column of zeros, or so small that its scale is no normal number, is stored as zeros.
    if (scales[c] < std::numeric_limits<float>::min()) scales[c] = 0.0F;
    inverse[c] = scales[c] == 0.0F ? 0.0F : 127.0F / maxima[c];
  }
  pack_panels<std::int8_t>(weight, out, pool, [&](float value, std::int64_t column) {
    const float scaled = value * inverse[static_cast<std::size_t>(column)];
    return static_cast<std::int8_t>(std::lrint(std::clamp(scaled, -127.0F, 127.0F)));
  });
  pool.parallel_for(layout.panels, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t panel = begin; panel < end; ++panel) {
      const auto* stored = reinterpret_cast<const std::int8_t*>(out + panel * layout.panel_bytes());
      std::int32_t sums[kPanelColumns] = {};
      for (std::int64_t i = 0; i < layout.panel_bytes(); ++i) {
        sums[i % kPanelRowBytes / kStepBytes] += stored[i];
      }
      std::memcpy(out + layout.sum_offset() + panel * kPanelRowBytes, sums, sizeof sums);
    }
  });
}

template <typename Stored>
void unpack(const std::byte* packed, std::int64_t k, std::int64_t n, float* out) {
  constexpr std::int64_t kPerStep = kStepBytes / static_cast<std::int64_t>(sizeof(Stored));
  const PanelLayout layout(k, n, sizeof(Stored));
  const auto* scales = reinterpret_cast<const float*>(packed + layout.scale_offset());
  for (std::int64_t row = 0; row < k; ++row) {
    for (std::int64_t column = 0; column < n; ++column) {
      const auto* from = reinterpret_cast<const Stored*>(
          packed + column / kPanelColumns * layout.panel_bytes() + row / kPerStep * kPanelRowBytes);
      const auto value =
          static_cast<float>(from[column % kPanelColumns * kPerStep + row % kPerStep]);
      const bool scaled = std::is_same_v<Stored, std::int8_t>;
      out[row * n + column] = scaled ? value * scales[column] : value;
    }
  }
}

constexpr PackedFormat kFormats[] = {
    {kPanel64Fp32, DType::f32, panel_bytes<float>, pack_fp32, unpack<float>},
    {kPanel64Bf16, DType::bf16, panel_bytes<BFloat16>, pack_bf16, unpack<BFloat16>},
    {kPanel64Int8, DType::i8, int8_bytes, pack_int8, unpack<std::int8_t>},
};

}  // namespace
}  // namespace tenon::kernels::cpu::linear

namespace tenon::kernels::cpu {

std::span<const PackedFormat> linear_formats() { return linear::kFormats; }

}  // namespace tenon::kernels::cpu
