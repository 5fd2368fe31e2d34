// The memory that a build may take, and how its verification stays inside it.
#pragma once

#include <filesystem>
#include <span>
#include <vector>

#include "backend/cpu/cpu_backend.h"
#include "bundle/bundle.h"
#include "model_source.h"

namespace tenon::apps {

struct BuildMemory {
  std::uint64_t limit = 0;       ///< bytes, more or less
  std::filesystem::path folder;  ///< for a file that takes the weights that are too many

  /// `size` as users write it ("1G"); empty: three quarters of what is available.
  static BuildMemory of(const std::string& size, const std::filesystem::path& output);
  /// What logits and traced values may take.
  std::size_t for_values() const;
};

/// The reference run of one part of a source. Weights that are too many for memory are in a file
/// without a name.
struct ReferencePart {
  std::shared_ptr<const engine::Engine> engine;
  std::vector<std::span<const std::byte>> in_file;  ///< these weights
};
ReferencePart compile_reference(const ModelSource& source, const std::string& part,
                                const BuildMemory& memory, int threads);

/// The processor, for two engines of which not all weights may fit: then launches run one by one,
/// and weights that are mapped leave memory as soon as they are used.
class VerificationBackend final : public backend::Backend {
 public:
  explicit VerificationBackend(int threads) : cpu_(threads) {}

  /// What runs from now on: `candidate` has all its weights in a mapped file. Both must live as
  /// long as runs follow.
  void watch(const ReferencePart& reference, const engine::Engine& candidate,
             const BuildMemory& memory);

  std::string_view name() const override { return cpu_.name(); }
  int threads() const override { return cpu_.threads(); }
  std::shared_ptr<std::byte> allocate(std::size_t bytes) override { return cpu_.allocate(bytes); }
  const kernels::KernelRow* find(std::string_view kernel) const override {
    return cpu_.find(kernel);
  }
  void submit(std::span<backend::Launch> launches) override;

 private:
  void release(const std::byte* data) const;

  backend::CpuBackend cpu_;
  std::vector<std::span<const std::byte>> mapped_;  // by address; empty: all may stay
};

}  // namespace tenon::apps
