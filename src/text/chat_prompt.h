// From a conversation to the ids of its prompt: only what the template writes becomes special
// tokens, what people have written stays text.
#pragma once

#include <cstdint>
#include <vector>

#include "text/chat_template.h"
#include "text/tokenizer.h"

namespace tenon::text {

/// A copy whose strings, keys too, are guarded: see Tokenizer::guard.
OrderedJson guarded(const OrderedJson& json, const Tokenizer& tokenizer);

/// Renders messages and `asked` (tools, documents and what else comes from outside) guarded,
/// `variables` of the model's files as they are. Errors as of ChatTemplate::render.
std::vector<std::int32_t> encode_chat(const Tokenizer& tokenizer, const ChatTemplate& chat,
                                      const OrderedJson& messages, const OrderedJson& variables,
                                      const OrderedJson& asked = OrderedJson::object());

}  // namespace tenon::text
