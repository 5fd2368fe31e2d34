#include "serving/kserve/execute.h"

#include <algorithm>
#include <atomic>
#include <cstring>

#include "base/log.h"
#include "serving/constraint_fields.h"
#include "serving/kserve/outputs.h"
#include "serving/kserve/parameters.h"
#include "serving/picture_fields.h"
#include "serving/sampling_fields.h"
#include "serving/status.h"
#include "serving/text_answer.h"
#include "serving/trace_request.h"

namespace tenon::serving::kserve {
namespace {

using Reply = std::shared_ptr<InferReply>;

/// Everything about one question that its answers need.
struct Question {
  Context context;
  ModelRegistry::Held held;
  InferRequest request;
  Reply reply;
  Clock::time_point begin = Clock::now();
  Clock::time_point deadline{};

  InferAnswer answer(std::vector<InferTensor> outputs, bool final = true) const {
    InferAnswer made{
        held->info().name, held->info().version, request.id, Json::object(), {}, final};
    made.outputs =
        chosen(std::move(outputs), request.outputs, context.shared_memory.get(), made.model);
    return made;
  }
};
using Shared = std::shared_ptr<const Question>;

// `counted` is called before the answer leaves: who has it finds itself in the statistics.
template <typename Counted>
void give(const Question& question, std::vector<InferTensor> outputs, const Counted& counted) {
  InferAnswer made = question.answer(std::move(outputs));
  if (Clock::now() > question.deadline) throw DeadlineExceeded("the time for the request is over");
  counted();
  question.reply->answer(std::move(made));
}

class TextReply final : public TextAnswer {
 public:
  TextReply(Shared question, bool streams)
      : TextAnswer(question->reply->peer(), question->held, 1),
        question_(std::move(question)),
        streams_(streams) {}

 private:
  void on_token(const pipelines::TokenEvent& event) override {
    if (!streams_ || event.text.empty() || event.finish_reason != nullptr) return;
    question_->reply->answer(question_->answer(output(event.text), false));
    sent_ += event.text.size();
  }
  // The last piece comes with the end, so that the answer that says "final" has a text.
  void on_finished(const TextUsage&) override {
    try {
      const Sequence& whole = sequences().front();
      InferAnswer last = question_->answer(output(whole.text.substr(sent_)));
      last.parameters["finish_reason"] = whole.finish_reason;
      question_->reply->answer(std::move(last));
    } catch (const std::exception& error) {
      question_->reply->failed(error);
    }
  }
  void on_failed(const std::exception& error) override { question_->reply->failed(error); }

  static std::vector<InferTensor> output(std::string text) {
    std::vector<InferTensor> outputs;
    outputs.push_back({"text_output", "BYTES", {1}, Strings{std::move(text)}, {}});
    return outputs;
  }

  Shared question_;
  bool streams_;
  std::size_t sent_ = 0;
};

// What gRPC can only say as a text.
Json unpacked(Json fields) {
  for (const char* key :
       {"logit_bias", "stop_token_ids", "response_format", "guided_choice", "structured_outputs"}) {
    const Json* given = find_field(fields, key);
    if (given != nullptr && given->is_string())
      fields[key] = parse_json(given->get<std::string>(), key);
  }
  return fields;
}

void write_text(const Shared& question) {
  TextService& service = *question->held->text();
  const Json& parameters = question->request.parameters;
  TextRequest text;
  text.deadline = question->deadline;
  // Triton's 1 goes first, ours is greater the sooner.
  const std::uint64_t priority = unsigned_of(parameters, "priority");
  text.priority =
      priority == 0 ? 0 : static_cast<int>(101 - std::min<std::uint64_t>(priority, 201));
  text.config = service.defaults();
  if (!text.config.max_new_tokens && !text.config.max_length) text.config.max_new_tokens = 128;
  text.config.num_return_sequences = 1;
  const Json fields = unpacked(parameters);
  apply_sampling(text.config, fields);
  apply_constraint(text.config, tenon::text::OrderedJson(fields), service);
  if (text.config.num_return_sequences != 1)
    bad_input("field \"n\" is {}: one text is given here", text.config.num_return_sequences);
  const bool streams = question->reply->streams() && get_bool(parameters, "stream", true);
  text.prompt =
      service.tokenizer().encode(std::get<Strings>(question->request.inputs.front().data).front());
  std::make_shared<TextReply>(question, streams)->run(std::move(text));
}

std::vector<InferTensor> image_output(const std::vector<image::Image>& images) {
  if (images.empty()) return {};
  Tensor tensor(DType::u8, {static_cast<std::int64_t>(images.size()), images.front().height(),
                            images.front().width(), 3});
  std::byte* to = tensor.data();
  for (const auto& image : images) {
    const image::Image rgb = image::to_rgb(image);
    std::memcpy(to, rgb.pixels().data(), rgb.pixels().size());
    to += rgb.pixels().size();
  }
  std::vector<InferTensor> outputs;
  outputs.push_back(output_of("image", std::move(tensor)));
  return outputs;
}

bool step_answered(const Question& question, const pipelines::StepEvent& event) {
  InferAnswer made{question.held->info().name,
                   question.held->info().version,
                   question.request.id,
                   {{"step", event.index + 1}, {"steps", event.steps}},
                   {},
                   false};
  if (event.previews != nullptr) made.outputs = image_output(*event.previews);
  question.reply->answer(std::move(made));
  return true;
}

void count(const Question& question, Outcome outcome, const Phases& phases,
           std::uint64_t inferences = 1, std::uint64_t executions = 1) {
  question.held.stats->end(outcome, phases, inferences, executions);
  trace_request(*question.reply->peer(), question.held->info(), outcome, question.begin, phases);
}

void draw(const Question& question) {
  const Json& parameters = question.request.parameters;
  const auto& peer = question.reply->peer();
  pipelines::ImageRequest picture;
  picture.steps = 20;
  picture.prompt = std::get<Strings>(question.request.inputs.front().data).front();
  apply_picture_fields(picture, parameters);
  const bool streams = question.reply->streams() && get_bool(parameters, "stream", false);
  if (streams) picture.preview_every = get_int(parameters, "preview_every", 0, 1000, 0);
  std::optional<Clock::time_point> first;
  const auto parsed = Clock::now();
  const auto result =
      question.held->pictures()->draw(picture, [&](const pipelines::StepEvent& event) {
        if (!first) first = Clock::now();
        if (peer->gone() || Clock::now() > question.deadline) return false;
        return !streams || step_answered(question, event);
      });
  if (peer->gone()) throw Error(ErrorCode::interrupted, "the client has gone");
  if (result.cancelled) throw DeadlineExceeded("the time for the request is over");
  const auto computed = Clock::now();
  for (const BatchRun& call : result.calls) question.held.stats->ran(call);
  give(question, image_output(result.images), [&] {
    const auto end = Clock::now();
    count(
        question, Outcome::success,
        {end - question.begin, result.queue, parsed - question.begin, result.infer, end - computed},
        static_cast<std::uint64_t>(picture.images), 0);
  });
}

void count_failure(const Question& question, const std::exception& error) {
  count(question, question.reply->peer()->gone() ? Outcome::cancelled : status_of(error).outcome,
        {Clock::now() - question.begin, {}, {}, {}, {}});
}

// Answers beyond this size are written by workers: the thread that computes goes on.
constexpr std::size_t kLong = std::size_t{64} << 10;

class TensorReply final : public TensorSink {
 public:
  explicit TensorReply(Shared question) : question_(std::move(question)) {}

  void computed(TensorResult result) override {
    std::size_t bytes = 0;
    for (const auto& [name, tensor] : result.outputs) bytes += tensor.bytes();
    http::Workers* const workers = question_->context.workers;
    const auto kept = std::make_shared<TensorResult>(std::move(result));
    if (bytes > kLong && workers != nullptr &&
        workers->post([question = question_, kept] { write(*question, *kept); })) {
      return;
    }
    write(*question_, *kept);
  }
  void failed(std::exception_ptr failure) override {
    try {
      std::rethrow_exception(failure);
    } catch (const std::exception& error) {
      count_failure(*question_, error);
      question_->reply->failed(error);
    }
  }

 private:
  static void write(const Question& question, TensorResult& result) {
    if (result.run) question.held.stats->ran(*result.run);
    try {
      std::vector<InferTensor> outputs;
      for (const auto& spec : question.held->info().outputs)
        outputs.push_back(output_of(spec.name, std::move(result.outputs.at(spec.name))));
      const auto computed = Clock::now();
      give(question, std::move(outputs), [&] {
        const auto end = Clock::now();
        count(question, Outcome::success,
              {end - question.begin, result.queue, result.input, result.infer,
               result.output + (end - computed)},
              static_cast<std::uint64_t>(result.inferences), 0);
      });
    } catch (const std::exception& error) {
      count_failure(question, error);
      question.reply->failed(error);
    }
  }

  Shared question_;
};

void compute(const Shared& question, InferRequest&& request) {
  const Json& parameters = question->request.parameters;
  TensorRequest plain;
  plain.priority = unsigned_of(parameters, "priority");
  plain.queue_timeout = timeout_of(parameters);
  plain.deadline = question->deadline;
  plain.sequence = sequence_of(parameters);
  for (InferTensor& given : request.inputs)
    plain.inputs.emplace(given.name, std::move(std::get<Tensor>(given.data)));
  TensorService& service = *question->held->tensors();
  const RequestId id = service.submit(std::move(plain), std::make_shared<TensorReply>(question));
  question->reply->peer()->on_gone(
      [model = question->held.model, id] { model->tensors()->cancel(id); });
}

Clock::time_point deadline_of(const Context& context, const InferRequest& request,
                              const ModelInfo& info) {
  auto deadline = Clock::now() + context.patience;
  // With a batcher the timeout is of the queue, as its policy says; without, of everything.
  const bool batches = info.config.has_dynamic_batching() || info.config.has_sequence_batching();
  const auto timeout = timeout_of(request.parameters);
  if (timeout && !batches) deadline = std::min(deadline, Clock::now() + *timeout);
  return request.deadline ? std::min(deadline, *request.deadline) : deadline;
}

}  // namespace

void execute(const Context& context, const ModelRegistry::Held& held, InferRequest request,
             std::shared_ptr<InferReply> reply) {
  const ModelInfo& info = held->info();
  check_ports(request, info);
  read_places(request, context.shared_memory.get());
  const auto question = std::make_shared<Question>(Question{context, held, {}, std::move(reply)});
  question->deadline = deadline_of(context, request, info);
  question->request.id = request.id;
  question->request.parameters = std::move(request.parameters);
  question->request.outputs = std::move(request.outputs);
  check_places(question->request.outputs, context.shared_memory.get());
  if (held->tensors() == nullptr) {
    question->request.inputs = std::move(request.inputs);
    if (std::get<Strings>(question->request.inputs.front().data).size() != 1)
      bad_input("input '{}' holds no single text", question->request.inputs.front().name);
  }
  if (held->text() != nullptr) return write_text(question);
  held.stats->begin();
  try {
    if (held->pictures() != nullptr)
      draw(*question);
    else
      compute(question, std::move(request));
  } catch (const std::exception& error) {
    count_failure(*question, error);
    throw;
  }
}

}  // namespace tenon::serving::kserve
