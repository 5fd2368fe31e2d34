// What there is to ask about the server and its models, in the protocol's own messages: gRPC sends
// them, HTTP prints them.
#pragma once

#include <grpc_service.pb.h>

#include "base/json.h"
#include "serving/kserve/context.h"

namespace tenon::serving::kserve {

inference::ServerMetadataResponse about_server();
inference::ModelMetadataResponse about_model(const ModelInfo& info,
                                             const std::vector<std::string>& versions);
/// What the model's configuration says; fields that it leaves out follow from the model.
inference::ModelConfig config_of(const ModelInfo& info);
inference::ModelStatistics statistics_of(const ModelRegistry::Held& held);
inference::RepositoryIndexResponse index_of(const ModelRegistry& models, bool only_ready);

/// As Triton prints messages: names of fields as in the .proto, numbers as numbers, enumerations by
/// name; what has no presence stands there also when it is 0 or empty.
Json json_of(const google::protobuf::Message& message);

}  // namespace tenon::serving::kserve
