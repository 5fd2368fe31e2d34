#include "serving/sampling_fields.h"

#include <charconv>
#include <cmath>

#include "base/error.h"

namespace tenon::serving {
namespace {

constexpr std::int64_t kMany = std::int64_t{1} << 31;
constexpr std::size_t kMaxStops = 16;
constexpr std::size_t kMaxStopBytes = 4096;
constexpr std::size_t kMaxBiases = 4096;

double number_in(const Json& fields, const char* key, double low, double high) {
  const double value = get_number(fields, key, 0);
  if (!(value >= low && value <= high))
    bad_input("field \"{}\" is {}, expected {} to {}", key, value, low, high);
  return value;
}

void read_stop(pipelines::GenerationConfig& config, const Json& stop) {
  const Json list = stop.is_array() ? stop : Json::array({stop});
  if (list.size() > kMaxStops)
    bad_input("field \"stop\" has {} strings, at most {} were expected", list.size(), kMaxStops);
  for (const Json& one : list) {
    if (!one.is_string() || one.get_ref<const std::string&>().empty() ||
        one.get_ref<const std::string&>().size() > kMaxStopBytes) {
      bad_input("field \"stop\" holds something else than a string of 1 to {} bytes",
                kMaxStopBytes);
    }
    config.stop_strings.push_back(one.get<std::string>());
  }
}

void read_bias(pipelines::GenerationConfig& config, const Json& biases) {
  if (!biases.is_object() || biases.size() > kMaxBiases)
    bad_input("field \"logit_bias\" is no object of at most {} ids", kMaxBiases);
  for (const auto& [key, value] : biases.items()) {
    std::int32_t id = 0;
    const auto end = key.data() + key.size();
    const auto read = std::from_chars(key.data(), end, id);
    if (read.ec != std::errc() || read.ptr != end || !value.is_number())
      bad_input("field \"logit_bias\": a token id and a number were expected, not \"{}\"",
                key.substr(0, 40));
    const double bias = value.get<double>();
    if (!(bias >= -100 && bias <= 100))
      bad_input("field \"logit_bias\" of {} is {}, expected -100 to 100", id, bias);
    config.logit_bias[id] = bias;
  }
}

}  // namespace

void apply_sampling(pipelines::GenerationConfig& config, const Json& fields) {
  const auto has = [&](const char* key) { return find_field(fields, key) != nullptr; };
  for (const char* key : {"max_tokens", "max_new_tokens", "max_completion_tokens"}) {
    if (has(key)) config.max_new_tokens = get_int(fields, key, 1, kMany);
  }
  for (const char* key : {"min_tokens", "min_new_tokens"}) {
    if (has(key)) config.min_new_tokens = get_int(fields, key, 0, kMany);
  }
  if (has("temperature")) {
    config.temperature = number_in(fields, "temperature", 0, 100);
    config.do_sample = config.temperature > 0;
  }
  if (has("top_p")) config.top_p = number_in(fields, "top_p", 0, 1);
  if (has("top_k")) config.top_k = std::max<std::int64_t>(get_int(fields, "top_k", -1, kMany), 0);
  if (has("min_p")) config.min_p = number_in(fields, "min_p", 0, 1);
  if (has("typical_p")) config.typical_p = number_in(fields, "typical_p", 0, 1);
  if (has("seed"))
    config.seed =
        static_cast<std::uint64_t>(get_int(fields, "seed", std::numeric_limits<std::int64_t>::min(),
                                           std::numeric_limits<std::int64_t>::max()));
  if (has("n")) config.num_return_sequences = get_int(fields, "n", 1, kMaxChoices);
  if (has("repetition_penalty"))
    config.repetition_penalty = number_in(fields, "repetition_penalty", 0.01, 100);
  if (has("presence_penalty"))
    config.presence_penalty = number_in(fields, "presence_penalty", -2, 2);
  if (has("frequency_penalty"))
    config.frequency_penalty = number_in(fields, "frequency_penalty", -2, 2);
  if (const Json* stop = find_field(fields, "stop")) read_stop(config, *stop);
  if (const Json* bias = find_field(fields, "logit_bias")) read_bias(config, *bias);
  if (get_bool(fields, "ignore_eos", false)) config.eos_token_ids.clear();
  if (const Json* ids = find_field(fields, "stop_token_ids")) {
    if (!ids->is_array() || ids->size() > kMaxBiases)
      bad_input("field \"stop_token_ids\" is no list of at most {} ids", kMaxBiases);
    for (const Json& id : *ids) {
      config.stop_token_ids.push_back(static_cast<std::int32_t>(
          get_int(Json{{"stop_token_ids", id}}, "stop_token_ids", 0, kMany - 1)));
    }
  }
}

}  // namespace tenon::serving
