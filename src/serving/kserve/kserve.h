// KServe v2 over HTTP, with the extensions and words of Triton.
#pragma once

#include <string>

#include "serving/http/router.h"
#include "serving/kserve/context.h"

namespace tenon::serving::kserve {

/// Adds /v2 and all below. Liveness is open, the rest needs a key where there are keys.
void add_routes(http::Router& router, const Context& context);

/// {"error": message}
std::string error_body(int status, const std::string& message);

// The parts, each in its file.
void add_model_routes(http::Router& router, const Context& context);
void add_infer_routes(http::Router& router, const Context& context);
void add_generate_routes(http::Router& router, const Context& context);
void add_shared_memory_routes(http::Router& router, const Context& context);
void add_setting_routes(http::Router& router, const Context& context);

/// Runs the body; what it throws is answered as Triton does.
http::Handler guarded(http::Handler body);
void respond_error(http::Exchange& exchange, const std::exception& error);
void respond_json(http::Exchange& exchange, const Json& body);
/// An empty body is an empty object. Error(bad_input) for what is no object.
Json body_of(const http::Request& request);
/// The {version} of the path; empty where there is none.
std::string version_of(const http::Request& request);

}  // namespace tenon::serving::kserve
