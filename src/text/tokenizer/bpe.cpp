// Reading of the model, and the merging of symbols in the order of their ranks.
#include "text/tokenizer/bpe.h"

#include <array>
#include <bit>
#include <limits>
#include <mutex>
#include <queue>
#include <shared_mutex>
#include <unordered_map>
#include <utility>

#include "base/error.h"
#include "text/tokenizer/byte_level.h"
#include "text/tokenizer/json_parts.h"
#include "text/tokenizer/utf8.h"

namespace tenon::text {
namespace {

constexpr std::size_t kShortWord = 32;  // symbols; scanned instead of queued
constexpr std::size_t kCachedWordBytes = 64;
constexpr std::size_t kCacheShards = 16;
constexpr std::size_t kCachedWordsPerShard = 4096;

std::pair<std::string, std::string> merge_parts(const Json& merge) {
  if (merge.is_array() && merge.size() == 2 && merge[0].is_string() && merge[1].is_string()) {
    return {merge[0].get<std::string>(), merge[1].get<std::string>()};
  }
  if (merge.is_string()) {
    const auto& text = merge.get_ref<const std::string&>();
    const std::size_t space = text.find(' ');
    if (space != std::string::npos && text.find(' ', space + 1) == std::string::npos) {
      return {text.substr(0, space), text.substr(space + 1)};
    }
  }
  bad_input("a merge is {}, \"left right\" or [\"left\", \"right\"] was expected",
            json_text(merge).substr(0, 100));
}

}  // namespace

// Pairs of ids to merges: open addressing, at most half full.
class BpeModel::MergeTable {
 public:
  explicit MergeTable(std::size_t count)
      : slots_(std::bit_ceil(2 * count + 2), Slot{kEmpty, {0, 0}}), mask_(slots_.size() - 1) {}

  void set(std::int32_t left, std::int32_t right, Merge merge) {
    Slot& slot = slots_[place(key_of(left, right))];
    slot = {key_of(left, right), merge};
  }
  const Merge* find(std::int32_t left, std::int32_t right) const {
    const Slot& slot = slots_[place(key_of(left, right))];
    return slot.key == kEmpty ? nullptr : &slot.merge;
  }

 private:
  static constexpr std::uint64_t kEmpty = ~std::uint64_t{0};
  struct Slot {
    std::uint64_t key;
    Merge merge;
  };
  static std::uint64_t key_of(std::int32_t left, std::int32_t right) {
    return static_cast<std::uint64_t>(left) << 32 | static_cast<std::uint32_t>(right);
  }
  std::size_t place(std::uint64_t key) const {
    std::uint64_t mixed = key * 0x9e3779b97f4a7c15U;
    mixed ^= mixed >> 32;
    std::size_t at = mixed & mask_;
    while (slots_[at].key != kEmpty && slots_[at].key != key) at = (at + 1) & mask_;
    return at;
  }

  std::vector<Slot> slots_;
  std::size_t mask_;
};

// Words seen before; when a shard is full it keeps what it has.
class BpeModel::Cache {
 public:
  bool append(std::string_view word, std::vector<std::int32_t>& ids) const {
    const Shard& shard = shard_of(word);
    const std::shared_lock lock(shard.mutex);
    const auto found = shard.words.find(word);
    if (found == shard.words.end()) return false;
    ids.insert(ids.end(), found->second.begin(), found->second.end());
    return true;
  }
  void store(std::string_view word, const std::vector<std::int32_t>& ids) {
    Shard& shard = const_cast<Shard&>(shard_of(word));
    const std::unique_lock lock(shard.mutex, std::try_to_lock);
    if (lock.owns_lock() && shard.words.size() < kCachedWordsPerShard) {
      shard.words.emplace(word, ids);
    }
  }

 private:
  struct Shard {
    mutable std::shared_mutex mutex;
    std::unordered_map<std::string, std::vector<std::int32_t>, StringHash, std::equal_to<>> words;
  };
  const Shard& shard_of(std::string_view word) const {
    return shards_[StringHash{}(word) >> 7 & (kCacheShards - 1)];
  }
  std::array<Shard, kCacheShards> shards_;
};

BpeModel::~BpeModel() = default;

BpeModel::BpeModel(const Json& model)
    : fuse_unknown_(get_bool(model, "fuse_unk", false)),
      byte_fallback_(get_bool(model, "byte_fallback", false)),
      ignore_merges_(get_bool(model, "ignore_merges", false)),
      cache_(std::make_unique<Cache>()) {
  if (get_number(model, "dropout", 0) > 0) {
    bad_input("BPE with dropout {} gives random ids; remove \"dropout\" from the model",
              get_number(model, "dropout", 0));
  }
  const Json* vocabulary = find_field(model, "vocab");
  if (vocabulary == nullptr || !vocabulary->is_object()) {
    bad_input("field \"vocab\" of the model is not an object");
  }
  vocabulary_.reserve(vocabulary->size());
  for (const auto& [token, id] : vocabulary->items()) {
    if (!id.is_number_integer()) bad_input("the id of token \"{}\" is not an integer", token);
    const bool huge = id.is_number_unsigned() && id.get<std::uint64_t>() > 0x7fffffffU;
    vocabulary_.add(token,
                    huge ? std::numeric_limits<std::int64_t>::max() : id.get<std::int64_t>());
  }
  prefix_ = get_string(model, "continuing_subword_prefix", "");
  suffix_ = get_string(model, "end_of_word_suffix", "");
  if (find_field(model, "unk_token") != nullptr) {
    unknown_token_ = required_string(model, "unk_token");
    unknown_id_ = vocabulary_.id(*unknown_token_);
  }
  read_merges(array_field(model, "merges"), prefix_);
  read_bytes();
}

void BpeModel::read_merges(const Json& merges, std::string_view prefix) {
  merges_ = std::make_unique<MergeTable>(merges.size());
  std::uint32_t rank = 0;
  for (const Json& merge : merges) {
    if (merge.is_string() && merge.get_ref<const std::string&>().starts_with("#version")) continue;
    const auto [left, right] = merge_parts(merge);
    if (!right.starts_with(prefix)) {
      bad_input("merge \"{}\" \"{}\": the second token lacks the prefix \"{}\"", left, right,
                prefix);
    }
    const auto known = [&](const std::string& token) {
      const auto id = vocabulary_.id(token);
      if (!id)
        bad_input("merge {} names token \"{}\", which is not in the vocabulary", rank, token);
      return *id;
    };
    const std::int32_t left_id = known(left);
    const std::int32_t right_id = known(right);
    merges_->set(left_id, right_id, {rank, known(left + right.substr(prefix.size()))});
    ++rank;
  }
}

void BpeModel::read_bytes() {
  if (!byte_fallback_) return;
  for (int byte = 0; byte < 256; ++byte) {
    byte_ids_.push_back(vocabulary_.id(byte_token(static_cast<unsigned char>(byte))).value_or(-1));
  }
}

std::vector<std::int32_t> BpeModel::symbols_of(std::string_view word) const {
  std::vector<std::int32_t> symbols;
  symbols.reserve(word.size());
  std::optional<std::int32_t> unknown;  // not yet added: more unknown characters may fuse with it
  std::string buffer;
  for (std::size_t at = 0; at < word.size();) {
    const std::size_t begin = at;
    next_point(word, at);
    const std::string_view character = word.substr(begin, at - begin);
    std::string_view name = character;
    if ((begin > 0 && !prefix_.empty()) || (at == word.size() && !suffix_.empty())) {
      buffer.clear();
      if (begin > 0) buffer += prefix_;
      buffer += character;
      if (at == word.size()) buffer += suffix_;
      name = buffer;
    }
    if (const auto id = vocabulary_.id(name)) {
      if (unknown) symbols.push_back(*std::exchange(unknown, std::nullopt));
      symbols.push_back(*id);
      continue;
    }
    if (byte_fallback_) {
      const auto id_of = [&](char byte) { return byte_ids_[static_cast<unsigned char>(byte)]; };
      bool all = true;
      for (const char byte : name) all = all && id_of(byte) >= 0;
      if (all) {
        for (const char byte : name) symbols.push_back(id_of(byte));
        continue;
      }
    }
    if (!unknown_token_) continue;
    if (!unknown_id_) {
      bad_input("the unknown token \"{}\" is not in the vocabulary and the text needs it",
                *unknown_token_);
    }
    if (unknown && !fuse_unknown_) symbols.push_back(*unknown);
    unknown = unknown_id_;
  }
  if (unknown) symbols.push_back(*unknown);
  return symbols;
}

void BpeModel::merge_short(std::vector<std::int32_t>& symbols) const {
  while (symbols.size() > 1) {
    const Merge* best = nullptr;
    std::size_t where = 0;
    for (std::size_t i = 0; i + 1 < symbols.size(); ++i) {
      const Merge* merge = merges_->find(symbols[i], symbols[i + 1]);
      if (merge != nullptr && (best == nullptr || merge->rank < best->rank)) {
        best = merge;
        where = i;
      }
    }
    if (best == nullptr) return;
    symbols[where] = best->id;
    symbols.erase(symbols.begin() + static_cast<std::ptrdiff_t>(where) + 1);
  }
}

void BpeModel::merge_long(std::vector<std::int32_t>& symbols) const {
  constexpr auto kNone = static_cast<std::size_t>(-1);
  struct Link {
    std::size_t previous;
    std::size_t next;
  };
  struct Candidate {
    std::uint32_t rank;
    std::int32_t id;
    std::size_t at;
    bool operator<(const Candidate& other) const {  // the queue's top is the greatest
      return rank != other.rank ? rank > other.rank : at > other.at;
    }
  };
  constexpr std::int32_t kGone = -1;
  std::vector<Link> links(symbols.size());
  std::vector<Candidate> first;
  const auto candidate = [&](std::size_t left, std::size_t right) -> std::optional<Candidate> {
    const Merge* merge = merges_->find(symbols[left], symbols[right]);
    if (merge == nullptr) return std::nullopt;
    return Candidate{merge->rank, merge->id, left};
  };
  for (std::size_t i = 0; i < symbols.size(); ++i) {
    links[i] = {i == 0 ? kNone : i - 1, i + 1 == symbols.size() ? kNone : i + 1};
    if (i + 1 == symbols.size()) break;
    if (const auto found = candidate(i, i + 1)) first.push_back(*found);
  }
  std::priority_queue<Candidate> queue(std::less<Candidate>{}, std::move(first));
  while (!queue.empty()) {
    const Candidate top = queue.top();
    queue.pop();
    const std::size_t right = links[top.at].next;
    if (symbols[top.at] == kGone || right == kNone) continue;
    const Merge* merge = merges_->find(symbols[top.at], symbols[right]);
    if (merge == nullptr || merge->id != top.id) continue;  // one of the two has merged since
    symbols[top.at] = top.id;
    symbols[right] = kGone;
    links[top.at].next = links[right].next;
    if (links[right].next != kNone) links[links[right].next].previous = top.at;
    const auto push = [&](std::size_t left) {
      if (left == kNone || links[left].next == kNone) return;
      if (const auto found = candidate(left, links[left].next)) queue.push(*found);
    };
    push(links[top.at].previous);
    push(top.at);
  }
  std::erase(symbols, kGone);
}

void BpeModel::encode(std::string_view word, std::vector<std::int32_t>& ids) const {
  if (word.empty()) return;
  const bool cached = word.size() <= kCachedWordBytes;
  if (cached && cache_->append(word, ids)) return;
  std::vector<std::int32_t> symbols;
  const auto whole = ignore_merges_ ? vocabulary_.id(word) : std::nullopt;
  if (whole) {
    symbols.push_back(*whole);
  } else {
    symbols = symbols_of(word);
    if (symbols.size() <= kShortWord) {
      merge_short(symbols);
    } else {
      merge_long(symbols);
    }
  }
  if (cached) cache_->store(word, symbols);
  ids.insert(ids.end(), symbols.begin(), symbols.end());
}

}  // namespace tenon::text
