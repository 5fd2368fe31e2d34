// Pages by task, over the table of pages and the tree of prefixes.
#include "serving/batching/page_pool.h"

#include <algorithm>

#include "base/error.h"

namespace tenon::serving {

std::int64_t PagePool::available() const { return table_.free_pages() + prefixes_.evictable(); }

std::int64_t PagePool::returned_by(TaskId task) const {
  const auto slot = slots_.find(task);
  if (slot == slots_.end()) return 0;
  // Of the pages that are kept for others the tree is one owner.
  const auto pages = table_.pages(slot->second.sequence);
  std::int64_t count = 0;
  for (std::size_t i = 0; i < pages.size(); ++i) {
    if (table_.references(pages[i]) == (i < slot->second.mark.pages ? 2 : 1)) ++count;
  }
  return count;
}

PrefixCache::Match PagePool::find(TaskId task) const {
  if (!share_) return {};
  const auto tokens = tokens_of_(task);
  // One token at least must be computed: the next is chosen after it.
  return prefixes_.find(tokens.first(tokens.size() - 1));
}

Pages::Prefix PagePool::prefix(TaskId task) const {
  const PrefixCache::Match match = find(task);
  const auto busy = std::count_if(match.pages.begin(), match.pages.end(),
                                  [&](auto page) { return table_.references(page) > 1; });
  return {static_cast<std::int64_t>(match.pages.size()) * table_.page_tokens(), busy};
}

std::int64_t PagePool::open(TaskId task) {
  const PrefixCache::Match match = find(task);
  slots_[task] = {table_.create(match.pages), match.mark};
  prefixes_.touch(match.mark);
  return static_cast<std::int64_t>(match.pages.size()) * table_.page_tokens();
}

PagePool::Sequence PagePool::sequence(TaskId task) const {
  const auto slot = slots_.find(task);
  if (slot == slots_.end()) fail(ErrorCode::internal, "task {} has no sequence", task);
  return slot->second.sequence;
}

void PagePool::close(TaskId task) {
  const auto slot = slots_.find(task);
  if (slot == slots_.end()) return;
  table_.release(slot->second.sequence);
  slots_.erase(slot);
}

bool PagePool::make_room(std::span<const Plan::Chunk> chunks) {
  const std::int64_t width = table_.page_tokens();
  std::int64_t pages = 0;
  for (const Plan::Chunk& chunk : chunks) {
    const Sequence at = sequence(chunk.task);
    pages += (table_.length(at) + chunk.tokens + width - 1) / width -
             static_cast<std::int64_t>(table_.pages(at).size());
  }
  return pages <= table_.total_pages() &&
         prefixes_.evict_until_free(static_cast<std::int32_t>(pages));
}

void PagePool::keep(TaskId task) {
  if (!share_) return;
  const auto slot = slots_.find(task);
  if (slot == slots_.end()) return;
  const auto computed = static_cast<std::size_t>(table_.length(slot->second.sequence));
  prefixes_.keep(slot->second.sequence, tokens_of_(task).first(computed), slot->second.mark);
}

double PagePool::usage() const {
  return 1 - static_cast<double>(available()) / static_cast<double>(table_.total_pages());
}

}  // namespace tenon::serving
