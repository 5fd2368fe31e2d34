// Turns a parsed ONNX model into a graph.
#pragma once

#include <filesystem>
#include <memory>

#include "graph/graph.h"
#include "onnx/reader.h"

namespace onnx {
class ModelProto;
}

namespace tenon::onnx {

graph::Graph import_model(std::shared_ptr<const ::onnx::ModelProto> model,
                          const std::filesystem::path& folder, const ReadOptions& options);

}  // namespace tenon::onnx
