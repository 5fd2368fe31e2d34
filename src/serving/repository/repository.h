// Folders of models as Triton lays them out: REPOSITORY/MODEL/config.pbtxt and
// REPOSITORY/MODEL/VERSION/model.onnx; bundles may lie directly in the folder.
#pragma once

#include <filesystem>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "serving/catalogue.h"
#include "serving/repository/load_model.h"

namespace tenon::serving {

/// Whether the folder holds models by this layout: a folder with config.pbtxt or with versions, or
/// a bundle.
bool is_repository(const std::filesystem::path& folder);

/// Any number of threads. Paths are made of names that were found in the folders, never of what a
/// client sent; files of a client go to a folder of their own, which lives as long as the load.
class Repository final : public Catalogue {
 public:
  Repository(std::vector<std::filesystem::path> folders, OpenModel open, ModelOptions options);

  /// What cannot be a name is logged once and left out.
  std::vector<std::string> names() override;
  LoadPlan plan(const std::string& name, const LoadParameters& parameters) override;

  /// Of all files of a model; empty when there is none.
  std::string stamp(const std::string& name);
  double seconds_since_change(const std::string& name);

 private:
  std::vector<std::filesystem::path> places_of(const std::string& name) const;
  LoadPlan plan_now(const std::string& name, const LoadParameters& parameters) const;
  LoadPlan plan_of_folder(const std::string& name, const std::filesystem::path& folder,
                          const LoadParameters& parameters) const;
  VersionPlan plan_of_version(VersionSource source, const std::string& settings) const;

  std::vector<std::filesystem::path> folders_;
  OpenModel open_;
  ModelOptions options_;
  std::mutex mutex_;
  std::set<std::string> told_;  // names that were logged
};

}  // namespace tenon::serving
