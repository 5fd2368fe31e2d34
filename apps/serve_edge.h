// What a server lends to and takes from its surroundings: shared memory, traces, its log.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include <CLI/CLI.hpp>

#include "base/log.h"
#include "serving/http/server.h"
#include "serving/log_settings.h"
#include "serving/shared_memory.h"
#include "serving/trace_settings.h"

namespace tenon::apps {

struct EdgeFlags {
  std::string shared_memory_prefix;
  std::string trace_dir;
  bool access_log = true;
};
void add_edge_flags(CLI::App& command, EdgeFlags& flags);

/// Made before the threads of the server and ended after them: while it lives, messages are lines
/// of JSON.
class Edge {
 public:
  /// `log` is the level of --log. Error(usage, bad_input) for flags that cannot be meant.
  Edge(const EdgeFlags& flags, const std::string& log);

  const std::shared_ptr<serving::SharedMemory> shared_memory;
  const std::shared_ptr<serving::TraceSettings> traces;
  const std::shared_ptr<serving::LogSettings> logs;
  /// Writes the line of a request; empty without an access log.
  std::function<void(const serving::http::AccessRecord&)> on_access() const;

 private:
  bool access_log_;
  log::Redirect redirect_;
};

}  // namespace tenon::apps
