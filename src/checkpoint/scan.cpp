#include "checkpoint/scan.h"

#include <algorithm>
#include <array>
#include <mutex>

#include "base/error.h"
#include "base/interrupt.h"
#include "checkpoint/value_counts.h"

namespace tenon::checkpoint {
namespace {

constexpr std::int64_t kBlockBytes = std::int64_t{16} << 20;
constexpr std::int64_t kGrain = 1 << 15;  // elements that a thread takes at least

ValueCounts count_block(DType dtype, const std::byte* data, std::int64_t count, ThreadPool& pool) {
  std::mutex mutex;
  ValueCounts counts;
  const auto size = static_cast<std::int64_t>(dtype_size(dtype));
  pool.parallel_for(count, kGrain, [&](std::int64_t begin, std::int64_t end) {
    const ValueCounts part = count_values(dtype, data + begin * size, end - begin);
    const std::lock_guard lock(mutex);
    counts.add(part);
  });
  return counts;
}

class Scanner {
 public:
  Scanner(ThreadPool& pool, const ScanProgress& progress) : pool_(pool), progress_(progress) {}

  TensorScan scan(const std::string& name, const TensorSource& source) {
    const auto view = source.view();
    const ValueCounts counts = view ? scan_view(*view, source) : scan_rows(source);
    return {name,       source.dtype(),        source.shape(), counts.nan,
            counts.inf, counts.beyond_float16, counts.max_abs};
  }

 private:
  ValueCounts scan_view(const TensorView& view, const TensorSource& source) {
    const auto size = static_cast<std::int64_t>(dtype_size(view.dtype));
    const std::int64_t step = kBlockBytes / size;
    const std::int64_t count = view.count();
    ValueCounts counts;
    for (std::int64_t begin = 0; begin < count; begin += step) {
      const std::int64_t block = std::min(step, count - begin);
      counts.add(count_block(view.dtype, view.data + begin * size, block, pool_));
      finish_block(source, block * size);
    }
    return counts;
  }

  ValueCounts scan_rows(const TensorSource& source) {
    const std::int64_t row_count = source.row_count();
    ValueCounts counts;
    if (row_count == 0) return counts;
    const std::int64_t row_bytes =
        row_count * static_cast<std::int64_t>(dtype_size(source.dtype()));
    const std::int64_t step = std::max<std::int64_t>(1, kBlockBytes / row_bytes);
    buffer_.resize(static_cast<std::size_t>(std::min(step, source.rows()) * row_bytes));
    for (std::int64_t begin = 0; begin < source.rows(); begin += step) {
      const std::int64_t end = std::min(begin + step, source.rows());
      source.read(begin, end, buffer_.data());
      counts.add(count_block(source.dtype(), buffer_.data(), (end - begin) * row_count, pool_));
      finish_block(source, (end - begin) * row_bytes);
    }
    return counts;
  }

  void finish_block(const TensorSource& source, std::int64_t bytes) {
    source.release();
    check_interrupt();
    if (progress_) progress_(static_cast<std::uint64_t>(bytes));
  }

  ThreadPool& pool_;
  const ScanProgress& progress_;
  std::vector<std::byte> buffer_;
};

void compare_names(const Checkpoint& checkpoint, const std::map<std::string, Shape>& expected,
                   ScanReport& report) {
  const bool tied = get_bool(checkpoint.config(), "tie_word_embeddings", false);
  for (const TensorScan& tensor : report.tensors) {
    const auto found = expected.find(tensor.name);
    if (found == expected.end()) {
      const bool known = is_known_surplus(tensor.name) || (tied && tensor.name == "lm_head.weight");
      (known ? report.known_surplus : report.surplus).push_back(tensor.name);
    } else if (found->second != tensor.shape) {
      report.misshaped.push_back({tensor.name, tensor.shape, found->second});
    }
  }
  for (const auto& [name, shape] : expected) {
    if (!checkpoint.has(name)) report.missing.push_back(name);
  }
}

}  // namespace

bool ScanReport::clean() const {
  const bool finite = std::all_of(tensors.begin(), tensors.end(), [](const TensorScan& tensor) {
    return tensor.nan == 0 && tensor.inf == 0;
  });
  return finite && missing.empty() && surplus.empty() && misshaped.empty() && damaged.empty();
}

bool is_known_surplus(std::string_view name) {
  constexpr std::array<std::string_view, 8> kSuffixes = {
      ".attention.bias",     ".attention.masked_bias",  ".attn.bias", ".attn.masked_bias",
      "rotary_emb.inv_freq", "embeddings.position_ids", "rope.freqs", "rotary_emb.cos_cached"};
  return std::any_of(kSuffixes.begin(), kSuffixes.end(),
                     [&](std::string_view suffix) { return name.ends_with(suffix); });
}

ScanReport scan(const Checkpoint& checkpoint, const std::map<std::string, Shape>& expected,
                ThreadPool& pool, const ScanProgress& progress) {
  ScanReport report;
  Scanner scanner(pool, progress);
  for (const std::string& name : checkpoint.names()) {
    const SourcePtr source = checkpoint.weight(name);
    try {
      checkpoint.check_sums(name);
    } catch (const Error& error) {
      if (error.code() != ErrorCode::bad_input) throw;
      report.damaged.emplace_back(error.what());
    }
    report.tensors.push_back(scanner.scan(name, *source));
  }
  if (!expected.empty()) compare_names(checkpoint, expected, report);
  return report;
}

}  // namespace tenon::checkpoint
