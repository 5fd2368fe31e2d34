#include "backend/cpu/cpu_backend.h"

#include <cerrno>
#include <cstring>

#include <sys/mman.h>

#include "base/error.h"
#include "base/progress.h"

namespace tenon::backend {

std::shared_ptr<std::byte> allocate_huge(std::size_t bytes) {
  constexpr std::size_t kHugePage = std::size_t{2} << 20;
  if (bytes == 0) bytes = 1;
  // A mapping is aligned to huge pages only by luck: take one page more and start at the boundary.
  // Not for what is small: where the system gives huge pages unasked, each such value would fill
  // one.
  const bool huge = bytes >= kHugePage;
  const std::size_t page = huge ? kHugePage : std::size_t{4} << 10;
  const std::size_t length = (bytes + page - 1) / page * page + (huge ? page : 0);
  void* base = ::mmap(nullptr, length, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (base == MAP_FAILED) {
    Error error(ErrorCode::resource, fmt::format("{} of memory cannot be had: {}",
                                                 format_bytes(bytes), std::strerror(errno)));
    throw error.hint("`tenon doctor` tells what a model needs");
  }
  auto address = reinterpret_cast<std::uintptr_t>(base);
  auto* data = reinterpret_cast<std::byte*>((address + page - 1) / page * page);
  if (huge) ::madvise(data, length - page, MADV_HUGEPAGE);
  return {data, [base, length](std::byte*) { ::munmap(base, length); }};
}

std::shared_ptr<std::byte> CpuBackend::allocate(std::size_t bytes) { return allocate_huge(bytes); }

const kernels::KernelRow* CpuBackend::find(std::string_view kernel) const {
  const kernels::KernelRow* row = kernels::find_row(kernel);
  return row != nullptr && row->isa <= native_isa() ? row : nullptr;
}

void CpuBackend::submit(std::span<Launch> launches) {
  for (Launch& launch : launches) {
    launch.invocation.pool = &pool_;
    (*launch.kernel)(launch.invocation);
  }
}

}  // namespace tenon::backend
