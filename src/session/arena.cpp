#include "session/arena.h"

namespace tenon::session {

void Arena::reserve(std::size_t bytes, backend::Backend& backend) {
  if (bytes <= bytes_) return;
  memory_.reset();  // first, so that both are never held at once
  bytes_ = 0;
  memory_ = backend.allocate(bytes);
  bytes_ = bytes;
}

}  // namespace tenon::session
