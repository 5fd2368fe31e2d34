// Files that a client sends to be loaded as a model.
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <string>

namespace tenon::serving {

/// A folder of the model that only this user can read; it goes with the object.
class ClientFiles {
 public:
  /// `files` by "VERSION/NAME", also deeper. Error(bad_input) for a path that is none inside the
  /// folder of a version, and beyond 1000 files; Error(resource) when the disk fails.
  explicit ClientFiles(const std::map<std::string, std::string>& files);
  ~ClientFiles();
  ClientFiles(const ClientFiles&) = delete;
  ClientFiles& operator=(const ClientFiles&) = delete;
  const std::filesystem::path& folder() const { return folder_; }

 private:
  std::filesystem::path folder_;
};

}  // namespace tenon::serving
