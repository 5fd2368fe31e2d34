// A product of rows with a constant matrix and its bias, as passes join several of them.
#pragma once

#include <optional>

#include "passes/match.h"

namespace tenon::passes {

struct Projection {
  ValueId x;
  SourcePtr weight;  ///< [in, out]
  SourcePtr bias;    ///< [out], or null
};

/// x W or x W + b when nothing else reads the value or the product inside it. A bias of one number
/// for all columns is no match: it cannot be joined with another's.
std::optional<Projection> match_projection(const Graph& graph, const Readers& readers,
                                           ValueId value);

}  // namespace tenon::passes
