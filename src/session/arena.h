// Memory for what a run computes and forgets: one for all engines that never run at the same time.
#pragma once

#include <cstddef>
#include <memory>

#include "backend/backend.h"

namespace tenon::session {

/// Grows to the largest request; its bytes mean nothing after another executor's run. One thread at
/// a time.
class Arena {
 public:
  /// At least `bytes`, 64-byte aligned. Growing moves it: what pointed into it points nowhere.
  /// Error(resource) for more than the machine has free; then it holds nothing.
  void reserve(std::size_t bytes, backend::Backend& backend);
  /// Gives the memory back when it is more than `most` bytes; the next reserve has it anew.
  void give_back(std::size_t most);
  std::byte* data() const { return memory_.get(); }
  std::size_t bytes() const { return bytes_; }

 private:
  std::shared_ptr<std::byte> memory_;
  std::size_t bytes_ = 0;
};

}  // namespace tenon::session
