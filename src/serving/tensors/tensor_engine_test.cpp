// The engine around a model that the test holds in its hand: who is batched with whom, what becomes
// of bad requests, and when time is over.
#include "serving/tensors/tensor_engine.h"

#include <atomic>
#include <future>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tenon::serving {
namespace {

using std::chrono::milliseconds;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

/// y = x + 1 a row; waits at a gate, and fails for batches that hold a 13.
class Gated final : public BatchRunner {
 public:
  std::vector<TensorMap> run(std::span<const TensorMap* const> requests) override {
    {
      std::unique_lock lock(mutex_);
      sizes_.push_back(requests.size());
      changed_.notify_all();
      changed_.wait(lock, [&] { return open_; });
    }
    std::vector<TensorMap> answers(requests.size());
    for (std::size_t i = 0; i < requests.size(); ++i) {
      Tensor x = requests[i]->at("x");
      for (float& value : x.as<float>()) {
        if (value == 13) bad_input("13 was found");
        value += 1;
      }
      if (requests[i]->contains("state")) {
        const auto& before = requests[i]->at("state");
        Tensor sum = x;
        for (std::size_t k = 0; k < x.as<float>().size(); ++k)
          sum.as<float>()[k] = before.as<float>()[k] + requests[i]->at("x").as<float>()[k];
        answers[i].emplace("next_state", std::move(sum));
      }
      answers[i].emplace("y", std::move(x));
    }
    return answers;
  }
  void open() {
    const std::lock_guard lock(mutex_);
    open_ = true;
    changed_.notify_all();
  }
  void close() {
    const std::lock_guard lock(mutex_);
    open_ = false;
  }
  void wait_for_runs(std::size_t runs) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return sizes_.size() >= runs; });
  }
  std::vector<std::size_t> sizes() {
    const std::lock_guard lock(mutex_);
    return sizes_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool open_ = true;
  std::vector<std::size_t> sizes_;
};

class Heard final : public TensorSink {
 public:
  void computed(TensorResult result) override {
    EXPECT_EQ(words_++, 0);
    promise_.set_value(std::move(result));
  }
  void failed(std::exception_ptr error) override {
    EXPECT_EQ(words_++, 0);
    when = Clock::now();
    promise_.set_exception(std::move(error));
  }
  TensorResult get() { return future_.get(); }
  bool has_answer() const { return future_.wait_for(milliseconds(0)) == std::future_status::ready; }
  std::string error() {
    try {
      future_.get();
    } catch (const Error& thrown) {
      return thrown.what();
    }
    return {};
  }
  Clock::time_point when;

 private:
  std::atomic<int> words_ = 0;
  std::promise<TensorResult> promise_;
  std::future<TensorResult> future_ = promise_.get_future();
};

engine::Engine shifting(bool with_state = false) {
  engine::Engine engine;
  const DimShape shape = {Dim::symbol("n"), Dim(1)};
  for (const char* name : {"x", "y"}) engine.values.push_back({name, DType::f32, shape});
  engine.inputs = {0};
  engine.outputs = {1};
  if (!with_state) return engine;
  for (const char* name : {"state", "next_state"})
    engine.values.push_back({name, DType::f32, shape});
  engine.inputs.push_back(2);
  engine.outputs.push_back(3);
  return engine;
}

class Served {
 public:
  explicit Served(inference::ModelConfig config = {}, std::int64_t queue = 64) {
    const engine::Engine engine = shifting(config.sequence_batching().state_size() > 0);
    TensorContract contract(engine, std::move(config), "model");
    SequenceInputs sequences(engine, contract.config());
    BatchPolicy policy = batch_policy(contract.config(), queue, 0);
    std::vector<std::unique_ptr<BatchRunner>> runners;
    for (int i = 0; i < policy.instances; ++i) {
      auto runner = std::make_unique<Gated>();
      model = runner.get();
      runners.push_back(std::move(runner));
    }
    engine_ = std::make_unique<TensorEngine>("model", std::move(contract), std::move(sequences),
                                             std::move(policy), std::move(runners));
  }
  std::shared_ptr<Heard> ask(float x, TensorRequest request = {}) {
    auto heard = std::make_shared<Heard>();
    request.inputs["x"] = Tensor::from_floats({1, 1}, std::span(&x, 1));
    last = engine_->submit(std::move(request), heard);
    return heard;
  }
  TensorEngine& engine() { return *engine_; }
  void end() { engine_.reset(); }

  Gated* model = nullptr;  // the last instance's
  RequestId last = 0;

 private:
  std::unique_ptr<TensorEngine> engine_;
};

float value_of(Heard& heard) { return heard.get().outputs.at("y").as<float>()[0]; }

TEST(TensorEngine, BatchesWhatWaits) {
  Served served;
  served.model->close();
  std::vector<std::shared_ptr<Heard>> all = {served.ask(0)};
  served.model->wait_for_runs(1);
  for (int i = 1; i < 6; ++i) all.push_back(served.ask(static_cast<float>(i)));
  EXPECT_EQ(served.engine().waiting(), 5);
  served.model->open();
  std::vector<std::uint64_t> runs;
  for (std::size_t i = 0; i < all.size(); ++i) {
    const TensorResult result = all[i]->get();
    EXPECT_EQ(result.outputs.at("y").as<float>()[0], static_cast<float>(i + 1));
    if (result.run) runs.push_back(result.run->size);
  }
  EXPECT_THAT(runs, ElementsAre(1, 4, 1));
  EXPECT_THAT(served.model->sizes(), ElementsAre(1, 4, 1));
}

TEST(TensorEngine, ABadRequestHarmsOnlyItself) {
  Served served;
  served.model->close();
  const auto first = served.ask(0);
  served.model->wait_for_runs(1);
  const auto good = served.ask(1);
  const auto bad = served.ask(13);
  const auto other = served.ask(3);
  served.model->open();
  EXPECT_EQ(value_of(*good), 2);
  EXPECT_THAT(bad->error(), HasSubstr("13 was found"));
  EXPECT_EQ(value_of(*other), 4);
}

TEST(TensorEngine, TimeoutsFireWhileTheModelIsBusy) {
  inference::ModelConfig config;
  config.mutable_dynamic_batching()
      ->mutable_default_queue_policy()
      ->set_default_timeout_microseconds(100000);
  Served served(config);
  served.model->close();
  const auto running = served.ask(0);
  served.model->wait_for_runs(1);
  const auto begin = Clock::now();
  const auto late = served.ask(1);
  EXPECT_THAT(late->error(), HasSubstr("timeout expired"));
  EXPECT_GE(late->when - begin, milliseconds(100));
  EXPECT_FALSE(running->has_answer());
  EXPECT_EQ(served.engine().waiting(), 0);
  served.model->open();
  EXPECT_EQ(value_of(*running), 1);
}

TEST(TensorEngine, AnswersOnTimeEvenWhenTheRunDoesNot) {
  Served served;
  served.model->close();
  TensorRequest request;
  request.deadline = Clock::now() + milliseconds(50);
  const auto late = served.ask(0, std::move(request));
  EXPECT_THAT(late->error(), HasSubstr("timeout expired"));
  served.model->open();
  EXPECT_EQ(value_of(*served.ask(1)), 2);
}

TEST(TensorEngine, CancelsWhatWaitsAtOnce) {
  Served served;
  served.model->close();
  const auto running = served.ask(0);
  const RequestId running_id = served.last;
  served.model->wait_for_runs(1);
  const auto waiting = served.ask(1);
  served.engine().cancel(served.last);
  EXPECT_TRUE(waiting->has_answer());
  EXPECT_THAT(waiting->error(), HasSubstr("cancelled"));
  served.engine().cancel(running_id);
  served.engine().cancel(12345);
  EXPECT_FALSE(running->has_answer());
  served.model->open();
  EXPECT_EQ(value_of(*running), 1);
}

TEST(TensorEngine, RejectsWhatHasNoRoom) {
  Served served({}, 2);
  served.model->close();
  const auto running = served.ask(0);
  served.model->wait_for_runs(1);
  served.ask(1);
  served.ask(2);
  try {
    served.ask(3);
    FAIL() << "there was room";
  } catch (const Rejected& rejected) {
    EXPECT_THAT(rejected.what(), HasSubstr("Exceeds maximum queue size"));
    EXPECT_GE(rejected.retry_after().count(), 1);
  }
  served.model->open();
}

TEST(TensorEngine, EndsWithoutLosingAnAnswer) {
  Served served;
  served.model->close();
  const auto running = served.ask(0);
  served.model->wait_for_runs(1);
  const auto waiting = served.ask(1);
  std::thread opener([&] {
    std::this_thread::sleep_for(milliseconds(20));
    served.model->open();
  });
  served.end();
  opener.join();
  EXPECT_TRUE(running->has_answer());
  EXPECT_THAT(waiting->error(), HasSubstr("unloaded"));
}

TEST(TensorEngine, RefusesWhatDoesNotFit) {
  Served served;
  const auto refusal = [&](TensorMap inputs) -> std::string {
    TensorRequest request;
    request.inputs = std::move(inputs);
    try {
      served.engine().submit(std::move(request), std::make_shared<Heard>());
    } catch (const Error& error) {
      return error.what();
    }
    return {};
  };
  const auto one = [](const std::string& name, Tensor tensor) {
    TensorMap map;
    map.emplace(name, std::move(tensor));
    return map;
  };
  EXPECT_THAT(refusal({}), HasSubstr("input 'x' is missing"));
  EXPECT_THAT(refusal(one("x", Tensor(DType::f64, {1, 1}))), HasSubstr("data-type"));
  EXPECT_THAT(refusal(one("x", Tensor(DType::f32, {1, 2}))), HasSubstr("unexpected shape"));
  TensorMap two = one("x", Tensor(DType::f32, {1, 1}));
  two.emplace("z", Tensor(DType::f32, {1}));
  EXPECT_THAT(refusal(std::move(two)), HasSubstr("unexpected inference input 'z'"));
}

inference::ModelConfig counting() {
  inference::ModelConfig config;
  config.set_max_batch_size(4);
  auto& state = *config.mutable_sequence_batching()->add_state();
  state.set_input_name("state");
  state.set_output_name("next_state");
  state.set_data_type(inference::TYPE_FP32);
  state.add_dims(1);
  auto& y = *config.add_output();
  y.set_name("y");
  y.set_data_type(inference::TYPE_FP32);
  y.add_dims(1);
  auto& sum = *config.add_output();
  sum = y;
  sum.set_name("next_state");
  return config;
}

TEST(TensorEngine, KeepsTheStateOfEachSequence) {
  Served served(counting());
  const auto step = [&](std::uint64_t id, float x, bool start, bool end) {
    TensorRequest request;
    request.sequence = {id, start, end};
    return served.ask(x, std::move(request));
  };
  std::vector<std::shared_ptr<Heard>> one, two;
  for (int i = 0; i < 5; ++i) {
    one.push_back(step(1, static_cast<float>(i), i == 0, i == 4));
    two.push_back(step(2, static_cast<float>(10 * i), i == 0, i == 4));
  }
  float sum = 0;
  for (std::size_t i = 0; i < one.size(); ++i) {
    sum += static_cast<float>(i);
    EXPECT_EQ(one[i]->get().outputs.at("next_state").as<float>()[0], sum);
    EXPECT_EQ(two[i]->get().outputs.at("next_state").as<float>()[0], 10 * sum);
  }
  EXPECT_THROW(step(1, 0, false, false), Error);  // it has ended
  EXPECT_EQ(step(1, 5, true, true)->get().outputs.at("next_state").as<float>()[0], 5);
}

// Eight threads, requests of all kinds: every one is answered once, and rightly.
TEST(TensorEngine, LosesAndDoublesNothingUnderLoad) {
  inference::ModelConfig config;
  config.set_max_batch_size(8);
  config.add_instance_group()->set_count(2);
  config.mutable_dynamic_batching()->set_preserve_ordering(true);
  Served served(config, 16);
  std::atomic<int> rejected = 0, answered = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < 8; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 200; ++i) {
        const float x = static_cast<float>(1000 * (t + 1) + i);
        const auto heard = std::make_shared<Heard>();
        TensorRequest request;
        request.inputs["x"] = Tensor::from_floats({1, 1}, std::span(&x, 1));
        if (i % 7 == 0) request.deadline = Clock::now() + std::chrono::microseconds(200);
        RequestId id = 0;
        try {
          id = served.engine().submit(std::move(request), heard);
        } catch (const Rejected&) {
          ++rejected;
          continue;
        }
        if (i % 5 == 0) served.engine().cancel(id);
        try {
          EXPECT_EQ(value_of(*heard), x + 1);
        } catch (const Error&) {
          EXPECT_TRUE(i % 5 == 0 || i % 7 == 0);
        }
        ++answered;
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(rejected + answered, 1600);
}

TEST(TensorContract, FollowsTheEngineWhereNothingIsSaid) {
  const TensorContract contract(shifting(), {}, "model");
  EXPECT_EQ(contract.config().max_batch_size(), kDefaultMaxBatch);
  EXPECT_TRUE(contract.config().has_dynamic_batching());
  ASSERT_EQ(contract.config().input_size(), 1);
  EXPECT_THAT(contract.config().input(0).dims(), ElementsAre(1));
  EXPECT_THAT(contract.inputs()[0].shape, ElementsAre(-1, 1));
  EXPECT_EQ(contract.config().instance_group(0).count(), 1);
  // Its limit is ours, not the user's: larger requests run alone.
  TensorMap many;
  many.emplace("x", Tensor(DType::f32, {9, 1}));
  EXPECT_EQ(contract.check(many).rows, 9);
}

TEST(TensorContract, FollowsTheConfiguration) {
  inference::ModelConfig config;
  config.set_max_batch_size(2);
  const TensorContract contract(shifting(), config, "model");
  EXPECT_FALSE(contract.config().has_dynamic_batching());
  TensorMap many;
  many.emplace("x", Tensor(DType::f32, {3, 1}));
  EXPECT_THROW(contract.check(many), Error);
  auto& input = *config.add_input();
  input.set_name("x");
  input.set_data_type(inference::TYPE_FP32);
  input.add_dims(2);
  EXPECT_THROW(TensorContract(shifting(), config, "model"), Error);  // the model has 1
  input.set_dims(0, 1);
  EXPECT_NO_THROW(TensorContract(shifting(), config, "model"));
  input.set_data_type(inference::TYPE_INT8);
  EXPECT_THROW(TensorContract(shifting(), config, "model"), Error);
  config.clear_input();
  config.set_max_batch_size(0);
  auto& whole = *config.add_input();
  whole.set_name("x");
  whole.set_data_type(inference::TYPE_FP32);
  whole.add_dims(-1);
  whole.add_dims(1);
  EXPECT_FALSE(TensorContract(shifting(), config, "model").batches());
}

}  // namespace
}  // namespace tenon::serving
