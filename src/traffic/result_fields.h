// What a report reads of a result of `tenon bench --server --json`, which may come from another
// version: whatever is absent or of another type is told as such.
#pragma once

#include <initializer_list>
#include <string>

#include "base/json.h"

namespace tenon::traffic {

/// Along the keys; NaN: absent, null or no number.
double number_at(const Json& object, std::initializer_list<const char*> path);
/// "": absent or no text.
std::string text_at(const Json& object, const char* key);

/// True for a level of an open loop, whose load is a rate.
bool is_open(const Json& level);
/// Requests a second or users at once; NaN: not told.
double load_of(const Json& level);
/// `concurrency 4`, `2.5 requests/s`
std::string load_name(const Json& level);

/// Its label, or the server's address.
std::string label_of(const Json& result);

}  // namespace tenon::traffic
