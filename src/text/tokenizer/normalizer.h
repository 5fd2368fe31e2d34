// The "normalizer" section of tokenizer.json: text to text, before it is split.
#pragma once

#include <memory>
#include <string>

#include "base/json.h"

namespace tenon::text {

/// Immutable, any number of threads. The text is valid UTF-8 before and after.
class Normalizer {
 public:
  virtual ~Normalizer() = default;
  virtual void apply(std::string& text) const = 0;
};

/// Null for null. Error(bad_input) names an unknown type.
std::unique_ptr<Normalizer> make_normalizer(const Json& json);

}  // namespace tenon::text
