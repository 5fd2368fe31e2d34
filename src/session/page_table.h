// Who owns which page of the cache: reference counts, sharing and copy on write. Touches no memory
// itself.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <vector>

namespace tenon::session {

/// Pages are numbers; a sequence is a list of them and a length in tokens. Pages shared by several
/// sequences are never written: `extend` tells which must be copied first. One thread at a time.
class PageTable {
 public:
  using Sequence = std::int32_t;
  struct Copy {
    std::int32_t from;
    std::int32_t to;
  };

  PageTable(std::int32_t pages, int page_tokens);

  Sequence create();
  /// Begins with these full pages, whose tokens it shares.
  Sequence create(std::span<const std::int32_t> pages);
  /// A second sequence with the same pages so far.
  Sequence fork(Sequence sequence);
  void release(Sequence sequence);
  /// Forgets all tokens from `length` on.
  void truncate(Sequence sequence, std::int64_t length);

  /// Makes room for `tokens` more and counts them as there. Appends the copies that must be made
  /// before anything is written. False, with nothing changed, when too few pages are free.
  [[nodiscard]] bool extend(Sequence sequence, std::int64_t tokens, std::vector<Copy>& copies);

  /// One more owner of a page in use, one that is no sequence: keeps it after they all end.
  void retain(std::int32_t page);
  /// One owner less.
  void let_go(std::int32_t page);
  /// Owners of the page; 0: it is free.
  std::int32_t references(std::int32_t page) const;
  /// Uses `page`, which holds the same, instead of the sequence's own at `index`.
  void replace(Sequence sequence, std::size_t index, std::int32_t page);

  std::int64_t length(Sequence sequence) const;
  std::span<const std::int32_t> pages(Sequence sequence) const;
  std::int32_t free_pages() const { return static_cast<std::int32_t>(free_.size()); }
  int page_tokens() const { return page_tokens_; }
  std::int32_t total_pages() const { return static_cast<std::int32_t>(references_.size()); }

 private:
  struct State {
    std::vector<std::int32_t> pages;
    std::int64_t length = 0;
  };
  State& state(Sequence sequence);
  const State& state(Sequence sequence) const;
  /// The count of a page that somebody owns; Error(internal) for any other.
  std::int32_t& owners(std::int32_t page);
  std::int32_t take();
  void drop(std::int32_t page);

  int page_tokens_;
  std::vector<std::int32_t> references_;
  std::vector<std::int32_t> free_;
  std::map<Sequence, State> sequences_;
  Sequence next_ = 0;
};

}  // namespace tenon::session
