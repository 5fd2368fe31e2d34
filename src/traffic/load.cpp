#include "traffic/load.h"

#include <algorithm>
#include <deque>

#include "base/error.h"
#include "traffic/event_stream.h"

namespace tenon::traffic {
namespace {

constexpr std::size_t kErrorBytes = 300;
constexpr std::size_t kAnswerBytes = std::size_t{1} << 30;
constexpr std::size_t kRefusalBytes = 64 << 10;

// The sentence of a refusal, whatever dress it wears.
std::string message_of(std::string_view body) {
  std::string text(body);
  const Json parsed = Json::parse(body.begin(), body.end(), nullptr, false);
  const Json* error = parsed.is_object() ? find_field(parsed, "error") : nullptr;
  if (error != nullptr && error->is_object()) error = find_field(*error, "message");
  if (error == nullptr && parsed.is_object()) error = find_field(parsed, "detail");
  if (error != nullptr && error->is_string()) text = error->get<std::string>();
  for (char& c : text)
    if (static_cast<unsigned char>(c) < ' ') c = ' ';
  return text.substr(0, kErrorBytes);
}

class Run;

/// Hears one request and fills its record.
class Ear final : public Receiver {
 public:
  Ear(Run& run, Record& record)
      : run_(run), record_(record), events_([this](std::string_view data) { on_event(data); }) {}

  void on_sent(Clock::time_point now) override;
  void on_header(const HttpAnswer& answer) override {
    answer_ = answer;
    record_.status = answer.status;
    streams_ =
        answer.status == 200 && answer.header("content-type").starts_with("text/event-stream");
  }
  void on_body(std::string_view piece, Clock::time_point arrived) override;
  void on_end(Clock::time_point now) override;
  void on_failure(Failure failure, const std::string& message, Clock::time_point now) override;

 private:
  void on_event(std::string_view data);
  void close_answer();

  Run& run_;
  Record& record_;
  EventStream events_;
  HttpAnswer answer_;
  std::string body_;
  bool streams_ = false;
  double now_ = 0;
};

class Run {
 public:
  Run(HttpClient& client, const Api& api, const Plan& plan)
      : client_(client), api_(api), plan_(plan) {}

  Level run(const OnTick& on_tick) {
    start_ = Clock::now();
    if (plan_.arrivals.empty()) {
      for (std::size_t user = 0; user < plan_.users; ++user) next();
    } else {
      level_.full_until = plan_.arrivals.back();
      await_arrival();
    }
    client_.run([&] {
      if (!level_.stopped && !on_tick(since_start(Clock::now()), answered_)) level_.stopped = true;
      return !level_.stopped;
    });
    level_.seconds = 0;
    for (const Record& record : records_) level_.seconds = std::max(level_.seconds, record.end);
    if (level_.full_until <= 0) level_.full_until = level_.seconds;
    level_.full_until = std::min(level_.full_until, level_.seconds);
    level_.records.assign(std::make_move_iterator(records_.begin()),
                          std::make_move_iterator(records_.end()));
    return std::move(level_);
  }

  const Api& api() const noexcept { return api_; }
  double since_start(Clock::time_point now) const {
    return std::chrono::duration<double>(now - start_).count();
  }
  void sent(Record& record, Clock::time_point now) {
    record.sent = since_start(now);
    if (plan_.arrivals.empty())
      record.due = record.sent;
    else
      level_.latest_send = std::max(level_.latest_send, record.sent - record.due);
  }
  void ended() {
    ++answered_;
    if (plan_.arrivals.empty() && !level_.stopped) next();
  }

 private:
  void ask(double due) {
    Record& record = records_.emplace_back();
    record.index = plan_.first_index + records_.size() - 1;
    record.due = due;
    client_.send(api_.request(record.index), std::make_shared<Ear>(*this, record));
  }

  void next() {
    const double now = since_start(Clock::now());
    const bool all = plan_.requests > 0 && records_.size() >= plan_.requests;
    const bool late = plan_.duration > 0 && now >= plan_.duration;
    if (!all && !late) return ask(now);
    if (level_.full_until <= 0) level_.full_until = now;
  }

  void await_arrival() {
    if (records_.size() >= plan_.arrivals.size()) return;
    const double due = plan_.arrivals[records_.size()];
    const auto when =
        start_ + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(due));
    client_.at(when, [this, due] {
      ask(due);
      await_arrival();
    });
  }

  HttpClient& client_;
  const Api& api_;
  const Plan& plan_;
  Clock::time_point start_;
  std::deque<Record> records_;  // their addresses stay
  std::size_t answered_ = 0;
  Level level_;
};

void Ear::on_sent(Clock::time_point now) { run_.sent(record_, now); }

void Ear::on_event(std::string_view data) {
  if (record_.ok()) run_.api().on_event(data, now_, record_);
}

void Ear::on_body(std::string_view piece, Clock::time_point arrived) {
  record_.answer_bytes += piece.size();
  now_ = run_.since_start(arrived);
  if (streams_) return events_.feed(piece);
  const bool refused = record_.status != 200;
  if (!refused && piece.size() > kAnswerBytes - body_.size())
    bad_input("the answer is longer than {} bytes", kAnswerBytes);
  if (!refused || body_.size() < kRefusalBytes) body_ += piece;
}

void Ear::close_answer() {
  if (record_.status != 200) {
    record_.failure = Failure::status;
    record_.error = message_of(body_);
    return;
  }
  if (!streams_) return run_.api().on_answer(body_, answer_, record_);
  if (record_.ok() && (!record_.finished || events_.has_rest())) {
    record_.failure = Failure::cut;
    record_.error = "the stream ended without saying that it was whole";
  }
}

void Ear::on_end(Clock::time_point now) {
  record_.end = run_.since_start(now);
  try {
    close_answer();
  } catch (const Error& error) {
    record_.failure = Failure::malformed;
    record_.error = message_of(error.what());
  }
  run_.ended();
}

void Ear::on_failure(Failure failure, const std::string& message, Clock::time_point now) {
  record_.end = run_.since_start(now);
  if (record_.ok()) {
    record_.failure = failure;
    record_.error = message_of(message);
  }
  run_.ended();
}

}  // namespace

Level run_load(HttpClient& client, const Api& api, const Plan& plan, const OnTick& on_tick) {
  if (plan.arrivals.empty() && plan.requests == 0 && plan.duration <= 0)
    fail(ErrorCode::internal, "a level of load without an end");
  return Run(client, api, plan).run(on_tick);
}

}  // namespace tenon::traffic
