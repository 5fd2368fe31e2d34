// The end of a request, told to whoever writes traces.
#pragma once

#include "serving/peer.h"
#include "serving/served_model.h"
#include "serving/trace_settings.h"

namespace tenon::serving {

/// Fills in who asked and which model answered. Of no cost where nothing is traced.
inline void trace_request(const Peer& peer, const ModelInfo& model, Outcome outcome,
                          Clock::time_point begin, const Phases& phases,
                          std::optional<Clock::time_point> first_token = {},
                          const TextUsage& usage = {}) {
  TraceSettings* const traces = peer.traces();
  if (traces == nullptr || !traces->active() || peer.trace().trace_id.empty()) return;
  traces->record({peer.trace(), peer.request_id(), model.name, model.version, outcome, begin,
                  phases, first_token, usage.prompt_tokens, usage.generated_tokens});
}

}  // namespace tenon::serving
