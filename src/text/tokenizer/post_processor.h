// The "post_processor" section of tokenizer.json: ids put before and behind a text.
#pragma once

#include <cstdint>
#include <vector>

#include "base/json.h"

namespace tenon::text {

struct Frame {
  std::vector<std::int32_t> before;
  std::vector<std::int32_t> behind;
};

/// TemplateProcessing (its template for one text), RobertaProcessing, BertProcessing, ByteLevel and
/// Sequence; null gives an empty frame. Error(bad_input) names an unknown type.
Frame read_post_processor(const Json& json);

}  // namespace tenon::text
