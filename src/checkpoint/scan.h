// Reads every weight once and says what is missing, misshapen, damaged or not a number.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/thread_pool.h"
#include "checkpoint/checkpoint.h"

namespace tenon::checkpoint {

struct TensorScan {
  std::string name;
  DType dtype = DType::f32;
  Shape shape;
  std::int64_t nan = 0;
  std::int64_t inf = 0;
  std::int64_t beyond_float16 = 0;  ///< finite values that float16 would make infinite
  double max_abs = 0;               ///< of the finite values
};

struct Misshaped {
  std::string name;
  Shape found;
  Shape expected;
};

struct ScanReport {
  std::vector<TensorScan> tensors;  ///< all of the checkpoint, sorted by name
  std::vector<std::string> missing;
  std::vector<std::string> surplus;
  std::vector<std::string> known_surplus;  ///< buffers that old releases carry and no graph needs
  std::vector<Misshaped> misshaped;
  std::vector<std::string> damaged;  ///< a message for each tensor whose sum is not the file's

  /// Nothing missing, misshapen, damaged or unexplained, and every value finite. Values beyond
  /// float16 are no fault.
  bool clean() const;
};

/// True for names that published checkpoints hold beside their weights: causal masks, rotary
/// frequencies, position numbers.
bool is_known_surplus(std::string_view name);

/// Called on the caller's thread with the bytes read since the last call; may throw.
using ScanProgress = std::function<void(std::uint64_t bytes)>;

/// `expected`: names and shapes as the architecture wants them; when empty, names are not compared.
/// Works in blocks of at most 16 MiB (or one row, where that is longer and not in place) and drops
/// the pages behind it. Raises Error(interrupted) after Ctrl-C.
ScanReport scan(const Checkpoint& checkpoint, const std::map<std::string, Shape>& expected,
                ThreadPool& pool, const ScanProgress& progress = {});

}  // namespace tenon::checkpoint
