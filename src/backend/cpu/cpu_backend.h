// The processor as a device.
#pragma once

#include "backend/backend.h"
#include "base/thread_pool.h"

namespace tenon::backend {

/// Runs launches on its own pool of threads (0: one per processor of this process).
class CpuBackend final : public Backend {
 public:
  explicit CpuBackend(int threads = 0) : pool_(threads) {}

  std::string_view name() const override { return "cpu"; }
  int threads() const override { return pool_.size(); }
  std::shared_ptr<std::byte> allocate(std::size_t bytes) override;
  const kernels::KernelRow* find(std::string_view kernel) const override;
  void submit(std::span<Launch> launches) override;
  ThreadPool& pool() { return pool_; }

 private:
  ThreadPool pool_;
};

/// Zero-filled memory in huge pages where the system gives them.
std::shared_ptr<std::byte> allocate_huge(std::size_t bytes);

}  // namespace tenon::backend
