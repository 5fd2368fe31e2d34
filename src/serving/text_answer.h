// The answer to a text request on its way to the client: collects what the engine says, counts it,
// and stops the engine when the client goes. The protocols say how it is written down.
#pragma once

#include <string>
#include <vector>

#include "serving/model_registry.h"
#include "serving/peer.h"

namespace tenon::serving {

class TextAnswer : public TextSink, public std::enable_shared_from_this<TextAnswer> {
 public:
  struct Sequence {
    std::string text;
    std::int64_t tokens = 0;
    std::string finish_reason;  ///< eos, stop, length, cancelled; empty while it goes on
    struct Token {
      std::int32_t id = 0;
      std::string text;
      pipelines::TokenLogprobs logprobs;
    };
    std::vector<Token> tokens_with_logprobs;  ///< when they were asked for
  };

  TextAnswer(std::shared_ptr<Peer> peer, ModelRegistry::Held held, std::int64_t sequences)
      : peer_(std::move(peer)),
        held_(std::move(held)),
        sequences_(static_cast<std::size_t>(sequences)) {}
  ~TextAnswer() override;

  /// Submits and returns. What the service refuses is thrown before anything was answered.
  void run(TextRequest request);
  /// The same for several prompts: the sequences of the second follow those of the first. When one
  /// fails all do.
  void run_all(std::vector<TextRequest> requests);

  void token(const pipelines::TokenEvent& event) final;
  void finished(const TextUsage& usage) final;
  void failed(const Error& error) final;
  bool full() const final { return peer_->pending() > kFull; }

 protected:
  // In the engine's thread, one at a time. on_token comes after the sequence has been brought up
  // to date.
  virtual void on_token(const pipelines::TokenEvent& event) = 0;
  virtual void on_finished(const TextUsage& usage) = 0;
  virtual void on_failed(const std::exception& error) = 0;

  const ServedModel& model() const { return *held_.model; }
  TextService& service() const { return *held_.model->text(); }
  const std::vector<Sequence>& sequences() const { return sequences_; }

 private:
  class Part;
  struct Parts;
  static constexpr std::size_t kFull = std::size_t{256} << 10;
  void count(Outcome outcome);

  std::shared_ptr<Peer> peer_;
  ModelRegistry::Held held_;
  std::vector<Sequence> sequences_;
  Clock::time_point begin_ = Clock::now();
  std::optional<Clock::time_point> first_;
  TextUsage usage_;      // once it has finished
  bool counted_ = true;  // until run() has begun to count
};

}  // namespace tenon::serving
