// Requests of plain tensors from many clients: queued, batched and answered by threads of its own.
#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <thread>
#include <unordered_map>
#include <vector>

#include "serving/batching/metrics.h"
#include "serving/served_model.h"
#include "serving/tensors/answer_order.h"
#include "serving/tensors/batch_runner.h"
#include "serving/tensors/batch_scheduler.h"
#include "serving/tensors/sequence_inputs.h"
#include "serving/tensors/tensor_contract.h"

namespace tenon::serving {

/// Owns a thread for each instance, and one that watches the time: deadlines fire when they are
/// due, whatever else happens. Each request is answered once. A batch that fails is computed again
/// one by one, so that a bad request harms only itself.
class TensorEngine final : public TensorService {
 public:
  /// One runner an instance, as many as the policy says.
  TensorEngine(std::string name, TensorContract contract, SequenceInputs sequences,
               BatchPolicy policy, std::vector<std::unique_ptr<BatchRunner>> runners);
  /// Requests still there fail with Error(interrupted).
  ~TensorEngine() override;

  RequestId submit(TensorRequest request, std::shared_ptr<TensorSink> sink) override;
  void cancel(RequestId id) override;
  std::int64_t waiting() const override;
  const TensorContract& contract() const { return contract_; }
  /// Of requests whose time was over before they had begun.
  LatenessHistogram lateness() const;

 private:
  struct Entry {
    TensorMap inputs;
    SequencePlace place;
    std::uint64_t sequence = 0;
    bool starts = false;
    std::shared_ptr<TensorSink> sink;  // null once it has heard
    TimePoint arrival;
    TimePoint begun;
    std::int64_t rows = 1;
  };
  /// What a sink is to hear, once no lock is held.
  struct Word {
    std::shared_ptr<TensorSink> sink;
    TensorResult result;
    std::exception_ptr error;
    std::optional<TimePoint> due = {};  // of a queue timeout
    void say() &&;
  };
  using Words = std::vector<Word>;
  struct Instance {
    std::unique_ptr<BatchRunner> runner;
    std::vector<RequestId> batch;  // to be computed; empty: none
    std::condition_variable work;
    std::thread thread;
  };

  void add_sequence(Entry& entry, TensorTask& task, TimePoint now);
  [[noreturn]] void reject(std::uint64_t level) const;
  // Under the lock.
  void advance(TimePoint now, Words& words);
  void carry_out(const BatchPlan& plan, TimePoint now, Words& words);
  void fail_entry(RequestId id, std::exception_ptr error, Words& words,
                  std::optional<TimePoint> due = {});
  void forget(RequestId id, TimePoint now);
  void settle(RequestId id, Word word, Words& words);
  void complete(const std::vector<RequestId>& batch, std::vector<TensorMap>& outputs,
                const std::vector<std::exception_ptr>& errors, const RunTimes& times, bool whole,
                Words& words);
  // Without it.
  void say(Words& words);
  void run(std::size_t instance);
  void compute(Instance& instance, const std::vector<RequestId>& batch);
  void watch();

  std::string name_;
  TensorContract contract_;
  SequenceInputs sequence_inputs_;
  mutable std::mutex mutex_;
  BatchScheduler scheduler_;
  SequenceBook book_;
  std::unordered_map<RequestId, Entry> entries_;
  std::unordered_map<std::uint64_t, TensorMap> states_;  // by sequence
  AnswerOrder<Word> order_;
  std::optional<TimePoint> next_;
  std::condition_variable next_changed_;
  RequestId last_ = 0;
  double row_s_ = 0;  // a row's time, smoothed
  LatenessHistogram lateness_;
  bool is_stopping_ = false;
  std::vector<std::unique_ptr<Instance>> instances_;
  std::thread clock_;  // the last: it uses all of the above
};

}  // namespace tenon::serving
