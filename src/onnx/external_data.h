// Files of weights beside a model, opened so that no name in the model leads out of its folder.
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <string>

#include "base/mapped_file.h"

namespace tenon::onnx {

/// Each file is mapped once, however many tensors lie in it. One thread.
class ExternalFiles {
 public:
  /// An empty folder means that the model may have no external data.
  explicit ExternalFiles(std::filesystem::path folder) : folder_(std::move(folder)) {}

  /// `location` is relative and stays beneath the folder. No part of it may be a symbolic link, but
  /// for one case: the file itself may be one into `blobs` of the download cache that the folder
  /// lies in (`<repository>/snapshots/<revision>/`). Only regular files with one name. Throws
  /// Error(bad_input).
  std::shared_ptr<const MappedFile> open(const std::string& location);

 private:
  std::filesystem::path folder_;
  std::map<std::string, std::shared_ptr<const MappedFile>, std::less<>> files_;
};

}  // namespace tenon::onnx
