#include "checkpoint/pickle_names.h"

#include <array>

#include "base/error.h"
#include "checkpoint/weight_map.h"

namespace tenon::checkpoint {
namespace {

constexpr std::array kNames = {
    PickleName{"collections.OrderedDict", PickleRole::ordered_dict},
    PickleName{"torch._utils._rebuild_tensor_v2", PickleRole::rebuild_tensor},
    PickleName{"torch._utils._rebuild_parameter", PickleRole::rebuild_parameter},
    PickleName{"torch.Size", PickleRole::size},
    PickleName{"torch.DoubleStorage", PickleRole::storage, DType::f64},
    PickleName{"torch.FloatStorage", PickleRole::storage, DType::f32},
    PickleName{"torch.HalfStorage", PickleRole::storage, DType::f16},
    PickleName{"torch.BFloat16Storage", PickleRole::storage, DType::bf16},
    PickleName{"torch.LongStorage", PickleRole::storage, DType::i64},
    PickleName{"torch.IntStorage", PickleRole::storage, DType::i32},
    PickleName{"torch.ShortStorage", PickleRole::storage, DType::i16},
    PickleName{"torch.CharStorage", PickleRole::storage, DType::i8},
    PickleName{"torch.ByteStorage", PickleRole::storage, DType::u8},
    PickleName{"torch.BoolStorage", PickleRole::storage, DType::boolean},
    PickleName{"torch.float64", PickleRole::inert},
    PickleName{"torch.float32", PickleRole::inert},
    PickleName{"torch.float16", PickleRole::inert},
    PickleName{"torch.bfloat16", PickleRole::inert},
    PickleName{"torch.int64", PickleRole::inert},
    PickleName{"torch.int32", PickleRole::inert},
    PickleName{"torch.int16", PickleRole::inert},
    PickleName{"torch.int8", PickleRole::inert},
    PickleName{"torch.uint8", PickleRole::inert},
    PickleName{"torch.bool", PickleRole::inert},
    PickleName{"torch.device", PickleRole::inert},
    // Training checkpoints of latent diffusion models keep these beside the weights.
    PickleName{"_codecs.encode", PickleRole::inert},
    PickleName{"numpy.core.multiarray.scalar", PickleRole::inert},
    PickleName{"numpy.dtype", PickleRole::inert},
    PickleName{"pytorch_lightning.callbacks.model_checkpoint.ModelCheckpoint", PickleRole::inert},
};

}  // namespace

std::int64_t find_pickle_name(std::string_view module, std::string_view name) {
  const std::string full = std::string(module) + "." + std::string(name);
  for (std::size_t row = 0; row < kNames.size(); ++row) {
    // Both halves: "torch" "storage.X" must not pass for "torch.storage" "X".
    if (kNames[row].name == full && name.find('.') == std::string_view::npos) {
      return static_cast<std::int64_t>(row);
    }
  }
  Error error(ErrorCode::bad_input,
              fmt::format("the pickle wants {}: it is not run; only tensors, numbers, texts and "
                          "plain containers of them are read",
                          shown_name(full)));
  throw error.hint(
      "if you trust the file, save its state dict alone, or take the safetensors form");
}

const PickleName& pickle_name(std::int64_t row) noexcept {
  return kNames[static_cast<std::size_t>(row)];
}

}  // namespace tenon::checkpoint
