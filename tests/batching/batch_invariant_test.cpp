// A batch-invariant engine gives a sequence the same bits alone and among others, in one piece and
// in many.
#include "serving/batching/batch_invariant.h"

#include <cstring>

#include <gtest/gtest.h>

#include "../models/recording.h"
#include "base/cpu_features.h"
#include "text_model.h"

namespace tenon::tests {
namespace {

using session::DecoderSession;
using session::Logits;

backend::CpuBackend& cpu(int threads = 1) {
  static backend::CpuBackend one(1);
  static backend::CpuBackend two(2);
  return threads == 1 ? one : two;
}

using Case = std::tuple<std::string, Precision, Isa>;

class BatchInvariant : public testing::TestWithParam<Case> {
 protected:
  std::shared_ptr<const engine::Engine> engine() const {
    const auto& [name, precision, isa] = GetParam();
    Target target = Target::native(precision);
    target.isa = isa;
    return serving::batch_invariant(*compiled(model_folder(name), target), cpu());
  }
};

// Logits of all tokens of `prompt`, which comes in pieces of `piece` tokens while `others` run.
std::vector<float> logits_of(const std::shared_ptr<const engine::Engine>& engine,
                             const Tokens& prompt, std::size_t piece, int others, int threads) {
  DecoderSession session(engine, cpu(threads), 8192);
  const auto sequence = session.create();
  std::vector<DecoderSession::Sequence> neighbours;
  for (int i = 0; i < others; ++i) neighbours.push_back(session.create());
  std::vector<float> all;
  for (std::size_t at = 0; at < prompt.size(); at += piece) {
    std::vector<Tokens> tokens;
    for (int i = 0; i < others; ++i) {
      tokens.push_back(some_tokens(session.vocabulary(), static_cast<std::size_t>(1 + i % 3),
                                   static_cast<std::int32_t>(at) + i));
    }
    std::vector<DecoderSession::Input> inputs;
    for (std::size_t i = 0; i < neighbours.size(); ++i) {
      if (i == neighbours.size() / 2)
        inputs.push_back({sequence,
                          std::span(prompt).subspan(at, std::min(piece, prompt.size() - at)),
                          Logits::all});
      inputs.push_back({neighbours[i], tokens[i], Logits::none});
    }
    if (neighbours.empty())
      inputs.push_back({sequence,
                        std::span(prompt).subspan(at, std::min(piece, prompt.size() - at)),
                        Logits::all});
    const TensorView logits = session.forward(inputs);
    all.insert(all.end(), logits.as<float>().begin(), logits.as<float>().end());
  }
  return all;
}

TEST_P(BatchInvariant, TheSameBitsAloneAndAmongOthers) {
  const auto fixed = engine();
  const Tokens prompt = some_tokens(DecoderSession(fixed, cpu(), 16).vocabulary(), 70, 3);
  const auto expected = logits_of(fixed, prompt, prompt.size(), 0, 2);
  for (const auto& [piece, others] :
       {std::pair{70, 5}, {1, 0}, {1, 1}, {1, 4}, {1, 9}, {1, 40}, {7, 0}, {16, 13}, {33, 80}}) {
    const auto got = logits_of(fixed, prompt, static_cast<std::size_t>(piece), others, 1);
    ASSERT_EQ(got.size(), expected.size());
    EXPECT_EQ(std::memcmp(got.data(), expected.data(), got.size() * sizeof(float)), 0)
        << "pieces of " << piece << " among " << others;
  }
}

std::vector<Case> cases() {
  std::vector<Case> made;
  for (const char* name : {"llama-gqa", "neox-parallel"}) {
    for (const Precision precision : {Precision::fp32, Precision::bf16, Precision::int8}) {
      for (const Isa isa : {Isa::none, Isa::avx2, Isa::avx512, Isa::avx512_bf16, Isa::amx_bf16}) {
        if (isa <= native_isa()) made.emplace_back(name, precision, isa);
      }
    }
  }
  return made;
}

std::string label_of(const testing::TestParamInfo<Case>& test) {
  std::string label =
      fmt::format("{}_{}_{}", std::get<0>(test.param), precision_name(std::get<1>(test.param)),
                  isa_name(std::get<2>(test.param)));
  std::replace_if(
      label.begin(), label.end(), [](char c) { return c == '-' || c == '.'; }, '_');
  return label;
}

INSTANTIATE_TEST_SUITE_P(Tiny, BatchInvariant, testing::ValuesIn(cases()), label_of);

TEST(OneKernel, ForAnyNumberOfRows) {
  engine::Engine engine;
  engine.steps.resize(2);
  engine.steps[0].kernels = {{"linear_fp32_avx2", 8}, {"linear_fp32_avx512"}};
  const auto fixed = serving::batch_invariant(engine, cpu());
  ASSERT_EQ(fixed->steps[0].kernels.size(), 1U);
  EXPECT_EQ(fixed->steps[0].kernels[0].kernel, "linear_fp32_avx512");
  EXPECT_TRUE(fixed->steps[1].kernels.empty());
  EXPECT_EQ(engine.steps[0].kernels.size(), 2U);
}

}  // namespace
}  // namespace tenon::tests
