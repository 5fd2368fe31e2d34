// A picture model as its authors published it: several networks with a configuration each, and what
// a pipeline needs beside them.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "checkpoint/checkpoint.h"

namespace tenon::checkpoint {

struct DiffusionOptions {
  std::string variant;  ///< "fp16" and the like: which weight files to take; see read_hugging_face
  /// "epsilon", "v_prediction" or "sample", when it is known better than the files say it.
  std::string prediction_type;
  /// The YAML configuration of a single file; empty: the one beside it with its name, if any.
  std::filesystem::path original_config;
};

/// Text and small files that go with the networks, by the path that diffusers gives them.
using SideFiles = std::map<std::string, std::string>;

/// Immutable; any number of threads may read. The parts are named text_encoder, unet, vae and
/// tiny_vae and have the weight names and configurations of diffusers and transformers.
class DiffusionCheckpoint {
 public:
  /// True for a directory with a model_index.json and for a file with weights of latent diffusion
  /// models (model.diffusion_model.*). Reads headers only; Error(bad_input) when the file is
  /// broken.
  static bool recognizes(const std::filesystem::path& path);

  /// A diffusers directory, or one file in the form of the original release (.safetensors or
  /// .ckpt), whose configurations are derived from the shapes of its weights. Reads headers and
  /// small files only. Error(bad_input) names a component that is not supported, and parts that do
  /// not belong together.
  static DiffusionCheckpoint open(const std::filesystem::path& path,
                                  const DiffusionOptions& options = {});

  /// "diffusers" or "latent-diffusion" (one file).
  const std::string& form() const noexcept { return form_; }
  /// The directory itself, or the one that holds the single file.
  const std::filesystem::path& directory() const noexcept { return directory_; }
  /// Null when the checkpoint has no such part.
  const Checkpoint* find(std::string_view part) const;
  /// Error(bad_input) names the parts that there are.
  const Checkpoint& part(std::string_view part) const;
  const std::map<std::string, Checkpoint, std::less<>>& parts() const noexcept { return parts_; }

  /// model_index.json, scheduler/scheduler_config.json, tokenizer/vocab.json, tokenizer/merges.txt,
  /// tokenizer/tokenizer_config.json, tokenizer/special_tokens_map.json, tokenizer/tokenizer.json
  /// and PART/config.json, as far as they exist. Those of a single file are made; it has no
  /// tokenizer unless a folder `tokenizer` stands beside it.
  const SideFiles& side_files() const noexcept { return side_files_; }
  /// The scheduler's configuration with the prediction type of the options; an empty object when
  /// there is none.
  const Json& scheduler_config() const noexcept { return scheduler_config_; }
  /// Weights, configurations and side files, each once.
  const std::vector<SourceFile>& files() const noexcept { return files_; }
  /// What was passed over or had to be assumed, in whole sentences. Assumptions are logged as
  /// warnings too.
  const std::vector<std::string>& notes() const noexcept { return notes_; }

 private:
  DiffusionCheckpoint() = default;
  void open_directory(const DiffusionOptions& options);
  void open_part(const std::string& part, const std::string& folder, const std::string& class_name,
                 const std::string& variant);
  void find_tiny_beside(const std::string& variant);
  void open_file(const std::filesystem::path& path, const DiffusionOptions& options);
  void read_side_files();
  void finish(const std::string& prediction_type);
  void note(std::string text);

  std::string form_;
  std::filesystem::path directory_;
  std::map<std::string, Checkpoint, std::less<>> parts_;
  Json scheduler_config_ = Json::object();
  SideFiles side_files_;
  std::vector<SourceFile> files_;
  std::vector<std::string> notes_;
};

}  // namespace tenon::checkpoint
