#pragma once

#include <string_view>

namespace tenon {

/// Of the program and of all that it writes and says: "0.1.0", as CMakeLists.txt's project() has
/// it.
std::string_view version();

}  // namespace tenon
