// Reading the fields that the sections of tokenizer.json have in common.
#pragma once

#include <string>

#include "base/json.h"
#include "text/tokenizer/regex.h"

namespace tenon::text {

/// The field "type" of a component; `what` names the section in the error.
std::string type_field(const Json& json, std::string_view what);
std::string required_string(const Json& json, const char* key);
/// Error(bad_input) unless the field is an array.
const Json& array_field(const Json& json, const char* key);
/// The field "pattern": {"String": ...} or {"Regex": ...}.
Pattern pattern_field(const Json& json);

}  // namespace tenon::text
