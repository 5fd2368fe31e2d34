// Writes a graph as an ONNX file of standard operators, its weights beside it as external data.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <string>

#include "graph/graph.h"

namespace tenon::onnx {

struct WriteOptions {
  int opset = 17;  ///< 17 to 25
  /// Bytes that reading and converting weights may take at once. The file's own description and
  /// the weights that go inside it come on top.
  std::uint64_t max_ram = std::uint64_t{256} << 20;
  bool external_data = true;  ///< weights of `external_threshold` bytes and more go beside the file
  std::uint64_t external_threshold = 1024;
  std::string external_name = "model.onnx_data";  ///< a plain file name, in the folder of the file
  bool value_shapes = true;  ///< name the shapes of values inside the graph too
  std::string producer = "tenon";
  std::string producer_version = {};
  std::map<std::string, std::string> metadata = {};
};

/// Bytes of weights written so far and in all. May throw, to stop.
using WriteProgress = std::function<void(std::uint64_t done, std::uint64_t total)>;

/// Writes `file` and, where there is a large enough weight, `options.external_name` beside it; each
/// appears whole or not at all. Element types, names and the order of inputs and outputs are those
/// of the graph; operators that the opset does not know are written as older ones.
/// Error(bad_input) names the node that the opset cannot express (tenon.* operators never can be);
/// Error(resource) when the disk or `max_ram` does not suffice. One thread; the graph is only read.
void write(const graph::Graph& graph, const std::filesystem::path& file,
           const WriteOptions& options = {}, const WriteProgress& progress = {});

}  // namespace tenon::onnx
