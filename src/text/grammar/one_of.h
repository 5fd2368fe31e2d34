// References inside of a JSON schema, and whether schemas exclude each other.
#pragma once

#include <string>

#include "base/json.h"

namespace tenon::text::grammar {

/// `#` or `#/path`; null when it is not in the document.
const nlohmann::ordered_json* find_reference(const nlohmann::ordered_json& document,
                                             const std::string& reference);

/// Error(bad_input) unless no value can match two of the schemas: their types differ, their
/// constants do, or a required property has values that exclude each other.
void check_one_of(const nlohmann::ordered_json& document, const nlohmann::ordered_json& schemas,
                  const std::string& path);

}  // namespace tenon::text::grammar
