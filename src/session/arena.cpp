#include "session/arena.h"

#include "base/error.h"
#include "base/memory.h"

namespace tenon::session {
namespace {

constexpr std::size_t kAlwaysHad = std::size_t{64} << 20;

// Memory that is promised but not there ends the whole process once it is touched.
void check_free(std::size_t bytes) {
  if (bytes <= kAlwaysHad) return;
  const std::uint64_t free = available_memory();
  if (free == 0 || bytes <= free) return;
  fail(ErrorCode::resource, "{} MB of memory are needed for sizes like these, {} MB are free",
       bytes >> 20, free >> 20);
}

}  // namespace

void Arena::reserve(std::size_t bytes, backend::Backend& backend) {
  if (bytes <= bytes_) return;
  memory_.reset();  // first, so that both are never held at once
  bytes_ = 0;
  check_free(bytes);
  memory_ = backend.allocate(bytes);
  bytes_ = bytes;
}

void Arena::give_back(std::size_t most) {
  if (bytes_ <= most) return;
  memory_.reset();
  bytes_ = 0;
}

}  // namespace tenon::session
