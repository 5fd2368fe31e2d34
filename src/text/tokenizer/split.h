// Cutting pieces at matches, in the five ways that tokenizer.json knows.
#pragma once

#include <string_view>
#include <vector>

#include "text/tokenizer/pre_tokenizer.h"
#include "text/tokenizer/regex.h"

namespace tenon::text {

enum class SplitBehavior { removed, isolated, merged_with_previous, merged_with_next, contiguous };

/// Error(bad_input) for an unknown name.
SplitBehavior parse_split_behavior(std::string_view name);

/// Appends to `out` the parts of `piece`, whose matches (relative to its beginning, in order) are
/// given. `invert`: what lies between the matches counts as the match.
void append_split(const Piece& piece, const std::vector<Span>& matches, SplitBehavior behavior,
                  bool invert, std::vector<Piece>& out);

}  // namespace tenon::text
