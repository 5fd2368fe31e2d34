// What the tokenizer tests share: small tokenizers written down in the test.
#pragma once

#include <string>
#include <string_view>
#include <utility>

#include "base/json.h"
#include "text/test_support.h"
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

}  // namespace tenon::text
