#include "serving/repository/check_config.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <set>
#include <string_view>

#include <fmt/ranges.h>

#include "base/error.h"

namespace tenon::serving {
namespace {

namespace pb = google::protobuf;
using inference::ModelConfig;

struct Refused {
  std::string_view field;
  std::string_view advice;
};

// Fields by message and name. A message that is not named here is looked into.
constexpr Refused kRefused[] = {
    {"ModelConfig.runtime", "remove it: Tenon is the only runtime here"},
    {"ModelConfig.batch_input", "remove it and give the model these values as inputs"},
    {"ModelConfig.batch_output", "remove it: every output has the batch first"},
    {"ModelConfig.optimization", "remove it: the engine is optimized when it is built"},
    {"ModelConfig.ensemble_scheduling",
     "serve the models themselves; words and pictures need no ensemble"},
    {"ModelConfig.cc_model_filenames", "remove it: use default_model_filename"},
    {"ModelConfig.metric_tags", "remove it: metrics carry model and version"},
    {"ModelConfig.model_operations", "remove it: libraries of operators are not loaded"},
    {"ModelConfig.model_repository_agents", "remove it: no agents run here"},
    {"ModelConfig.response_cache", "remove it: every request is computed"},
    {"ModelConfig.model_metrics", "remove it: the metrics of docs/serve.md are there without"},
    {"ModelInput.format", "remove it and give dims as the model has them"},
    {"ModelInput.is_shape_tensor", "remove it: sizes follow from the tensors"},
    {"ModelInput.allow_ragged_batch", "remove it: requests of equal shapes are batched"},
    {"ModelInput.optional", "remove it: a model computes with all of its inputs"},
    {"ModelInput.is_non_linear_format_io", "remove it: it is of TensorRT's formats"},
    {"ModelInput.reshape", "remove it and give dims as the model has them"},
    {"ModelOutput.reshape", "remove it and give dims as the model has them"},
    {"ModelOutput.label_filename", "remove it: a classification answers value:index"},
    {"ModelOutput.is_shape_tensor", "remove it: sizes follow from the tensors"},
    {"ModelOutput.is_non_linear_format_io", "remove it: it is of TensorRT's formats"},
    {"ModelInstanceGroup.rate_limiter", "remove it: use count and max_queue_size"},
    {"ModelInstanceGroup.gpus", "remove it: models run on the CPU"},
    {"ModelInstanceGroup.secondary_devices", "remove it: models run on the CPU"},
    {"ModelInstanceGroup.profile", "remove it: profiles are of the build"},
    {"ModelInstanceGroup.passive", "remove it: every instance answers requests"},
    {"ModelInstanceGroup.host_policy", "remove it: use --threads"},
};

struct Named {
  std::string_view name;
  std::string_view advice;
};

// Platforms and backends that other servers run.
constexpr Named kOthers[] = {
    {"tensorrt", "a plan runs on the GPU it was built for: give its ONNX file as model.onnx"},
    {"tensorrt_plan", "a plan runs on the GPU it was built for: give its ONNX file as model.onnx"},
    {"ensemble", "serve the models themselves"},
    {"python", "give the model itself, as ONNX or as a checkpoint"},
    {"pytorch", "export it to ONNX, or give the checkpoint folder"},
    {"pytorch_libtorch", "export it to ONNX, or give the checkpoint folder"},
    {"tensorflow", "export it to ONNX"},
    {"tensorflow_graphdef", "export it to ONNX"},
    {"tensorflow_savedmodel", "export it to ONNX"},
};

constexpr std::int32_t kMaxBatch = 1 << 16;
constexpr std::int64_t kMaxInstanceCount = 64;
constexpr std::uint32_t kMaxVersions = 1000;
constexpr std::size_t kMaxTensors = 4096;
constexpr int kMaxDims = 16;

std::string shown(const std::string& text) {
  return text.size() <= 128 ? text : text.substr(0, 128) + "...";
}

[[noreturn]] void refuse(const std::string& what, std::string_view advice) {
  Error error(ErrorCode::bad_input, what);
  throw error.hint(std::string(advice));
}

const Refused* refused(const pb::FieldDescriptor& field) {
  constexpr std::string_view kPackage = "inference.";
  const std::string_view name = std::string_view(field.full_name()).substr(kPackage.size());
  const auto* const found = std::find_if(std::begin(kRefused), std::end(kRefused),
                                         [&](const Refused& one) { return one.field == name; });
  return found == std::end(kRefused) ? nullptr : found;
}

// A message whose fields all have their defaults asks for nothing.
bool says_something(const pb::Message& message, const pb::FieldDescriptor& field) {
  if (field.is_repeated() || field.cpp_type() != pb::FieldDescriptor::CPPTYPE_MESSAGE) return true;
  return field.name() == "ensemble_scheduling" || field.name() == "reshape" ||
         message.GetReflection()->GetMessage(message, &field).ByteSizeLong() > 0;
}

void check_fields(const pb::Message& message, const std::string& path) {
  const pb::Reflection& reflection = *message.GetReflection();
  std::vector<const pb::FieldDescriptor*> fields;
  reflection.ListFields(message, &fields);
  for (const pb::FieldDescriptor* field : fields) {
    const std::string place = path.empty() ? field->name() : path + "." + field->name();
    const Refused* const found = refused(*field);
    if (found != nullptr && says_something(message, *field))
      refuse(place + " is not supported", found->advice);
    if (found != nullptr || field->cpp_type() != pb::FieldDescriptor::CPPTYPE_MESSAGE) continue;
    if (!field->is_repeated()) {
      check_fields(reflection.GetMessage(message, field), place);
      continue;
    }
    for (int i = 0; i < reflection.FieldSize(message, field); ++i) {
      check_fields(reflection.GetRepeatedMessage(message, field, i),
                   fmt::format("{}[{}]", place, i));
    }
  }
}

void check_engine(const std::string& field, const std::string& value,
                  std::initializer_list<std::string_view> known) {
  if (value.empty() || std::find(known.begin(), known.end(), value) != known.end()) return;
  const auto* const other = std::find_if(std::begin(kOthers), std::end(kOthers),
                                         [&](const Named& one) { return one.name == value; });
  refuse(fmt::format("{} \"{}\" is not supported, expected {}", field, shown(value),
                     fmt::join(known, " or ")),
         other == std::end(kOthers) ? "leave it out" : other->advice);
}

void check_versions(const inference::ModelVersionPolicy& policy) {
  if (policy.has_latest() &&
      (policy.latest().num_versions() < 1 || policy.latest().num_versions() > kMaxVersions)) {
    bad_input("version_policy.latest.num_versions is {}, 1 to {} were expected",
              policy.latest().num_versions(), kMaxVersions);
  }
  if (!policy.has_specific()) return;
  if (policy.specific().versions().empty()) bad_input("version_policy.specific names no version");
  for (const std::int64_t version : policy.specific().versions()) {
    if (version < 1)
      bad_input("version_policy.specific names version {}, versions begin with 1", version);
  }
}

template <typename Tensor>
void check_tensor(const Tensor& tensor, const std::string& place, std::set<std::string>& names) {
  if (tensor.name().empty()) bad_input("{}: has no name", place);
  const std::string name = shown(tensor.name());
  if (!names.insert(tensor.name()).second)
    bad_input("{}: the name {} stands there already", place, name);
  if (tensor.data_type() == inference::TYPE_INVALID) {
    refuse(fmt::format("{} {}: has no data_type", place, name), "for instance TYPE_FP32");
  }
  if (!inference::DataType_IsValid(tensor.data_type()))
    bad_input("{} {}: data_type {} is not known", place, name,
              static_cast<int>(tensor.data_type()));
  if (tensor.dims_size() > kMaxDims)
    bad_input("{} {}: has {} dims, at most {} were expected", place, name, tensor.dims_size(),
              kMaxDims);
  for (const std::int64_t dim : tensor.dims()) {
    if (dim != -1 && dim < 1) {
      bad_input("{} {}: dims [{}] are wrong: each is at least 1, or -1 where requests choose",
                place, name, fmt::join(tensor.dims(), ", "));
    }
  }
}

void check_tensors(const ModelConfig& config) {
  if (static_cast<std::size_t>(config.input_size()) > kMaxTensors ||
      static_cast<std::size_t>(config.output_size()) > kMaxTensors)
    bad_input("more than {} inputs or outputs", kMaxTensors);
  std::set<std::string> inputs;
  std::set<std::string> outputs;
  for (int i = 0; i < config.input_size(); ++i)
    check_tensor(config.input(i), fmt::format("input[{}]", i), inputs);
  for (int i = 0; i < config.output_size(); ++i)
    check_tensor(config.output(i), fmt::format("output[{}]", i), outputs);
}

void check_batches(const ModelConfig& config) {
  const std::int32_t most = config.max_batch_size();
  if (most < 0 || most > kMaxBatch)
    bad_input("max_batch_size is {}, 0 (none) to {} were expected", most, kMaxBatch);
  const auto check = [&](const auto& sizes, const char* place) {
    for (const std::int32_t size : sizes) {
      if (size < 1 || size > most) {
        refuse(fmt::format("{}.preferred_batch_size {} is not in 1 to max_batch_size, which is {}",
                           place, size, most),
               "raise max_batch_size or remove the size");
      }
    }
  };
  check(config.dynamic_batching().preferred_batch_size(), "dynamic_batching");
  check(config.sequence_batching().oldest().preferred_batch_size(), "sequence_batching.oldest");
}

void check_instances(const ModelConfig& config) {
  std::int64_t total = 0;
  for (int i = 0; i < config.instance_group_size(); ++i) {
    const auto& group = config.instance_group(i);
    if (group.kind() != inference::ModelInstanceGroup::KIND_AUTO &&
        group.kind() != inference::ModelInstanceGroup::KIND_CPU) {
      refuse(fmt::format("instance_group[{}].kind {} is not supported, expected KIND_CPU or "
                         "KIND_AUTO",
                         i, inference::ModelInstanceGroup::Kind_Name(group.kind())),
             "models run on the CPU");
    }
    if (group.count() < 0)
      bad_input("instance_group[{}].count is {}, at least 1 was expected", i, group.count());
    total += std::max(group.count(), 1);
  }
  if (total > kMaxInstanceCount)
    bad_input("instance_group asks for {} instances, at most {} were expected", total,
              kMaxInstanceCount);
}

void check_filename(const std::string& name) {
  if (name.empty()) return;
  if (name.size() > 255 || name == "." || name == ".." ||
      name.find_first_of(std::string_view("/\\\0", 3)) != std::string::npos) {
    bad_input("default_model_filename \"{}\" is not the name of a file in the version's folder",
              shown(name));
  }
}

void check_warmup(const ModelConfig& config) {
  for (int i = 0; i < config.model_warmup_size(); ++i) {
    const auto& one = config.model_warmup(i);
    const std::string place = fmt::format("model_warmup[{}]", i);
    if (one.count() > 1000)
      bad_input("{}.count is {}, at most 1000 was expected", place, one.count());
    if (one.inputs().empty()) bad_input("{} has no inputs", place);
    const auto most = static_cast<std::uint32_t>(config.max_batch_size());
    if (one.batch_size() > most) {
      bad_input("{}.batch_size is {}, at most max_batch_size, which is {}, was expected", place,
                one.batch_size(), most);
    }
    for (const auto& [name, input] : one.inputs()) {
      if (input.data_type() == inference::TYPE_INVALID ||
          !inference::DataType_IsValid(input.data_type()))
        bad_input("{}.inputs {}: has no data_type", place, shown(name));
      for (const std::int64_t dim : input.dims()) {
        if (dim < 1)
          bad_input("{}.inputs {}: dims [{}] are wrong: each is at least 1", place, shown(name),
                    fmt::join(input.dims(), ", "));
      }
      check_filename(input.input_data_file());
      if (input.input_data_type_case() == inference::ModelWarmup::Input::INPUT_DATA_TYPE_NOT_SET)
        refuse(fmt::format("{}.inputs {}: has no values", place, shown(name)),
               "give zero_data, random_data or input_data_file");
    }
  }
}

std::int64_t number(const std::string& name, const std::string& text, std::int64_t most) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value < 1 || value > most)
    bad_input("parameters: {} is \"{}\", a number from 1 to {} was expected", name, shown(text),
              most);
  return value;
}

bool truth(const std::string& name, const std::string& text) {
  if (text == "true" || text == "1") return true;
  if (text == "false" || text == "0") return false;
  bad_input("parameters: {} is \"{}\", true or false was expected", name, shown(text));
}

}  // namespace

ConfigParameters parameters_of(const ModelConfig& config) {
  ConfigParameters made;
  for (const auto& [name, parameter] : config.parameters()) {
    const std::string& text = parameter.string_value();
    if (name == "cache_tokens") {
      made.cache_tokens = number(name, text, std::int64_t{1} << 31);
    } else if (name == "max_queue_size") {
      made.max_queue_size = number(name, text, 1 << 16);
    } else if (name == "batch_invariant") {
      made.batch_invariant = truth(name, text);
    } else if (name == "precision") {
      if (text != "fp32" && text != "bf16" && text != "int8")
        bad_input("parameters: precision is \"{}\", fp32, bf16 or int8 was expected", shown(text));
      made.precision = text;
    } else {
      // One that is misspelt, or of another backend, would change nothing and nobody would know.
      refuse(fmt::format("parameters: {} is not known", shown(name)),
             "cache_tokens, precision, batch_invariant and max_queue_size are; remove it");
    }
  }
  return made;
}

bool asks_for_tensors(const ModelConfig& config) {
  return std::any_of(config.input().begin(), config.input().end(), [](const auto& one) {
    return one.name() != "text_input" && one.name() != "prompt";
  });
}

void check_supported(const ModelConfig& config) {
  check_engine("platform", config.platform(), {"onnxruntime_onnx", "tenon"});
  check_engine("backend", config.backend(), {"onnxruntime", "tenon"});
  check_fields(config, "");
  check_versions(config.version_policy());
  check_tensors(config);
  check_batches(config);
  check_instances(config);
  check_filename(config.default_model_filename());
  check_warmup(config);
  parameters_of(config);
}

}  // namespace tenon::serving
