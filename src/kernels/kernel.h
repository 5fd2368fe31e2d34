// What a kernel is: a row of facts with two functions. Kernels see spans and sizes, never a graph.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/cpu_features.h"
#include "base/thread_pool.h"
#include "tensor/attributes.h"
#include "tensor/source.h"
#include "tensor/tensor.h"

namespace tenon::kernels {

struct MutableTensorView {
  DType dtype = DType::f32;
  Shape shape;
  std::byte* data = nullptr;

  std::int64_t count() const { return element_count(shape); }
  template <typename T>
  std::span<T> as() const {
    return {reinterpret_cast<T*>(data), static_cast<std::size_t>(count())};
  }
};

/// One sequence's share of a ragged batch: rows [first_row, first_row + rows) of every activation
/// are its new tokens, at positions context, context + 1, ... Its cached tokens 0 .. context - 1,
/// and the places of the new ones, lie in pages[p / page_tokens].
struct SequenceSlice {
  std::int32_t first_row = 0;
  std::int32_t rows = 0;
  std::int32_t context = 0;
  std::span<const std::int32_t> pages;
};

/// The cache of one attention layer: `page_bytes` bytes for each page, keys and values together, in
/// the layout of the attention kernel that was bound (each row states its own). All-zero bytes at
/// first.
struct KvLayer {
  std::byte* pages = nullptr;
  std::size_t page_bytes = 0;
};

struct RaggedBatch {
  std::span<const SequenceSlice> sequences;
  std::span<const KvLayer> layers;
};

/// Tokens in a page of the cache, in every layout.
inline constexpr int kPageTokens = 16;

/// What a step works on. An absent optional input has data == nullptr. Outputs never overlap inputs
/// unless the row says `in_place`. `workspace` has the bytes the row asked for, 64-byte aligned.
struct Invocation {
  std::span<const TensorView> inputs;
  std::span<const MutableTensorView> outputs;
  std::byte* workspace = nullptr;
  ThreadPool* pool = nullptr;
  const RaggedBatch* batch = nullptr;  ///< set for rows with `uses_state`
};

/// What is known of a step before it runs. A dimension that is not known yet is -1.
struct StepDescription {
  std::string_view op;
  const Attributes* attributes = nullptr;
  struct Operand {
    DType dtype = DType::f32;
    Shape shape;
    bool constant = false;
    bool present = true;
    std::string_view format;  ///< "" for plain row-major, else the name of a packed format
  };
  std::vector<Operand> inputs;
  std::vector<Operand> outputs;
};

/// Runs the step; parameters were parsed when it was bound. Does not throw, does not allocate.
using BoundKernel = std::function<void(const Invocation&)>;

/// A layout of a constant matrix made once at build. W is [K, N] row-major, any float dtype.
struct PackedFormat {
  std::string_view name;
  DType dtype;  ///< of the stored elements: what the weight costs in precision
  std::size_t (*bytes)(std::int64_t k, std::int64_t n);
  /// Reads the source block by block in bounded memory. `out` has bytes(k, n), 64-byte aligned.
  void (*pack)(const TensorSource& weight, std::byte* out, ThreadPool& pool);
  /// Writes W back as float32 [K, N]: for tests, and for saying what the packing did to the values.
  void (*unpack)(const std::byte* packed, std::int64_t k, std::int64_t n, float* out);
};

struct KernelRow {
  std::string_view op;
  std::string_view name;  ///< op, types and ISA: linear_bf16_avx512
  Isa isa;                ///< the least that it needs
  /// Format that input 1 must have; "" when all inputs are plain.
  std::string_view weight_format;
  /// Whether dtypes, attributes and known sizes suit it.
  bool (*accepts)(const StepDescription&);
  BoundKernel (*bind)(const StepDescription&);
  /// Bytes of workspace for these actual input shapes; nullptr when none.
  std::size_t (*workspace)(const StepDescription&, std::span<const Shape> inputs,
                           int threads) = nullptr;
  /// For attention with state: bytes of one page of one layer, keys and values together.
  std::size_t (*page_bytes)(const StepDescription&) = nullptr;
  bool uses_state = false;
  bool in_place = false;  ///< output 0 may be the same memory as input 0
};

/// Every row for the op, the most specialised first, the plain reference last.
std::vector<const KernelRow*> rows_for(std::string_view op);
/// nullptr when there is none of that name.
const KernelRow* find_row(std::string_view name);
const PackedFormat* find_format(std::string_view name);
std::span<const KernelRow* const> all_rows();

}  // namespace tenon::kernels
