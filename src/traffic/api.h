// What a kind of server is asked and how its answers are read; the measurement knows no protocol.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "traffic/http_client.h"
#include "traffic/record.h"

namespace tenon::traffic {

/// Immutable while requests are under way; one thread.
class Api {
 public:
  virtual ~Api() = default;
  /// "openai-chat", "openai", "images", "kserve" or "kserve-generate".
  virtual std::string_view name() const = 0;
  /// The request of this number: the same each time, and another text for each number.
  virtual HttpRequest request(std::size_t index) const = 0;
  /// One event of an answer of type text/event-stream, `now` seconds after the start of the level.
  /// Writes `first`, `pieces`, token counts and `finished`; a failure told by the server as
  /// Failure::server. Error(bad_input) for what the protocol does not allow.
  virtual void on_event(std::string_view data, double now, Record& record) const = 0;
  /// Any other answer of status 200, whole.
  virtual void on_answer(std::string_view body, const HttpAnswer& answer, Record& record) const = 0;
  /// True when `tokens()` of its records mean something.
  virtual bool counts_tokens() const = 0;
};

/// What to write in requests for text. `extra` is merged into the body last.
struct TextAsk {
  std::string model;
  std::int64_t new_tokens = 128;
  bool ignore_eos = true;  ///< send ignore_eos
  bool min_tokens = true;  ///< send min_tokens
  bool stream = true;
  bool usage = true;  ///< ask for the usage at the end of a stream
  Json extra = Json::object();
};

/// Texts by number; shared by all apis.
class Prompts;

std::unique_ptr<Api> make_openai_chat(TextAsk ask, std::shared_ptr<const Prompts> prompts);
std::unique_ptr<Api> make_openai_completions(TextAsk ask, std::shared_ptr<const Prompts> prompts);
/// POST /v1/images/generations; one picture a request unless `extra` says otherwise.
std::unique_ptr<Api> make_openai_images(TextAsk ask, std::shared_ptr<const Prompts> prompts);
/// POST /v2/models/{model}/generate_stream, or generate when `ask.stream` is false.
std::unique_ptr<Api> make_kserve_generate(TextAsk ask, std::shared_ptr<const Prompts> prompts);

enum class TensorData { zero, random };

/// An input of a model as KServe's metadata tells it, with sizes settled.
struct TensorInput {
  std::string name;
  std::string datatype;  ///< FP32, INT64, BYTES ...
  std::vector<std::int64_t> shape;
};

/// POST /v2/models/{model}/infer with binary tensors. Random floats lie in [0, 1), integers in 0 to
/// 9, BYTES are prompts. Error(bad_input) for an unknown datatype or more than 1 GiB of input.
std::unique_ptr<Api> make_kserve_infer(std::string model, std::vector<TensorInput> inputs,
                                       TensorData data, std::uint64_t seed, Json parameters,
                                       std::shared_ptr<const Prompts> prompts);

}  // namespace tenon::traffic
