#include "checkpoint/pickle.h"

#include <array>
#include <cstring>

#include "base/error.h"
#include "checkpoint/pickle_names.h"
#include "checkpoint/weight_map.h"

namespace tenon::checkpoint {

using Kind = PickleValue::Kind;

namespace {

constexpr std::size_t kMaxValues = std::size_t{1} << 20;
constexpr std::size_t kMaxGlobalBytes = 256;

// The opcodes of the subset, as the pickle format numbers them.
enum Op : unsigned char {
  kMark = '(',
  kStop = '.',
  kPop = '0',
  kPopMark = '1',
  kNone = 'N',
  kBinInt = 'J',
  kBinInt1 = 'K',
  kBinInt2 = 'M',
  kBinFloat = 'G',
  kBinUnicode = 'X',
  kBinString = 'T',
  kShortBinString = 'U',
  kBinBytes = 'B',
  kShortBinBytes = 'C',
  kGlobal = 'c',
  kBinPersistentId = 'Q',
  kReduce = 'R',
  kBuild = 'b',
  kEmptyTuple = ')',
  kTuple = 't',
  kEmptyList = ']',
  kAppend = 'a',
  kAppends = 'e',
  kEmptyDict = '}',
  kSetItem = 's',
  kSetItems = 'u',
  kBinPut = 'q',
  kLongBinPut = 'r',
  kBinGet = 'h',
  kLongBinGet = 'j',
  kProto = 0x80,
  kTuple1 = 0x85,
  kTuple2 = 0x86,
  kTuple3 = 0x87,
  kNewTrue = 0x88,
  kNewFalse = 0x89,
  kLong1 = 0x8a,
  kShortBinUnicode = 0x8c,
  kBinUnicode8 = 0x8d,
  kBinBytes8 = 0x8e,
  kStackGlobal = 0x93,
  kMemoize = 0x94,
  kFrame = 0x95,
};

struct OpName {
  unsigned char op;
  std::string_view name;
};
// Opcodes of the format that are refused, so that the message can say which.
constexpr std::array<OpName, 24> kRefused = {
    {{'F', "FLOAT"},      {'I', "INT"},        {'L', "LONG"},        {'P', "PERSID"},
     {'S', "STRING"},     {'V', "UNICODE"},    {'d', "DICT"},        {'g', "GET"},
     {'i', "INST"},       {'l', "LIST"},       {'o', "OBJ"},         {'p', "PUT"},
     {'2', "DUP"},        {0x81, "NEWOBJ"},    {0x82, "EXT1"},       {0x83, "EXT2"},
     {0x84, "EXT4"},      {0x8b, "LONG4"},     {0x8f, "EMPTY_SET"},  {0x90, "ADDITEMS"},
     {0x91, "FROZENSET"}, {0x92, "NEWOBJ_EX"}, {0x96, "BYTEARRAY8"}, {0x97, "NEXT_BUFFER"}}};

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
    result_.root_ = pop();
    result_.size_ = position_;
    return std::move(result_);
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

  PickleValue* make(Kind kind) {
    if (result_.values_.size() == kMaxValues) bad_input("makes more than {} values", kMaxValues);
    PickleValue& value = result_.values_.emplace_back();
    value.kind = kind;
    return &value;
  }
  void push(PickleValue* value) {
    if (stack_.size() == kMaxValues) bad_input("stacks more than {} values", kMaxValues);
    stack_.push_back(value);
  }
  void push_text(Kind kind, std::string_view text) {
    PickleValue* value = make(kind);
    value->text = text;
    push(value);
  }
  void push_integer(std::int64_t integer, Kind kind = Kind::integer) {
    PickleValue* value = make(kind);
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
  std::vector<const PickleValue*> pop_to_mark() {
    std::size_t mark = stack_.size();
    while (mark > 0 && stack_[mark - 1] != nullptr) --mark;
    if (mark == 0) bad_input("takes a mark that is not there");
    std::vector<const PickleValue*> items(stack_.begin() + static_cast<std::ptrdiff_t>(mark),
                                          stack_.end());
    stack_.resize(mark - 1);
    return items;
  }
  void push_tuple(const std::vector<const PickleValue*>& items) {
    PickleValue* tuple = make(Kind::tuple);
    extend(tuple, items);
    push(tuple);
  }
  void push_tuple(std::size_t count) {
    std::vector<const PickleValue*> items(count);
    for (std::size_t i = count; i-- > 0;) items[i] = pop();
    push_tuple(items);
  }

  // What containers hold in all is bounded like the values: a file could otherwise put one value
  // into many lists.
  void extend(PickleValue* container, const std::vector<const PickleValue*>& items) {
    held_ += items.size();
    if (held_ > 2 * kMaxValues) bad_input("holds more than {} items", 2 * kMaxValues);
    container->items.insert(container->items.end(), items.begin(), items.end());
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
        push(make(Kind::none));
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
        push(make(Kind::real));
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
        push(make(Kind::tuple));
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
        push(make(Kind::list));
        return true;
      case kAppend: {
        const PickleValue* item = pop();
        extend(top_of(Kind::list), {item});
        return true;
      }
      case kAppends: {
        const auto items = pop_to_mark();
        extend(top_of(Kind::list), items);
        return true;
      }
      case kEmptyDict:
        push(make(Kind::dict));
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
        push(storage_of(*pop()));
        return true;
      default:
        return false;
    }
  }

  [[noreturn]] static void refuse(unsigned char op) {
    for (const OpName& refused : kRefused) {
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

  void set_items(const std::vector<const PickleValue*>& items) {
    if (items.size() % 2 != 0) bad_input("sets a key without a value");
    PickleValue* target = top();
    if (target->kind == Kind::inert) return;
    extend(top_of(Kind::dict), items);
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
    push(with_context(callee.name, [&] { return made_by(callee.role, arguments->items); }));
  }

  PickleValue* made_by(PickleRole role, const std::vector<const PickleValue*>& arguments) {
    switch (role) {
      case PickleRole::ordered_dict:
        return ordered_dict(arguments);
      case PickleRole::rebuild_tensor:
        return tensor(arguments);
      case PickleRole::rebuild_parameter:
        if (arguments.empty() || arguments[0]->kind != Kind::tensor) {
          bad_input("its first argument is no tensor");
        }
        return copy_of(*arguments[0]);
      case PickleRole::size:
        if (arguments.size() != 1 || arguments[0]->kind != Kind::tuple) {
          bad_input("its argument is no tuple");
        }
        return copy_of(*arguments[0]);
      case PickleRole::inert:
        return make(Kind::inert);
      case PickleRole::storage:
        break;
    }
    bad_input("a storage is only named, never called");
  }

  PickleValue* copy_of(const PickleValue& value) {
    PickleValue* copy = make(value.kind);
    extend(copy, value.items);
    return copy;
  }

  // Without arguments, or as Python 2 wrote it, with one list of pairs.
  PickleValue* ordered_dict(const std::vector<const PickleValue*>& arguments) {
    PickleValue* dict = make(Kind::dict);
    if (arguments.empty()) return dict;
    if (arguments.size() != 1 || arguments[0]->kind != Kind::list) {
      bad_input("its argument is no list of pairs");
    }
    for (const PickleValue* pair : arguments[0]->items) {
      const bool fits =
          (pair->kind == Kind::list || pair->kind == Kind::tuple) && pair->items.size() == 2;
      if (!fits)
        bad_input("its argument holds a {}, a pair was expected", pickle_kind_name(pair->kind));
      extend(dict, pair->items);
    }
    return dict;
  }

  // (storage, offset, sizes, strides, requires_grad, hooks[, metadata])
  PickleValue* tensor(const std::vector<const PickleValue*>& arguments) {
    if (arguments.size() < 6 || arguments.size() > 7) {
      bad_input("has {} arguments, 6 or 7 were expected", arguments.size());
    }
    constexpr std::array<Kind, 4> kExpected = {Kind::storage, Kind::integer, Kind::tuple,
                                               Kind::tuple};
    for (std::size_t i = 0; i < kExpected.size(); ++i) {
      if (arguments[i]->kind == kExpected[i]) continue;
      bad_input("its argument {} is a {}, a {} was expected", i,
                pickle_kind_name(arguments[i]->kind), pickle_kind_name(kExpected[i]));
    }
    for (const std::size_t list : {std::size_t{2}, std::size_t{3}}) {
      for (const PickleValue* dim : arguments[list]->items) {
        if (dim->kind != Kind::integer)
          bad_input("its {} are no integers", list == 2 ? "sizes" : "strides");
      }
    }
    PickleValue* made = make(Kind::tensor);
    extend(made, {arguments[0], arguments[1], arguments[2], arguments[3]});
    return made;
  }

  // ('storage', class, key, device, elements[, view of another storage])
  PickleValue* storage_of(const PickleValue& id) {
    const auto& parts = id.items;
    const bool fits = id.kind == Kind::tuple && (parts.size() == 5 || parts.size() == 6) &&
                      parts[0]->kind == Kind::text && parts[0]->text == "storage" &&
                      parts[1]->kind == Kind::global &&
                      pickle_name(parts[1]->integer).role == PickleRole::storage &&
                      parts[2]->kind == Kind::text && parts[4]->kind == Kind::integer &&
                      parts[4]->integer >= 0;
    if (!fits) {
      bad_input("a persistent id is not of the form ('storage', class, key, device, elements)");
    }
    if (parts.size() == 6 && parts[5]->kind != Kind::none) {
      bad_input("storage {} is a view of another, which is not supported",
                shown_name(parts[2]->text));
    }
    PickleValue* storage = make(Kind::storage);
    storage->text = parts[2]->text;
    storage->integer = parts[4]->integer;
    storage->dtype = pickle_name(parts[1]->integer).dtype;
    return storage;
  }

  std::string_view bytes_;
  std::size_t position_ = 0;
  std::vector<PickleValue*> stack_;
  std::vector<PickleValue*> memo_;
  std::size_t remembered_ = 0;
  std::size_t held_ = 0;
  Pickle result_;
};

Pickle read_pickle(std::span<const std::byte> bytes) { return Unpickler(bytes).run(); }

}  // namespace tenon::checkpoint
