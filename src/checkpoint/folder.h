// A checkpoint's directory: which files of it may be opened, and which shards an index names.
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"

namespace tenon::checkpoint {

class Folder {
 public:
  /// Refuses what is not a directory.
  explicit Folder(std::filesystem::path root);

  const std::filesystem::path& root() const { return root_; }
  /// The path of a file that exists, else nothing. `name` must be a plain file name. A symbolic
  /// link must lead to a place inside the directory, or into the blobs of the Hugging Face cache
  /// that holds it (`<store>/snapshots/<revision>/...` and `<store>/blobs/...`).
  std::optional<std::filesystem::path> find(std::string_view name) const;
  /// Regular files and links to them that match `<prefix>*<suffix>`, sorted by name.
  std::vector<std::string> list(std::string_view prefix, std::string_view suffix) const;

 private:
  void check_link(const std::filesystem::path& path) const;

  std::filesystem::path root_;
};

/// A small JSON object; refuses other JSON and more than 16 MiB.
Json read_config(const std::filesystem::path& path);

/// `weight_map` of a `*.index.json`: tensor name -> shard, which must be a plain file name.
std::map<std::string, std::string> read_index(const std::filesystem::path& path);

}  // namespace tenon::checkpoint
