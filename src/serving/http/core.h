// What connections share with their server; included by server.cpp alone.
#pragma once

#include <atomic>
#include <mutex>
#include <set>

#include <boost/asio.hpp>

#include "serving/http/server.h"
#include "serving/http/workers.h"

namespace tenon::serving::http {

/// A connection as the server sees it.
class Managed {
 public:
  virtual ~Managed() = default;
  /// Closes when idle, else after the answer under way. Any thread.
  virtual void retire() = 0;
  virtual void abort() = 0;
};

/// Counters and tables of a running server. Any thread.
struct Shared {
  explicit Shared(Options given) : options(std::move(given)) {}

  void add(Managed* connection) {
    const std::lock_guard lock(mutex);
    connections.insert(connection);
  }
  void remove(Managed* connection) {
    const std::lock_guard lock(mutex);
    connections.erase(connection);
  }
  /// Takes `bytes` of the memory for bodies; false when there is no room.
  bool hold(std::uint64_t bytes) {
    if (held.fetch_add(bytes) + bytes <= options.limits.all_body_bytes) return true;
    held.fetch_sub(bytes);
    return false;
  }

  Options options;
  std::atomic<bool> draining{false};
  std::atomic<std::uint64_t> held{0};
  std::mutex mutex;
  std::set<Managed*> connections;
  Workers* workers = nullptr;  // null once the server goes
};

}  // namespace tenon::serving::http
