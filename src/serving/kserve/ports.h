// Inputs and outputs as KServe shows them: those of plain tensors, and the texts of the others.
#pragma once

#include <string>
#include <vector>

#include "serving/kserve/infer_data.h"
#include "serving/served_model.h"

namespace tenon::serving::kserve {

struct Port {
  std::string name;
  std::string datatype;
  Shape shape;
};

// text_input -> text_output; prompt -> image [images, height, width, 3].
inline std::vector<Port> inputs_of(const ModelInfo& info) {
  if (info.kind == ModelKind::text) return {{"text_input", "BYTES", {1}}};
  if (info.kind == ModelKind::pictures) return {{"prompt", "BYTES", {1}}};
  std::vector<Port> ports;
  for (const auto& spec : info.inputs)
    ports.push_back({spec.name, std::string(datatype_name(spec.dtype)), spec.shape});
  return ports;
}

inline std::vector<Port> outputs_of(const ModelInfo& info) {
  if (info.kind == ModelKind::text) return {{"text_output", "BYTES", {1}}};
  if (info.kind == ModelKind::pictures) return {{"image", "UINT8", {-1, -1, -1, 3}}};
  std::vector<Port> ports;
  for (const auto& spec : info.outputs)
    ports.push_back({spec.name, std::string(datatype_name(spec.dtype)), spec.shape});
  return ports;
}

}  // namespace tenon::serving::kserve
