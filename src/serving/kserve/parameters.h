// The parameters of requests that the protocol itself gives a meaning: the same in JSON and gRPC.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>

#include "serving/kserve/infer_data.h"

namespace tenon::serving::kserve {

/// An integer from 0 to 2^64 - 1, 0 when absent. Error(bad_input) names the key.
std::uint64_t unsigned_of(const Json& parameters, const char* key);

/// shared_memory_region, _offset and _byte_size; nothing when there is no region.
std::optional<RegionPlace> place_of(const Json& parameters, const std::string& tensor);
/// The other way.
Json parameters_of(const RegionPlace& place);

/// Of a requested output: classification and the place.
void read_wanted(WantedOutput& wanted, const Json& parameters);

/// sequence_id (a number, or a text of at most 128 bytes), sequence_start, sequence_end.
SequencePlace sequence_of(const Json& parameters);

/// "timeout": microseconds, at most a day; nothing when 0 or absent.
std::optional<std::chrono::microseconds> timeout_of(const Json& parameters);

}  // namespace tenon::serving::kserve
