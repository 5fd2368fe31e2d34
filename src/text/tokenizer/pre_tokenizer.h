// The "pre_tokenizer" section of tokenizer.json: a text is cut into pieces that are encoded alone.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"

namespace tenon::text {

/// Bytes [begin, end) of the text; `at_start`: nothing stands before it in the whole input.
struct Piece {
  std::size_t begin;
  std::size_t end;
  bool at_start;
};

/// A text and its pieces in order, none empty, none overlapping; what lies between was removed.
struct Pieces {
  std::string text;
  std::vector<Piece> pieces;

  std::string_view view(const Piece& piece) const {
    return std::string_view(text).substr(piece.begin, piece.end - piece.begin);
  }
};

/// Immutable, any number of threads.
class PreTokenizer {
 public:
  virtual ~PreTokenizer() = default;
  virtual void apply(Pieces& pieces) const = 0;
};

/// Null for null. `byte_level_prefix_space`, when not null, replaces the field add_prefix_space of
/// an outermost ByteLevel. Error(bad_input) names an unknown type.
std::unique_ptr<PreTokenizer> make_pre_tokenizer(const Json& json,
                                                 const bool* byte_level_prefix_space = nullptr);

}  // namespace tenon::text
