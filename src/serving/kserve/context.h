// What the protocol needs of the server, whatever transport brings a request.
#pragma once

#include <chrono>
#include <functional>
#include <memory>

#include "serving/http/workers.h"
#include "serving/log_settings.h"
#include "serving/model_registry.h"
#include "serving/shared_memory.h"
#include "serving/trace_settings.h"

namespace tenon::serving::kserve {

struct Context {
  std::shared_ptr<ModelRegistry> models;
  std::function<bool()> ready;                    ///< false while the server ends
  std::chrono::seconds patience{600};             ///< for a request that names no timeout
  std::shared_ptr<SharedMemory> shared_memory{};  ///< null: not offered
  std::shared_ptr<TraceSettings> traces{};        ///< null: none is written
  std::shared_ptr<LogSettings> logs{};            ///< null: changing them changes nothing
  /// Writes answers that are long, away from the threads that compute. Null: there. Outlives all
  /// models.
  http::Workers* workers = nullptr;
};

}  // namespace tenon::serving::kserve
