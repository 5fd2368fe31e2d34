// Regular expressions inside a grammar.
#pragma once

#include <functional>
#include <string_view>

#include "text/grammar/grammar.h"

namespace tenon::text::grammar {

/// How one character of a set is written in the grammar.
using CharacterNode = std::function<Grammar::Node(const CodePoints&)>;

/// Adds the texts that match: as a whole, or with `search` those that hold a match. Errors as
/// regex_grammar.
Grammar::Node add_regex(Grammar& grammar, std::string_view pattern, const CharacterNode& character,
                        bool search);

}  // namespace tenon::text::grammar
