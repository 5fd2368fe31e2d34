// The device seam: memory, a catalogue of kernels, binding, and submission of work in order.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string_view>

#include "kernels/kernel.h"

namespace tenon::backend {

struct Launch {
  const kernels::BoundKernel* kernel = nullptr;
  kernels::Invocation invocation;
};

/// One device with its queue. Used by one session at a time unless a backend says otherwise.
class Backend {
 public:
  virtual ~Backend() = default;

  virtual std::string_view name() const = 0;
  virtual int threads() const = 0;
  /// Device memory, 64-byte aligned, zero-filled; freed with the last owner. Error(resource) when
  /// it cannot be had.
  virtual std::shared_ptr<std::byte> allocate(std::size_t bytes) = 0;
  /// nullptr when the device has no kernel of that name or cannot run it.
  virtual const kernels::KernelRow* find(std::string_view kernel) const = 0;
  /// Runs the launches one after the other and returns when all are done.
  virtual void submit(std::span<Launch> launches) = 0;
};

}  // namespace tenon::backend
