// What happened to one request, as plain numbers.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace tenon::traffic {

/// Why a request counts as failed.
enum class Failure {
  none,
  connect,    ///< no connection, no TLS
  timeout,    ///< no whole answer in time
  cut,        ///< the connection or the stream ended within the answer
  status,     ///< answered with another status than 200
  malformed,  ///< not HTTP, not JSON, or not what the protocol promises
  server,     ///< an error told within a stream that began well
  cancelled,  ///< ended by us: the measurement was stopped
};

std::string_view failure_name(Failure failure) noexcept;

/// Times are seconds after the start of the level.
struct Record {
  std::size_t index = 0;
  double due = 0;     ///< when it should have been sent: what latency is counted from
  double sent = 0;    ///< when it was written
  double first = -1;  ///< first piece of output; -1: none came
  double end = 0;
  std::vector<double> pieces;  ///< each piece of output as it arrived; of a stream
  int status = 0;              ///< of HTTP; 0: no answer
  Failure failure = Failure::none;
  std::string error;                ///< of a failed request, shortened
  bool finished = false;            ///< the answer said that it was whole
  std::int64_t prompt_tokens = -1;  ///< as the server counts; -1: not told
  std::int64_t output_tokens = -1;  ///< likewise
  std::int64_t outputs = 0;         ///< tensors or pictures of an answer that is no text
  std::uint64_t answer_bytes = 0;

  bool ok() const noexcept { return failure == Failure::none; }
  /// The server's count, or one a piece where it gives none.
  std::int64_t tokens() const noexcept {
    return output_tokens >= 0 ? output_tokens : static_cast<std::int64_t>(pieces.size());
  }
  double time_to_first() const noexcept { return first - due; }
  double latency() const noexcept { return end - due; }
  /// Mean time between tokens after the first: (last piece - first) / (tokens - 1); negative when
  /// there are fewer than two.
  double time_per_token() const noexcept;
};

}  // namespace tenon::traffic
