// A first reading of a SentencePiece model file, before the library is trusted with it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace tenon::text {

struct SentencePieceModel {
  enum class Kind { normal = 1, unknown = 2, control = 3, user_defined = 4, unused = 5, byte = 6 };
  struct Piece {
    std::string text;
    Kind kind = Kind::normal;
  };
  enum class Algorithm { unigram = 1, bpe = 2 };

  std::vector<Piece> pieces;  ///< by id
  Algorithm algorithm = Algorithm::unigram;
  bool byte_fallback = false;
};

/// Checks all that the library does not: lengths of pieces, byte pieces and their number, the
/// offsets inside the tables of character maps. Throws Error(bad_input).
SentencePieceModel read_sentencepiece_model(std::string_view bytes);

}  // namespace tenon::text
