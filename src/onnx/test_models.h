// Small models for the tests of this folder.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "graph/graph.h"
#include "onnx-ml.pb.h"

namespace tenon::onnx {

/// A model of one opset with input `x` float32 [2, n] and output `y`; tests add nodes.
::onnx::ModelProto model_of(int opset);
::onnx::NodeProto& add_node(::onnx::ModelProto& model, const std::string& op,
                            const std::vector<std::string>& inputs,
                            const std::vector<std::string>& outputs);
::onnx::TensorProto& add_floats(::onnx::ModelProto& model, const std::string& name,
                                std::vector<std::int64_t> dims, const std::vector<float>& values);
::onnx::TensorProto& add_external(::onnx::ModelProto& model, const std::string& location,
                                  const std::string& offset, const std::string& length);
void set_ints(::onnx::NodeProto& node, const std::string& name, std::vector<std::int64_t> values);

graph::Graph read_model(const ::onnx::ModelProto& model, const std::filesystem::path& folder = {});
/// The message of the Error that reading ends with; "" when it does not.
std::string refusal(const ::onnx::ModelProto& model, const std::filesystem::path& folder = {});

/// Inputs, nodes, constants and outputs, a line each.
std::string dump(const graph::Graph& graph);

/// An empty folder that goes when the test ends.
class TestFolder {
 public:
  TestFolder();
  ~TestFolder();
  TestFolder(const TestFolder&) = delete;
  TestFolder& operator=(const TestFolder&) = delete;
  std::filesystem::path operator/(const std::string& name) const { return path_ / name; }
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

}  // namespace tenon::onnx
