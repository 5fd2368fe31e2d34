#include "checkpoint/folder.h"

#include <algorithm>

#include "base/error.h"
#include "base/mapped_file.h"
#include "checkpoint/weight_map.h"

namespace tenon::checkpoint {

namespace fs = std::filesystem;

namespace {

constexpr std::size_t kMaxConfigBytes = std::size_t{16} << 20;
constexpr std::size_t kMaxIndexBytes = std::size_t{64} << 20;

void check_plain_name(std::string_view name) {
  const bool plain = !name.empty() && name.size() <= 255 && name != "." && name != ".." &&
                     name.find_first_of(std::string_view("/\\\0", 3)) == std::string_view::npos;
  if (!plain) {
    bad_input("{} is not a plain file name; a file of the same directory was expected",
              shown_name(name));
  }
}

bool lies_in(const fs::path& path, const fs::path& directory) {
  const auto [rest, unused] =
      std::mismatch(directory.begin(), directory.end(), path.begin(), path.end());
  return rest == directory.end();
}

}  // namespace

Folder::Folder(fs::path root) : root_(std::move(root)) {
  std::error_code error;
  if (!fs::is_directory(root_, error)) bad_input("{}: not a directory", root_.string());
}

std::optional<fs::path> Folder::find(std::string_view name) const {
  check_plain_name(name);
  fs::path path = root_ / name;
  std::error_code error;
  const fs::file_status status = fs::symlink_status(path, error);
  if (!fs::exists(status)) return std::nullopt;
  if (fs::is_symlink(status)) check_link(path);
  return path;
}

void Folder::check_link(const fs::path& path) const {
  std::error_code error;
  const fs::path target = fs::canonical(path, error);
  if (error) {
    Error failure(ErrorCode::bad_input,
                  fmt::format("{}: the symbolic link leads nowhere", path.string()));
    throw failure.hint("download the checkpoint again: the file that it points to is gone");
  }
  const fs::path root = fs::canonical(root_);
  if (lies_in(target, root)) return;
  for (fs::path level = root; level.has_relative_path(); level = level.parent_path()) {
    if (level.filename() != "snapshots") continue;
    if (lies_in(target, level.parent_path() / "blobs")) return;
  }
  Error failure(ErrorCode::bad_input,
                fmt::format("{}: the symbolic link leads to {}, outside the checkpoint",
                            path.string(), target.string()));
  throw failure.hint("put the file itself into the directory");
}

std::vector<std::string> Folder::list(std::string_view prefix, std::string_view suffix) const {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(root_)) {
    const std::string name = entry.path().filename().string();
    std::error_code error;
    if (name.size() >= prefix.size() + suffix.size() && name.starts_with(prefix) &&
        name.ends_with(suffix) && !entry.is_directory(error)) {
      names.push_back(name);
    }
  }
  std::sort(names.begin(), names.end());
  return names;
}

Json read_config(const fs::path& path) {
  Json config = parse_json(read_file(path, kMaxConfigBytes), path.string());
  if (!config.is_object()) {
    bad_input("{}: is a JSON {}, an object was expected", path.string(), config.type_name());
  }
  return config;
}

std::map<std::string, std::string> read_index(const fs::path& path) {
  const Json index = parse_json(read_file(path, kMaxIndexBytes), path.string());
  return with_context(path.string(), [&] {
    const Json* map = find_field(index, "weight_map");
    if (map == nullptr || !map->is_object()) bad_input("has no object \"weight_map\"");
    std::map<std::string, std::string> shards;
    for (const auto& [name, shard] : map->items()) {
      if (!shard.is_string()) {
        bad_input("tensor {}: shard is a JSON {}, a file name was expected", shown_name(name),
                  shard.type_name());
      }
      check_tensor_name(name);
      check_plain_name(shard.get_ref<const std::string&>());
      shards.emplace(name, shard.get<std::string>());
    }
    return shards;
  });
}

}  // namespace tenon::checkpoint
