// Llama checkpoints in the form in which Meta publishes them, given the names, the layout and the
// configuration of the Hugging Face form.
#pragma once

#include "base/json.h"
#include "checkpoint/folder.h"
#include "checkpoint/hugging_face.h"

namespace tenon::checkpoint {

/// True when the directory holds params.json and consolidated.00.pth.
bool is_meta(const Folder& folder);

struct MetaCheckpoint {
  Json config;    ///< as config.json of the Hugging Face form
  WeightSet set;  ///< the shards joined, renamed; query and key rows in the half-split rotary order
};

/// Reads params.json and all of consolidated.NN.pth. Refuses (bad_input) a gap in the shards,
/// tensors that are not of a Llama, and shapes that do not follow from params.json.
///
/// What params.json does not say is chosen so: `max_position_embeddings` by the generation, which
/// shows in other fields: 131072 with `use_scaled_rope`, 8192 for `rope_theta` 500000, 16384 for
/// 1000000, 2048 for `norm_eps` 1e-6, else 4096 (`max_seq_len` wins when it is there). The scaling
/// of `use_scaled_rope` has factor 32 for dim 2048 and 3072, else 8 (`rope_scaling_factor` wins).
MetaCheckpoint read_meta(const Folder& folder);

}  // namespace tenon::checkpoint
