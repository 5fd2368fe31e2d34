// Python's two ways to put values into text: "%d" % value and "{}".format(value).
#pragma once

#include <string>
#include <string_view>

#include "text/jinja/callable.h"
#include "text/jinja/value.h"

namespace tenon::text::jinja {

/// pattern % values; a tuple gives several values, a mapping named ones.
std::string format_percent(std::string_view pattern, const Value& values, Budget& budget);
/// pattern.format(...): fields by number or name, with members, items, !s !r and a format spec.
std::string format_braces(std::string_view pattern, const Arguments& arguments, Budget& budget);

}  // namespace tenon::text::jinja
