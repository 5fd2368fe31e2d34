// From what a model computed to what was asked for: which outputs, classified, into shared memory;
// and inputs out of it.
#pragma once

#include "serving/kserve/infer_data.h"
#include "serving/shared_memory.h"

namespace tenon::serving::kserve {

// `memory` may be null: then no region is known. Errors of SharedMemory and SharedRegion go on.

/// Replaces places of inputs by the tensors that lie there.
void read_places(InferRequest& request, const SharedMemory* memory);
/// Refuses outputs whose place is not there, before anything is computed.
void check_places(const std::vector<WantedOutput>& outputs, const SharedMemory* memory);
/// The outputs that were wanted, in that order; all when none was named. Those with a place are
/// written there. Error(bad_input): the room is too small.
std::vector<InferTensor> chosen(std::vector<InferTensor> outputs,
                                const std::vector<WantedOutput>& wanted, const SharedMemory* memory,
                                const std::string& model);

}  // namespace tenon::serving::kserve
