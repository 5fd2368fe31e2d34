// The passes by name; each is defined in the file of that name.
#pragma once

#include "passes/pass.h"

namespace tenon::passes {

int fold_constants(Graph& graph, const PassContext& context);
int simplify(Graph& graph, const PassContext& context);
int merge_duplicates(Graph& graph, const PassContext& context);
int fold_batch_norm(Graph& graph, const PassContext& context);
int fuse_rms_norm(Graph& graph, const PassContext& context);
int fuse_layer_norm(Graph& graph, const PassContext& context);
int fuse_group_norm(Graph& graph, const PassContext& context);
int fuse_gelu(Graph& graph, const PassContext& context);
int fuse_swish(Graph& graph, const PassContext& context);
int fuse_rotary(Graph& graph, const PassContext& context);
int fuse_attention(Graph& graph, const PassContext& context);
int fuse_attention_rows(Graph& graph, const PassContext& context);
int decoder_state(Graph& graph, const PassContext& context);
int merge_qkv(Graph& graph, const PassContext& context);
int fuse_swiglu(Graph& graph, const PassContext& context);
int fuse_geglu(Graph& graph, const PassContext& context);
int channels_last(Graph& graph, const PassContext& context);
int fuse_conv_input(Graph& graph, const PassContext& context);
int fuse_conv(Graph& graph, const PassContext& context);
int fuse_linear(Graph& graph, const PassContext& context);

}  // namespace tenon::passes
