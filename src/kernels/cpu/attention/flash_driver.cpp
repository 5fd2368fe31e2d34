#include "kernels/cpu/attention/flash_driver.h"

#include <algorithm>
#include <numbers>

#include "kernels/cpu/attention/mask.h"
#include "kernels/cpu/attention/plain_spec.h"

namespace tenon::kernels::cpu::attention {
namespace {

constexpr std::int64_t kAlignment = 64;

std::int64_t round_up(std::int64_t value, std::int64_t multiple) {
  return (value + multiple - 1) / multiple * multiple;
}

/// Sizes in bytes of what one call keeps in its workspace.
struct FlashLayout {
  std::int64_t words, padded_keys, padded_values, step;
  std::int64_t head_keys, head_values, heads;  // packed, of all batch entries and kv heads
  std::int64_t queries, scores, sums, lines, own;

  FlashLayout(const PlainSizes& sizes, const FlashKernel& kernel)
      : words(round_up((sizes.dim + kernel.step - 1) / kernel.step, kWordAlignment)),
        padded_keys(round_up(sizes.keys, kPanelKeys)),
        padded_values(round_up(sizes.value_dim, 16)),
        step(kernel.step),
        head_keys(padded_keys * words * kWordBytes),
        head_values(padded_keys / kernel.step * padded_values * kWordBytes),
        heads(sizes.batch * sizes.kv_heads),
        queries(kernel.rows * words * kWordBytes),
        scores(kernel.rows * kFlashBlock * kWordBytes),
        sums(kernel.rows * padded_values * kWordBytes),
        lines(round_up(kernel.rows * kWordBytes, kAlignment)),
        own(queries + scores + sums + 2 * lines + kFlashBlock * kWordBytes) {}
  std::int64_t packed() const { return heads * (head_keys + head_values); }
};

/// The queries of one work: rows of one head.
struct Unit {
  std::int64_t batch, head, first, rows;
};

class PlainAttention {
 public:
  PlainAttention(const PlainSpec& spec, const FlashKernel& kernel) : spec_(spec), kernel_(kernel) {}

  void operator()(const Invocation& call) const {
    const PlainSizes sizes =
        plain_sizes(spec_, call.inputs[0].shape, call.inputs[1].shape, call.inputs[2].shape);
    if (sizes.keys == 0) return clear(call);
    const FlashLayout layout(sizes, kernel_);
    Mask mask;
    if (call.inputs.size() > 3 && call.inputs[3].data != nullptr) {
      mask = Mask(call.inputs[3], {sizes.batch, sizes.q_heads, sizes.queries, sizes.keys}, true);
    }
    const std::int64_t blocks = layout.heads * (layout.padded_keys / kPanelKeys);
    call.pool->parallel_for(blocks, 1, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) pack_block(call, sizes, layout, i);
    });
    const std::int64_t tiles = (sizes.queries + kernel_.rows - 1) / kernel_.rows;
    const std::int64_t units = sizes.batch * sizes.q_heads * tiles;
    const int members = call.pool->size();
    call.pool->run([&](int member) {
      const std::int64_t end = units * (member + 1) / members;
      for (std::int64_t i = units * member / members; i < end; ++i) {
        const std::int64_t tile = i % tiles;
        const std::int64_t first = sizes.queries * tile / tiles;
        attend(call, sizes, layout, mask, member,
               {i / tiles / sizes.q_heads, i / tiles % sizes.q_heads, first,
                sizes.queries * (tile + 1) / tiles - first});
      }
    });
  }

 private:
  static void clear(const Invocation& call) {
    const auto out = call.outputs[0].as<float>();
    std::fill(out.begin(), out.end(), 0.0F);
  }

  std::byte* packed_keys(const Invocation& call, const FlashLayout& layout,
                         std::int64_t head) const {
    return call.workspace + head * (layout.head_keys + layout.head_values);
  }

  void pack_block(const Invocation& call, const PlainSizes& sizes, const FlashLayout& layout,
                  std::int64_t i) const {
    const std::int64_t panels = layout.padded_keys / kPanelKeys;
    const std::int64_t first = i % panels * kPanelKeys;
    const std::int64_t count = std::min(kPanelKeys, sizes.keys - first);
    const std::int64_t batch = i / panels / sizes.kv_heads;
    const std::int64_t head = i / panels % sizes.kv_heads;
    std::byte* keys = packed_keys(call, layout, i / panels);
    kernel_.pack_keys(call.inputs[1].as<float>().data() + sizes.k.at(batch, head, first),
                      sizes.k.token, count, sizes.dim, layout.words,
                      keys + first * layout.words * kWordBytes);
    kernel_.pack_values(call.inputs[2].as<float>().data() + sizes.v.at(batch, head, first),
                        sizes.v.token, count, sizes.value_dim, first / layout.step,
                        layout.padded_keys / layout.step * kPanelValues * kWordBytes,
                        keys + layout.head_keys);
  }

  void attend(const Invocation& call, const PlainSizes& sizes, const FlashLayout& layout,
              const Mask& mask, int member, const Unit& unit) const {
    struct Row {
      const Mask* mask;
      Unit unit;
    } const row{&mask, unit};
    const MaskRows rows{&row, [](const void* context, std::int64_t i, std::int64_t first,
                                 std::int64_t count, float* out) {
                          const Row& at = *static_cast<const Row*>(context);
                          at.mask->read(at.unit.batch, at.unit.head, at.unit.first + i, first,
                                        count, std::numbers::log2e_v<float>, out);
                        }};
    const std::int64_t kv_head = unit.head / (sizes.q_heads / sizes.kv_heads);
    const std::byte* keys = packed_keys(call, layout, unit.batch * sizes.kv_heads + kv_head);
    std::byte* own = call.workspace + layout.packed() + member * layout.own;
    const auto take = [&own](std::int64_t bytes) {
      own += bytes;
      return reinterpret_cast<float*>(own - bytes);
    };
    FlashWork work{};
    work.queries =
        call.inputs[0].as<float>().data() + sizes.q.at(unit.batch, unit.head, unit.first);
    work.query_stride = sizes.q.token;
    work.out = call.outputs[0].as<float>().data() + sizes.out.at(unit.batch, unit.head, unit.first);
    work.out_stride = sizes.out.token;
    work.rows = unit.rows;
    work.dim = sizes.dim;
    work.words = layout.words;
    work.value_dim = sizes.value_dim;
    work.factor = spec_.scale * std::numbers::log2e_v<float>;
    work.keys = keys;
    work.values = keys + layout.head_keys;
    work.key_count = sizes.keys;
    work.padded_keys = layout.padded_keys;
    work.first_limit = spec_.causal ? unit.first + 1 : sizes.keys;
    work.mask = mask.present() ? &rows : nullptr;
    work.packed_queries = reinterpret_cast<std::byte*>(take(layout.queries));
    work.scores = take(layout.scores);
    work.sums = take(layout.sums);
    work.highest = take(layout.lines);
    work.totals = take(layout.lines);
    work.mask_row = take(kFlashBlock * kWordBytes);
    kernel_.attend(work);
  }

  PlainSpec spec_;
  FlashKernel kernel_;
};

bool all_f32(const StepDescription& step) {
  return step.outputs[0].dtype == DType::f32 && step.inputs[0].dtype == DType::f32 &&
         step.inputs[1].dtype == DType::f32 && step.inputs[2].dtype == DType::f32;
}

}  // namespace

bool accepts_flash(const StepDescription& step) {
  return parse_plain(step).has_value() && all_f32(step);
}

bool accepts_narrow_flash(const StepDescription& step) {
  return accepts_flash(step) && parse_plain(step)->may_narrow;
}

std::size_t flash_workspace(const StepDescription& step, std::span<const Shape> inputs, int threads,
                            const FlashKernel& kernel) {
  const FlashLayout layout(plain_sizes(*parse_plain(step), inputs[0], inputs[1], inputs[2]),
                           kernel);
  return static_cast<std::size_t>(layout.packed() + threads * layout.own);
}

BoundKernel bind_flash(const StepDescription& step, const FlashKernel& kernel) {
  return PlainAttention(*parse_plain(step), kernel);
}

}  // namespace tenon::kernels::cpu::attention
