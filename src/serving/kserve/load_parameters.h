// What POST /v2/repository/models/{model}/load says about how to load.
#pragma once

#include "base/json.h"
#include "serving/catalogue.h"

namespace tenon::serving::kserve {

/// "parameters" of the request: "config", JSON in a text, and "file:1/model.onnx", base64.
/// Error(bad_input) names a parameter that is unknown or malformed.
LoadParameters load_parameters(const Json& body);

}  // namespace tenon::serving::kserve
