// A reader of the protocol buffer, no more of it than the checks need.
#include "text/tokenizer/sentencepiece_model.h"

#include <bitset>
#include <cstring>

#include "base/error.h"
#include "text/tokenizer/byte_level.h"
#include "text/tokenizer/utf8.h"
#include "text/tokenizer/vocabulary.h"

namespace tenon::text {
namespace {

// Fields of one message, in order.
class Fields {
 public:
  explicit Fields(std::string_view bytes) : rest_(bytes) {}

  // The next field; false at the end.
  bool next() {
    if (rest_.empty()) return false;
    const std::uint64_t key = varint();
    number_ = key >> 3;
    wire_ = static_cast<unsigned>(key & 7U);
    switch (wire_) {
      case 0:
        value_ = varint();
        break;
      case 1:
        take(8);
        break;
      case 2:
        bytes_ = take(varint());
        break;
      case 5:
        take(4);
        break;
      default:
        bad_input("not a SentencePiece model: a field of wire type {}", wire_);
    }
    return true;
  }
  bool is(std::uint64_t number, unsigned wire) const { return number_ == number && wire_ == wire; }
  std::uint64_t value() const { return value_; }
  std::string_view bytes() const { return bytes_; }

 private:
  std::uint64_t varint() {
    std::uint64_t value = 0;
    for (unsigned shift = 0; shift < 64 && !rest_.empty(); shift += 7) {
      const auto byte = static_cast<unsigned char>(rest_[0]);
      rest_.remove_prefix(1);
      value |= static_cast<std::uint64_t>(byte & 0x7fU) << shift;
      if ((byte & 0x80U) == 0) return value;
    }
    bad_input("not a SentencePiece model: a number does not end");
  }
  std::string_view take(std::uint64_t length) {
    if (length > rest_.size()) {
      bad_input("the SentencePiece model is cut short: {} bytes announced, {} left", length,
                rest_.size());
    }
    const std::string_view taken = rest_.substr(0, length);
    rest_.remove_prefix(length);
    return taken;
  }

  std::string_view rest_;
  std::uint64_t number_ = 0;
  unsigned wire_ = 0;
  std::uint64_t value_ = 0;
  std::string_view bytes_;
};

SentencePieceModel::Piece read_piece(std::string_view bytes, std::size_t id) {
  SentencePieceModel::Piece piece;
  for (Fields fields(bytes); fields.next();) {
    if (fields.is(1, 2)) piece.text = fields.bytes();
    if (fields.is(3, 0)) {
      if (fields.value() < 1 || fields.value() > 6) {
        bad_input("piece {} has type {}, 1 to 6 was expected", id, fields.value());
      }
      piece.kind = static_cast<SentencePieceModel::Kind>(fields.value());
    }
  }
  if (piece.text.empty()) bad_input("piece {} is empty", id);
  if (piece.text.size() > Vocabulary::kMaxTokenBytes) {
    bad_input("piece {} has {} bytes, at most {} are read", id, piece.text.size(),
              Vocabulary::kMaxTokenBytes);
  }
  if (piece.text.find('\0') != std::string::npos) bad_input("piece {} holds a zero byte", id);
  if (!is_valid_utf8(piece.text)) bad_input("piece {} is not valid UTF-8", id);
  return piece;
}

std::uint32_t word_at(std::string_view bytes, std::size_t index) {
  std::uint32_t word = 0;
  std::memcpy(&word, bytes.data() + index * sizeof word, sizeof word);
  return word;
}

// The map of characters: a length, a double-array trie of 32-bit units, then strings that each end
// in a zero byte. The library follows the trie without looking at its bounds.
void check_character_map(std::string_view map) {
  if (map.empty()) return;
  if (map.size() < 4) bad_input("the character map has {} bytes", map.size());
  const std::size_t trie_bytes = word_at(map, 0);
  if (trie_bytes % 4 != 0 || trie_bytes < 1024 || trie_bytes >= map.size() - 4) {
    bad_input("the character map of {} bytes names a trie of {} bytes", map.size(), trie_bytes);
  }
  const std::string_view trie = map.substr(4, trie_bytes);
  const std::string_view strings = map.substr(4 + trie_bytes);
  if (strings.back() != '\0') bad_input("the last string of the character map does not end");
  const std::size_t units = trie_bytes / 4;
  for (std::size_t i = 0; i < units; ++i) {
    const std::uint32_t unit = word_at(trie, i);
    if ((unit >> 31) != 0) {  // a value: where its string begins
      if ((unit & 0x7fffffffU) >= strings.size()) {
        bad_input("unit {} of the character map names byte {} of {}", i, unit & 0x7fffffffU,
                  strings.size());
      }
      continue;
    }
    const std::size_t offset = static_cast<std::size_t>(unit >> 10) << ((unit & 0x200U) >> 6);
    if (((i ^ offset) | 0xffU) >= units) {
      bad_input("unit {} of the character map leads to unit {} of {}", i, (i ^ offset) | 0xffU,
                units);
    }
  }
}

void read_trainer(std::string_view bytes, SentencePieceModel& model) {
  for (Fields fields(bytes); fields.next();) {
    if (fields.is(3, 0)) {
      if (fields.value() != 1 && fields.value() != 2) {
        bad_input("SentencePiece model type {} is not supported, known are 1 (unigram) and 2 (BPE)",
                  fields.value());
      }
      model.algorithm = static_cast<SentencePieceModel::Algorithm>(fields.value());
    }
    if (fields.is(35, 0)) model.byte_fallback = fields.value() != 0;
  }
}

void read_normalizer(std::string_view bytes) {
  for (Fields fields(bytes); fields.next();) {
    if (fields.is(2, 2)) check_character_map(fields.bytes());
  }
}

void check_bytes(const SentencePieceModel& model) {
  std::bitset<256> seen;
  for (std::size_t id = 0; id < model.pieces.size(); ++id) {
    const SentencePieceModel::Piece& piece = model.pieces[id];
    if (piece.kind != SentencePieceModel::Kind::byte) continue;
    const auto byte = parse_byte_token(piece.text);
    if (!byte || byte_token(*byte) != piece.text) {
      bad_input("byte piece {} is \"{}\", <0x00> to <0xFF> was expected", id, piece.text);
    }
    seen.set(*byte);
  }
  if (!model.byte_fallback || seen.all()) return;
  unsigned missing = 0;
  while (seen.test(missing)) ++missing;
  bad_input("the model falls back to bytes, and {} of the 256 byte pieces are missing, first {}",
            256 - seen.count(), byte_token(static_cast<unsigned char>(missing)));
}

}  // namespace

SentencePieceModel read_sentencepiece_model(std::string_view bytes) {
  SentencePieceModel model;
  for (Fields fields(bytes); fields.next();) {
    if (fields.is(1, 2)) model.pieces.push_back(read_piece(fields.bytes(), model.pieces.size()));
    if (fields.is(2, 2)) read_trainer(fields.bytes(), model);
    if (fields.is(3, 2) || fields.is(5, 2)) read_normalizer(fields.bytes());
  }
  if (model.pieces.empty()) bad_input("the SentencePiece model has no pieces");
  check_bytes(model);
  return model;
}

}  // namespace tenon::text
