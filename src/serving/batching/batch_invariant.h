// An engine whose results for a token do not depend on what else is in the batch.
#pragma once

#include <memory>

#include "backend/backend.h"
#include "engine/engine.h"

namespace tenon::serving {

/// The same engine, its constants shared, where each step has one kernel for any number of rows,
/// and none that sums few rows in another order than many. All other kernels sum each row by
/// itself, in an order that depends on its own sequence alone, and attention cuts a context by the
/// position of the query. Where a tuned engine had a kernel for few rows, small batches may become
/// slower.
std::shared_ptr<const engine::Engine> batch_invariant(const engine::Engine& engine,
                                                      const backend::Backend& backend);

}  // namespace tenon::serving
