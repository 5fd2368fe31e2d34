#include "session/page_table.h"

#include "base/error.h"

namespace tenon::session {

PageTable::PageTable(std::int32_t pages, int page_tokens)
    : page_tokens_(page_tokens), references_(static_cast<std::size_t>(pages), 0) {
  for (std::int32_t page = pages; page > 0; --page) free_.push_back(page - 1);
}

PageTable::State& PageTable::state(Sequence sequence) {
  const auto found = sequences_.find(sequence);
  if (found == sequences_.end()) fail(ErrorCode::internal, "sequence {} does not exist", sequence);
  return found->second;
}

const PageTable::State& PageTable::state(Sequence sequence) const {
  return const_cast<PageTable*>(this)->state(sequence);
}

std::int32_t PageTable::take() {
  const std::int32_t page = free_.back();
  free_.pop_back();
  references_[static_cast<std::size_t>(page)] = 1;
  return page;
}

void PageTable::drop(std::int32_t page) {
  if (--references_[static_cast<std::size_t>(page)] == 0) free_.push_back(page);
}

std::int32_t& PageTable::owners(std::int32_t page) {
  if (references(page) == 0) fail(ErrorCode::internal, "page {} is not in use", page);
  return references_[static_cast<std::size_t>(page)];
}

void PageTable::retain(std::int32_t page) { ++owners(page); }

void PageTable::let_go(std::int32_t page) {
  owners(page);
  drop(page);
}

std::int32_t PageTable::references(std::int32_t page) const {
  return page < 0 || page >= total_pages() ? 0 : references_[static_cast<std::size_t>(page)];
}

void PageTable::replace(Sequence sequence, std::size_t index, std::int32_t page) {
  State& target = state(sequence);
  if (index >= target.pages.size()) {
    fail(ErrorCode::internal, "a sequence of {} pages has no page {}", target.pages.size(), index);
  }
  retain(page);
  drop(target.pages[index]);
  target.pages[index] = page;
}

PageTable::Sequence PageTable::create() {
  sequences_[next_] = {};
  return next_++;
}

PageTable::Sequence PageTable::create(std::span<const std::int32_t> pages) {
  State shared;
  shared.pages.assign(pages.begin(), pages.end());
  shared.length = static_cast<std::int64_t>(pages.size()) * page_tokens_;
  for (const std::int32_t page : pages) owners(page);
  for (const std::int32_t page : pages) retain(page);
  sequences_[next_] = std::move(shared);
  return next_++;
}

PageTable::Sequence PageTable::fork(Sequence sequence) {
  const State copy = state(sequence);
  for (const std::int32_t page : copy.pages) ++references_[static_cast<std::size_t>(page)];
  sequences_[next_] = copy;
  return next_++;
}

void PageTable::release(Sequence sequence) {
  for (const std::int32_t page : state(sequence).pages) drop(page);
  sequences_.erase(sequence);
}

void PageTable::truncate(Sequence sequence, std::int64_t length) {
  State& target = state(sequence);
  if (length < 0 || length > target.length) {
    fail(ErrorCode::internal, "sequence of {} tokens cut to {}", target.length, length);
  }
  const auto keep = static_cast<std::size_t>((length + page_tokens_ - 1) / page_tokens_);
  while (target.pages.size() > keep) {
    drop(target.pages.back());
    target.pages.pop_back();
  }
  target.length = length;
}

bool PageTable::extend(Sequence sequence, std::int64_t tokens, std::vector<Copy>& copies) {
  State& target = state(sequence);
  if (tokens == 0) return true;
  const std::int64_t length = target.length + tokens;
  const auto wanted = static_cast<std::size_t>((length + page_tokens_ - 1) / page_tokens_);
  const bool last_is_open = target.length % page_tokens_ != 0;
  const bool last_is_shared =
      last_is_open && references_[static_cast<std::size_t>(target.pages.back())] > 1;
  const std::size_t needed = wanted - target.pages.size() + (last_is_shared ? 1 : 0);
  if (needed > free_.size()) return false;
  if (last_is_shared) {
    const std::int32_t old = target.pages.back();
    target.pages.back() = take();
    drop(old);
    copies.push_back({old, target.pages.back()});
  }
  while (target.pages.size() < wanted) target.pages.push_back(take());
  target.length = length;
  return true;
}

std::int64_t PageTable::length(Sequence sequence) const { return state(sequence).length; }

std::span<const std::int32_t> PageTable::pages(Sequence sequence) const {
  return state(sequence).pages;
}

}  // namespace tenon::session
