// KServe v2: infer with binary tensors, and Triton's generate and generate_stream.
#include <array>
#include <cstring>
#include <random>

#include "base/error.h"
#include "base/half.h"
#include "traffic/api.h"
#include "traffic/prompts.h"

namespace tenon::traffic {
namespace {

constexpr std::int64_t kMostInputBytes = std::int64_t{1} << 30;
constexpr std::uint64_t kIntegers = 10;  // 0 to 9: within every vocabulary, class and table

std::string error_of(const Json& answer) {
  const Json* error = find_field(answer, "error");
  if (error == nullptr) return "";
  return error->is_string() ? error->get<std::string>() : json_text(*error);
}

struct TypeSize {
  const char* name;
  std::int64_t bytes;
};
constexpr std::array kTypes = {
    TypeSize{"BOOL", 1},  TypeSize{"UINT8", 1}, TypeSize{"INT8", 1},   TypeSize{"UINT16", 2},
    TypeSize{"INT16", 2}, TypeSize{"FP16", 2},  TypeSize{"BF16", 2},   TypeSize{"UINT32", 4},
    TypeSize{"INT32", 4}, TypeSize{"FP32", 4},  TypeSize{"UINT64", 8}, TypeSize{"INT64", 8},
    TypeSize{"FP64", 8},
};

std::int64_t bytes_of(const TensorInput& input) {
  if (input.datatype == "BYTES") return 0;
  for (const TypeSize& type : kTypes)
    if (input.datatype == type.name) return type.bytes;
  bad_input("input {}: datatype {} is not one of KServe's", input.name, input.datatype);
}

std::int64_t count_of(const TensorInput& input) {
  std::int64_t count = 1;
  for (const std::int64_t size : input.shape) {
    if (size < 0) bad_input("input {}: a size of its shape is {}", input.name, size);
    if (__builtin_mul_overflow(count, size, &count) || count > kMostInputBytes)
      bad_input("input {}: more than {} elements", input.name, kMostInputBytes);
  }
  return count;
}

template <typename T>
void append(std::string& bytes, T value) {
  std::array<char, sizeof(T)> raw;
  std::memcpy(raw.data(), &value, sizeof(T));
  bytes.append(raw.data(), raw.size());
}

// One element; little-endian as KServe wants it, which is this machine's order.
void append_random(std::string& bytes, const std::string& type, std::int64_t width,
                   std::uint64_t random) {
  const double uniform = static_cast<double>(random >> 11) * 0x1p-53;
  if (type == "FP64") return append(bytes, uniform);
  if (type == "FP32") return append(bytes, static_cast<float>(uniform));
  if (type == "FP16") return append(bytes, Float16(static_cast<float>(uniform)).bits);
  if (type == "BF16") return append(bytes, BFloat16(static_cast<float>(uniform)).bits);
  const std::uint64_t value = (random >> 33) % (type == "BOOL" ? 2 : kIntegers);
  for (std::int64_t i = 0; i < width; ++i)
    bytes += static_cast<char>(static_cast<unsigned char>(i == 0 ? value : 0));
}

class Infer final : public Api {
 public:
  Infer(std::string model, std::vector<TensorInput> inputs, TensorData data, std::uint64_t seed,
        Json parameters, std::shared_ptr<const Prompts> prompts)
      : model_(std::move(model)),
        inputs_(std::move(inputs)),
        data_(data),
        seed_(seed),
        parameters_(std::move(parameters)),
        prompts_(std::move(prompts)) {
    std::int64_t all = 0;
    for (const TensorInput& input : inputs_) all += count_of(input) * bytes_of(input);
    if (all > kMostInputBytes)
      bad_input("the inputs of model {} take {} bytes, at most {} are sent", model_, all,
                kMostInputBytes);
  }

  std::string_view name() const override { return "kserve"; }
  bool counts_tokens() const override { return false; }

  HttpRequest request(std::size_t index) const override {
    Json head = {{"parameters", parameters_}, {"inputs", Json::array()}};
    head["parameters"]["binary_data_output"] = true;
    std::string tensors;
    for (const TensorInput& input : inputs_) {
      const std::size_t before = tensors.size();
      fill(tensors, input, index);
      head["inputs"].push_back({{"name", input.name},
                                {"datatype", input.datatype},
                                {"shape", input.shape},
                                {"parameters", {{"binary_data_size", tensors.size() - before}}}});
    }
    std::string body = json_text(head);
    const std::string length = std::to_string(body.size());
    body += tensors;
    return {
        "POST",
        "/v2/models/" + model_ + "/infer",
        {{"Content-Type", "application/octet-stream"}, {"Inference-Header-Content-Length", length}},
        std::move(body)};
  }

  void on_event(std::string_view, double, Record&) const override {
    bad_input("infer was answered with a stream of events");
  }

  void on_answer(std::string_view body, const HttpAnswer& answer, Record& record) const override {
    const std::string_view length = answer.header("inference-header-content-length");
    if (!length.empty()) {
      std::size_t head = 0;
      for (const char digit : length) {
        if (digit < '0' || digit > '9' || head > body.size())
          bad_input("Inference-Header-Content-Length is '{}' in an answer of {} bytes",
                    length.substr(0, 30), body.size());
        head = head * 10 + static_cast<std::size_t>(digit - '0');
      }
      if (head > body.size())
        bad_input("Inference-Header-Content-Length is {} in an answer of {} bytes", head,
                  body.size());
      body = body.substr(0, head);
    }
    const Json parsed = parse_json(body, "answer");
    if (const std::string error = error_of(parsed); !error.empty()) bad_input("{}", error);
    const Json* outputs = find_field(parsed, "outputs");
    if (outputs == nullptr || !outputs->is_array()) bad_input("the answer has no \"outputs\"");
    record.outputs = static_cast<std::int64_t>(outputs->size());
    record.finished = true;
  }

 private:
  void fill(std::string& tensors, const TensorInput& input, std::size_t index) const {
    const std::int64_t width = bytes_of(input);
    const std::int64_t count = count_of(input);
    if (width == 0) {
      for (std::int64_t i = 0; i < count; ++i) {
        const std::string text =
            prompts_->text(index * static_cast<std::size_t>(count) + static_cast<std::size_t>(i));
        append(tensors, static_cast<std::uint32_t>(text.size()));
        tensors += text;
      }
      return;
    }
    if (data_ == TensorData::zero) {
      tensors.append(static_cast<std::size_t>(width * count), '\0');
      return;
    }
    std::mt19937_64 random(seed_ * 1000003 + index);
    for (std::int64_t i = 0; i < count; ++i)
      append_random(tensors, input.datatype, width, random());
  }

  std::string model_;
  std::vector<TensorInput> inputs_;
  TensorData data_;
  std::uint64_t seed_;
  Json parameters_;
  std::shared_ptr<const Prompts> prompts_;
};

class Generate final : public Api {
 public:
  Generate(TextAsk ask, std::shared_ptr<const Prompts> prompts)
      : ask_(std::move(ask)), prompts_(std::move(prompts)) {}

  std::string_view name() const override { return "kserve-generate"; }
  bool counts_tokens() const override { return ask_.stream; }

  HttpRequest request(std::size_t index) const override {
    Json parameters = {{"max_tokens", ask_.new_tokens}, {"temperature", 0}};
    if (ask_.ignore_eos) parameters["ignore_eos"] = true;
    if (ask_.min_tokens) parameters["min_tokens"] = ask_.new_tokens;
    parameters.update(ask_.extra);
    const Json body = {{"text_input", prompts_->text(index)}, {"parameters", parameters}};
    return {"POST",
            "/v2/models/" + ask_.model + (ask_.stream ? "/generate_stream" : "/generate"),
            {{"Content-Type", "application/json"}},
            json_text(body)};
  }

  void on_event(std::string_view data, double now, Record& record) const override {
    const Json event = parse_json(data, "event of the stream");
    if (const std::string error = error_of(event); !error.empty()) {
      record.failure = Failure::server;
      record.error = error;
      return;
    }
    const Json* text = find_field(event, "text_output");
    if (text == nullptr || !text->is_string())
      bad_input("an event of the stream has no \"text_output\"");
    record.finished = true;  // the protocol has no other end than that of the body
    if (text->get_ref<const std::string&>().empty()) return;
    if (record.first < 0) record.first = now;
    record.pieces.push_back(now);
  }

  void on_answer(std::string_view body, const HttpAnswer&, Record& record) const override {
    const Json answer = parse_json(body, "answer");
    if (const std::string error = error_of(answer); !error.empty()) bad_input("{}", error);
    if (find_field(answer, "text_output") == nullptr)
      bad_input("the answer has no \"text_output\"");
    record.outputs = 1;
    record.finished = true;
  }

 private:
  TextAsk ask_;
  std::shared_ptr<const Prompts> prompts_;
};

}  // namespace

std::unique_ptr<Api> make_kserve_generate(TextAsk ask, std::shared_ptr<const Prompts> prompts) {
  return std::make_unique<Generate>(std::move(ask), std::move(prompts));
}

std::unique_ptr<Api> make_kserve_infer(std::string model, std::vector<TensorInput> inputs,
                                       TensorData data, std::uint64_t seed, Json parameters,
                                       std::shared_ptr<const Prompts> prompts) {
  return std::make_unique<Infer>(std::move(model), std::move(inputs), data, seed,
                                 std::move(parameters), std::move(prompts));
}

}  // namespace tenon::traffic
