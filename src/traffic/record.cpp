#include "traffic/record.h"

#include <array>

namespace tenon::traffic {

std::string_view failure_name(Failure failure) noexcept {
  static constexpr std::array<std::string_view, 8> kNames = {
      "none", "connect", "timeout", "cut", "status", "malformed", "server", "cancelled"};
  return kNames[static_cast<std::size_t>(failure)];
}

double Record::time_per_token() const noexcept {
  if (pieces.size() < 2 || tokens() < 2) return -1;
  return (pieces.back() - pieces.front()) / static_cast<double>(tokens() - 1);
}

}  // namespace tenon::traffic
