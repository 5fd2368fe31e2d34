// Constants of engines that memory has no room for: in a file without a name, mapped, so that the
// system can take their pages back at any time.
#pragma once

#include <filesystem>

#include "planner/planner.h"

namespace tenon::planner {

/// Keeps constants in memory up to `memory_bytes` in all, and every later one in a file in `folder`
/// that has no name and goes with the last engine that reads it. Their pages leave memory after
/// `put` and come back as they are read. Error(resource) when the disk is full.
class FileStore final : public ConstantStore {
 public:
  FileStore(const std::filesystem::path& folder, std::uint64_t memory_bytes);
  ~FileStore() override;
  FileStore(const FileStore&) = delete;
  FileStore& operator=(const FileStore&) = delete;

  std::shared_ptr<std::byte> place(std::size_t bytes) override;
  void put(engine::Constant& constant, std::span<const std::byte> bytes) override;
  /// Constants that are in the file: their pages can be dropped (madvise) and lose nothing.
  const std::vector<std::span<const std::byte>>& in_file() const { return in_file_; }

 private:
  std::filesystem::path folder_;
  std::uint64_t memory_left_;
  int fd_ = -1;
  std::uint64_t file_bytes_ = 0;
  std::shared_ptr<std::byte> placed_;
  bool placed_in_file_ = false;
  std::vector<std::span<const std::byte>> in_file_;
};

}  // namespace tenon::planner
