// What the tokenizer tests share: small tokenizers written down in the test, and errors as text.
#pragma once

#include <string>
#include <string_view>
#include <utility>

#include "base/error.h"
#include "base/json.h"
#include "text/tokenizer.h"

namespace tenon::text {

/// A byte-level BPE of a few letters; tests change single fields.
inline Json tiny_tokenizer() {
  return Json::parse(R"({
    "added_tokens": [{"id": 7, "content": "<end>", "special": true, "normalized": false}],
    "normalizer": null, "pre_tokenizer": null, "post_processor": null, "decoder": {"type": "Fuse"},
    "model": {"type": "BPE", "vocab": {"a": 0, "b": 1, "c": 2, "ab": 3, "abc": 4, " ": 5, "<unk>": 6},
              "merges": ["a b", ["ab", "c"]], "unk_token": "<unk>"}})");
}

inline std::unique_ptr<Tokenizer> load_json(const Json& json, TokenizerFiles more = {}) {
  more["tokenizer.json"] = json.dump();
  return load_tokenizer(more);
}

/// The text of the Error that `body` throws; a plain word when it throws none.
template <typename Body>
std::string error_of(Body&& body) {
  try {
    std::forward<Body>(body)();
  } catch (const Error& error) {
    return error.code() == ErrorCode::bad_input ? error.what() : "not bad_input";
  }
  return "no error";
}

}  // namespace tenon::text
