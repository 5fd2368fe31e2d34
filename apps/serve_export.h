// tenon serve --export-triton: the models as a repository for Triton, of standard ONNX.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

#include "base/json.h"

namespace tenon::apps {

struct TritonFlags {
  std::string folder;  ///< empty: not asked for
  std::string backend = "onnxruntime";
  std::string dtype = "fp32";
};
void add_triton_flags(CLI::App& command, TritonFlags& flags);

/// Writes FOLDER/MODEL/config.pbtxt and FOLDER/MODEL/1/model.onnx for each source, SRC or NAME=SRC:
/// a checkpoint or an ONNX model. Pictures become NAME_text_encoder, NAME_unet, NAME_vae_decoder
/// ... For the tensorrt backend the ONNX file lies in MODEL/onnx, and a README.md in the folder has
/// the command that makes the plan of it on the machine with the GPU. The folder appears whole or
/// not at all, and must not be there. Returns the models that were written. Error as of
/// ModelSource.
Json export_triton(const std::vector<std::string>& sources, const TritonFlags& flags);

}  // namespace tenon::apps
