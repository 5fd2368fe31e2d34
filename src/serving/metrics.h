// The numbers of a server as Prometheus reads them: names of Triton for every model, of vLLM beside
// them for text.
#pragma once

#include <string>

#include "serving/http/router.h"
#include "serving/model_registry.h"

namespace tenon::serving {

/// Text format 0.0.4.
std::string prometheus_text(const ModelRegistry& models);
/// Adds GET /metrics.
void add_metrics_route(http::Router& router, std::shared_ptr<ModelRegistry> models);

}  // namespace tenon::serving
