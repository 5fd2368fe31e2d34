// Text from ids that arrive one by one.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "text/tokenizer.h"

namespace tenon::text {

/// Never splits a character; all pieces together are decode() of all ids. Holds back only what a
/// later id can still change (an unfinished character, a run of byte tokens). One thread; must not
/// outlive the tokenizer.
class StreamingDecoder {
 public:
  explicit StreamingDecoder(const Tokenizer& tokenizer, bool skip_special = true)
      : decoding_(tokenizer.start_decoding(skip_special)) {}

  /// The text that this id makes certain, often empty.
  std::string push(std::int32_t id) {
    std::string out;
    decoding_->push(id, out);
    return out;
  }
  /// The rest; nothing may be pushed after it.
  std::string finish() {
    std::string out;
    decoding_->finish(out);
    return out;
  }

 private:
  std::unique_ptr<Decoding> decoding_;
};

}  // namespace tenon::text
