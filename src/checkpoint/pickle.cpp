#include "checkpoint/pickle.h"

#include <array>
#include <cstring>

#include "base/error.h"
#include "checkpoint/pickle_calls.h"
#include "checkpoint/pickle_names.h"
#include "checkpoint/pickle_opcodes.h"

namespace tenon::checkpoint {

using Kind = PickleValue::Kind;

namespace {

constexpr std::size_t kMaxValues = kMaxPickleValues;
constexpr std::size_t kMaxGlobalBytes = 256;

}  // namespace

std::string_view pickle_kind_name(Kind kind) noexcept {
  constexpr std::array<std::string_view, 14> kKinds = {
      "None",  "bool", "int",  "long integer", "float",   "text",   "bytes",
      "tuple", "list", "dict", "name",         "storage", "tensor", "unread object"};
  return kKinds[static_cast<std::size_t>(kind)];
}

class Unpickler {
 public:
  explicit Unpickler(std::span<const std::byte> bytes)
      : bytes_(reinterpret_cast<const char*>(bytes.data()), bytes.size()) {}

  Pickle run() {
    if (bytes_.size() < 2 || byte() != kProto) bad_input("is no pickle of protocol 2 to 5");
    const unsigned protocol = byte();
    if (protocol < 2 || protocol > 5) {
      bad_input("is a pickle of protocol {}, 2 to 5 was expected", protocol);
    }
    for (;;) {
      const std::size_t place = position_;
      const unsigned char op = byte();
      if (op == kStop) break;
      try {
        step(op);
      } catch (Error& error) {
        error.in(fmt::format("pickle byte {}", place));
        throw;
      }
    }
    Pickle result;
    result.root_ = pop();
    result.size_ = position_;
    result.values_ = heap_.take();
    return result;
  }

 private:
  // Reading

  std::string_view take(std::uint64_t count) {
    if (count > bytes_.size() - position_) {
      bad_input("the pickle ends after {} bytes, {} more were expected", bytes_.size(),
                count - (bytes_.size() - position_));
    }
    const std::string_view taken = bytes_.substr(position_, static_cast<std::size_t>(count));
    position_ += taken.size();
    return taken;
  }
  unsigned char byte() { return static_cast<unsigned char>(take(1)[0]); }
  template <typename T>
  T number() {
    T value;
    std::memcpy(&value, take(sizeof value).data(), sizeof value);
    return value;
  }
  std::string_view line() {
    const std::string_view rest = bytes_.substr(position_, kMaxGlobalBytes);
    const std::size_t end = rest.find('\n');
    if (end == std::string_view::npos) bad_input("a name has no end within {} bytes", rest.size());
    return take(end + 1).substr(0, end);
  }

  // The stack. A mark is a null pointer: it is no value, and nothing but its takers may see it.

  void push(PickleValue* value) {
    if (stack_.size() == kMaxValues) bad_input("stacks more than {} values", kMaxValues);
    stack_.push_back(value);
  }
  void push_text(Kind kind, std::string_view text) {
    PickleValue* value = heap_.make(kind);
    value->text = text;
    push(value);
  }
  void push_integer(std::int64_t integer, Kind kind = Kind::integer) {
    PickleValue* value = heap_.make(kind);
    value->integer = integer;
    push(value);
  }
  PickleValue* top() {
    if (stack_.empty() || stack_.back() == nullptr) bad_input("takes a value that is not there");
    return stack_.back();
  }
  PickleValue* pop() {
    PickleValue* value = top();
    stack_.pop_back();
    return value;
  }
  PickleValue* top_of(Kind kind) {
    PickleValue* value = top();
    if (value->kind != kind) {
      bad_input("finds a {} where a {} was expected", pickle_kind_name(value->kind),
                pickle_kind_name(kind));
    }
    return value;
  }
  PickleValue* pop_of(Kind kind) {
    PickleValue* value = top_of(kind);
    stack_.pop_back();
    return value;
  }
  PickleItems pop_to_mark() {
    std::size_t mark = stack_.size();
    while (mark > 0 && stack_[mark - 1] != nullptr) --mark;
    if (mark == 0) bad_input("takes a mark that is not there");
    PickleItems items(stack_.begin() + static_cast<std::ptrdiff_t>(mark), stack_.end());
    stack_.resize(mark - 1);
    return items;
  }
  void push_tuple(const PickleItems& items) {
    PickleValue* tuple = heap_.make(Kind::tuple);
    heap_.extend(tuple, items);
    push(tuple);
  }
  void push_tuple(std::size_t count) {
    PickleItems items(count);
    for (std::size_t i = count; i-- > 0;) items[i] = pop();
    push_tuple(items);
  }

  void remember(std::uint64_t index) {
    if (index >= kMaxValues) {
      bad_input("remembers value {}, at most {} are kept", index, kMaxValues);
    }
    if (index >= memo_.size()) memo_.resize(static_cast<std::size_t>(index) + 1);
    if (memo_[static_cast<std::size_t>(index)] == nullptr) ++remembered_;
    memo_[static_cast<std::size_t>(index)] = top();
  }
  void recall(std::uint64_t index) {
    if (index >= memo_.size() || memo_[static_cast<std::size_t>(index)] == nullptr) {
      bad_input("recalls value {}, which was never kept", index);
    }
    push(memo_[static_cast<std::size_t>(index)]);
  }

  // Steps

  void step(unsigned char op) {
    if (!step_plain(op) && !step_container(op)) refuse(op);
  }

  bool step_plain(unsigned char op) {
    switch (op) {
      case kNone:
        push(heap_.make(Kind::none));
        return true;
      case kNewTrue:
      case kNewFalse:
        push_integer(op == kNewTrue ? 1 : 0, Kind::boolean);
        return true;
      case kBinInt:
        push_integer(number<std::int32_t>());
        return true;
      case kBinInt1:
        push_integer(number<std::uint8_t>());
        return true;
      case kBinInt2:
        push_integer(number<std::uint16_t>());
        return true;
      case kLong1:
        push_long(take(byte()));
        return true;
      case kBinFloat:
        take(sizeof(double));
        push(heap_.make(Kind::real));
        return true;
      case kShortBinUnicode:
        push_text(Kind::text, take(byte()));
        return true;
      case kBinUnicode:
        push_text(Kind::text, take(number<std::uint32_t>()));
        return true;
      case kBinUnicode8:
        push_text(Kind::text, take(number<std::uint64_t>()));
        return true;
      case kShortBinString:
        push_text(Kind::text, take(byte()));
        return true;
      case kBinString:
        push_text(Kind::text, take(number<std::uint32_t>()));
        return true;
      case kShortBinBytes:
        push_text(Kind::bytes, take(byte()));
        return true;
      case kBinBytes:
        push_text(Kind::bytes, take(number<std::uint32_t>()));
        return true;
      case kBinBytes8:
        push_text(Kind::bytes, take(number<std::uint64_t>()));
        return true;
      case kGlobal: {
        const std::string_view module = line();
        push_global(module, line());
        return true;
      }
      case kStackGlobal: {
        const PickleValue* name = pop_of(Kind::text);
        push_global(pop_of(Kind::text)->text, name->text);
        return true;
      }
      case kFrame:
        if (number<std::uint64_t>() > bytes_.size() - position_) bad_input("a frame is cut short");
        return true;
      default:
        return false;
    }
  }

  bool step_container(unsigned char op) {
    switch (op) {
      case kMark:
        push(nullptr);
        return true;
      case kPop:
        if (stack_.empty()) bad_input("takes a value that is not there");
        stack_.pop_back();
        return true;
      case kPopMark:
        pop_to_mark();
        return true;
      case kEmptyTuple:
        push(heap_.make(Kind::tuple));
        return true;
      case kTuple1:
      case kTuple2:
      case kTuple3:
        push_tuple(static_cast<std::size_t>(op - kTuple1 + 1));
        return true;
      case kTuple:
        push_tuple(pop_to_mark());
        return true;
      case kEmptyList:
        push(heap_.make(Kind::list));
        return true;
      case kAppend: {
        const PickleValue* item = pop();
        heap_.extend(top_of(Kind::list), {item});
        return true;
      }
      case kAppends: {
        const auto items = pop_to_mark();
        heap_.extend(top_of(Kind::list), items);
        return true;
      }
      case kEmptyDict:
        push(heap_.make(Kind::dict));
        return true;
      case kSetItem: {
        const PickleValue* value = pop();
        const PickleValue* key = pop();
        set_items({key, value});
        return true;
      }
      case kSetItems:
        set_items(pop_to_mark());
        return true;
      case kBinPut:
        remember(number<std::uint8_t>());
        return true;
      case kLongBinPut:
        remember(number<std::uint32_t>());
        return true;
      case kMemoize:
        remember(remembered_);
        return true;
      case kBinGet:
        recall(number<std::uint8_t>());
        return true;
      case kLongBinGet:
        recall(number<std::uint32_t>());
        return true;
      case kReduce:
        reduce();
        return true;
      case kBuild:
        build();
        return true;
      case kBinPersistentId:
        push(storage_of(heap_, *pop()));
        return true;
      default:
        return false;
    }
  }

  [[noreturn]] static void refuse(unsigned char op) {
    for (const PickleOpName& refused : kRefusedPickleOps) {
      if (refused.op != op) continue;
      bad_input("opcode {} is not run: torch.save needs it for no state dict", refused.name);
    }
    bad_input("0x{:02x} is no opcode that is known; the pickle is damaged", op);
  }

  void push_long(std::string_view digits) {
    if (digits.size() > sizeof(std::int64_t)) return push_text(Kind::big_integer, digits);
    const bool negative = !digits.empty() && (digits.back() & 0x80) != 0;
    std::int64_t value = negative ? -1 : 0;
    std::memcpy(&value, digits.data(), digits.size());
    push_integer(value);
  }

  void push_global(std::string_view module, std::string_view name) {
    push_integer(find_pickle_name(module, name), Kind::global);
  }

  void set_items(const PickleItems& items) {
    if (items.size() % 2 != 0) bad_input("sets a key without a value");
    PickleValue* target = top();
    if (target->kind == Kind::inert) return;
    heap_.extend(top_of(Kind::dict), items);
  }

  // An object's further state: of an ordered dict its attributes, which hold no weights.
  void build() {
    pop();
    const Kind kind = top()->kind;
    if (kind != Kind::dict && kind != Kind::inert && kind != Kind::tensor) {
      bad_input("sets the state of a {}, which has none", pickle_kind_name(kind));
    }
  }

  void reduce() {
    const PickleValue* arguments = pop_of(Kind::tuple);
    const PickleName& callee = pickle_name(pop_of(Kind::global)->integer);
    push(with_context(callee.name, [&] { return call_of(heap_, callee.role, arguments->items); }));
  }

  std::string_view bytes_;
  std::size_t position_ = 0;
  std::vector<PickleValue*> stack_;
  std::vector<PickleValue*> memo_;
  std::size_t remembered_ = 0;
  PickleHeap heap_;
};

Pickle read_pickle(std::span<const std::byte> bytes) { return Unpickler(bytes).run(); }

}  // namespace tenon::checkpoint
