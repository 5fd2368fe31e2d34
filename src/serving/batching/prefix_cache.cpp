// A tree of pages by their tokens. A sequence that uses a page uses all pages before it, so what is
// unused hangs at the leaves.
#include "serving/batching/prefix_cache.h"

#include "base/hash.h"

namespace tenon::serving {

std::size_t PrefixCache::HashOfKey::operator()(const Key& key) const noexcept {
  constexpr std::uint64_t kGolden = 0x9E3779B97F4A7C15;  // 2^64 / the golden ratio
  return xxh3(std::as_bytes(std::span(key.tokens))) ^
         (static_cast<std::uint64_t>(key.parent) + 1) * kGolden;
}

PrefixCache::~PrefixCache() {
  for (const Entry& entry : entries_) {
    if (entry.page >= 0) table_.let_go(entry.page);
  }
}

PrefixCache::Match PrefixCache::find(std::span<const std::int32_t> tokens) const {
  const auto width = static_cast<std::size_t>(table_.page_tokens());
  Match match;
  for (std::size_t begin = 0; begin + width <= tokens.size(); begin += width) {
    const auto page = tokens.subspan(begin, width);
    const auto found = known_.find(Key{match.mark.entry, {page.begin(), page.end()}});
    if (found == known_.end()) break;
    match.mark.entry = found->second;
    match.pages.push_back(at(found->second).page);
  }
  match.mark.pages = match.pages.size();
  return match;
}

void PrefixCache::touch(const Mark& mark) {
  ++now_;
  for (std::int32_t entry = mark.entry; entry != kRoot; entry = at(entry).key.parent) use(entry);
}

void PrefixCache::use(std::int32_t entry) {
  const bool leaf = leaves_.erase({at(entry).last_use, entry}) > 0;
  at(entry).last_use = now_;
  if (leaf) leaves_.insert({now_, entry});
}

void PrefixCache::keep(session::PageTable::Sequence sequence, std::span<const std::int32_t> tokens,
                       Mark& mark) {
  const auto width = static_cast<std::size_t>(table_.page_tokens());
  if ((mark.pages + 1) * width > tokens.size()) return;
  ++now_;
  for (; (mark.pages + 1) * width <= tokens.size(); ++mark.pages) {
    const auto page = tokens.subspan(mark.pages * width, width);
    Key key{mark.entry, {page.begin(), page.end()}};
    const auto found = known_.find(key);
    if (found == known_.end()) {
      mark.entry = add(std::move(key), table_.pages(sequence)[mark.pages]);
      continue;
    }
    mark.entry = found->second;
    use(mark.entry);
    table_.replace(sequence, mark.pages, at(mark.entry).page);
  }
}

std::int32_t PrefixCache::add(Key key, std::int32_t page) {
  table_.retain(page);
  std::int32_t entry = static_cast<std::int32_t>(entries_.size());
  if (unused_.empty()) {
    entries_.emplace_back();
  } else {
    entry = unused_.back();
    unused_.pop_back();
  }
  if (key.parent != kRoot) {
    if (at(key.parent).children++ == 0) leaves_.erase({at(key.parent).last_use, key.parent});
  }
  known_.emplace(key, entry);
  at(entry) = {std::move(key), page, 0, now_};
  leaves_.insert({now_, entry});
  return entry;
}

void PrefixCache::remove(std::int32_t entry) {
  leaves_.erase({at(entry).last_use, entry});
  known_.erase(at(entry).key);
  table_.let_go(at(entry).page);
  const std::int32_t parent = at(entry).key.parent;
  if (parent != kRoot && --at(parent).children == 0) leaves_.insert({at(parent).last_use, parent});
  at(entry) = {};
  unused_.push_back(entry);
}

std::int32_t PrefixCache::evictable() const {
  std::int32_t count = 0;
  for (const Entry& entry : entries_) {
    if (entry.page >= 0 && table_.references(entry.page) == 1) ++count;
  }
  return count;
}

bool PrefixCache::evict_until_free(std::int32_t pages) {
  while (table_.free_pages() < pages) {
    auto oldest = leaves_.begin();
    while (oldest != leaves_.end() && table_.references(at(oldest->second).page) > 1) ++oldest;
    if (oldest == leaves_.end()) return false;
    remove(oldest->second);
  }
  return true;
}

}  // namespace tenon::serving
