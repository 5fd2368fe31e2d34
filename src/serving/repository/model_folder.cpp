#include "serving/repository/model_folder.h"

#include <algorithm>
#include <charconv>
#include <map>

#include <fmt/ranges.h>

#include "base/error.h"
#include "base/mapped_file.h"
#include "serving/repository/config_text.h"

namespace tenon::serving {
namespace {

namespace fs = std::filesystem;

constexpr const char* kConfig = "config.pbtxt";
constexpr std::size_t kMostVersions = 10'000;

bool like_a_number(const std::string& name) {
  const auto digit = [](char c) { return c >= '0' && c <= '9'; };
  const std::size_t sign = name.starts_with('-') || name.starts_with('+') ? 1 : 0;
  return name.size() > sign &&
         std::all_of(name.begin() + static_cast<std::ptrdiff_t>(sign), name.end(), digit);
}

// 0: it is none.
std::int64_t version_number(const std::string& name) {
  std::int64_t value = 0;
  if (name.empty() || name[0] < '1' || name[0] > '9') return 0;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), value);
  return error == std::errc() && end == name.data() + name.size() ? value : 0;
}

std::vector<std::string> entries_of(const fs::path& folder) {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(folder)) {
    names.push_back(entry.path().filename().string());
    if (names.size() > kMostVersions)
      bad_input("{}: holds more than {} entries", folder.string(), kMostVersions);
  }
  std::sort(names.begin(), names.end());
  return names;
}

// Files of other servers that cannot be served, with what to do.
const std::map<std::string, std::string>& foreign_files() {
  static const std::map<std::string, std::string> kFiles = {
      {"model.plan", "a TensorRT plan runs on the GPU it was built for: give its ONNX file"},
      {"model.pt", "TorchScript is code: export it to ONNX, or give the checkpoint folder"},
      {"model.py", "Python is not run: give the model itself"},
      {"model.savedmodel", "export it to ONNX"},
      {"model.graphdef", "export it to ONNX"},
      {"model.xml", "give the ONNX file that it was made from"},
  };
  return kFiles;
}

}  // namespace

ModelFolder scan_model(const fs::path& folder) {
  std::map<std::int64_t, VersionFolder> found;
  ModelFolder made;
  for (const std::string& name : entries_of(folder)) {
    if (!like_a_number(name) || !fs::is_directory(folder / name)) continue;
    const std::int64_t number = version_number(name);
    if (number > 0) {
      found[number] = {name, folder / name};
      continue;
    }
    made.refused.emplace_back(
        name.substr(0, 64),
        "not the name of a version: a number from 1 to 9223372036854775807 without sign and "
        "leading zeros was expected; rename the folder");
  }
  for (auto& [number, version] : found) made.versions.push_back(std::move(version));
  if (!made.versions.empty()) return made;
  Error error(ErrorCode::bad_input,
              made.refused.empty()
                  ? fmt::format("{}: holds no folder of a version", folder.string())
                  : fmt::format("{}: the folder {} is {}", folder.string(), made.refused[0].first,
                                made.refused[0].second));
  throw error.hint("put the model into " + (folder / "1").string());
}

std::optional<inference::ModelConfig> read_config(const fs::path& folder) {
  const fs::path file = folder / kConfig;
  std::error_code error;
  if (!fs::exists(file, error)) return std::nullopt;
  const std::uintmax_t bytes = fs::is_regular_file(file, error) ? fs::file_size(file, error) : 0;
  if (!error && bytes > kMaxConfigBytes) {
    bad_input("{}: a configuration of {} bytes, at most {} were expected", file.string(), bytes,
              kMaxConfigBytes);
  }
  return parse_config_text(read_file(file, kMaxConfigBytes), file.string());
}

std::vector<VersionFolder> choose_versions(const std::vector<VersionFolder>& there,
                                           const inference::ModelVersionPolicy& policy) {
  if (policy.has_all()) return there;
  if (policy.has_specific()) {
    std::vector<VersionFolder> chosen;
    std::vector<std::string> names;
    for (const auto& one : there) {
      names.push_back(one.version);
      const auto& wanted = policy.specific().versions();
      if (std::find(wanted.begin(), wanted.end(), version_number(one.version)) != wanted.end())
        chosen.push_back(one);
    }
    for (const std::int64_t version : policy.specific().versions()) {
      if (std::find(names.begin(), names.end(), std::to_string(version)) != names.end()) continue;
      bad_input("version_policy.specific asks for version {}, there are {}", version,
                fmt::join(names, ", "));
    }
    return chosen;
  }
  const std::size_t count =
      policy.has_latest() ? static_cast<std::size_t>(policy.latest().num_versions()) : 1;
  const auto newest = static_cast<std::ptrdiff_t>(std::min(count, there.size()));
  return {there.end() - newest, there.end()};
}

fs::path content_of(const fs::path& version, const std::string& file) {
  if (!file.empty()) {
    if (fs::exists(version / file)) return version / file;
    bad_input("{}: there is no {}, which default_model_filename names; there is {}",
              version.string(), file, fmt::join(entries_of(version), ", "));
  }
  for (const char* name : {"model.tenon", "model.onnx"}) {
    if (fs::exists(version / name)) return version / name;
  }
  const std::vector<std::string> names = entries_of(version);
  for (const std::string& name : names) {
    const auto found = foreign_files().find(name);
    if (found == foreign_files().end()) continue;
    Error error(ErrorCode::bad_input,
                fmt::format("{}: {} cannot be served", version.string(), name));
    throw error.hint(found->second);
  }
  if (names.empty()) {
    Error error(ErrorCode::bad_input, fmt::format("{}: is empty", version.string()));
    throw error.hint("expected model.onnx, model.tenon or the files of a checkpoint");
  }
  // A bundle or an ONNX file under another name, where it is the only one.
  std::vector<fs::path> single;
  for (const std::string& name : names) {
    const std::string extension = fs::path(name).extension();
    if (extension == ".tenon") single.push_back(version / name);
  }
  return single.size() == 1 ? single.front() : version;
}

}  // namespace tenon::serving
