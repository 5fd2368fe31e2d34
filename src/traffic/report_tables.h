// The words and numbers of a load report as HTML: what was found at a glance, a table of all
// levels, failures, and what was measured where.
#pragma once

#include <string>
#include <vector>

#include "base/json.h"

namespace tenon::traffic {

/// A card of the page; "" for an empty body. `title` is HTML.
std::string section(const std::string& title, const std::string& body);

/// Tiles: the most that was reached, the times at the lightest load, failures.
std::string headline(const Json& result);
/// A row for each level, the levels of a result together under its label.
std::string level_table(const std::vector<Json>& results);
/// A section, or "" when no request failed.
std::string failure_table(const std::vector<Json>& results);
/// The section of one result: server, machine, settings, command, notes.
std::string facts(const Json& result);

}  // namespace tenon::traffic
