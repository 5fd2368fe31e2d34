// A model as its authors published it: configuration and weights by name, mapped, never copied
// whole.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "checkpoint/weight_map.h"
#include "tensor/source.h"

namespace tenon::checkpoint {

struct WeightSet;

/// A file that the checkpoint consists of, for provenance.
struct SourceFile {
  std::filesystem::path path;
  std::uint64_t bytes = 0;
};

/// Immutable; any number of threads may read. Copies share the mappings, and every source that
/// `weight` gives keeps its own alive.
class Checkpoint {
 public:
  /// A directory in Hugging Face form (safetensors or pickled weights, one file or shards with an
  /// index) or in Meta's (params.json and consolidated.NN.pth), or one weight file, whose form its
  /// first bytes tell. Checks all headers; reads no values. Runs no code of a pickle. Throws
  /// Error(bad_input).
  /// `variant`: see read_hugging_face.
  static Checkpoint open(const std::filesystem::path& path, std::string_view variant = {});
  /// One part of a file that holds several: weights that are renamed already, and their config.
  static Checkpoint assemble(WeightSet set, Json config, std::filesystem::path directory);

  /// "huggingface-safetensors", "huggingface-pytorch" or "meta".
  const std::string& form() const noexcept { return form_; }
  /// The directory itself, or the one that holds the single file.
  const std::filesystem::path& directory() const noexcept { return directory_; }
  /// config.json as it stands; Meta's params.json translated to the same form. An empty object when
  /// there is none, as beside a lone weight file.
  const Json& config() const noexcept { return config_; }
  /// config().architectures[0]; throws Error(bad_input) when there is none.
  const std::string& architecture() const;

  bool has(std::string_view name) const { return weights_.contains(name); }
  /// Sorted.
  std::vector<std::string> names() const;
  /// The weight, which must have `shape`: Error(bad_input) names the tensor, both shapes and the
  /// file, or the nearest names that exist. Meta's weights have Hugging Face names and layout.
  SourcePtr weight(std::string_view name, const Shape& shape) const;
  SourcePtr weight(std::string_view name) const;
  /// Compares the bytes of the weight with the sums that its file keeps (zip archives do), reading
  /// them all. Error(bad_input) names the file and the tensor.
  void check_sums(std::string_view name) const;
  /// The file that holds the weight; of joined shards the first.
  const std::filesystem::path& file_of(std::string_view name) const;
  /// Configuration, tokenizer and weight files, each once.
  const std::vector<SourceFile>& files() const noexcept { return files_; }

 private:
  Checkpoint() = default;
  static Checkpoint open_directory(const std::filesystem::path& path, std::string_view variant);
  static Checkpoint open_file(const std::filesystem::path& path);
  void list_files(const std::vector<std::filesystem::path>& paths);
  const Weight& find(std::string_view name) const;

  std::string form_;
  std::filesystem::path directory_;
  Json config_ = Json::object();
  WeightMap weights_;
  std::vector<SourceFile> files_;
};

}  // namespace tenon::checkpoint
