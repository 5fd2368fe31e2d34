// CLIPTextModel and CLIPTextModelWithProjection.
#pragma once

#include "models/model.h"

namespace tenon::models {

/// Input: input_ids int64 [batch_size, sequence_length], at most max_position_embeddings long.
/// Outputs: last_hidden_state [batch_size, sequence_length, hidden_size] behind the final norm;
/// pooler_output [batch_size, hidden_size], its row at the first end token (at the largest id where
/// the config has eos_token_id 2, as old ones do), or with `projection` text_embeds [batch_size,
/// projection_dim] first; hidden_states.N where the options or output_hidden_states ask for them:
/// behind the embeddings, then behind each layer.
graph::Graph build_clip_text(const Json& config, const Weights& weights,
                             const BuildOptions& options, bool projection);

}  // namespace tenon::models
