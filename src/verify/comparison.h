// The comparison of two subjects, or of one with recorded answers: verdict, evidence and, when it
// fails, the first value that departs and why.
#pragma once

#include <filesystem>
#include <span>
#include <vector>

#include "checkpoint/checkpoint.h"
#include "verify/report.h"
#include "verify/subject.h"

namespace tenon::verify {

enum class Trace {
  never,
  on_failure,
  always,  ///< values are compared also when the check passes
};

struct Options {
  Trace trace = Trace::on_failure;
  /// Logits of both sides, and values of A during a trace, stay inside this; prompts that would
  /// leave it are shortened, which the report notes.
  std::size_t max_bytes = std::size_t{1} << 30;
  /// Tokens that a trace and experiments run on at most: all up to the worst position, if fewer.
  std::int64_t max_trace_tokens = 64;
  /// What B was made from. With it a failure is followed by experiments: is the checkpoint itself
  /// wrong, and which one change makes it right? Borrowed.
  const checkpoint::Checkpoint* source = nullptr;
};

/// Runs both on every prompt. A is taken for right. Error(bad_input) when the vocabularies differ
/// or there is no prompt.
Report compare(Subject& a, Subject& b, std::span<const std::vector<std::int32_t>> prompts,
               const Budget& budget, const Options& options = {});

/// Against recorded answers, a .npz of `ids` int64 [rows, tokens] and `logits` float32 [rows,
/// tokens, vocabulary]; optional `left_ids`, `left_mask` and `left_logits` of a left-padded batch,
/// `long_ids` and `long_logits` like the first two, and `hidden.N` float32 [rows, tokens, width],
/// what decoder layer N gives on for `ids`. Error(bad_input) names an array that is missing or of
/// the wrong form.
Report compare_with_recording(Subject& b, const std::filesystem::path& npz, const Budget& budget,
                              const Options& options = {});

}  // namespace tenon::verify
