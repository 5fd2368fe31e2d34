// Weights on their way to disk, a bounded block at a time.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <span>

#include "base/atomic_file.h"
#include "tensor/source.h"

namespace tenon::onnx {

/// Hands the elements of a source to `take` in order, in blocks of at most `max_bytes` (a single
/// row of the first dimension may need them all; Error(resource) when it needs more).
void stream(const TensorSource& source, std::uint64_t max_bytes,
            const std::function<void(std::span<const std::byte>)>& take);

/// One file of external data. Each tensor begins on a page, so that a reader can map it. A source
/// that is appended twice is stored once.
class WeightFile {
 public:
  struct Place {
    std::uint64_t offset = 0;
    std::uint64_t length = 0;
  };

  WeightFile(std::filesystem::path path, std::uint64_t max_bytes,
             std::function<void(std::uint64_t)> written);

  Place append(const SourcePtr& source);
  void commit() { file_.commit(); }

 private:
  static constexpr std::size_t kAlignment = 4096;

  AtomicFile file_;
  std::uint64_t max_bytes_;
  std::function<void(std::uint64_t)> written_;
  std::map<const TensorSource*, Place> places_;
};

/// Bytes that the elements take.
std::uint64_t byte_count(const TensorSource& source);

}  // namespace tenon::onnx
