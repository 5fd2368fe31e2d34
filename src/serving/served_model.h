// What a protocol talks to: a model with a name, and the services that it offers. Nothing of HTTP
// or gRPC stands here; errors are tenon::Error and become status codes at the edge.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include <model_config.pb.h>

#include "base/error.h"
#include "base/json.h"
#include "pipelines/text_generation/config.h"
#include "pipelines/text_generation/generate.h"
#include "pipelines/text_to_image/text_to_image.h"
#include "serving/model_stats.h"
#include "serving/peer.h"
#include "session/tensor_session.h"
#include "text/chat_template.h"
#include "text/tokenizer.h"

namespace tenon::serving {

using session::TensorMap;
using Clock = std::chrono::steady_clock;

/// An input or output. A dimension that a request chooses is -1.
struct TensorSpec {
  std::string name;
  DType dtype = DType::f32;
  Shape shape;
};

enum class ModelKind { text, pictures, tensors };

/// 0: no limit is known.
struct ModelLimits {
  std::int64_t context_tokens = 0;  ///< prompt and answer together
  std::int64_t queue = 0;           ///< requests that may wait
};

/// One version of a model.
struct ModelInfo {
  std::string name;
  std::string version = "1";
  std::string platform = "tenon";
  /// As Triton's clients know it: what config.pbtxt says, completed from the model.
  inference::ModelConfig config;
  ModelKind kind = ModelKind::tensors;
  std::vector<TensorSpec> inputs;  ///< of infer; empty for models of text and pictures
  std::vector<TensorSpec> outputs;
  ModelLimits limits;
};

/// There is no room now; ask again after `retry_after`. Its code is `resource`.
class Rejected : public Error {
 public:
  Rejected(std::string message, std::chrono::seconds retry_after)
      : Error(ErrorCode::resource, std::move(message)), retry_after_(retry_after) {}
  std::chrono::seconds retry_after() const noexcept { return retry_after_; }

 private:
  std::chrono::seconds retry_after_;
};

/// The time that a request was given is over. Its code is `resource`.
class DeadlineExceeded : public Error {
 public:
  explicit DeadlineExceeded(std::string message) : Error(ErrorCode::resource, std::move(message)) {}
};

struct TextUsage {
  std::int64_t prompt_tokens = 0;
  std::int64_t cached_tokens = 0;     ///< of the prompt, taken from earlier requests
  std::int64_t generated_tokens = 0;  ///< of all sequences
};

/// Receives the answer of one request: any number of tokens, then finished or failed exactly once
/// and nothing after it. Called from the engine's thread, so it must not block or throw.
class TextSink {
 public:
  virtual ~TextSink() = default;
  /// `event.finish_reason` is set on the last one of each sequence: eos, stop, length, cancelled.
  virtual void token(const pipelines::TokenEvent& event) = 0;
  virtual void finished(const TextUsage& usage) = 0;
  virtual void failed(const Error& error) = 0;
  /// The reader is slow: its sequences should pause until this turns false. Any thread.
  virtual bool full() const { return false; }
};

struct TextRequest {
  std::vector<std::int32_t> prompt;
  /// num_return_sequences sequences; seed, stop strings and logprobs as in pipelines::generate.
  pipelines::GenerationConfig config;
  int priority = 0;  ///< higher goes first
  std::optional<Clock::time_point> deadline;
  std::string client;  ///< whom it counts for in the fair share; empty: nobody known
};

/// Requests of all kinds, as they stand now. Counters only grow.
struct TextLoad {
  std::int64_t running = 0;  ///< sequences
  std::int64_t waiting = 0;  ///< requests
  double cache_usage = 0;    ///< 0 to 1
  std::uint64_t preemptions = 0;
  std::uint64_t prompt_tokens = 0;
  std::uint64_t generated_tokens = 0;
  std::uint64_t cached_tokens = 0;
};

class ConstraintCache;

using RequestId = std::uint64_t;

/// Any number of threads. Destruction ends what runs with the reason "cancelled".
class TextService {
 public:
  virtual ~TextService() = default;
  /// Puts a request into the queue. Throws before the sink hears anything: Error(usage) for a
  /// request that cannot be met (empty or too long prompt, a field out of range), Rejected when the
  /// queue is full. The sink is kept until the answer has ended.
  virtual RequestId submit(TextRequest request, std::shared_ptr<TextSink> sink) = 0;
  /// Its sequences end with the reason "cancelled" within one step. Unknown ids do nothing.
  virtual void cancel(RequestId id) = 0;
  virtual TextLoad load() const = 0;

  virtual const text::Tokenizer& tokenizer() const = 0;
  /// Null when the model has none.
  virtual const text::ChatTemplate* chat_template() const = 0;
  /// Variables of the template that the model's files give: bos_token ...
  virtual const text::OrderedJson& chat_variables() const = 0;
  /// The model's own defaults, with its end tokens.
  virtual const pipelines::GenerationConfig& defaults() const = 0;
  /// What answers may be held to.
  virtual ConstraintCache& constraints() = 0;

  /// What is promised of an answer: "batch-invariant" (the same, bit for bit, whatever is computed
  /// beside it) or "deterministic-per-batch" (the same in the same batches).
  virtual std::string_view contract() const = 0;
  /// Names the computation: engine and contract. The same for the same bits.
  virtual const std::string& fingerprint() const = 0;
};

/// Where a request stands in a sequence: its requests are computed in their order, each in the
/// state that the one before it left.
struct SequencePlace {
  /// A number or a text, as the client chose; 0 and the empty text: no sequence.
  std::variant<std::uint64_t, std::string> id = std::uint64_t{0};
  bool start = false;
  bool end = false;
};

struct TensorRequest {
  TensorMap inputs;
  std::uint64_t priority = 0;  ///< as Triton's: 1 goes first; 0 and unknown ones: the default
  /// Of the client, for the wait in the queue; counts where the model's queue policy allows it.
  std::optional<std::chrono::microseconds> queue_timeout;
  std::optional<Clock::time_point> deadline;  ///< fails if it has not been answered by then
  SequencePlace sequence;
};

struct TensorResult {
  TensorMap outputs;
  std::chrono::nanoseconds queue{0};   ///< from submit to the run
  std::chrono::nanoseconds input{0};   ///< joining the inputs of the batch
  std::chrono::nanoseconds infer{0};   ///< the run, with all that share it
  std::chrono::nanoseconds output{0};  ///< parting its outputs
  std::int64_t inferences = 1;         ///< rows of this request where the model takes batches
  std::optional<BatchRun> run;         ///< in one result of each run: for ModelStats::ran
};

/// Receives one of the two, once. Called from any thread, so it must not block or throw.
class TensorSink {
 public:
  virtual ~TensorSink() = default;
  virtual void computed(TensorResult result) = 0;
  virtual void failed(std::exception_ptr error) = 0;
};

/// Any number of threads.
class TensorService {
 public:
  virtual ~TensorService() = default;
  /// Throws before the sink hears anything: Error(bad_input) names an input that is missing,
  /// unknown or of the wrong type or shape; Rejected when the queue is full. May answer before it
  /// returns.
  virtual RequestId submit(TensorRequest request, std::shared_ptr<TensorSink> sink) = 0;
  /// A request that has not begun fails with Error(interrupted) at once. Unknown ids do nothing.
  virtual void cancel(RequestId id) = 0;
  virtual std::int64_t waiting() const = 0;
};

/// Pictures, and what their drawing took.
struct PictureResult : pipelines::ImageResult {
  std::chrono::nanoseconds queue{0};  ///< from the call to the run
  std::chrono::nanoseconds infer{0};  ///< the run, with all that share it
  std::int64_t prompt_tokens = 0;     ///< of prompt and negative prompt, as the text encoder reads
  std::int64_t latents = 0;           ///< places of the latents of all pictures
  /// Calls of the network that takes the steps, for ModelStats::ran, with the pictures in each; in
  /// one result of each run.
  std::vector<BatchRun> calls;
};

/// Any number of threads; requests are drawn one after the other, in the order of arrival.
class PictureService {
 public:
  virtual ~PictureService() = default;
  /// Blocks until the pictures are there. `on_step` may be empty and returns false to stop.
  /// Error(usage): the request cannot be met; Error(resource): the machine has too little memory
  /// free for it; Rejected: too many wait.
  virtual PictureResult draw(const pipelines::ImageRequest& request,
                             const pipelines::OnStep& on_step) = 0;
  virtual std::int64_t waiting() const = 0;
  /// The name of the scheduler that the model's files ask for.
  virtual std::string default_scheduler() const = 0;
};

/// Immutable to the outside, any number of threads. Whoever answers a request holds a shared_ptr,
/// so that a model may be unloaded at any time.
class ServedModel {
 public:
  virtual ~ServedModel() = default;
  virtual const ModelInfo& info() const = 0;
  virtual bool ready() const { return true; }
  /// Null unless the model takes plain tensors.
  virtual TensorService* tensors() { return nullptr; }
  /// Null unless the model writes text.
  virtual TextService* text() { return nullptr; }
  /// Null unless the model draws pictures.
  virtual PictureService* pictures() { return nullptr; }
  /// Null unless the model gives embeddings: then tensors() takes input_ids and attention_mask
  /// int64 [batch, tokens] and gives sentence_embedding float32 [batch, width], and this makes the
  /// ids.
  virtual const text::Tokenizer* embedding_tokenizer() { return nullptr; }
};

}  // namespace tenon::serving
