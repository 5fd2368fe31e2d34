// How far B may be from A.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/engine.h"
#include "verify/metrics.h"

namespace tenon::verify {

struct OutputError;

/// Limits on Metrics; those left out are not looked at. Not-finite logits are always outside.
struct Budget {
  std::optional<double> mean_kl;      ///< kl: at most
  std::optional<double> max_kl;       ///< max_kl: at most
  std::optional<double> top1;         ///< top1: share at least; one position may always be the
                                      ///< fraction that is left over, unless the share is 1
  std::optional<double> max_abs;      ///< max_abs: largest difference of a logit or element
  std::optional<double> relative_l2;  ///< rel: relative error of all logits, or of each output
  std::optional<double> perplexity;   ///< ppl: relative change of the perplexity, either way
  std::optional<double> psnr;         ///< psnr: decibels at least, of outputs that are pictures

  /// "kl=1e-3,top1=0.99": comma-separated, each key at most once. Error(usage) names the key or
  /// value that cannot be meant, and the keys there are.
  static Budget parse(std::string_view text);
  /// What rounding alone explains for an engine of this precision ("reference", "fp32", "bf16",
  /// "int8") with up to about a hundred products one after the other.
  static Budget of_precision(std::string_view precision);
  /// For a comparison of the two: that of the coarser one.
  static Budget between(const engine::Engine& a, const engine::Engine& b);
  /// Of engines on plain tensors: rel alone.
  static Budget of_tensors(const engine::Engine& a, const engine::Engine& b);

  /// In the form that `parse` reads.
  std::string to_string() const;
  /// Error(usage) names a limit that engines on token ids, or on plain tensors, do not have.
  void require_for_text() const;
  void require_for_tensors() const;
  /// One sentence for each limit that is broken; none: passed.
  std::vector<std::string> violations(const Metrics& metrics) const;
  std::vector<std::string> violations(const OutputError& output) const;
};

}  // namespace tenon::verify
