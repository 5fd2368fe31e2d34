// Who waits for an answer, whatever protocol it speaks.
#pragma once

#include <cstddef>
#include <functional>
#include <string>

#include "serving/trace_context.h"

namespace tenon::serving {

class TraceSettings;

/// Any number of threads.
class Peer {
 public:
  virtual ~Peer() = default;
  /// Id of the request, for logs.
  virtual const std::string& request_id() const = 0;
  /// Whom the request counts for: the API key's name where there are keys, else the address.
  virtual const std::string& client() const = 0;
  /// Bytes of the answer that have not left yet.
  virtual std::size_t pending() const = 0;
  virtual bool gone() const = 0;
  /// Calls `callback` once when the client goes before the end of the answer; at once when it has
  /// gone already. It must not block.
  virtual void on_gone(std::function<void()> callback) = 0;
  /// Where the request belongs in a trace; without ids when the transport knows of none.
  virtual const TraceContext& trace() const {
    static const TraceContext kNone;
    return kNone;
  }
  /// Who writes the spans of requests down. Null: nobody.
  virtual TraceSettings* traces() const { return nullptr; }
};

}  // namespace tenon::serving
