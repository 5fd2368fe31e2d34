// Which existing names a missing one may have meant.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace tenon::checkpoint {

/// At most `count` of `names`, nearest first by edit distance; names that have little in common
/// with `wanted` are left out.
std::vector<std::string> nearest_names(std::string_view wanted,
                                       const std::vector<std::string>& names, std::size_t count);

}  // namespace tenon::checkpoint
