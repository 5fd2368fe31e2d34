// Server-sent events from pieces of a stream, as
// https://html.spec.whatwg.org/#event-stream-interpretation tells it.
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>

namespace tenon::traffic {

/// Lines may end with CR, LF or CRLF and pieces may be cut anywhere, also between CR and LF or
/// within a character. A leading byte order mark is skipped. Memory: one event, at most
/// `limit_bytes`. One thread.
class EventStream {
 public:
  /// The `data` of an event, its lines joined with LF. Events without data are not told.
  using OnData = std::function<void(std::string_view data)>;

  explicit EventStream(OnData on_data, std::size_t limit_bytes = 4 << 20);

  /// Tells every event that is complete. Error(bad_input) when one grows beyond the limit.
  void feed(std::string_view piece);
  /// True when bytes of an event that was not closed by an empty line are left: the stream was cut.
  bool has_rest() const noexcept { return !line_.empty() || has_data_; }

 private:
  void end_line();

  OnData on_data_;
  std::size_t limit_;
  std::string line_;
  std::string data_;
  bool has_data_ = false;
  bool after_cr_ = false;
  bool first_line_ = true;
};

}  // namespace tenon::traffic
