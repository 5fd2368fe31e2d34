// What self-contained pages share: text made safe, and the style of a report in light and dark.
#pragma once

#include <string>
#include <string_view>

namespace tenon {

/// Text safe inside elements and quoted attributes.
std::string escaped(std::string_view text);

/// CSS of a report: sections, tiles, tables, plots. Colours are variables, so that a page can add
/// its own.
extern const std::string_view kPageStyle;

}  // namespace tenon
