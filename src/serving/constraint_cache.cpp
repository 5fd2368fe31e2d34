#include "serving/constraint_cache.h"

#include "serving/served_model.h"

namespace tenon::serving {

ConstraintCache::Constraint ConstraintCache::find(const std::string& key) {
  for (auto at = entries_.begin(); at != entries_.end(); ++at) {
    if (at->key != key) continue;
    entries_.splice(entries_.begin(), entries_, at);
    return at->constraint;
  }
  return nullptr;
}

void ConstraintCache::keep(const std::string& key, const Constraint& constraint) {
  entries_.push_front({key, constraint});
  // They grow while they are used, so all are weighed each time. The newest always stays.
  std::size_t bytes = 0;
  std::size_t count = 0;
  for (auto at = entries_.begin(); at != entries_.end(); ++count) {
    bytes += at->constraint->bytes() + at->key.size();
    const bool stays = count == 0 || (count < kMaxEntries && bytes <= kMaxBytes);
    at = stays ? std::next(at) : entries_.erase(at);
  }
}

ConstraintCache::Constraint ConstraintCache::get(
    const std::string& key, const std::function<text::grammar::Grammar()>& make) {
  if (tokenizer_ == nullptr) bad_input("a constraint needs a tokenizer, and the model has none");
  {
    const std::lock_guard lock(mutex_);
    if (auto known = find(key)) return known;
    if (waiting_ > kMaxWaiting)
      throw Rejected(fmt::format("{} constraints wait to be compiled already", kMaxWaiting),
                     std::chrono::seconds(2));
    ++waiting_;
  }
  const auto leave = [this](void*) {
    const std::lock_guard lock(mutex_);
    --waiting_;
  };
  const std::unique_ptr<void, decltype(leave)> left(this, leave);
  const std::lock_guard compiling(compiling_);
  {
    const std::lock_guard lock(mutex_);
    if (auto known = find(key)) return known;  // another has asked for the same
  }
  text::grammar::Grammar grammar = make();
  if (tokens_ == nullptr) tokens_ = std::make_shared<const text::grammar::TokenTrie>(*tokenizer_);
  auto made = std::make_shared<const text::grammar::Constraint>(std::move(grammar), tokens_);
  const std::lock_guard lock(mutex_);
  keep(key, made);
  return made;
}

}  // namespace tenon::serving
