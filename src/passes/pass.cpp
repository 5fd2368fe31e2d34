#include "passes/pass.h"

#include <algorithm>
#include <array>
#include <chrono>

#include "base/atomic_file.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "graph/text.h"
#include "passes/passes.h"

namespace tenon::passes {
namespace {

constexpr std::array kPasses = {
    Pass{"fold_constants", "compute what depends on constants and shapes alone", fold_constants},
    Pass{"simplify", "drop casts, reshapes, transposes and slices that change nothing", simplify},
    Pass{"merge_duplicates", "compute equal expressions once", merge_duplicates},
    // before anything looks at convolutions
    Pass{"fold_batch_norm", "normalization by constants as part of a convolution's weights",
         fold_batch_norm},
    // before RMSNorm, which is a part of it
    Pass{"fuse_layer_norm", "(x - mean) / sqrt(variance + e) * w + b", fuse_layer_norm},
    Pass{"fuse_rms_norm", "x / sqrt(mean(x^2) + e) * w", fuse_rms_norm},
    Pass{"fuse_group_norm", "(x - mean) / sqrt(variance + e) of groups of channels * w + b",
         fuse_group_norm},
    Pass{"fuse_gelu", "erf and tanh forms of GELU", fuse_gelu},
    Pass{"fuse_swish", "x * sigmoid(x)", fuse_swish},
    Pass{"fuse_rotary", "x * cos + rotate_half(x) * sin", fuse_rotary},
    // needs fused rotary: it looks for keys through it
    Pass{"fuse_attention", "softmax(q k^T + mask) v, with repeated heads", fuse_attention},
    Pass{"decoder_state", "past and present become a cache inside the engine", decoder_state},
    // computes what the state made constant, before products are merged
    Pass{"fold_constants_again", "the same after the state is inside", fold_constants},
    // needs what the state left: attention over whole sequences
    Pass{"fuse_attention_rows", "attention reads and writes rows of heads without transposes",
         fuse_attention_rows},
    Pass{"merge_qkv", "one product for queries, keys and values", merge_qkv},
    Pass{"fuse_swiglu", "one product for gate and up, silu(gate) * up", fuse_swiglu},
    Pass{"fuse_geglu", "first half * gelu(second half)", fuse_geglu},
    // after what looks for attention among channels first
    Pass{"channels_last", "convolutions and all between them with channels last", channels_last},
    Pass{"fuse_conv_input", "what comes before a convolution, done as it reads", fuse_conv_input},
    Pass{"fuse_conv", "what comes after a convolution, done as it writes", fuse_conv},
    // last: it takes bias, activation and residual into the product
    Pass{"fuse_linear", "products with constants, and what follows them", fuse_linear},
};

std::size_t count_nodes(const Graph& graph) { return graph.order().size(); }

}  // namespace

std::span<const Pass> all_passes() { return kPasses; }

std::vector<PassReport> optimize(Graph& graph, const PassContext& context,
                                 const std::filesystem::path& dump) {
  for (const auto& name : context.target.skip_passes) {
    const bool known = std::any_of(kPasses.begin(), kPasses.end(),
                                   [&](const Pass& pass) { return pass.name == name; });
    if (!known) fail(ErrorCode::usage, "there is no pass named '{}'", name);
  }
  std::vector<PassReport> reports;
  const auto write = [&](std::size_t index, std::string_view name) {
    if (dump.empty()) return;
    std::filesystem::create_directories(dump);
    write_file(dump / fmt::format("{:02}-{}.txt", index, name), graph::to_text(graph));
  };
  graph.tidy();
  write(0, "source");
  for (const Pass& pass : kPasses) {
    PassReport report;
    report.name = pass.name;
    report.skipped = context.target.skip_passes.contains(pass.name);
    if (!report.skipped) {
      const auto start = std::chrono::steady_clock::now();
      with_context(fmt::format("pass {}", pass.name), [&] {
        report.rewrites = pass.run(graph, context);
        graph.tidy();
        graph::verify(graph);
      });
      report.seconds = seconds_since(start);
      write(reports.size() + 1, pass.name);
    }
    report.nodes_after = count_nodes(graph);
    log::debug("pass {}: {} rewrites, {} nodes, {:.3f} s", report.name, report.rewrites,
               report.nodes_after, report.seconds);
    reports.push_back(std::move(report));
  }
  return reports;
}

}  // namespace tenon::passes
