#include "part_loader.h"

#include <algorithm>

#include <fmt/ranges.h>

#include "base/error.h"

namespace tenon::apps {

PartLoader::PartLoader(const std::filesystem::path& path, const Target& target, int threads,
                       models::Pooling pooling)
    : name_((path.has_filename() ? path : path.parent_path()).stem().string()),
      target_(target),
      threads_(threads) {
  if (detect_source(path) == SourceKind::bundle) {
    bundle_ = bundle::open(path, bundle::Weights::mapped);
    for (const auto& [part, engine] : bundle_->engines) parts_.push_back(part);
    files_ = bundle_->contents.files;
    return;
  }
  source_ = ModelSource::open(path, pooling);
  parts_ = source_->parts();
  files_ = source_->side_files();
}

bool PartLoader::draws() const { return parts_.front() != bundle::kModel; }

std::vector<std::string> PartLoader::common_parts(const PartLoader& other,
                                                  const std::string& wanted) const {
  std::vector<std::string> found;
  for (const std::string& part : parts_) {
    const bool shared =
        std::find(other.parts_.begin(), other.parts_.end(), part) != other.parts_.end();
    if (shared && (wanted.empty() || part == wanted)) found.push_back(part);
  }
  if (found.empty()) {
    fail(ErrorCode::usage, "{} has the parts {} and {} has {}: {}", name_, fmt::join(parts_, ", "),
         other.name_, fmt::join(other.parts_, ", "),
         wanted.empty() ? "none is the same" : wanted + " is not in both");
  }
  return found;
}

std::shared_ptr<const engine::Engine> PartLoader::engine(const std::string& part) const {
  if (bundle_) return bundle_->engines.find(part)->second;
  return compile_part(*source_, part, target_, threads_);
}

graph::Graph PartLoader::graph(const std::string& part) const {
  return source_.value().graph(part, run_options());
}

}  // namespace tenon::apps
