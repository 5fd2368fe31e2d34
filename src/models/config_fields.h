// Fields of diffusers' configurations: one value, or a list with one for each block.
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"

namespace tenon::models {

inline constexpr std::int64_t kMaxWidth = std::int64_t{1} << 24;
inline constexpr std::int64_t kMaxBlocks = 64;

/// Error(bad_input): `field "F" is VALUE; SUPPORTED`.
[[noreturn]] void refuse_field(const Json& config, const char* field, std::string_view supported);

/// The field must be absent, null or one of these; Error(bad_input) names them.
void require_one_of(const Json& config, const char* field,
                    std::initializer_list<const char*> supported);
/// The field must be absent or null.
void require_absent(const Json& config, const char* field);

/// A list of numbers in [low, high], 1 to kMaxBlocks long.
std::vector<std::int64_t> get_ints(const Json& config, const char* field, std::int64_t low,
                                   std::int64_t high, std::vector<std::int64_t> fallback);
std::vector<std::string> get_strings(const Json& config, const char* field,
                                     std::vector<std::string> fallback);
/// A number for all blocks, or a list of `blocks` numbers.
std::vector<std::int64_t> get_ints_per_block(const Json& config, const char* field,
                                             std::size_t blocks, std::int64_t low,
                                             std::int64_t high, std::int64_t fallback);
std::vector<bool> get_bools_per_block(const Json& config, const char* field, std::size_t blocks,
                                      bool fallback);
/// For each block one number for all its `layers[block]` layers, or a list with one for each.
std::vector<std::vector<std::int64_t>> get_ints_per_layer(const Json& config, const char* field,
                                                          const std::vector<std::int64_t>& layers,
                                                          std::int64_t low, std::int64_t high,
                                                          std::int64_t fallback);

}  // namespace tenon::models
