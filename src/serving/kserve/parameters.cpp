#include "serving/kserve/parameters.h"

#include "base/error.h"

namespace tenon::serving::kserve {
namespace {

constexpr std::size_t kLongestId = 128;

std::string shortened(const Json& value) { return json_text(value).substr(0, 60); }

}  // namespace

std::uint64_t unsigned_of(const Json& parameters, const char* key) {
  const Json* found = find_field(parameters, key);
  if (found == nullptr) return 0;
  const bool fits = found->is_number_unsigned() ||
                    (found->is_number_integer() && found->get<std::int64_t>() >= 0);
  if (!fits)
    bad_input("parameter \"{}\" is {}, an integer from 0 to 2^64 - 1 was expected", key,
              shortened(*found));
  return found->get<std::uint64_t>();
}

std::optional<RegionPlace> place_of(const Json& parameters, const std::string& tensor) {
  if (find_field(parameters, "shared_memory_region") == nullptr) return std::nullopt;
  return with_context(fmt::format("'{}'", tensor), [&] {
    RegionPlace place;
    place.region = get_string(parameters, "shared_memory_region", "");
    place.offset = unsigned_of(parameters, "shared_memory_offset");
    place.size = unsigned_of(parameters, "shared_memory_byte_size");
    if (find_field(parameters, "shared_memory_byte_size") == nullptr)
      bad_input("'shared_memory_region' was given without 'shared_memory_byte_size'");
    return place;
  });
}

Json parameters_of(const RegionPlace& place) {
  Json made = {{"shared_memory_region", place.region}, {"shared_memory_byte_size", place.size}};
  if (place.offset != 0) made["shared_memory_offset"] = place.offset;
  return made;
}

void read_wanted(WantedOutput& wanted, const Json& parameters) {
  wanted.classes = get_int(parameters, "classification", 0, 1 << 20, 0);
  wanted.place = place_of(parameters, wanted.name);
  if (wanted.place && wanted.classes > 0)
    bad_input("output '{}': classification cannot go to shared memory", wanted.name);
}

SequencePlace sequence_of(const Json& parameters) {
  SequencePlace place;
  const Json* id = find_field(parameters, "sequence_id");
  bool named = false;
  if (id != nullptr && id->is_string()) {
    const auto& text = id->get_ref<const std::string&>();
    if (text.size() > kLongestId)
      bad_input("parameter \"sequence_id\" has {} bytes, at most {} were expected", text.size(),
                kLongestId);
    named = !text.empty();
    place.id = text;
  } else if (id != nullptr) {
    const std::uint64_t number = unsigned_of(parameters, "sequence_id");
    named = number != 0;
    place.id = number;
  }
  place.start = get_bool(parameters, "sequence_start", false);
  place.end = get_bool(parameters, "sequence_end", false);
  if (!named && (place.start || place.end))
    bad_input("parameter \"{}\" needs a \"sequence_id\" beside it that is neither 0 nor empty",
              place.start ? "sequence_start" : "sequence_end");
  return place;
}

std::optional<std::chrono::microseconds> timeout_of(const Json& parameters) {
  constexpr std::int64_t kDay = 86'400'000'000;
  const std::int64_t timeout = get_int(parameters, "timeout", 0, kDay, 0);
  if (timeout == 0) return std::nullopt;
  return std::chrono::microseconds(timeout);
}

}  // namespace tenon::serving::kserve
