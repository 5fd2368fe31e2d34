// Where a request belongs in a trace, as W3C's traceparent tells it.
#pragma once

#include <string>
#include <string_view>

namespace tenon::serving {

/// Ids in lower-case hexadecimal digits.
struct TraceContext {
  std::string trace_id;   ///< 32 digits
  std::string span_id;    ///< 16 digits: the request itself, here
  std::string parent_id;  ///< 16 digits: the client's span; empty when this is a trace of ours
  bool sampled = false;   ///< the client records this trace

  /// The value that goes on to others: 00-trace-span-flags.
  std::string traceparent() const;
};

/// A new span below the given traceparent (https://www.w3.org/TR/trace-context/, section 3.2); of a
/// new trace when that is empty or malformed, as the standard asks.
TraceContext trace_context(std::string_view traceparent);

}  // namespace tenon::serving
