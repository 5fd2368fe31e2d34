#include "traffic/http_client.h"

#include <set>

#include "base/interrupt.h"
#include "traffic/http_line.h"

namespace tenon::traffic {
namespace {

constexpr std::chrono::milliseconds kTick{50};
constexpr std::size_t kFetchBytes = 64 << 20;

net::ssl::context tls_context(const HttpOptions& options) {
  net::ssl::context context(net::ssl::context::tls_client);
  BoostError error;
  if (!options.authorities.empty()) {
    context.load_verify_file(options.authorities.string(), error);
    if (error)
      bad_input("{}: no PEM file of certificates: {}", options.authorities.string(),
                error.message());
  } else {
    context.set_default_verify_paths(error);
  }
  context.set_verify_mode(options.check_certificate ? net::ssl::verify_peer
                                                    : net::ssl::verify_none);
  SSL_CTX_set_min_proto_version(context.native_handle(), TLS1_2_VERSION);
  return context;
}

}  // namespace

struct HttpClient::Core final : Owner, std::enable_shared_from_this<HttpClient::Core> {
  Core(Url where, HttpOptions given)
      : url_(std::move(where)), options_(std::move(given)), tls(tls_context(options_)) {
    net::ip::tcp::resolver resolver(io);
    BoostError error;
    places_ = resolver.resolve(url_.host, std::to_string(url_.port), error);
    if (error || places_.empty())
      tenon::fail(ErrorCode::resource, "{}: the host is not known: {}", url_.text(),
                  error.message());
  }

  const HttpOptions& options() const override { return options_; }
  const net::ip::tcp::resolver::results_type& places() const override { return places_; }
  const Url& url() const override { return url_; }
  void kept(std::shared_ptr<Line> line) override { idle.push_back(std::move(line)); }
  void gone(Line* line) override {
    lines.erase(line);
    std::erase_if(idle, [&](const auto& one) { return one.get() == line; });
  }
  void over() override { --under_way; }
  void again(Job job) override { open()->begin(std::move(job)); }

  std::shared_ptr<Line> open() {
    ++opened;
    std::shared_ptr<Line> line;
    if (url_.tls)
      line = std::make_shared<HttpLine<beast::ssl_stream<beast::tcp_stream>>>(*this, io, tls);
    else
      line = std::make_shared<HttpLine<beast::tcp_stream>>(*this, io);
    lines.insert(line.get());
    return line;
  }

  void send(Job job) {
    if (idle.empty()) return open()->begin(std::move(job));
    const auto line = std::move(idle.back());
    idle.pop_back();
    line->begin(std::move(job));
  }

  std::string head_of(const HttpRequest& request) const {
    std::string head = request.method + " " + url_.path + request.target +
                       " HTTP/1.1\r\nHost: " + url_.authority() +
                       "\r\nUser-Agent: tenon-bench\r\nAccept: */*\r\n";
    for (const auto& [name, value] : request.headers) head += name + ": " + value + "\r\n";
    if (!options_.key.empty()) head += "Authorization: Bearer " + options_.key + "\r\n";
    if (!request.body.empty() || request.method == "POST")
      head += "Content-Length: " + std::to_string(request.body.size()) + "\r\n";
    return head + "\r\n";
  }

  Url url_;
  HttpOptions options_;
  net::io_context io{1};
  net::ssl::context tls;
  net::ip::tcp::resolver::results_type places_;
  std::vector<std::shared_ptr<Line>> idle;
  std::set<Line*> lines;
  std::size_t under_way = 0;
  std::uint64_t opened = 0;
  bool stopping = false;
  std::set<std::shared_ptr<net::steady_timer>> timers;
};

std::string_view HttpAnswer::header(std::string_view name) const noexcept {
  for (const auto& [key, value] : headers)
    if (key == name) return value;
  return {};
}

HttpClient::HttpClient(Url url, HttpOptions options)
    : core_(std::make_shared<Core>(std::move(url), std::move(options))) {}

HttpClient::~HttpClient() {
  const auto lines = core_->lines;
  for (Line* line : lines) line->abort();
  core_->io.restart();
  core_->io.poll();
}

const Url& HttpClient::url() const noexcept { return core_->url_; }
std::uint64_t HttpClient::connections() const noexcept { return core_->opened; }

void HttpClient::send(HttpRequest request, std::shared_ptr<Receiver> receiver) {
  ++core_->under_way;
  std::string head = core_->head_of(request);
  // Posted, so that a receiver which sends the next request is not called within itself.
  net::post(core_->io, [core = core_, job = Job{std::move(head), std::move(request.body),
                                                std::move(receiver), false}]() mutable {
    if (!core->stopping) return core->send(std::move(job));
    job.receiver->on_failure(Failure::cancelled, "stopped", Clock::now());
    core->over();
  });
}

void HttpClient::at(Clock::time_point when, std::function<void()> body) {
  const auto timer = std::make_shared<net::steady_timer>(core_->io, when);
  core_->timers.insert(timer);
  ++core_->under_way;
  timer->async_wait([core = core_, timer, body = std::move(body)](BoostError error) {
    core->timers.erase(timer);
    --core->under_way;
    if (!error && !core->stopping) body();
  });
}

void HttpClient::run(const std::function<bool()>& go_on) {
  Core& core = *core_;
  core.stopping = false;
  core.io.restart();
  auto next = Clock::now() + kTick;
  while (core.under_way > 0) {
    core.io.run_one_until(next);
    if (core.io.stopped()) core.io.restart();
    if (Clock::now() < next) continue;
    next = Clock::now() + kTick;
    if (core.stopping || go_on()) continue;
    core.stopping = true;
    const auto timers = core.timers;
    for (const auto& timer : timers) timer->cancel();
    const auto lines = core.lines;
    for (Line* line : lines) line->abort();
  }
}

namespace {

class Whole final : public Receiver {
 public:
  void on_header(const HttpAnswer& answer) override { response.answer = answer; }
  void on_body(std::string_view piece, Clock::time_point) override {
    if (piece.size() > kFetchBytes - response.body.size())
      bad_input("the answer is longer than {} bytes", kFetchBytes);
    response.body += piece;
  }
  void on_end(Clock::time_point) override {}
  void on_failure(Failure failed, const std::string& why, Clock::time_point) override {
    failure = failed;
    message = why;
  }

  HttpClient::Response response;
  Failure failure = Failure::none;
  std::string message;
};

}  // namespace

HttpClient::Response HttpClient::fetch(HttpRequest request) {
  const std::string what = request.method + " " + url().text() + request.target;
  const auto whole = std::make_shared<Whole>();
  send(std::move(request), whole);
  run([] { return !interrupted(); });
  check_interrupt();
  if (whole->failure != Failure::none)
    throw Error(ErrorCode::resource,
                fmt::format("{}: {}", failure_name(whole->failure), whole->message))
        .in(what);
  return std::move(whole->response);
}

}  // namespace tenon::traffic
