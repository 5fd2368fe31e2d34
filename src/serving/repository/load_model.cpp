#include "serving/repository/load_model.h"

#include "serving/repository/check_config.h"
#include "serving/repository/warm_up.h"

namespace tenon::serving {
namespace {

ModelOptions with_parameters(ModelOptions options, const ConfigParameters& parameters) {
  if (parameters.cache_tokens) options.cache_tokens = *parameters.cache_tokens;
  if (parameters.max_queue_size) options.queue = *parameters.max_queue_size;
  if (parameters.batch_invariant) options.batch_invariant = *parameters.batch_invariant;
  return options;
}

// What a configuration may ask of one kind of model and not of another.
void check_kind(const inference::ModelConfig& config, const ServedModel& model) {
  const ModelKind kind = model.info().kind;
  const char* const word = kind == ModelKind::text ? "writes text" : "draws pictures";
  const auto refuse = [](std::string what, const char* advice) {
    Error error(ErrorCode::bad_input, std::move(what));
    throw error.hint(advice);
  };
  const auto parameters = parameters_of(config);
  if (kind != ModelKind::text && (parameters.cache_tokens || parameters.batch_invariant))
    refuse("parameters: cache_tokens and batch_invariant are for models that write text",
           "remove it");
  if (kind == ModelKind::tensors) {
    if (config.model_transaction_policy().decoupled())
      refuse("model_transaction_policy.decoupled: this model gives one answer to each request",
             "remove it");
    return;
  }
  if (kind == ModelKind::pictures && config.model_transaction_policy().decoupled())
    refuse("model_transaction_policy.decoupled: pictures come in one answer", "remove it");
  if (config.has_sequence_batching())
    refuse(fmt::format("sequence_batching: this model {}", word), "remove it");
  if (config.has_dynamic_batching())
    refuse(fmt::format("dynamic_batching: this model {} and shares its runs by itself", word),
           "remove it; parameters max_queue_size limits what may wait");
  for (const auto& group : config.instance_group()) {
    if (group.count() > 1 || config.instance_group_size() > 1)
      refuse(fmt::format("instance_group: this model {}, one instance answers all requests", word),
             "give count 1 or leave it out");
  }
  if (config.model_warmup_size() > 0)
    refuse(fmt::format("model_warmup: this model {} and is warmed by itself", word), "remove it");
}

}  // namespace

std::shared_ptr<ServedModel> load_version(const VersionSource& source, const OpenModel& open,
                                          ModelOptions options) {
  const ConfigParameters asked = parameters_of(source.config);
  OpenedModel opened =
      open({source.path, asked.precision.value_or(""), asks_for_tensors(source.config)});
  ModelParts parts;
  parts.name = source.name;
  parts.version = source.version;
  parts.config = source.config;
  parts.engines = std::move(opened.engines);
  parts.files = std::move(opened.files);
  auto model = with_context(source.path.string(), [&] {
    return make_model(std::move(parts), with_parameters(options, asked));
  });
  with_context(source.folder.string(), [&] {
    check_kind(source.config, *model);
    warm_up(*model, source.config, source.folder);
  });
  return model;
}

}  // namespace tenon::serving
