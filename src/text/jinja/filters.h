// What the two files of filters share: the rows of the table and Python's text search.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "text/jinja/callable.h"

namespace tenon::text::jinja {

struct FilterRow {
  std::string_view name;
  Native native;
};

std::span<const FilterRow> text_filters();
std::span<const FilterRow> number_filters();
std::span<const FilterRow> sequence_filters();

/// str.replace: `count` replacements at most, all when negative.
std::string replace_text(std::string_view text, std::string_view old, std::string_view with,
                         std::int64_t count, Budget& budget);
/// str.center
std::string centered(std::string_view text, std::int64_t width, std::string_view fill,
                     Budget& budget);

}  // namespace tenon::text::jinja
