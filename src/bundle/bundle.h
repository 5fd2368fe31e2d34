// The .tenon file: the engines of a model with all that a run needs beside them, and where they
// came from.
//
// Layout: a header of 64 bytes, the weights (each at a multiple of 4096), then the structure, a
// FlatBuffer. Everything is guarded by XXH3 sums; the file appears under its name only when it is
// whole.
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <span>
#include <string>

#include "base/atomic_file.h"
#include "base/json.h"
#include "engine/engine.h"

namespace tenon::bundle {

/// Engines by the part they play: `kModel` where there is one, as of a decoder; text_encoder, unet,
/// vae_decoder, ... of a model of pictures.
using Engines = std::map<std::string, std::shared_ptr<const engine::Engine>, std::less<>>;
inline constexpr const char* kModel = "model";

using Files = std::map<std::string, std::string, std::less<>>;

/// What stands beside the engines.
struct Contents {
  /// Path in the source's folder -> bytes: tokenizer.json, config.json, unet/config.json, ...
  Files files;
  Json provenance;  ///< sources (path, bytes, sha256), conversions, tool version
  Json evidence;    ///< report of the verification; null when it was not verified
};

/// Streams a bundle to disk: `put` for each constant, then `finish`. Without finish nothing is left
/// behind.
class Writer {
 public:
  explicit Writer(const std::filesystem::path& path);
  /// Goes on in the file `part` in the same folder, which stays, whatever becomes of this, until
  /// `finish` or `discard`. Error(resource) while another process writes it.
  Writer(const std::filesystem::path& path, const std::filesystem::path& part);
  /// Takes the constants whose bytes an earlier writer of the same part put: in its order, with
  /// bytes, sum and offset filled in. Returns how many, from the first on, are there unharmed; what
  /// follows them is cut off. Before any `put`.
  std::size_t resume(std::span<const engine::Constant> constants);
  /// Cuts off the constants from this one on: they are put anew.
  void forget_from(const engine::Constant& constant);
  void discard() noexcept { file_.discard(); }
  /// Fills in bytes, sum and offset.
  void put(engine::Constant& constant, std::span<const std::byte> bytes);
  /// An engine with the weights put so far, mapped from the unfinished file: to be tried before it
  /// is finished. Valid after the writer is gone.
  std::shared_ptr<const engine::Engine> trial(const engine::Engine& engine) const;
  /// Each constant of each engine must have been put.
  void finish(const Engines& engines, const Contents& contents);
  std::uint64_t bytes_written() const { return file_.position(); }

 private:
  AtomicFile file_;
};

struct Bundle {
  Engines engines;  ///< one at least
  Contents contents;
  std::string tenon_version;
  std::uint64_t file_bytes = 0;
};

enum class Weights {
  /// Sums are checked. Those of a decoder with state, which each token streams through once, are
  /// copied into huge pages; others, which are used many times a run, stay in the file.
  checked,
  mapped,  ///< left in the file, sums not checked
};

/// Error(bad_input) says what is damaged, and when the file is of another version of the format.
Bundle open(const std::filesystem::path& path, Weights weights = Weights::checked);
/// Whether the file begins like a bundle.
bool is_bundle(const std::filesystem::path& path);

}  // namespace tenon::bundle
