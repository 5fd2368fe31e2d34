#include "serving/repository/repository.h"

#include <algorithm>

#include <fmt/ranges.h>

#include "base/error.h"
#include "base/log.h"
#include "serving/model_registry.h"
#include "serving/repository/check_config.h"
#include "serving/repository/client_files.h"
#include "serving/repository/config_text.h"
#include "serving/repository/folder_stamp.h"
#include "serving/repository/model_folder.h"

namespace tenon::serving {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kMostEntries = 100'000;
constexpr const char* kBundle = ".tenon";

// A folder that its owner means as a model, right or wrong.
bool is_model_folder(const fs::path& folder) {
  std::error_code error;
  if (!fs::is_directory(folder, error)) return false;
  if (fs::exists(folder / "config.pbtxt", error)) return true;
  for (fs::directory_iterator entry(folder, error), end; !error && entry != end;
       entry.increment(error)) {
    const std::string name = entry->path().filename();
    std::error_code ignored;
    if (name.find_first_not_of("0123456789") == std::string::npos && entry->is_directory(ignored))
      return true;
  }
  return false;
}

bool is_bundle_file(const fs::path& path) {
  std::error_code error;
  return path.extension() == kBundle && fs::is_regular_file(path, error);
}

std::vector<fs::path> entries_of(const fs::path& folder) {
  std::vector<fs::path> found;
  std::error_code error;
  for (fs::directory_iterator entry(folder, error), end; !error && entry != end;
       entry.increment(error)) {
    const std::string name = entry->path().filename();
    if (!name.starts_with('.')) found.push_back(entry->path());  // hidden: parts of a copy, .git
    if (found.size() > kMostEntries)
      bad_input("{}: holds more than {} entries", folder.string(), kMostEntries);
  }
  if (error) fail(ErrorCode::resource, "{}: cannot be read: {}", folder.string(), error.message());
  std::sort(found.begin(), found.end());
  return found;
}

// Files may go at any time while they are looked at.
template <typename Body>
auto reading(const std::string& name, Body&& body) {
  try {
    return body();
  } catch (const fs::filesystem_error& error) {
    bad_input("{}: its files cannot be read: {}", name, error.code().message());
  }
}

// What a client learns of a configuration that it sent has no path of the server in it.
inference::ModelConfig config_for(const std::string& name, const fs::path& folder,
                                  const LoadParameters& parameters) {
  const bool given = !parameters.config.empty();
  const std::string where = given ? "config" : (folder / "config.pbtxt").string();
  inference::ModelConfig config = given ? parse_config_json(parameters.config, where)
                                        : read_config(folder).value_or(inference::ModelConfig());
  with_context(where, [&] {
    if (!config.name().empty() && config.name() != name) {
      bad_input("the name is \"{}\", that of the model's folder was expected: \"{}\"",
                config.name().substr(0, 128), name);
    }
    check_supported(config);
  });
  config.set_name(name);
  return config;
}

}  // namespace

bool is_repository(const fs::path& folder) {
  std::error_code error;
  if (!fs::is_directory(folder, error)) return false;
  const auto entries = entries_of(folder);
  return std::any_of(entries.begin(), entries.end(), [](const fs::path& entry) {
    return is_bundle_file(entry) || is_model_folder(entry);
  });
}

Repository::Repository(std::vector<fs::path> folders, OpenModel open, ModelOptions options)
    : folders_(std::move(folders)), open_(std::move(open)), options_(options) {}

std::vector<std::string> Repository::names() {
  std::set<std::string> found;
  for (const fs::path& folder : folders_) {
    for (const fs::path& entry : entries_of(folder)) {
      const bool bundle = is_bundle_file(entry);
      const std::string name = bundle ? entry.stem().string() : entry.filename().string();
      const bool model = bundle || is_model_folder(entry);
      if (model && is_model_name(name)) {
        found.insert(name);
        continue;
      }
      const std::lock_guard lock(mutex_);
      if (!told_.insert(entry.string()).second) continue;
      if (model)
        log::warn("{}: is left out: its name cannot be that of a model", entry.string());
      else if (fs::is_directory(entry))
        log::warn("{}: is left out: it has neither config.pbtxt nor a folder 1", entry.string());
    }
  }
  return {found.begin(), found.end()};
}

std::vector<fs::path> Repository::places_of(const std::string& name) const {
  std::vector<fs::path> places;
  if (!is_model_name(name)) return places;
  for (const fs::path& folder : folders_) {
    if (is_model_folder(folder / name)) places.push_back(folder / name);
    if (is_bundle_file(folder / (name + kBundle))) places.push_back(folder / (name + kBundle));
  }
  return places;
}

LoadPlan Repository::plan(const std::string& name, const LoadParameters& parameters) {
  return reading(name, [&] { return plan_now(name, parameters); });
}

LoadPlan Repository::plan_now(const std::string& name, const LoadParameters& parameters) const {
  if (!parameters.files.empty()) {
    if (parameters.config.empty()) {
      Error error(ErrorCode::bad_input,
                  fmt::format("failed to load '{}': files need the parameter config", name));
      throw error.hint("an empty object, {}, when everything follows from the model");
    }
    const auto files = std::make_shared<ClientFiles>(parameters.files);
    LoadPlan made = plan_of_folder(name, files->folder(), parameters);
    for (auto& one : made.versions) {
      one.make = [make = std::move(one.make), files] { return make(); };
    }
    return made;
  }
  const auto places = places_of(name);
  if (places.empty()) {
    throw UnknownModel(fmt::format(
        "failed to load '{}', failed to poll from model repository: it is not there", name));
  }
  if (places.size() > 1) {
    std::vector<std::string> shown;
    for (const auto& place : places) shown.push_back(place.string());
    bad_input("two models have the name {}: {}; rename one", name, fmt::join(shown, " and "));
  }
  return plan_of_folder(name, places.front(), parameters);
}

LoadPlan Repository::plan_of_folder(const std::string& name, const fs::path& folder,
                                    const LoadParameters& parameters) const {
  LoadPlan made;
  VersionSource source;
  source.name = name;
  source.folder = folder;
  if (is_bundle_file(folder)) {
    source.config = config_for(name, folder.parent_path() / ".none", parameters);
    source.path = folder;
    made.versions.push_back(plan_of_version(source, parameters.config));
    return made;
  }
  source.config = config_for(name, folder, parameters);
  const std::string settings =
      parameters.config + folder_stamp(folder / "config.pbtxt") + folder_stamp(folder / "warmup");
  ModelFolder there = scan_model(folder);
  made.refused = std::move(there.refused);
  for (const auto& [version, why] : made.refused)
    log::warn("{}: the folder {} is {}", folder.string(), version, why);
  for (auto& version : choose_versions(there.versions, source.config.version_policy())) {
    source.version = version.version;
    source.path = version.path;
    made.versions.push_back(plan_of_version(source, settings));
  }
  return made;
}

VersionPlan Repository::plan_of_version(VersionSource source, const std::string& settings) const {
  const std::string files = folder_stamp(source.path);
  VersionPlan made{source.version, settings + files, {}};
  made.make = [source = std::move(source), files, open = open_, options = options_] {
    return reading(source.name, [&] {
      VersionSource chosen = source;
      if (fs::is_directory(source.path))
        chosen.path = content_of(source.path, source.config.default_model_filename());
      auto model = load_version(chosen, open, options);
      if (folder_stamp(source.path) != files) {
        bad_input("{}: its files changed while they were read; load it again",
                  source.path.string());
      }
      return model;
    });
  };
  return made;
}

std::string Repository::stamp(const std::string& name) {
  std::string all;
  for (const fs::path& place : places_of(name)) all += folder_stamp(place);
  return all;
}

double Repository::seconds_since_change(const std::string& name) {
  double least = 1e9;
  for (const fs::path& place : places_of(name))
    least = std::min(least, serving::seconds_since_change(place));
  return least;
}

}  // namespace tenon::serving
