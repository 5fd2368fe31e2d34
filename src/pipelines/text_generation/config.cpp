// GenerationConfig from generation_config.json, and its checks.
#include "pipelines/text_generation/config.h"

#include <cmath>
#include <limits>

#include "base/error.h"
#include "base/log.h"

namespace tenon::pipelines {
namespace {

constexpr std::int64_t kMaxId = std::numeric_limits<std::int32_t>::max();
constexpr std::int64_t kMaxCount = std::int64_t{1} << 40;

std::int32_t id_of(const Json& value, const char* key) {
  const Json wrapped = {{key, value}};
  return static_cast<std::int32_t>(get_int(wrapped, key, 0, kMaxId));
}

/// An id or a list of ids.
std::vector<std::int32_t> ids_of(const Json& json, const char* key) {
  std::vector<std::int32_t> ids;
  const Json* field = find_field(json, key);
  if (field == nullptr) return ids;
  if (!field->is_array()) return {id_of(*field, key)};
  for (const Json& id : *field) ids.push_back(id_of(id, key));
  return ids;
}

void read_optional(const Json& json, const char* key, std::optional<std::int64_t>& out) {
  if (find_field(json, key) != nullptr) out = get_int(json, key, 0, kMaxCount);
}

EarlyStopping early_stopping_of(const Json& json) {
  const Json* field = find_field(json, "early_stopping");
  if (field == nullptr) return EarlyStopping::heuristic;
  if (field->is_boolean()) {
    return field->get<bool>() ? EarlyStopping::first : EarlyStopping::heuristic;
  }
  if (field->is_string() && field->get<std::string>() == "never") return EarlyStopping::never;
  bad_input("field \"early_stopping\" is {}, expected true, false or \"never\"", field->dump());
}

std::vector<std::string> stop_strings_of(const Json& json) {
  const Json* field = find_field(json, "stop_strings");
  if (field == nullptr) return {};
  if (field->is_string()) return {field->get<std::string>()};
  std::vector<std::string> strings;
  for (const Json& text : *field) {
    if (!field->is_array() || !text.is_string()) {
      bad_input("field \"stop_strings\" must be a string or a list of strings");
    }
    strings.push_back(text.get<std::string>());
  }
  return strings;
}

std::vector<std::vector<std::int32_t>> bad_words_of(const Json& json) {
  std::vector<std::vector<std::int32_t>> words;
  const Json* field = find_field(json, "bad_words_ids");
  if (field == nullptr) return words;
  if (!field->is_array()) bad_input("field \"bad_words_ids\" must be a list of lists of ids");
  for (const Json& word : *field)
    words.push_back(ids_of({{"bad_words_ids", word}}, "bad_words_ids"));
  return words;
}

std::optional<std::pair<std::int64_t, double>> decay_of(const Json& json) {
  const Json* field = find_field(json, "exponential_decay_length_penalty");
  if (field == nullptr) return std::nullopt;
  if (!field->is_array() || field->size() != 2 || !(*field)[0].is_number_integer() ||
      !(*field)[1].is_number()) {
    bad_input("field \"exponential_decay_length_penalty\" must be [start, factor]");
  }
  return std::pair((*field)[0].get<std::int64_t>(), (*field)[1].get<double>());
}

/// Strategies of transformers that would change the answer and are not offered here.
void warn_of_unsupported(const Json& json) {
  for (const char* key : {"penalty_alpha", "dola_layers", "constraints", "force_words_ids",
                          "prompt_lookup_num_tokens", "sequence_bias", "watermarking_config"}) {
    if (find_field(json, key) != nullptr) {
      log::warn("generation_config.json: \"{}\" is not supported and is ignored", key);
    }
  }
  if (get_int(json, "num_beam_groups", 0, kMaxCount, 1) > 1) {
    log::warn("generation_config.json: \"num_beam_groups\" is not supported and is ignored");
  }
  if (get_number(json, "guidance_scale", 1) != 1) {
    log::warn("generation_config.json: \"guidance_scale\" is not supported and is ignored");
  }
}

template <typename Number>
void check_range(const char* name, Number value, Number low, Number high) {
  if (value >= low && value <= high) return;
  fail(ErrorCode::usage, "{} is {}, expected {} to {}", name, value, low, high);
}

void check_ids(const char* name, const std::vector<std::int32_t>& ids, std::int64_t vocabulary) {
  for (const std::int32_t id : ids) {
    if (id >= 0 && id < vocabulary) continue;
    fail(ErrorCode::usage, "{} holds the id {}, the model's ids are 0 to {}", name, id,
         vocabulary - 1);
  }
}

void check_sampling(const GenerationConfig& config) {
  constexpr double kSmallest = std::numeric_limits<double>::min();
  check_range("temperature", config.temperature, 0.0, 1e6);
  check_range<std::int64_t>("top_k", config.top_k, 0, kMaxId);
  check_range("top_p", config.top_p, 0.0, 1.0);
  if (config.min_p) check_range("min_p", *config.min_p, 0.0, 1.0);
  check_range("typical_p", config.typical_p, kSmallest, 1.0);
  check_range("epsilon_cutoff", config.epsilon_cutoff, 0.0, 1.0);
  check_range("eta_cutoff", config.eta_cutoff, 0.0, 1.0);
  check_range("repetition_penalty", config.repetition_penalty, kSmallest, 1e6);
  check_range("presence_penalty", config.presence_penalty, -1e6, 1e6);
  check_range("frequency_penalty", config.frequency_penalty, -1e6, 1e6);
}

}  // namespace

GenerationConfig GenerationConfig::from_json(const Json& json) {
  if (!json.is_object()) {
    bad_input("a generation config must be an object, found a {}", json.type_name());
  }
  GenerationConfig c;
  read_optional(json, "max_new_tokens", c.max_new_tokens);
  read_optional(json, "max_length", c.max_length);
  c.min_new_tokens = get_int(json, "min_new_tokens", 0, kMaxCount, c.min_new_tokens);
  c.min_length = get_int(json, "min_length", 0, kMaxCount, c.min_length);
  c.do_sample = get_bool(json, "do_sample", c.do_sample);
  c.temperature = get_number(json, "temperature", c.temperature);
  c.top_k = get_int(json, "top_k", 0, kMaxId, c.top_k);
  c.top_p = get_number(json, "top_p", c.top_p);
  if (find_field(json, "min_p") != nullptr) c.min_p = get_number(json, "min_p", 0);
  c.typical_p = get_number(json, "typical_p", c.typical_p);
  c.epsilon_cutoff = get_number(json, "epsilon_cutoff", c.epsilon_cutoff);
  c.eta_cutoff = get_number(json, "eta_cutoff", c.eta_cutoff);
  c.repetition_penalty = get_number(json, "repetition_penalty", c.repetition_penalty);
  c.no_repeat_ngram_size =
      get_int(json, "no_repeat_ngram_size", 0, kMaxCount, c.no_repeat_ngram_size);
  c.bad_words_ids = bad_words_of(json);
  c.suppress_tokens = ids_of(json, "suppress_tokens");
  c.begin_suppress_tokens = ids_of(json, "begin_suppress_tokens");
  if (find_field(json, "forced_bos_token_id") != nullptr) {
    c.forced_bos_token_id = id_of(json["forced_bos_token_id"], "forced_bos_token_id");
  }
  c.forced_eos_token_id = ids_of(json, "forced_eos_token_id");
  c.exponential_decay_length_penalty = decay_of(json);
  c.remove_invalid_values = get_bool(json, "remove_invalid_values", false);
  c.renormalize_logits = get_bool(json, "renormalize_logits", false);
  c.num_beams = get_int(json, "num_beams", 1, kMaxCount, c.num_beams);
  c.length_penalty = get_number(json, "length_penalty", c.length_penalty);
  c.early_stopping = early_stopping_of(json);
  c.num_return_sequences =
      get_int(json, "num_return_sequences", 1, kMaxCount, c.num_return_sequences);
  c.eos_token_ids = ids_of(json, "eos_token_id");
  c.stop_strings = stop_strings_of(json);
  warn_of_unsupported(json);
  return c;
}

void GenerationConfig::validate(std::int64_t vocabulary) const {
  constexpr std::int64_t kMaxSequences = 256;
  if (max_new_tokens) check_range<std::int64_t>("max_new_tokens", *max_new_tokens, 1, kMaxCount);
  if (max_length) check_range<std::int64_t>("max_length", *max_length, 1, kMaxCount);
  check_range<std::int64_t>("min_new_tokens", min_new_tokens, 0, kMaxCount);
  check_range<std::int64_t>("min_length", min_length, 0, kMaxCount);
  check_sampling(*this);
  check_range<std::int64_t>("no_repeat_ngram_size", no_repeat_ngram_size, 0, kMaxCount);
  check_range<std::int64_t>("num_beams", num_beams, 1, kMaxSequences);
  check_range("length_penalty", length_penalty, -1e3, 1e3);
  check_range<std::int64_t>("num_return_sequences", num_return_sequences, 1, kMaxSequences);
  if (num_beams > 1) {
    check_range<std::int64_t>("num_return_sequences (with beams)", num_return_sequences, 1,
                              num_beams);
  } else if (!samples() && num_return_sequences > 1) {
    fail(ErrorCode::usage,
         "num_return_sequences is {}, but greedy search finds one sequence: sample or use beams",
         num_return_sequences);
  }
  if (logprobs)
    check_range<std::int64_t>("logprobs", *logprobs, 0, std::min<std::int64_t>(vocabulary, 1000));
  for (const auto& [id, bias] : logit_bias) {
    check_ids("logit_bias", {id}, vocabulary);
    check_range("logit_bias", bias, -1e6, 1e6);
  }
  for (const auto& word : bad_words_ids) {
    if (word.empty()) fail(ErrorCode::usage, "bad_words_ids holds an empty word");
    check_ids("bad_words_ids", word, vocabulary);
  }
  check_ids("suppress_tokens", suppress_tokens, vocabulary);
  check_ids("begin_suppress_tokens", begin_suppress_tokens, vocabulary);
  if (forced_bos_token_id) check_ids("forced_bos_token_id", {*forced_bos_token_id}, vocabulary);
  check_ids("forced_eos_token_id", forced_eos_token_id, vocabulary);
  for (const std::string& text : stop_strings) {
    if (text.empty()) fail(ErrorCode::usage, "stop_strings holds an empty string");
  }
}

}  // namespace tenon::pipelines
