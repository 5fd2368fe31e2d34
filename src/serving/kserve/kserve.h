// KServe v2 over HTTP, with the extensions and words of Triton.
#pragma once

#include <functional>
#include <memory>

#include "serving/http/router.h"
#include "serving/model_registry.h"

namespace tenon::serving::kserve {

struct Context {
  std::shared_ptr<ModelRegistry> models;
  std::function<bool()> ready;         ///< false while the server ends
  std::chrono::seconds patience{600};  ///< for a request that names no timeout
};

/// Adds /v2 and all below. Liveness is open, the rest needs a key where there are keys.
void add_routes(http::Router& router, const Context& context);

/// {"error": message}
std::string error_body(int status, const std::string& message);

// The parts, each in its file.
void add_model_routes(http::Router& router, const Context& context);
void add_infer_routes(http::Router& router, const Context& context);
void add_generate_routes(http::Router& router, const Context& context);

/// Runs the body; what it throws is answered as Triton does.
http::Handler guarded(http::Handler body);
/// The end of the time that "timeout" (microseconds) in the parameters leaves.
Clock::time_point deadline_of(const Json& parameters, std::chrono::seconds patience);

}  // namespace tenon::serving::kserve
