// Remembers which pages of the cache hold which tokens, so that a prompt begins with what earlier
// requests computed.
#pragma once

#include <cstdint>
#include <set>
#include <span>
#include <unordered_map>
#include <utility>
#include <vector>

#include "session/page_table.h"

namespace tenon::serving {

/// A tree of full pages: each is known by its tokens and by all tokens before them, compared in
/// full, never by a hash alone. One owner of each of its pages. Borrows the table, whose thread it
/// shares.
class PrefixCache {
 public:
  explicit PrefixCache(session::PageTable& table) : table_(table) {}
  ~PrefixCache();
  PrefixCache(const PrefixCache&) = delete;
  PrefixCache& operator=(const PrefixCache&) = delete;

  /// How far the pages of a sequence are known here. Valid while the sequence lives.
  struct Mark {
    std::int32_t entry = kRoot;
    std::size_t pages = 0;
  };
  struct Match {
    std::vector<std::int32_t> pages;
    Mark mark;
  };
  /// The longest run of known pages that `tokens` begin with.
  Match find(std::span<const std::int32_t> tokens) const;
  /// It is used now: pages not used for longest are let go first.
  void touch(const Mark& mark);
  /// Remembers all full pages of the sequence, whose computed tokens are `tokens`, from `mark` on.
  /// Where the same is known already, the sequence takes the known page and its own goes free.
  void keep(session::PageTable::Sequence sequence, std::span<const std::int32_t> tokens,
            Mark& mark);

  /// Pages that nobody else uses: evict can free them all.
  std::int32_t evictable() const;
  /// Lets go of pages until so many are free; false when there are not enough.
  bool evict_until_free(std::int32_t pages);
  std::size_t size() const { return entries_.size() - unused_.size(); }

 private:
  static constexpr std::int32_t kRoot = -1;
  struct Key {
    std::int32_t parent;
    std::vector<std::int32_t> tokens;
    bool operator==(const Key&) const = default;
  };
  struct HashOfKey {
    std::size_t operator()(const Key& key) const noexcept;
  };
  struct Entry {
    Key key;
    std::int32_t page = -1;  // -1: unused
    std::int32_t children = 0;
    std::uint64_t last_use = 0;
  };
  Entry& at(std::int32_t entry) { return entries_[static_cast<std::size_t>(entry)]; }
  const Entry& at(std::int32_t entry) const { return entries_[static_cast<std::size_t>(entry)]; }
  std::int32_t add(Key key, std::int32_t page);
  void remove(std::int32_t entry);
  void use(std::int32_t entry);

  session::PageTable& table_;
  std::vector<Entry> entries_;
  std::vector<std::int32_t> unused_;
  std::unordered_map<Key, std::int32_t, HashOfKey> known_;
  std::set<std::pair<std::uint64_t, std::int32_t>> leaves_;  // last use, entry
  std::uint64_t now_ = 0;
};

}  // namespace tenon::serving
