// Tokens a second of a small model for several clients at once, one after the other and together,
// taken in turns.
#include <chrono>
#include <cstdlib>

#include <fmt/core.h>

#include "text_model.h"

namespace tenon::tests {
namespace {

constexpr std::int64_t kNewTokens = 64;
constexpr int kRounds = 3;

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

serving::TextRequest request_of(std::int64_t vocabulary, int client) {
  serving::TextRequest request;
  request.prompt = some_tokens(vocabulary, 32, client + 1);
  request.config.max_new_tokens = kNewTokens;
  return request;
}

double one_after_the_other(session::DecoderSession& session, int clients) {
  const auto start = std::chrono::steady_clock::now();
  for (int i = 0; i < clients; ++i) {
    pipelines::SessionDecoder decoder(session);
    const auto request = request_of(session.vocabulary(), i);
    pipelines::generate(decoder, request.prompt, request.config);
  }
  return seconds_since(start);
}

double together(serving::TextEngine& engine, std::int64_t vocabulary, int clients) {
  const auto start = std::chrono::steady_clock::now();
  std::vector<std::shared_ptr<Answer>> answers;
  for (int i = 0; i < clients; ++i) {
    answers.push_back(std::make_shared<Answer>());
    engine.submit(request_of(vocabulary, i), answers.back());
  }
  for (const auto& answer : answers) {
    if (!answer->wait() || !answer->error().empty()) std::abort();
  }
  return seconds_since(start);
}

void measure(const std::string& folder, Precision precision) {
  backend::CpuBackend cpu;
  const auto engine = compiled(folder, Target::native(precision));
  session::DecoderSession session(engine, cpu, 1024);
  serving::TextEngineOptions options;
  options.share_prefixes = false;
  serving::TextEngine text({engine, nullptr, std::nullopt, {}, {}}, cpu, options);
  fmt::print("{} {}: {} prompt and {} new tokens each\n", engine->name, precision_name(precision),
             32, kNewTokens);
  for (const int clients : {1, 4, 16, 64}) {
    double apart = 1e9;
    double shared = 1e9;
    for (int round = 0; round < kRounds; ++round) {
      apart = std::min(apart, one_after_the_other(session, clients));
      shared = std::min(shared, together(text, session.vocabulary(), clients));
    }
    const double tokens = static_cast<double>(clients * kNewTokens);
    fmt::print("{:3} clients: {:8.0f} tokens/s one by one, {:8.0f} together: {:.2f} times\n",
               clients, tokens / apart, tokens / shared, apart / shared);
  }
}

}  // namespace
}  // namespace tenon::tests

int main(int count, char** arguments) {
  for (int i = 1; i < std::max(count, 2); ++i) {
    const std::string folder =
        count > 1 ? arguments[i] : std::string(TENON_SOURCE_DIR "/demo/llama-verse");
    tenon::tests::measure(folder, tenon::Precision::fp32);
    tenon::tests::measure(folder, tenon::Precision::bf16);
  }
  return 0;
}
