#include "build_memory.h"

#include <algorithm>

#include <sys/mman.h>
#include <unistd.h>

#include "base/error.h"
#include "base/interrupt.h"
#include "base/memory.h"
#include "base/progress.h"
#include "model.h"
#include "planner/file_store.h"

namespace tenon::apps {
namespace {

// Below this the steps of a small model do not fit, whatever its weights.
constexpr std::uint64_t kLeast = 64'000'000;

constexpr std::uint64_t kWorthACall = std::uint64_t{64} << 10;

bool before(std::span<const std::byte> a, const std::byte* b) { return a.data() < b; }

}  // namespace

BuildMemory BuildMemory::of(const std::string& size, const std::filesystem::path& output) {
  BuildMemory memory;
  memory.limit = size.empty() ? available_memory() / 4 * 3 : parse_bytes(size);
  if (!size.empty() && memory.limit < kLeast) {
    fail(ErrorCode::usage, "--max-ram {} is too little for a build, which needs {} at least", size,
         format_bytes(kLeast));
  }
  memory.limit = std::max(memory.limit, kLeast);
  memory.folder = output.has_parent_path() ? output.parent_path() : ".";
  return memory;
}

std::size_t BuildMemory::for_values() const {
  return static_cast<std::size_t>(std::min(limit / 8, std::uint64_t{1} << 30));
}

ReferencePart compile_reference(const ModelSource& source, const std::string& part,
                                const BuildMemory& memory, int threads) {
  // The other half is for the largest weight on its way, activations and what is compared.
  planner::FileStore store(memory.folder, memory.limit / 2);
  ReferencePart made;
  made.engine = compile_part(source, part, Target::reference_run(), threads, store);
  made.in_file = store.in_file();
  return made;
}

void VerificationBackend::watch(const ReferencePart& reference, const engine::Engine& candidate,
                                const BuildMemory& memory) {
  mapped_.clear();
  if (reference.engine->weight_bytes() + candidate.weight_bytes() <= memory.limit / 2) return;
  mapped_ = reference.in_file;
  for (const auto& constant : candidate.constants) {
    if (constant.bytes >= kWorthACall)
      mapped_.emplace_back(constant.data.get(), static_cast<std::size_t>(constant.bytes));
  }
  std::sort(mapped_.begin(), mapped_.end(),
            [](const auto& a, const auto& b) { return a.data() < b.data(); });
}

void VerificationBackend::submit(std::span<backend::Launch> launches) {
  if (mapped_.empty()) return cpu_.submit(launches);
  for (std::size_t i = 0; i < launches.size(); ++i) {
    check_interrupt();
    cpu_.submit(launches.subspan(i, 1));
    for (const TensorView& input : launches[i].invocation.inputs) release(input.data);
  }
}

// Mappings of files, shared or only read: a page that is dropped comes back as it was.
void VerificationBackend::release(const std::byte* data) const {
  const auto found = std::lower_bound(mapped_.begin(), mapped_.end(), data, before);
  if (data == nullptr || found == mapped_.end() || found->data() != data) return;
  ::madvise(const_cast<std::byte*>(data), found->size(), MADV_DONTNEED);
}

}  // namespace tenon::apps
