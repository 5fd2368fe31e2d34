// From "the answers differ" to the value, the module and the reason.
#pragma once

#include "verify/comparison.h"
#include "verify/recording.h"

namespace tenon::verify {

/// Compares the values of both on the prompt and fills `values`, and, when the report has not
/// passed, `first_departure`.
void diagnose(Subject& a, Subject& b, std::span<const std::int32_t> prompt, const Options& options,
              Report& report);

/// The same where only recorded answers say what is right.
void diagnose(const RecordedPrompt& prompt, Subject& b, const Options& options, Report& report);

}  // namespace tenon::verify
