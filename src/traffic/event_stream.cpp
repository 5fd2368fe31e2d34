#include "traffic/event_stream.h"

#include <utility>

#include "base/error.h"

namespace tenon::traffic {

EventStream::EventStream(OnData on_data, std::size_t limit_bytes)
    : on_data_(std::move(on_data)), limit_(limit_bytes) {}

void EventStream::feed(std::string_view piece) {
  while (!piece.empty()) {
    if (after_cr_) {
      after_cr_ = false;
      if (piece.front() == '\n') {
        piece.remove_prefix(1);
        continue;
      }
    }
    const auto end = piece.find_first_of("\r\n");
    const std::string_view part = piece.substr(0, end);
    if (part.size() > limit_ - line_.size() || line_.size() + part.size() > limit_ - data_.size())
      bad_input("an event of the stream is longer than {} bytes", limit_);
    line_ += part;
    if (end == std::string_view::npos) return;
    after_cr_ = piece[end] == '\r';
    piece.remove_prefix(end + 1);
    end_line();
  }
}

void EventStream::end_line() {
  std::string_view line = line_;
  if (first_line_ && line.starts_with("\xef\xbb\xbf")) line.remove_prefix(3);
  first_line_ = false;
  if (line.empty()) {
    // Taken out first, since the callback may throw.
    const std::string data = std::exchange(data_, {});
    line_.clear();
    if (std::exchange(has_data_, false)) on_data_(data);
    return;
  }
  const auto colon = line.find(':');
  if (line.substr(0, colon) == "data") {
    std::string_view value = colon == std::string_view::npos ? "" : line.substr(colon + 1);
    if (value.starts_with(' ')) value.remove_prefix(1);
    if (has_data_) data_ += '\n';
    data_ += value;
    has_data_ = true;
  }
  line_.clear();
}

}  // namespace tenon::traffic
