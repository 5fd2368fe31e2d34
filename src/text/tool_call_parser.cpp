// The way back from text to calls: a small machine that holds back what could still become one.
#include "text/tool_calls.h"

namespace tenon::text {
namespace {

constexpr std::string_view kPythonTag = "<|python_tag|>";
constexpr std::string_view kCallsTag = "[TOOL_CALLS]";
constexpr std::string_view kArgumentsTag = "[ARGS]";
constexpr std::string_view kOpen = "<tool_call>";
constexpr std::string_view kClose = "</tool_call>";

bool is_space(char c) { return c == ' ' || c == '\n' || c == '\t' || c == '\r'; }
bool is_name(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
         c == '-' || c == '.';
}

std::size_t spaces(std::string_view text) {
  std::size_t at = 0;
  while (at < text.size() && is_space(text[at])) ++at;
  return at;
}

// Text that could become `word`: a proper beginning of it.
bool begins(std::string_view text, std::string_view word) {
  return text.size() < word.size() && word.starts_with(text);
}

// The greatest number of bytes at the end of `text` that begin `word`.
std::size_t open_end(std::string_view text, std::string_view word) {
  for (std::size_t n = std::min(text.size(), word.size() - 1); n > 0; --n) {
    if (word.starts_with(text.substr(text.size() - n))) return n;
  }
  return 0;
}

}  // namespace

ToolCallParser::ToolCallParser(ToolFormat format, std::set<std::string, std::less<>> names,
                               bool opened)
    : format_(format), names_(std::move(names)), state_(opened ? State::before : State::start) {}

std::vector<ToolEvent> ToolCallParser::push(std::string_view piece) {
  std::vector<ToolEvent> events;
  rest_ += piece;
  while (step(events, false)) {
  }
  return events;
}

std::vector<ToolEvent> ToolCallParser::finish() {
  std::vector<ToolEvent> events;
  while (step(events, true)) {
  }
  const bool unfinished = state_ == State::before || state_ == State::name || state_ == State::call;
  if (unfinished && !told_) give_up(events);
  if (!told_ || state_ != State::call) content(events, std::exchange(rest_, {}));
  if (calls_ == 0 && !space_.empty())
    events.push_back({ToolEvent::Kind::content, 0, std::exchange(space_, {})});
  return events;
}

bool ToolCallParser::step(std::vector<ToolEvent>& events, bool ended) {
  if (rest_.empty()) return false;
  switch (state_) {
    case State::start:
      return step_start(events, ended);
    case State::text:
      return step_text(events, ended);
    case State::before:
      return step_before(events, ended);
    case State::name:
      return step_name(events, ended);
    case State::call:
      return step_call(events, ended);
    case State::behind:
      return step_behind(events, ended);
    case State::done:
      break;
  }
  content(events, std::exchange(rest_, {}));
  return false;
}

// Spaces at the end wait: between calls and before the first they are nothing to read.
void ToolCallParser::content(std::vector<ToolEvent>& events, std::string text) {
  std::size_t end = text.size();
  while (end > 0 && is_space(text[end - 1])) --end;
  if (end == 0) {
    space_ += text;
    return;
  }
  std::string shown = std::exchange(space_, text.substr(end));
  shown.append(text, 0, end);
  events.push_back({ToolEvent::Kind::content, 0, std::move(shown)});
}

void ToolCallParser::give_up(std::vector<ToolEvent>& events) {
  content(events, std::exchange(consumed_, {}));
  call_.reset();
  in_list_ = false;
  const bool tagged = format_ == ToolFormat::hermes || format_ == ToolFormat::mistral;
  state_ = tagged ? State::text : State::done;
}

bool ToolCallParser::step_start(std::vector<ToolEvent>&, bool ended) {
  if (format_ == ToolFormat::none) {
    state_ = State::done;
    return true;
  }
  if (format_ == ToolFormat::hermes || format_ == ToolFormat::mistral) {
    state_ = State::text;
    return true;
  }
  const std::size_t space = spaces(rest_);
  const std::string_view word = std::string_view(rest_).substr(space);
  if (word.empty()) return false;
  if (format_ == ToolFormat::llama && begins(word, kPythonTag) && !ended) return false;
  const bool tagged = format_ == ToolFormat::llama && word.starts_with(kPythonTag);
  const bool opens = tagged || word[0] == '{' || (word[0] == '[' && format_ == ToolFormat::json);
  if (!opens) {
    state_ = State::done;
    return true;
  }
  const std::size_t taken = space + (tagged ? kPythonTag.size() : 0);
  consumed_ = rest_.substr(0, taken);
  rest_.erase(0, taken);
  state_ = State::before;
  return true;
}

bool ToolCallParser::step_text(std::vector<ToolEvent>& events, bool ended) {
  const std::string_view tag = format_ == ToolFormat::hermes ? kOpen : kCallsTag;
  const std::size_t found = rest_.find(tag);
  if (found == std::string::npos) {
    const std::size_t kept = ended ? 0 : open_end(rest_, tag);
    content(events, rest_.substr(0, rest_.size() - kept));
    rest_.erase(0, rest_.size() - kept);
    return false;
  }
  content(events, rest_.substr(0, found));
  consumed_ = tag;
  rest_.erase(0, found + tag.size());
  state_ = State::before;
  return true;
}

bool ToolCallParser::step_before(std::vector<ToolEvent>& events, bool ended) {
  told_ = false;
  const std::size_t space = spaces(rest_);
  consumed_.append(rest_, 0, space);
  rest_.erase(0, space);
  if (rest_.empty()) return false;
  const bool lists = format_ == ToolFormat::mistral || format_ == ToolFormat::json;
  if (rest_[0] == '{') {
    call_.emplace();
    state_ = State::call;
  } else if (rest_[0] == '[' && lists && !in_list_) {
    if (format_ == ToolFormat::mistral && begins(rest_, kCallsTag) && rest_.size() > 1 && !ended)
      return false;
    in_list_ = true;
    consumed_ += '[';
    rest_.erase(0, 1);
  } else if (is_name(rest_[0]) && format_ == ToolFormat::mistral && !in_list_) {
    state_ = State::name;
  } else {
    give_up(events);
  }
  return true;
}

bool ToolCallParser::step_name(std::vector<ToolEvent>& events, bool ended) {
  std::size_t end = 0;
  while (end < rest_.size() && is_name(rest_[end])) ++end;
  if (end == rest_.size() && !ended) return false;
  std::string_view behind = std::string_view(rest_).substr(end);
  if (begins(behind, kArgumentsTag) && !ended) return false;
  const std::string name = rest_.substr(0, end);
  if (behind.starts_with(kArgumentsTag)) behind.remove_prefix(kArgumentsTag.size());
  const std::size_t space = spaces(behind);
  if (space == behind.size() && !ended) return false;
  if (!names_.contains(name) || space == behind.size() || behind[space] != '{') {
    give_up(events);
    return true;
  }
  consumed_.clear();
  rest_ = std::string(behind.substr(space));
  call_.emplace(name);
  state_ = State::call;
  return true;
}

bool ToolCallParser::step_call(std::vector<ToolEvent>& events, bool) {
  std::size_t at = 0;
  // Byte by byte, so that what is told does not depend on the pieces.
  for (; at < rest_.size() && call_->state() == JsonCall::State::open; ++at) {
    if (call_->push(std::string_view(rest_).substr(at, 1)) == 0) break;
    if (!told_) consumed_ += rest_[at];
    if (told_ || !call_->has_name()) continue;
    if (!names_.contains(call_->name())) {
      rest_.erase(0, at + 1);
      give_up(events);
      return true;
    }
    told_ = true;
    consumed_.clear();
    space_.clear();
    events.push_back({ToolEvent::Kind::call, calls_++, call_->name()});
  }
  rest_.erase(0, at);
  if (told_) {
    if (std::string more = call_->take_arguments(); !more.empty())
      events.push_back({ToolEvent::Kind::arguments, calls_ - 1, std::move(more)});
  }
  if (call_->state() == JsonCall::State::open) return false;
  const bool complete = call_->state() == JsonCall::State::complete;
  if (!told_) {
    give_up(events);
    return true;
  }
  if (complete && !call_->has_arguments())
    events.push_back({ToolEvent::Kind::arguments, calls_ - 1, "{}"});
  call_.reset();
  told_ = false;
  if (complete) {
    state_ = State::behind;
  } else {
    give_up(events);
  }
  return true;
}

bool ToolCallParser::step_behind(std::vector<ToolEvent>&, bool ended) {
  const std::size_t space = spaces(rest_);
  const std::string_view word = std::string_view(rest_).substr(space);
  if (word.empty()) return false;
  const auto go = [&](State state, std::size_t taken) {
    rest_.erase(0, space + taken);
    state_ = state;
    consumed_.clear();
    return true;
  };
  if (format_ == ToolFormat::hermes) {
    if (begins(word, kClose) && !ended) return false;
    return go(State::text, word.starts_with(kClose) ? kClose.size() : 0);
  }
  if (in_list_ && word[0] == ',') return go(State::before, 1);
  if (in_list_ && word[0] == ']') {
    in_list_ = false;
    return go(format_ == ToolFormat::mistral ? State::text : State::done, 1);
  }
  if (format_ == ToolFormat::llama && word[0] == ';') return go(State::before, 1);
  in_list_ = false;
  state_ = format_ == ToolFormat::mistral ? State::text : State::done;
  return true;
}

}  // namespace tenon::text
