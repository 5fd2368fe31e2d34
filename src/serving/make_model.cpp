#include "serving/make_model.h"

#include "serving/embedding_model.h"
#include "serving/picture_queue.h"
#include "serving/tensor_model.h"
#include "serving/text_files.h"
#include "serving/text_served.h"

namespace tenon::serving {

std::shared_ptr<ServedModel> make_model(ModelParts parts, const ModelOptions& options) {
  if (parts.engines.contains("unet"))
    return std::make_shared<PictureServed>(std::move(parts), options);
  const auto model = parts.engines.find(bundle::kModel);
  if (model == parts.engines.end()) {
    bad_input("{}: is neither one model nor a model of pictures with a unet", parts.name);
  }
  if (model->second->state.layers > 0)
    return std::make_shared<TextServed>(std::move(parts), options);
  if (gives_embeddings(*model->second) && has_tokenizer(parts.files))
    return std::make_shared<EmbeddingModel>(std::move(parts), options);
  return std::make_shared<TensorModel>(std::move(parts), options);
}

}  // namespace tenon::serving
