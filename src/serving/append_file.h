// A file that grows line by line in a folder that the server was given: for traces and logs.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

namespace tenon::serving {

/// Not for several threads at once.
class AppendFile {
 public:
  /// What may be added to one file; the disk must not fill because a client asked for much.
  static constexpr std::uint64_t kMostBytes = std::uint64_t{1} << 30;

  /// Error(bad_input) unless the name is [A-Za-z0-9][A-Za-z0-9._-]{0,127}; `what` names the
  /// setting.
  static void check_name(const std::string& name, std::string_view what);

  /// Creates the file, or goes on behind its end. Links are not followed. Error(resource) when it
  /// cannot be opened or is no plain file.
  AppendFile(const std::filesystem::path& folder, const std::string& name);
  ~AppendFile();
  AppendFile(const AppendFile&) = delete;
  AppendFile& operator=(const AppendFile&) = delete;

  /// In one write. False when there is no more room, or the disk refuses it.
  bool add(std::string_view line);

 private:
  int descriptor_;
  std::uint64_t added_ = 0;
};

}  // namespace tenon::serving
