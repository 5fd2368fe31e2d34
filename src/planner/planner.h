// From a graph and a target to an engine: kernels, packed constants, order.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/engine.h"
#include "graph/graph.h"
#include "passes/pass.h"

namespace tenon::planner {

/// Takes the bytes of constants as they are packed, one after the other, each in memory only for
/// the call.
class ConstantStore {
 public:
  virtual ~ConstantStore() = default;
  /// Whether an earlier build left this constant here, which comes next and will have `bytes`: then
  /// it is filled in as by `put`, and not packed.
  virtual bool restore(engine::Constant& /*constant*/, std::string_view /*name*/,
                       std::uint64_t /*bytes*/) {
    return false;
  }
  /// Memory of the store for the next constant, 64-byte aligned, which `put` is then given;
  /// nullptr: the caller packs into memory of its own.
  virtual std::shared_ptr<std::byte> place(std::size_t /*bytes*/) { return nullptr; }
  /// Fills in bytes, sum and either data or offset.
  virtual void put(engine::Constant& constant, std::span<const std::byte> bytes) = 0;
};

/// Keeps them in memory, in huge pages.
class MemoryStore final : public ConstantStore {
 public:
  std::shared_ptr<std::byte> place(std::size_t bytes) override;
  void put(engine::Constant& constant, std::span<const std::byte> bytes) override;

 private:
  std::shared_ptr<std::byte> placed_;
};

struct CompileReport {
  std::vector<passes::PassReport> passes;
  std::vector<std::string>
      notes;         ///< what the user should know: a slow path, a kernel that was not there
  int measured = 0;  ///< timings taken to choose among kernels
};

struct CompileOptions {
  Target target;
  std::string name;
  std::int64_t context_length = 0;  ///< positions that a decoder was made for; 0: not known
  std::filesystem::path dump;       ///< folder for the graph after each pass; may be empty
  int threads = 0;                  ///< for packing and tuning
  /// Measure rival kernels on this machine, and remember the times for later builds.
  bool tune = false;
  /// Sizes that matter, each set naming every symbol; a decoder with state has its own.
  std::vector<Dim::Bindings> profiles;
  /// Called with bytes of constants stored and in all.
  std::function<void(std::uint64_t, std::uint64_t)> progress;
};

/// Optimizes the graph (its passes run on it) and plans it. The engine refers to nothing of the
/// graph. Error(bad_input) names a node whose op and types no kernel of the target takes.
std::shared_ptr<engine::Engine> compile(graph::Graph& graph, const CompileOptions& options,
                                        ConstantStore& store, CompileReport* report = nullptr);

/// The same into memory.
std::shared_ptr<const engine::Engine> compile(graph::Graph& graph, const CompileOptions& options);

}  // namespace tenon::planner
