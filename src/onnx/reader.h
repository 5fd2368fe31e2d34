// Reads an ONNX model into a graph of the newest operator forms.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>

#include "graph/graph.h"

namespace tenon::onnx {

struct ReadOptions {
  /// Nodes in the graph, after functions and branches are put in their place; one with more than 16
  /// operands counts as several.
  std::int64_t max_nodes = 250'000;
};

/// Opset 9 to 25 of the standard domain and what decoders use of com.microsoft, made up of today's
/// forms of the operators: older ones are rewritten, functions are inlined, branches with a known
/// condition are taken. Weights stay where they are: those of external files are mapped, those
/// inside the model live as long as a constant of the graph. Names of values and nodes are kept;
/// modules are derived from node names. Error(bad_input) names the node and operator that is not
/// supported, or what is malformed and where. One thread; separate reads may run side by side.
///
/// Quantised weights become the float32 numbers that they stand for, as they are read;
/// activations that the file quantises while it runs stay float32. A decoder of two branches, on
/// the input use_cache_branch, becomes the one with a cache.
///
/// A folder means its model.onnx, or the only .onnx file that it has, or of decoder_model.onnx,
/// decoder_with_past_model.onnx and decoder_model_merged.onnx the last.
graph::Graph read(const std::filesystem::path& file_or_folder, const ReadOptions& options = {});
/// The same of bytes, which are not needed afterwards. External data is looked for in
/// `data_folder`; an empty one means that there is none.
graph::Graph read(std::span<const std::byte> model, const std::filesystem::path& data_folder,
                  const ReadOptions& options = {});

}  // namespace tenon::onnx
