// The constants of a build on their way into the bundle, kept over an interruption: OUT.part holds
// them and OUT.part.journal says which.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/json.h"
#include "bundle/bundle.h"
#include "model_source.h"
#include "planner/planner.h"

namespace tenon::apps {

/// What the constants of a build depend on: the source by its small files and by size and time of
/// the large ones, this program, and `options`. Files of the output itself do not count.
Json build_key(const ModelSource& source, const bundle::Files& files, Json options,
               const std::filesystem::path& output);

/// Writes to a part file with a journal and goes on where an earlier build with the same key
/// stopped, however it stopped; a build with another key starts anew. The two files go with
/// `finish`, and with any error but an interruption (`unwound_by`).
class BuildStore final : public planner::ConstantStore {
 public:
  /// `key` is what the constants depend on. Without `resumable` nothing that is there is taken and
  /// nothing is left behind.
  BuildStore(const std::filesystem::path& output, const Json& key, bool resumable);
  ~BuildStore() override;
  BuildStore(const BuildStore&) = delete;
  BuildStore& operator=(const BuildStore&) = delete;

  bool restore(engine::Constant& constant, std::string_view name, std::uint64_t bytes) override;
  void put(engine::Constant& constant, std::span<const std::byte> bytes) override;

  const bundle::Writer& writer() const { return *writer_; }
  void finish(const bundle::Engines& engines, const bundle::Contents& contents);
  /// An error leaves the build: only one that was interrupted keeps its part file.
  void unwound_by(const Error& error) noexcept;
  /// Constants taken from the earlier build, and their bytes.
  std::size_t restored() const { return restored_; }
  std::uint64_t restored_bytes() const { return restored_bytes_; }

 private:
  struct Entry {
    std::string name;
    engine::Constant constant;
  };

  std::vector<Entry> read_journal() const;
  void start_journal();
  void append(const std::string& line);
  void remove_files() noexcept;

  std::filesystem::path journal_;
  Json key_;
  std::optional<bundle::Writer> writer_;
  bool resumable_;
  int journal_fd_ = -1;
  std::vector<Entry> left_;  // by the earlier build
  std::size_t next_ = 0;
  std::string name_;  // of the constant that comes next
  std::size_t restored_ = 0;
  std::uint64_t restored_bytes_ = 0;
};

}  // namespace tenon::apps
