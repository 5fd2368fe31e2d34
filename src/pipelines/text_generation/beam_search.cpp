// Beam search. Scores are float and sums are made in the order of transformers' tensors, because
// the large negative numbers it adds as marks round: the same roundings give the same choices.
#include "pipelines/text_generation/beam_search.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "pipelines/text_generation/probabilities.h"
#include "pipelines/text_generation/processors.h"

namespace tenon::pipelines {
namespace {

constexpr float kOut = -1.0e9F;  // marks a score that must not win

struct Running {
  SequenceState state;
  float score = 0;
  OwnedSequence sequence;
};

struct Candidate {
  SequenceState state;
  float score = 0;
  std::size_t parent = 0;
};

struct Finished {
  SequenceState state;
  float score = kOut;
  bool is_finished = false;
};

class BeamSearch {
 public:
  BeamSearch(Decoder& decoder, const GenerationConfig& config, std::int64_t prompt_length,
             std::int64_t max_length, const RandomNumbers& numbers)
      : decoder_(decoder),
        config_(config),
        numbers_(numbers),
        beams_(static_cast<std::size_t>(config.num_beams)),
        vocabulary_(static_cast<std::size_t>(decoder.vocabulary())),
        prompt_length_(prompt_length),
        max_length_(max_length),
        length_(prompt_length) {
    const std::size_t ends = config.eos_token_ids.size() + config.stop_token_ids.size();
    // One candidate a beam more than can end at once.
    width_ = std::max<std::size_t>(2, 1 + ends) * beams_;
    if (width_ > beams_ * vocabulary_) {
      fail(ErrorCode::usage, "{} beams with {} end tokens need {} candidates, the model has {}",
           beams_, ends, width_, beams_ * vocabulary_);
    }
  }

  void start(OwnedSequence sequence, const SequenceState& state, std::span<const float> logits) {
    logits_.clear();
    for (std::size_t i = 0; i < beams_; ++i) {
      // All beams are equal at first: only one may bring forth candidates.
      Running beam{state, i == 0 ? 0.0F : kOut, {}};
      beam.sequence = i + 1 < beams_ ? sequence.fork() : std::move(sequence);
      running_.push_back(std::move(beam));
      logits_.insert(logits_.end(), logits.begin(), logits.end());
      finished_.push_back({state, kOut, false});
    }
  }

  /// One token more; false when the search is over.
  bool advance() {
    const std::vector<Candidate> candidates = choose_candidates();
    const std::vector<std::size_t> next = choose_running(candidates);
    update_finished(candidates);
    ++length_;
    update_improvable();
    const bool all_ended =
        std::all_of(candidates.begin(), candidates.end(),
                    [](const Candidate& candidate) { return candidate.state.finished(); });
    const bool is_full = all_finished() && config_.early_stopping == EarlyStopping::first;
    if (!is_improvable_ || is_full || all_ended) return false;
    forward(candidates, next);
    return true;
  }

  std::vector<BeamResult> results() {
    // A cancelled search has places that no hypothesis has filled.
    for (std::size_t i = 0, r = 0; i < beams_; ++i) {
      if (finished_[i].is_finished) continue;
      finished_[i].state = running_[r].state;
      finished_[i].score = running_[r++].score;
      finished_[i].state.finish(FinishReason::cancelled);
    }
    std::vector<BeamResult> best;
    for (std::int64_t i = 0; i < config_.num_return_sequences; ++i) {
      Finished& hypothesis = finished_[static_cast<std::size_t>(i)];
      best.push_back({std::move(hypothesis.state), static_cast<double>(hypothesis.score)});
    }
    return best;
  }

 private:
  std::span<float> row(std::vector<float>& rows, std::size_t beam) const {
    return std::span(rows).subspan(beam * vocabulary_, vocabulary_);
  }

  /// Accumulated log-probabilities of every continuation of every beam.
  std::vector<float> accumulate() {
    std::vector<float> scores = logits_;
    const auto ends = static_cast<std::int64_t>(config_.eos_token_ids.size());
    for (std::size_t i = 0; i < beams_; ++i) {
      const std::span<float> beam = row(scores, i);
      if (!config_.remove_invalid_values) check_logits(beam, length_);
      log_softmax(beam);
      process_scores(config_, running_[i].state.history(max_length_), ends > 0 ? ends + 1 : 2,
                     beam);
      for (float& score : beam) score += running_[i].score;
    }
    check_logits(scores, length_);
    return scores;
  }

  std::vector<Candidate> choose_candidates() {
    const std::vector<float> scores = accumulate();
    const auto width = static_cast<std::int64_t>(width_);
    const auto chosen =
        config_.samples()
            ? draw_without_replacement(scores, width, numbers_, static_cast<std::uint64_t>(length_))
            : top_indices(scores, width);
    std::vector<Candidate> candidates;
    for (const std::int64_t index : chosen) {
      const std::size_t parent = static_cast<std::size_t>(index) / vocabulary_;
      const auto id = static_cast<std::int32_t>(static_cast<std::size_t>(index) % vocabulary_);
      Candidate candidate{running_[parent].state, scores[static_cast<std::size_t>(index)], parent};
      if (config_.logprobs) {
        candidate.state.logprobs.push_back(
            token_logprobs(row(logits_, parent), id, *config_.logprobs));
      }
      candidate.state.append(id, config_, max_length_);
      candidates.push_back(std::move(candidate));
    }
    return candidates;
  }

  /// Indices of the candidates that go on, best first, and their scores.
  std::vector<std::size_t> choose_running(const std::vector<Candidate>& candidates) {
    std::vector<float> scores;
    for (const Candidate& candidate : candidates) {
      scores.push_back(candidate.score + (candidate.state.finished() ? kOut : 0.0F));
    }
    std::vector<std::size_t> next;
    next_scores_.clear();
    for (const std::int64_t index : top_indices(scores, config_.num_beams)) {
      next.push_back(static_cast<std::size_t>(index));
      next_scores_.push_back(scores[static_cast<std::size_t>(index)]);
    }
    return next;
  }

  bool all_finished() const {
    return std::all_of(finished_.begin(), finished_.end(),
                       [](const Finished& hypothesis) { return hypothesis.is_finished; });
  }

  float length_factor(std::int64_t length) const {
    return static_cast<float>(std::pow(static_cast<double>(length), config_.length_penalty));
  }

  void update_finished(const std::vector<Candidate>& candidates) {
    const bool is_full = all_finished() && config_.early_stopping == EarlyStopping::first;
    const float factor = length_factor(length_ + 1 - prompt_length_);
    std::vector<float> scores;
    for (const Finished& hypothesis : finished_) scores.push_back(hypothesis.score);
    for (std::size_t i = 0; i < candidates.size(); ++i) {
      // Only the best num_beams may end; the others are there to keep enough beams running.
      const bool ends = i < beams_ && candidates[i].state.finished();
      float score = candidates[i].score / factor;
      score += is_full ? kOut : 0.0F;
      score += is_improvable_ ? 0.0F : kOut;
      score += ends ? 0.0F : kOut;
      scores.push_back(score);
    }
    std::vector<Finished> best;
    for (const std::int64_t index : top_indices(scores, config_.num_beams)) {
      const auto i = static_cast<std::size_t>(index);
      if (i < beams_) {
        best.push_back(std::move(finished_[i]));
      } else {
        const Candidate& candidate = candidates[i - beams_];
        best.push_back(
            {candidate.state, scores[i], i - beams_ < beams_ && candidate.state.finished()});
      }
    }
    finished_ = std::move(best);
  }

  /// Whether the best running beam may still beat a finished hypothesis.
  void update_improvable() {
    const bool to_the_end =
        config_.early_stopping == EarlyStopping::never && config_.length_penalty > 0;
    const std::int64_t length = (to_the_end ? max_length_ : length_) - prompt_length_;
    const float best_possible = next_scores_.front() / length_factor(length);
    float worst = finished_.front().score;
    for (const Finished& hypothesis : finished_) worst = std::min(worst, hypothesis.score);
    const bool beats_one =
        std::any_of(finished_.begin(), finished_.end(), [&](const Finished& hypothesis) {
          return best_possible > (hypothesis.is_finished ? worst : kOut);
        });
    is_improvable_ = is_improvable_ && beats_one;
  }

  void forward(const std::vector<Candidate>& candidates, const std::vector<std::size_t>& next) {
    std::vector<std::size_t> uses(beams_, 0);
    for (const std::size_t index : next) ++uses[candidates[index].parent];
    std::vector<Running> beams;
    for (std::size_t i = 0; i < next.size(); ++i) {
      const Candidate& candidate = candidates[next[i]];
      OwnedSequence& parent = running_[candidate.parent].sequence;
      // The last child takes its parent's cache over.
      const bool is_last = --uses[candidate.parent] == 0;
      beams.push_back(
          {candidate.state, next_scores_[i], is_last ? std::move(parent) : parent.fork()});
    }
    running_ = std::move(beams);

    std::vector<std::int32_t> tokens;
    for (const Running& beam : running_) tokens.push_back(beam.state.last());
    std::vector<Decoder::Input> inputs;
    for (std::size_t i = 0; i < running_.size(); ++i) {
      inputs.push_back({running_[i].sequence.id(), std::span(tokens).subspan(i, 1)});
    }
    decoder_.forward(inputs, logits_);
  }

  Decoder& decoder_;
  const GenerationConfig& config_;
  const RandomNumbers& numbers_;
  std::size_t beams_;
  std::size_t vocabulary_;
  std::size_t width_ = 0;  // candidates a step
  std::int64_t prompt_length_;
  std::int64_t max_length_;
  std::int64_t length_;  // of the running sequences
  std::vector<Running> running_;
  std::vector<float> logits_;  // [beams, vocabulary], of the running sequences
  std::vector<float> next_scores_;
  std::vector<Finished> finished_;  // best first; unfilled places have the score kOut
  bool is_improvable_ = true;
};

}  // namespace

std::vector<BeamResult> beam_search(Decoder& decoder, OwnedSequence sequence,
                                    const SequenceState& start, std::vector<float> logits,
                                    const GenerationConfig& config, std::int64_t max_length,
                                    const RandomNumbers& numbers,
                                    const std::function<bool()>& step) {
  BeamSearch search(decoder, config, start.length(), max_length, numbers);
  search.start(std::move(sequence), start, logits);
  while (search.advance()) {
    if (step != nullptr && !step()) break;
  }
  return search.results();
}

}  // namespace tenon::pipelines
