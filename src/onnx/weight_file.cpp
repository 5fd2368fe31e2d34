#include "onnx/weight_file.h"

#include <algorithm>

#include "base/error.h"
#include "base/interrupt.h"

namespace tenon::onnx {
namespace {

// Larger blocks gain nothing on disk and push weights out of the caches.
constexpr std::uint64_t kBlockBytes = std::uint64_t{32} << 20;

}  // namespace

std::uint64_t byte_count(const TensorSource& source) {
  return static_cast<std::uint64_t>(element_count(source.shape())) * dtype_size(source.dtype());
}

void stream(const TensorSource& source, std::uint64_t max_bytes,
            const std::function<void(std::span<const std::byte>)>& take) {
  const std::uint64_t total = byte_count(source);
  if (total == 0) return;
  // A conversion holds the block twice.
  const std::uint64_t limit = std::clamp<std::uint64_t>(max_bytes / 4, 1, kBlockBytes);
  if (const auto view = source.view()) {
    for (std::uint64_t at = 0; at < total; at += limit) {
      check_interrupt();
      take({view->data + at, static_cast<std::size_t>(std::min(limit, total - at))});
      if (total > limit) source.release();
    }
    return source.release();
  }
  const std::uint64_t row_bytes = total / static_cast<std::uint64_t>(source.rows());
  if (row_bytes > max_bytes) {
    Error error(ErrorCode::resource,
                fmt::format("a row of {} bytes of a tensor {} is more than the {} bytes allowed",
                            row_bytes, to_string(source.shape()), max_bytes));
    throw error.hint("allow more memory with --max-ram");
  }
  const auto step = static_cast<std::int64_t>(std::max<std::uint64_t>(1, limit / row_bytes));
  std::vector<std::byte> block(static_cast<std::size_t>(std::min(step, source.rows())) * row_bytes);
  for (std::int64_t row = 0; row < source.rows(); row += step) {
    check_interrupt();
    const std::int64_t end = std::min(row + step, source.rows());
    source.read(row, end, block.data());
    take({block.data(), static_cast<std::size_t>(end - row) * row_bytes});
    source.release();
  }
}

WeightFile::WeightFile(std::filesystem::path path, std::uint64_t max_bytes,
                       std::function<void(std::uint64_t)> written)
    : file_(std::move(path)), max_bytes_(max_bytes), written_(std::move(written)) {}

WeightFile::Place WeightFile::append(const SourcePtr& source) {
  const auto known = places_.find(source.get());
  if (known != places_.end()) return known->second;
  file_.pad_to(kAlignment);
  Place place{file_.position(), byte_count(*source)};
  stream(*source, max_bytes_, [&](std::span<const std::byte> bytes) {
    file_.write(bytes);
    written_(bytes.size());
  });
  places_.emplace(source.get(), place);
  return place;
}

}  // namespace tenon::onnx
