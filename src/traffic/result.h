// A measurement as the JSON object that `tenon bench --server --json` prints and `--compare` reads.
#pragma once

#include <string>
#include <vector>

#include "base/json.h"
#include "traffic/load.h"
#include "traffic/statistics.h"

namespace tenon::traffic {

/// Times in milliseconds, rates a second. Has what the report draws: at most 120 points of each
/// distribution function ("ecdf") and at most 400 requests ("timeline": [due, first or null, end,
/// failure] in seconds).
/// `load`: {"concurrency": N} or {"request_rate": R}.
Json level_json(const Json& load, const Level& level, const Summary& summary,
                const Goodput& goodput);

/// {"count", "mean", "stddev", "min", "p50", "p90", "p95", "p99", "max"}, each times `scale`;
/// null for no values.
Json to_json(const Distribution& distribution, double scale);

/// Points [value, share] of the empirical distribution function, at most `most`, with both ends.
Json ecdf_json(std::vector<double> values, double scale, std::size_t most);

/// Checks what `--compare` names: Error(bad_input) unless it is such an object.
void check_result(const Json& result, std::string_view where);

}  // namespace tenon::traffic
