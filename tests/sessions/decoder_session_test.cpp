// A decoder over its paged cache: however the tokens of a sequence come in, the logits are those of
// the sequence alone.
#include "session/decoder_session.h"

#include <cstring>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "../models/recording.h"
#include "backend/cpu/cpu_backend.h"
#include "base/error.h"
#include "models/model.h"
#include "planner/planner.h"

namespace tenon::tests {
namespace {

using session::DecoderSession;
using session::Logits;
using testing::HasSubstr;
using Tokens = std::vector<std::int32_t>;

// Products of one row and of many take different loops, which may sum in another order: some
// hundred float32 terms of the order of 1 in a few layers.
constexpr double kOtherOrder = 1e-4;

backend::CpuBackend& cpu() {
  static backend::CpuBackend backend(2);
  return backend;
}

class Decoder : public testing::TestWithParam<std::tuple<std::string, Precision>> {
 protected:
  DecoderSession make(std::int64_t tokens = 512) const {
    const auto& [name, precision] = GetParam();
    static std::map<std::pair<std::string, Precision>, std::shared_ptr<const engine::Engine>>
        engines;
    auto& engine = engines[{name, precision}];
    if (engine == nullptr) {
      graph::Graph graph = models::build(checkpoint::Checkpoint::open(model_folder(name)));
      planner::CompileOptions options;
      options.target = Target::native(precision);
      options.name = name;
      engine = planner::compile(graph, options);
    }
    return DecoderSession(engine, cpu(), tokens);
  }
};

Tokens some_tokens(const DecoderSession& session, std::size_t count, std::int32_t seed) {
  Tokens tokens;
  for (std::size_t i = 0; i < count; ++i) {
    seed = (seed * 75 + 74) % 65537;
    tokens.push_back(seed % static_cast<std::int32_t>(session.vocabulary()));
  }
  return tokens;
}

Tensor feed(DecoderSession& session, DecoderSession::Sequence sequence,
            std::span<const std::int32_t> tokens, Logits logits = Logits::all) {
  const DecoderSession::Input input{sequence, tokens, logits};
  return Tensor::copy_of(session.forward(std::span(&input, 1)));
}

// Rows [begin, end) of logits.
TensorView rows(const Tensor& logits, std::int64_t begin, std::int64_t end) {
  const std::int64_t width = logits.shape()[1];
  return {DType::f32, {end - begin, width}, logits.data() + begin * width * 4};
}

bool same_bits(const TensorView& a, const TensorView& b) {
  return a.shape == b.shape && std::memcmp(a.data, b.data, a.bytes()) == 0;
}

TEST_P(Decoder, ARaggedBatchGivesEachSequenceItsOwn) {
  DecoderSession together = make();
  DecoderSession alone = make();
  std::vector<Tokens> prompts;
  for (const std::size_t length : {5, 33, 16, 2})
    prompts.push_back(some_tokens(together, length, 7));
  std::vector<DecoderSession::Input> inputs;
  for (const Tokens& prompt : prompts) inputs.push_back({together.create(), prompt, Logits::all});
  const Tensor batch = Tensor::copy_of(together.forward(inputs));
  std::int64_t row = 0;
  for (const Tokens& prompt : prompts) {
    const Tensor single = feed(alone, alone.create(), prompt);
    const auto count = static_cast<std::int64_t>(prompt.size());
    EXPECT_TRUE(same_bits(rows(batch, row, row + count), single.view())) << prompt.size();
    row += count;
  }
}

TEST_P(Decoder, ChunksGiveWhatOneRunGives) {
  DecoderSession session = make();
  const Tokens prompt = some_tokens(session, 50, 3);
  const Tensor whole = feed(session, session.create(), prompt);
  const auto sequence = session.create();
  std::size_t at = 0;
  for (const std::size_t chunk : {7, 16, 2, 25}) {
    const Tensor part = feed(session, sequence, std::span(prompt).subspan(at, chunk));
    const auto begin = static_cast<std::int64_t>(at);
    const TensorView expected = rows(whole, begin, begin + static_cast<std::int64_t>(chunk));
    EXPECT_TRUE(same_bits(part.view(), expected))
        << "from " << at << ": " << largest_difference(part.view(), expected);
    at += chunk;
  }
  EXPECT_EQ(session.length(sequence), 50);
}

TEST_P(Decoder, OneTokenAtATimeGivesWhatOneRunGives) {
  DecoderSession session = make();
  const Tokens prompt = some_tokens(session, 20, 5);
  const Tensor whole = feed(session, session.create(), prompt);
  const auto sequence = session.create();
  for (std::size_t at = 0; at < prompt.size(); ++at) {
    const Tensor part = feed(session, sequence, std::span(prompt).subspan(at, 1));
    const auto begin = static_cast<std::int64_t>(at);
    EXPECT_LE(largest_difference(part.view(), rows(whole, begin, begin + 1)), kOtherOrder) << at;
  }
}

TEST_P(Decoder, LastLogitsAreTheLastRow) {
  DecoderSession session = make();
  const Tokens prompt = some_tokens(session, 9, 5);
  const Tensor whole = feed(session, session.create(), prompt);
  const Tensor last = feed(session, session.create(), prompt, Logits::last);
  ASSERT_EQ(last.shape(), (Shape{1, session.vocabulary()}));
  EXPECT_LE(largest_difference(last.view(), rows(whole, 8, 9)), kOtherOrder);
}

TEST_P(Decoder, ForksGoTheirOwnWays) {
  // 20 tokens leave the second page open: both branches write into it.
  DecoderSession session = make();
  const Tokens prefix = some_tokens(session, 20, 11);
  const Tokens left = some_tokens(session, 9, 12);
  const Tokens right = some_tokens(session, 9, 13);
  const auto first = session.create();
  feed(session, first, prefix);
  const std::int32_t before = session.pages().free_pages();
  const auto second = session.fork(first);
  EXPECT_EQ(session.pages().free_pages(), before);
  const Tensor from_left = feed(session, first, left);
  const Tensor from_right = feed(session, second, right);
  EXPECT_EQ(session.pages().free_pages(), before - 1);

  DecoderSession apart = make();
  for (const auto& [branch, got] : {std::pair{&left, &from_left}, std::pair{&right, &from_right}}) {
    const auto sequence = apart.create();
    feed(apart, sequence, prefix);
    EXPECT_TRUE(same_bits(got->view(), feed(apart, sequence, *branch).view()));
  }
}

TEST_P(Decoder, TruncatedTokensAreForgotten) {
  DecoderSession session = make();
  const Tokens prefix = some_tokens(session, 19, 21);
  const Tokens wrong = some_tokens(session, 30, 22);
  const Tokens right = some_tokens(session, 6, 23);
  const auto sequence = session.create();
  feed(session, sequence, prefix);
  const Tensor expected = feed(session, sequence, right);
  session.truncate(sequence, 19);
  feed(session, sequence, wrong);
  session.truncate(sequence, 19);
  EXPECT_EQ(session.length(sequence), 19);
  EXPECT_TRUE(same_bits(feed(session, sequence, right).view(), expected.view()));
}

TEST_P(Decoder, AFullCacheChangesNothing) {
  DecoderSession session = make(64);
  const Tokens prompt = some_tokens(session, 20, 31);
  const Tokens more = some_tokens(session, 40, 32);
  const Tokens next = some_tokens(session, 3, 33);
  const auto a = session.create();
  const auto b = session.create();
  feed(session, a, prompt);
  feed(session, b, prompt);
  EXPECT_EQ(session.pages().free_pages(), 0);
  const DecoderSession::Input both[] = {{a, next, Logits::all}, {b, more, Logits::all}};
  try {
    session.forward(both);
    ADD_FAILURE() << "40 tokens fit into a full cache";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::resource);
    EXPECT_THAT(error.what(), HasSubstr("the cache of 64 tokens is full: 43 more were wanted"));
  }
  EXPECT_EQ(session.length(a), 20);
  EXPECT_EQ(session.length(b), 20);
  const Tensor after = feed(session, a, next);
  DecoderSession fresh = make();
  const auto sequence = fresh.create();
  feed(fresh, sequence, prompt);
  EXPECT_TRUE(same_bits(after.view(), feed(fresh, sequence, next).view()));
}

TEST_P(Decoder, AnIdOutsideTheVocabularyChangesNothing) {
  DecoderSession session = make();
  const auto a = session.create();
  const auto b = session.create();
  const Tokens good = some_tokens(session, 3, 1);
  for (const std::int64_t id : {std::int64_t{-1}, session.vocabulary()}) {
    const Tokens bad = {1, static_cast<std::int32_t>(id)};
    const DecoderSession::Input both[] = {{a, good}, {b, bad}};
    try {
      session.forward(both);
      ADD_FAILURE() << id;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::bad_input);
      EXPECT_THAT(error.what(),
                  HasSubstr(fmt::format("token id {} is outside the vocabulary", id)));
    }
    EXPECT_EQ(session.length(a), 0);
    EXPECT_EQ(session.pages().free_pages(), session.pages().total_pages());
  }
  const DecoderSession::Input none{a, {}};
  EXPECT_THROW(session.forward(std::span(&none, 1)), Error);
}

TEST_P(Decoder, ReleaseGivesAllPagesBack) {
  DecoderSession session = make();
  const auto a = session.create();
  feed(session, a, some_tokens(session, 40, 41));
  const auto b = session.fork(a);
  feed(session, b, some_tokens(session, 40, 42));
  session.release(a);
  EXPECT_LT(session.pages().free_pages(), session.pages().total_pages());
  session.release(b);
  EXPECT_EQ(session.pages().free_pages(), session.pages().total_pages());
  EXPECT_THROW(session.length(a), Error);
}

INSTANTIATE_TEST_SUITE_P(Tiny, Decoder,
                         testing::Combine(testing::Values("llama-gqa", "neox-parallel"),
                                          testing::Values(Precision::fp32, Precision::bf16)),
                         [](const auto& test) {
                           const bool llama = std::get<0>(test.param) == "llama-gqa";
                           return (llama ? "llama_" : "neox_") +
                                  precision_name(std::get<1>(test.param));
                         });

}  // namespace
}  // namespace tenon::tests
