// The pages of a session's cache by task: what the scheduler counts with, and what carries out its
// plans.
#pragma once

#include <functional>
#include <map>
#include <span>

#include "serving/batching/prefix_cache.h"
#include "serving/batching/scheduler.h"
#include "session/page_table.h"

namespace tenon::serving {

/// Borrows the table, whose thread it shares. `tokens_of` gives all tokens of a task, those not
/// computed included; they stay valid until its next call.
class PagePool final : public Pages {
 public:
  using Sequence = session::PageTable::Sequence;
  using TokensOf = std::function<std::span<const std::int32_t>(TaskId)>;

  /// `share`: requests use each other's prefixes.
  PagePool(session::PageTable& table, bool share, TokensOf tokens_of)
      : table_(table), prefixes_(table), share_(share), tokens_of_(std::move(tokens_of)) {}

  std::int64_t available() const override;
  std::int64_t returned_by(TaskId task) const override;
  Prefix prefix(TaskId task) const override;

  /// Opens the task's sequence with its known prefix; says how many tokens that has.
  std::int64_t open(TaskId task);
  /// Its sequence; Error(internal) unless it is open.
  Sequence sequence(TaskId task) const;
  /// Lets its pages go, but for those that are kept for others.
  void close(TaskId task);
  /// Frees pages for `tokens` more of each task. False when there are not enough.
  bool make_room(std::span<const Plan::Chunk> chunks);
  /// Keeps what the task has computed for others.
  void keep(TaskId task);
  /// Pages kept for others, in use or not.
  std::int64_t kept_pages() const { return static_cast<std::int64_t>(prefixes_.size()); }
  /// Pages that running tasks use, of all.
  double usage() const;

 private:
  struct Slot {
    Sequence sequence;
    PrefixCache::Mark mark;
  };
  PrefixCache::Match find(TaskId task) const;

  session::PageTable& table_;
  PrefixCache prefixes_;
  bool share_;
  TokensOf tokens_of_;
  std::map<TaskId, Slot> slots_;
};

}  // namespace tenon::serving
