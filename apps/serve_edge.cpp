#include "serve_edge.h"

#include <cmath>

namespace tenon::apps {
namespace {

serving::LogValues log_values(const std::string& log) {
  const log::Level level = log::parse_level(log);
  serving::LogValues values;
  // The lines of requests are told unless somebody asked for less than warnings.
  values.info = level <= log::Level::warn;
  values.warning = level <= log::Level::warn;
  values.error = level <= log::Level::error;
  values.verbose_level = level == log::Level::debug ? 1 : 0;
  return values;
}

Json line_of(const serving::http::AccessRecord& record) {
  return {{"id", record.id},
          {"trace_id", record.trace_id},
          {"client", record.client},
          {"method", record.method},
          {"path", record.path},
          {"status", record.status},
          {"bytes_in", record.bytes_in},
          {"bytes_out", record.bytes_out},
          {"ms", std::round(record.seconds * 1e6) / 1e3},
          {"stream", record.streamed},
          {"gone", record.gone}};
}

}  // namespace

void add_edge_flags(CLI::App& command, EdgeFlags& flags) {
  command.add_option("--shared-memory-prefix", flags.shared_memory_prefix,
                     "/PREFIX: clients may register objects of shared memory whose key begins with "
                     "it; without it none");
  command.add_option(
      "--trace-dir", flags.trace_dir,
      "folder for files of traces and logs that clients may ask for; without it none");
  command.add_flag("!--no-access-log", flags.access_log, "no line for each request");
}

Edge::Edge(const EdgeFlags& flags, const std::string& log)
    : shared_memory(std::make_shared<serving::SharedMemory>(flags.shared_memory_prefix)),
      traces(std::make_shared<serving::TraceSettings>(flags.trace_dir)),
      logs(std::make_shared<serving::LogSettings>(log_values(log), flags.trace_dir)),
      access_log_(flags.access_log),
      redirect_([logs = logs](log::Level level, std::string_view message) {
        logs->message(level, message);
      }) {}

std::function<void(const serving::http::AccessRecord&)> Edge::on_access() const {
  if (!access_log_) return {};
  return [logs = logs](const serving::http::AccessRecord& record) {
    logs->line(log::Level::info, line_of(record));
  };
}

}  // namespace tenon::apps
