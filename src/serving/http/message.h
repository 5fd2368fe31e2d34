// A request as handlers see it, and the way to answer it. Nothing of the HTTP library stands here.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "serving/peer.h"

namespace tenon::serving::http {

using Headers = std::vector<std::pair<std::string, std::string>>;

struct Request {
  std::string id;      ///< X-Request-Id of the client where it is a plain word, else one of ours
  std::string method;  ///< upper case
  std::string path;    ///< as sent, without the query
  std::string query;   ///< after '?', as sent
  std::map<std::string, std::string, std::less<>> headers;  ///< names in lower case
  std::string body;
  std::string
      client;  ///< whom it counts for: the API key's name where there are keys, else the peer
  std::map<std::string, std::string, std::less<>> parts;  ///< of the path, by the route's names

  /// Empty when the header is not there.
  std::string_view header(std::string_view name) const {
    const auto found = headers.find(name);
    return found == headers.end() ? std::string_view() : std::string_view(found->second);
  }
  const std::string& part(std::string_view name) const { return parts.find(name)->second; }
};

struct Response {
  int status = 200;
  std::string body;
  std::string content_type = "application/json";
  Headers headers;
};

/// One request and its answer: either respond once, or start, write any number of times, and
/// finish. Any thread; calls after the end, or after the client has gone, do nothing.
class Exchange : public Peer {
 public:
  virtual const Request& request() const = 0;
  virtual void respond(Response response) = 0;
  virtual void start(int status, std::string content_type, Headers headers = {}) = 0;
  virtual void write(std::string bytes) = 0;
  virtual void finish() = 0;
  /// Whether an answer has begun.
  virtual bool begun() const = 0;

  const std::string& request_id() const override { return request().id; }
  const std::string& client() const override { return request().client; }
};

using Handler = std::function<void(const std::shared_ptr<Exchange>&)>;

std::string_view status_text(int status);
/// What the client gave where it is a plain word of at most 128 characters, else an id of ours.
std::string request_id(std::string_view given);

}  // namespace tenon::serving::http
