// The values of a pickle that torch.save wrote, read by an interpreter of a closed subset that
// calls nothing and builds no objects.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tensor/dtype.h"

namespace tenon::checkpoint {

/// A node of the result. Nodes may be shared and, in a hostile file, form cycles: a walk must bound
/// its depth and its steps.
struct PickleValue {
  enum class Kind : unsigned char {
    none,
    boolean,
    integer,
    big_integer,  ///< beyond 64 bits: its little-endian bytes are in `text`
    real,         ///< its value is not kept
    text,
    bytes,
    tuple,
    list,
    dict,     ///< items: key, value, key, value ...
    global,   ///< `integer` is its row in the table of allowed names
    storage,  ///< `text` is its key, `integer` its number of elements, `dtype` their type
    tensor,   ///< items: storage, offset, sizes, strides; the types of these are checked
    inert,    ///< what an allowed but meaningless call would have made
  };
  Kind kind = Kind::none;
  DType dtype = DType::f32;
  std::int64_t integer = 0;
  std::string_view text;  ///< inside the pickle's bytes
  std::vector<const PickleValue*> items;
};

/// What a kind is called in messages.
std::string_view pickle_kind_name(PickleValue::Kind kind) noexcept;

class Pickle {
 public:
  const PickleValue& root() const { return *root_; }
  /// Every value that was made, in order.
  const std::deque<PickleValue>& values() const { return values_; }
  /// Bytes from the start to the end of STOP; more may follow.
  std::size_t size() const { return size_; }

 private:
  friend class Unpickler;
  std::deque<PickleValue> values_;
  const PickleValue* root_ = nullptr;
  std::size_t size_ = 0;
};

/// Reads one pickle of protocol 2 to 5 at the start of `bytes`, which must outlive the result.
/// Names of classes and functions are allowed by exact match against a table; every other name and
/// every opcode outside the subset is refused with its name (bad_input). Work and memory are
/// bounded by the length of the input and by 2^20 values.
Pickle read_pickle(std::span<const std::byte> bytes);

}  // namespace tenon::checkpoint
