// Finds out what stands at an address before it is measured: its protocol, its models, the fields
// it takes, how many words make a prompt of so many tokens.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "traffic/api.h"
#include "traffic/http_client.h"
#include "traffic/prompts.h"

namespace tenon::traffic {

struct Wanted {
  std::string api = "auto";  ///< or a name of `Api::name`
  std::string model;         ///< "": the only one, or the first that fits
  std::int64_t prompt_tokens = 128;
  std::int64_t shared_prefix = 0;  ///< tokens that all prompts begin with
  std::int64_t new_tokens = 128;
  std::string prompts_file;  ///< "": synthetic text
  std::uint64_t seed = 0;
  bool stream = true;
  Json extra = Json::object();
  TensorData data = TensorData::random;
  std::map<std::string, std::vector<std::int64_t>> shapes;  ///< by input, for sizes that vary
};

struct Target {
  std::unique_ptr<Api> api;
  std::shared_ptr<const Prompts> prompts;
  std::string model;
  std::string server;              ///< as it names itself; "" when it does not
  Json facts = Json::object();     ///< versions, inputs: what it tells of itself
  std::vector<std::string> notes;  ///< what was found out, left out or could not be had
};

/// Error(resource) when nothing answers, Error(bad_input) when the server has no such protocol or
/// model, or refuses the requests that would be sent; the message quotes it.
Target find_target(HttpClient& client, const Wanted& wanted);

/// Words for so many tokens, from what the server counts: asked with `count`, which gives the
/// tokens of a prompt of so many words, or nothing. Nothing when it cannot be told.
std::optional<std::int64_t> calibrate_words(
    std::int64_t tokens, const std::function<std::optional<std::int64_t>(std::int64_t)>& count);

}  // namespace tenon::traffic
