// One request on its connection: the Exchange that handlers hold.
#pragma once

#include <chrono>
#include <mutex>

#include "serving/http/compression.h"
#include "serving/http/core.h"

namespace tenon::serving::http {

/// The connection's side, called from any thread.
class Line {
 public:
  virtual ~Line() = default;
  virtual void send(std::string bytes) = 0;
  /// Nothing more will be sent for the request under way. `keep`: the connection may take another.
  virtual void end(bool keep) = 0;
  virtual void drop() = 0;
};

class Turn final : public Exchange {
 public:
  Turn(Request request, std::shared_ptr<Line> line, std::shared_ptr<Shared> shared, bool keep,
       bool old)
      : request_(std::move(request)),
        line_(std::move(line)),
        shared_(std::move(shared)),
        keep_(keep),
        old_(old),
        trace_(trace_context(request_.header("traceparent"))) {
    record_.bytes_in = request_.body.size();
  }
  ~Turn() override {
    if (!ended_ && !gone_) {  // every handler let go without an answer
      if (started_) {
        line_->drop();
      } else {
        respond({500, R"({"error":"the request was not answered"})", "application/json", {}});
      }
    }
    shared_->held.fetch_sub(held_);
    log();
  }

  const Request& request() const override { return request_; }
  const TraceContext& trace() const override { return trace_; }
  TraceSettings* traces() const override { return shared_->options.traces.get(); }
  void respond(Response response) override {
    compress(response);
    const std::lock_guard lock(mutex_);
    if (started_ || gone_) return;
    started_ = ended_ = true;
    record_.status = response.status;
    if (response.status == 413 || response.status == 408) keep_ = false;
    keep_ = keep_ && !shared_->draining;
    std::string bytes = head(response.status, response.content_type, response.headers);
    bytes += "Content-Length: " + std::to_string(response.body.size()) + "\r\n\r\n";
    // 304 tells the length of what it does not send, as HEAD does.
    if (request_.method != "HEAD" && response.status != 304) bytes += response.body;
    push(std::move(bytes));
    line_->end(keep_);
  }
  void start(int status, std::string content_type, Headers headers) override {
    const std::lock_guard lock(mutex_);
    if (started_ || gone_) return;
    started_ = record_.streamed = true;
    record_.status = status;
    keep_ = keep_ && !old_ && !shared_->draining;
    std::string bytes = head(status, content_type, headers);
    bytes += old_ ? "\r\n" : "Transfer-Encoding: chunked\r\n\r\n";
    push(std::move(bytes));
  }
  void write(std::string bytes) override {
    const std::lock_guard lock(mutex_);
    if (!started_ || ended_ || gone_ || bytes.empty()) return;
    if (pending_ > shared_->options.limits.pending) return line_->drop();
    if (!old_) {
      char size[20];
      std::snprintf(size, sizeof size, "%zx\r\n", bytes.size());
      bytes = size + bytes + "\r\n";
    }
    push(std::move(bytes));
  }
  void finish() override {
    const std::lock_guard lock(mutex_);
    if (!started_ || ended_ || gone_) return;
    ended_ = true;
    if (!old_) push("0\r\n\r\n");
    line_->end(keep_);
  }
  std::size_t pending() const override { return pending_; }
  bool gone() const override { return gone_; }
  bool begun() const override {
    const std::lock_guard lock(mutex_);
    return started_;
  }
  void on_gone(std::function<void()> callback) override {
    {
      const std::lock_guard lock(mutex_);
      if (!gone_) {
        if (!ended_) callback_ = std::move(callback);
        return;
      }
    }
    callback();
  }

  // For the connection.
  void sent(std::size_t bytes) { pending_ -= bytes; }
  void hold(std::uint64_t bytes) { held_ = bytes; }
  /// Puts what the body stands for in its place, before a handler sees it.
  Inflated::End unpack(Encoding encoding) {
    Inflated made = inflated(request_.body, encoding, shared_->options.limits.body_bytes,
                             [this](std::uint64_t more) {
                               if (!shared_->hold(more)) return false;
                               held_ += more;
                               return true;
                             });
    request_.body = std::move(made.bytes);
    return made.end;
  }
  void lose() {
    std::function<void()> callback;
    {
      const std::lock_guard lock(mutex_);
      if (gone_) return;
      gone_ = true;
      record_.gone = true;
      callback = std::move(callback_);
    }
    if (callback) callback();
  }
  /// The answer has left: what the callback keeps alive may go.
  void settle() {
    std::function<void()> callback;
    const std::lock_guard lock(mutex_);
    callback.swap(callback_);
  }

 private:
  // An answer with a tag of its own stays as it is: the tag is for these bytes.
  void compress(Response& response) const {
    if (response.status != 200 || request_.method == "HEAD" ||
        response.body.size() < shared_->options.limits.compress_from ||
        response.content_type.starts_with("image/"))
      return;
    for (const auto& [name, value] : response.headers) {
      if (name == "ETag" || name == "Content-Encoding") return;
    }
    response.headers.emplace_back("Vary", "Accept-Encoding");
    const auto encoding = accepted_encoding(request_.header("accept-encoding"));
    if (!encoding) return;
    response.body = deflated(response.body, *encoding);
    response.headers.emplace_back("Content-Encoding", encoding_name(*encoding));
  }
  std::string head(int status, const std::string& content_type, const Headers& headers) const {
    std::string bytes = "HTTP/1.1 " + std::to_string(status) + " ";
    bytes += status_text(status);
    bytes += "\r\nContent-Type: " + content_type + "\r\nX-Request-Id: " + request_.id + "\r\n";
    bytes += "X-Content-Type-Options: nosniff\r\n";
    for (const auto& [name, value] : headers) bytes += name + ": " + value + "\r\n";
    if (!keep_) bytes += "Connection: close\r\n";
    if (keep_ && old_) bytes += "Connection: keep-alive\r\n";
    return bytes;
  }
  void push(std::string bytes) {
    pending_ += bytes.size();
    record_.bytes_out += bytes.size();
    line_->send(std::move(bytes));
  }
  void log() {
    if (!shared_->options.on_access) return;
    record_.id = request_.id;
    record_.client = request_.client;
    record_.trace_id = trace_.trace_id;
    record_.method = request_.method.substr(0, 16);
    record_.path = request_.path.substr(0, 256);
    record_.seconds =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - begin_).count();
    shared_->options.on_access(record_);
  }

  Request request_;
  std::shared_ptr<Line> line_;
  std::shared_ptr<Shared> shared_;
  mutable std::mutex mutex_;
  bool keep_;
  bool old_;  // HTTP/1.0: no chunks
  TraceContext trace_;
  bool started_ = false;
  bool ended_ = false;
  std::atomic<bool> gone_{false};
  std::atomic<std::size_t> pending_{0};
  std::uint64_t held_ = 0;
  std::function<void()> callback_;
  std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();
  AccessRecord record_;
};

}  // namespace tenon::serving::http
