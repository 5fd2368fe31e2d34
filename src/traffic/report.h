// Results of one or several measurements as one page that needs nothing else.
#pragma once

#include <string>
#include <vector>

#include "base/json.h"

namespace tenon::traffic {

/// `results`: objects as result.h describes them, checked by `check_result`; the first is the new
/// one. Fields that are absent or of another type are left out of the page.
std::string to_html(const std::vector<Json>& results);

}  // namespace tenon::traffic
