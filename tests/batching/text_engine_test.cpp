// A text engine over small checkpoints: whatever runs beside a request, its answer is the one that
// it gets alone.
#include "serving/batching/text_engine.h"

#include <future>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "../models/recording.h"
#include "text_model.h"

namespace tenon::tests {
namespace {

using serving::TextEngine;
using serving::TextEngineOptions;
using serving::TextRequest;
using std::chrono::milliseconds;
using ::testing::HasSubstr;

backend::CpuBackend& cpu() {
  static backend::CpuBackend backend(2);
  return backend;
}

/// For what the test computes itself while an engine has the other.
backend::CpuBackend& own_cpu() {
  static backend::CpuBackend backend(1);
  return backend;
}

serving::TextModel model_of(const std::string& name) {
  static std::map<std::string, std::shared_ptr<const engine::Engine>> engines;
  auto& engine = engines[name];
  if (engine == nullptr) engine = compiled(model_folder(name), Target::native(Precision::fp32));
  return {engine, nullptr, std::nullopt, {}, {}};
}

struct Question {
  Tokens prompt;
  pipelines::GenerationConfig config;
};

/// Prompts of many lengths, some with a beginning in common; greedy and drawn, alone and several.
std::vector<Question> questions(std::int64_t vocabulary, int count, bool greedy = false) {
  std::vector<Question> made;
  const Tokens common = some_tokens(vocabulary, 40, 5);
  for (int i = 0; i < count; ++i) {
    Question question;
    if (i % 3 == 0) question.prompt = common;
    const Tokens own = some_tokens(vocabulary, static_cast<std::size_t>(1 + i * 7 % 30), 100 + i);
    question.prompt.insert(question.prompt.end(), own.begin(), own.end());
    question.config.max_new_tokens = 5 + i * 5 % 23;
    question.config.do_sample = !greedy && i % 2 == 1;
    question.config.seed = 17;
    if (question.config.do_sample) question.config.num_return_sequences = 1 + i % 4;
    made.push_back(std::move(question));
  }
  return made;
}

std::vector<Tokens> alone(const std::string& name, const Question& question) {
  session::DecoderSession session(model_of(name).engine, own_cpu(), 512);
  pipelines::SessionDecoder decoder(session);
  std::vector<Tokens> ids;
  for (auto& sequence : pipelines::generate(decoder, question.prompt, question.config).sequences)
    ids.push_back(std::move(sequence.ids));
  return ids;
}

std::int64_t vocabulary_of(const std::string& name) {
  return session::DecoderSession(model_of(name).engine, own_cpu(), 16).vocabulary();
}

/// The counters, once so many requests have ended: they follow the answers by a moment.
serving::TextMetrics settled(const TextEngine& engine, std::uint64_t ended) {
  serving::TextMetrics metrics = engine.metrics();
  for (int i = 0; i < 10000 && metrics.finished + metrics.cancelled + metrics.failed < ended; ++i) {
    std::this_thread::sleep_for(milliseconds(1));
    metrics = engine.metrics();
  }
  return metrics;
}

std::shared_ptr<Answer> ask(TextEngine& engine, const Question& question) {
  const auto answer = std::make_shared<Answer>();
  TextRequest request;
  request.prompt = question.prompt;
  request.config = question.config;
  request.client = std::to_string(question.prompt.size() % 3);
  engine.submit(std::move(request), answer);
  return answer;
}

void expect_answers_as_alone(const std::string& name, TextEngine& engine, int count) {
  const auto asked = questions(vocabulary_of(name), count);
  std::vector<std::shared_ptr<Answer>> answers;
  for (const Question& question : asked) answers.push_back(ask(engine, question));
  for (std::size_t i = 0; i < asked.size(); ++i) {
    ASSERT_TRUE(answers[i]->wait());
    EXPECT_EQ(answers[i]->error(), "");
    std::vector<Tokens> got;
    for (const auto& sequence : answers[i]->sequences()) {
      got.push_back(sequence.ids);
      EXPECT_EQ(sequence.finish_reason, "length");
    }
    EXPECT_EQ(got, alone(name, asked[i])) << "question " << i;
  }
}

class Batching : public testing::TestWithParam<std::string> {};

TEST_P(Batching, AnswersAreThoseOfEachAlone) {
  TextEngine engine(model_of(GetParam()), cpu());
  expect_answers_as_alone(GetParam(), engine, 24);
  const auto metrics = settled(engine, 24);
  EXPECT_EQ(metrics.finished, 24U);
  EXPECT_EQ(metrics.preemptions, 0U);
  EXPECT_LT(metrics.steps, metrics.generated_tokens / 2) << "they did not share steps";
}

TEST_P(Batching, ATinyCacheChangesNoAnswer) {
  for (const bool share : {false, true}) {
    TextEngineOptions options;
    options.cache_tokens = 176;  // the longest sequence has 70 + 27
    options.step_tokens = 24;
    options.max_running = 8;
    options.share_prefixes = share;
    TextEngine engine(model_of(GetParam()), cpu(), options);
    expect_answers_as_alone(GetParam(), engine, 24);
    EXPECT_GT(settled(engine, 24).preemptions, 0U);
  }
}

TEST_P(Batching, SharedPrefixesChangeNoAnswer) {
  for (const bool share : {false, true}) {
    TextEngineOptions options;
    options.share_prefixes = share;
    TextEngine engine(model_of(GetParam()), cpu(), options);
    expect_answers_as_alone(GetParam(), engine, 9);
    expect_answers_as_alone(GetParam(), engine, 9);
    const auto metrics = settled(engine, 18);
    // What depends on lengths cannot be shared.
    const bool can = GetParam() != "llama-dynamic" && GetParam() != "neox-dynamic";
    // Of the second round, at least the 40 common tokens of three questions, in full pages.
    EXPECT_GE(metrics.cached_tokens, share && can ? 3U * 32 : 0U);
    if (!share || !can) {
      EXPECT_EQ(metrics.cached_tokens, 0U);
    }
    EXPECT_EQ(metrics.cache_usage, 0);
  }
}

INSTANTIATE_TEST_SUITE_P(Tiny, Batching,
                         testing::Values("llama-gqa", "llama-dynamic", "neox-parallel"),
                         [](const auto& test) {
                           std::string name = test.param;
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

// A checkpoint with a tokenizer: texts, stop strings and log-probabilities are those of each alone.
TEST(TextEngine, TextsOfTheDemoModelAreThoseOfEachAlone) {
  const std::filesystem::path folder = TENON_SOURCE_DIR "/demo/llama-verse";
  serving::TextModel model;
  model.engine = compiled(folder, Target::native(Precision::fp32));
  model.tokenizer = text::load_tokenizer(folder);
  std::vector<Question> asked;
  for (const char* prompt : {"The sun", "A rose is a", "O night", "The sea", "Love", "When I"}) {
    Question question{model.tokenizer->encode(prompt), {}};
    question.config.max_new_tokens = 40;
    question.config.logprobs = 2;
    if (asked.size() % 2 == 1) question.config.stop_strings = {" the"};
    asked.push_back(std::move(question));
  }
  for (const bool invariant : {false, true}) {
    TextEngineOptions options;
    options.batch_invariant = invariant;
    TextEngine engine(model, cpu(), options);
    std::vector<std::shared_ptr<Answer>> answers;
    for (const Question& question : asked) answers.push_back(ask(engine, question));
    for (std::size_t i = 0; i < asked.size(); ++i) {
      ASSERT_TRUE(answers[i]->wait());
      session::DecoderSession session(model.engine, own_cpu(), 512);
      pipelines::SessionDecoder decoder(session);
      const pipelines::TokenizerStream text(*model.tokenizer);
      const auto expected =
          pipelines::generate(decoder, asked[i].prompt, asked[i].config, {}, &text).sequences[0];
      const auto got = answers[i]->sequences().at(0);
      EXPECT_EQ(got.ids, expected.ids);
      EXPECT_EQ(got.text, expected.text);
      EXPECT_EQ(got.finish_reason, expected.finish_reason);
      ASSERT_EQ(got.logprobs.size(), expected.logprobs.size());
      for (std::size_t t = 0; t < got.logprobs.size(); ++t)
        EXPECT_EQ(got.logprobs[t].chosen.logprob, expected.logprobs[t].chosen.logprob);
    }
  }
}

Question endless() {
  Question question{{1, 2, 3}, {}};
  question.config.max_new_tokens = 400;
  return question;
}

TEST(TextEngine, AFullReceiverPausesAloneAndGoesOn) {
  TextEngine engine(model_of("llama-gqa"), cpu());
  const auto slow = ask(engine, endless());
  ASSERT_TRUE(slow->wait_for_tokens(3));
  slow->is_full = true;
  const auto other = ask(engine, questions(vocabulary_of("llama-gqa"), 1)[0]);
  ASSERT_TRUE(other->wait());
  // One step may have been under way.
  const std::size_t before = slow->sequences()[0].ids.size();
  const auto next = ask(engine, questions(vocabulary_of("llama-gqa"), 2)[1]);
  ASSERT_TRUE(next->wait());
  EXPECT_EQ(slow->sequences()[0].ids.size(), before);
  EXPECT_EQ(slow->ends(), 0);
  slow->is_full = false;
  engine.wake();
  ASSERT_TRUE(slow->wait());
  EXPECT_EQ(slow->sequences()[0].ids, alone("llama-gqa", endless())[0]);
}

TEST(TextEngine, CancelEndsOneRequest) {
  TextEngine engine(model_of("llama-gqa"), cpu());
  const auto answer = std::make_shared<Answer>();
  TextRequest request;
  request.prompt = {1, 2, 3};
  request.config.max_new_tokens = 400;
  answer->is_full = true;
  const auto id = engine.submit(request, answer);
  const auto other = ask(engine, questions(vocabulary_of("llama-gqa"), 1)[0]);
  engine.cancel(id);
  engine.cancel(id);
  engine.cancel(9999);
  ASSERT_TRUE(answer->wait());
  ASSERT_TRUE(other->wait());
  EXPECT_EQ(answer->sequences()[0].finish_reason, "cancelled");
  EXPECT_EQ(answer->ends(), 1);
  EXPECT_EQ(settled(engine, 2).cancelled, 1U);
}

TEST(TextEngine, TheQueueHasALimitAndATime) {
  TextEngineOptions options;
  options.max_running = 1;
  options.max_waiting = 2;
  options.queue_timeout = milliseconds(50);
  TextEngine engine(model_of("llama-gqa"), cpu(), options);
  const auto running = std::make_shared<Answer>();
  TextRequest request;
  request.prompt = {1, 2, 3};
  request.config.max_new_tokens = 400;
  // Full before it starts: it waits, and its time runs out all the same.
  running->is_full = true;
  const auto start = serving::Clock::now();
  engine.submit(request, running);
  const auto second = std::make_shared<Answer>();
  second->is_full = true;
  engine.submit(request, second);
  EXPECT_THROW(engine.submit(request, std::make_shared<Answer>()), serving::Rejected);
  EXPECT_EQ(engine.metrics().rejected, 1U);
  ASSERT_TRUE(running->wait());
  ASSERT_TRUE(second->wait());
  EXPECT_GE(serving::Clock::now() - start, milliseconds(50));
  EXPECT_THAT(running->error(), HasSubstr("before the model had come to it"));
  EXPECT_EQ(settled(engine, 2).queue_timeouts, 2U);
}

/// Its first token takes the engine until `release`: a long step.
class SlowAnswer final : public Answer {
 public:
  void token(const pipelines::TokenEvent& event) override {
    Answer::token(event);
    released_.wait_for(std::chrono::minutes(2));
  }
  void release() { promise_.set_value(); }

 private:
  std::promise<void> promise_;
  std::shared_future<void> released_ = promise_.get_future().share();
};

TEST(TextEngine, TheTimeOfTheQueueFiresInsideOfALongStep) {
  TextEngineOptions options;
  options.queue_timeout = milliseconds(1000);
  TextEngine engine(model_of("llama-gqa"), cpu(), options);
  TextRequest request;
  request.prompt = {1, 2, 3};
  request.config.max_new_tokens = 3;
  const auto running = std::make_shared<SlowAnswer>();
  const auto waiting = std::make_shared<Answer>();
  const auto late = std::make_shared<Answer>();
  engine.submit(request, running);
  ASSERT_TRUE(running->wait_for_tokens(1));
  engine.submit(request, waiting);
  request.deadline = serving::Clock::now() + milliseconds(10);
  engine.submit(request, late);
  EXPECT_TRUE(waiting->wait());
  EXPECT_TRUE(late->wait());
  EXPECT_THAT(waiting->error(), HasSubstr("before the model had come to it"));
  EXPECT_THAT(late->error(), HasSubstr("before the model had come to it"));
  running->release();
  ASSERT_TRUE(running->wait());
  EXPECT_EQ(running->error(), "");
  EXPECT_EQ(waiting->ends(), 1);
  EXPECT_EQ(settled(engine, 3).queue_timeouts, 2U);
}

TEST(TextEngine, ADeadlineEndsWhatRuns) {
  TextEngine engine(model_of("llama-gqa"), cpu());
  const auto answer = std::make_shared<Answer>();
  TextRequest request;
  request.prompt = {1, 2, 3};
  request.config.num_return_sequences = 3;
  request.config.do_sample = true;
  request.config.max_new_tokens = 400;
  request.deadline = serving::Clock::now() + milliseconds(400);
  engine.submit(request, answer);
  ASSERT_TRUE(answer->wait_for_tokens(1));
  answer->is_full = true;
  ASSERT_TRUE(answer->wait());
  EXPECT_THAT(answer->error(), HasSubstr("the time of the request was over after 0."));
  EXPECT_EQ(answer->ends(), 1);
  EXPECT_EQ(settled(engine, 1).running, 0);
}

TEST(TextEngine, RefusesWhatTheModelCannotTake) {
  TextEngineOptions options;
  options.cache_tokens = 64;
  options.max_waiting = 4;
  TextEngine engine(model_of("llama-gqa"), cpu(), options);
  const auto refusal = [&](const auto& change) {
    TextRequest request;
    request.prompt = {1, 2, 3};
    change(request);
    try {
      engine.submit(std::move(request), std::make_shared<Answer>());
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::usage);
      return std::string(error.what());
    }
    return std::string("nothing");
  };
  EXPECT_THAT(refusal([](auto& r) { r.prompt.clear(); }), HasSubstr("no tokens"));
  EXPECT_THAT(refusal([](auto& r) { r.prompt.assign(64, 1); }), HasSubstr("context holds 64"));
  EXPECT_THAT(refusal([](auto& r) { r.prompt = {-1}; }), HasSubstr("is -1"));
  EXPECT_THAT(refusal([](auto& r) { r.config.num_beams = 2; }), HasSubstr("num_beams is 2"));
  EXPECT_THAT(refusal([](auto& r) { r.config.stop_strings = {"x"}; }), HasSubstr("tokenizer"));
  EXPECT_THAT(refusal([](auto& r) {
                r.config.do_sample = true;
                r.config.num_return_sequences = 5;
              }),
              HasSubstr("5 answers"));
  EXPECT_THROW(engine.tokenizer(), Error);
}

TEST(TextEngine, AReceiverThatThrowsHarmsOnlyItself) {
  class Thrower final : public serving::TextSink {
   public:
    void token(const pipelines::TokenEvent&) override { throw std::runtime_error("gone"); }
    void finished(const serving::TextUsage&) override {}
    void failed(const Error&) override {}
  };
  TextEngine engine(model_of("llama-gqa"), cpu());
  TextRequest request;
  request.prompt = {1, 2, 3};
  request.config.max_new_tokens = 400;
  engine.submit(request, std::make_shared<Thrower>());
  expect_answers_as_alone("llama-gqa", engine, 4);
  EXPECT_EQ(settled(engine, 5).cancelled, 1U);
}

TEST(TextEngine, ItsEndCancelsWhatRuns) {
  std::vector<std::shared_ptr<Answer>> answers;
  {
    TextEngine engine(model_of("llama-gqa"), cpu());
    for (int i = 0; i < 8; ++i) {
      answers.push_back(std::make_shared<Answer>());
      answers.back()->is_full = true;
      TextRequest request;
      request.prompt = {1, 2, 3};
      engine.submit(std::move(request), answers.back());
    }
  }
  for (const auto& answer : answers) {
    EXPECT_EQ(answer->ends(), 1);
    EXPECT_EQ(answer->sequences().at(0).finish_reason, "cancelled");
  }
}

// Many threads ask, cancel and pause at random: every request is answered once, no page is lost.
TEST(TextEngine, ManyThreadsAtRandom) {
  TextEngineOptions options;
  options.cache_tokens = 256;
  options.max_running = 6;
  options.max_waiting = 12;
  options.step_tokens = 32;
  TextEngine engine(model_of("llama-gqa"), cpu(), options);
  const auto asked = questions(vocabulary_of("llama-gqa"), 12);
  std::vector<std::jthread> threads;
  std::atomic<int> answered = 0;
  for (std::size_t t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (std::size_t i = 0; i < 20; ++i) {
        const Question& question = asked[(t * 5 + i) % asked.size()];
        const auto answer = std::make_shared<Answer>();
        TextRequest request{question.prompt, question.config, static_cast<int>(i % 3), {}, {}};
        serving::RequestId id = 0;
        try {
          id = engine.submit(std::move(request), answer);
        } catch (const serving::Rejected& error) {
          EXPECT_GE(error.retry_after().count(), 1);
          std::this_thread::sleep_for(milliseconds(2));
          continue;
        }
        if (i % 4 == 1) answer->is_full = true;
        if (i % 5 == 2) engine.cancel(id);
        answer->is_full = false;
        engine.wake();
        EXPECT_TRUE(answer->wait());
        EXPECT_EQ(answer->ends(), 1);
        EXPECT_EQ(answer->error(), "");
        ++answered;
      }
    });
  }
  threads.clear();
  const auto metrics = settled(engine, static_cast<std::uint64_t>(answered));
  EXPECT_EQ(metrics.finished + metrics.cancelled, static_cast<std::uint64_t>(answered));
  EXPECT_GT(metrics.finished, 0U);
}

}  // namespace
}  // namespace tenon::tests
