// Runs a question through the model that it is for, whatever transport brought it.
#pragma once

#include <memory>

#include "serving/kserve/context.h"
#include "serving/kserve/infer_data.h"
#include "serving/peer.h"

namespace tenon::serving::kserve {

/// Who waits for the answers of one question. It hears answers, the last of them final, or at any
/// point one failure, and nothing after that; from any thread, one call at a time. It must not
/// block. What it throws becomes a failure where none was told yet.
class InferReply {
 public:
  virtual ~InferReply() = default;
  virtual const std::shared_ptr<Peer>& peer() const = 0;
  virtual void answer(InferAnswer answer) = 0;
  virtual void failed(const std::exception& error) = 0;
  /// Whether several answers may come: a text piece by piece, the steps of a picture.
  virtual bool streams() const { return false; }
};

/// Checks the question against the model, reads what lies in shared memory, and computes. Texts and
/// tensors are computed after it has returned; pictures before, so it then blocks for long.
/// Throws before the reply has heard anything: Error(bad_input) for what does not fit the model,
/// Rejected and others of the services. The work ends when the peer goes.
///
/// The parameters "timeout" (microseconds), "priority" and "sequence_*" mean what they do in
/// Triton; those of text are of apply_sampling, those of pictures of apply_picture_fields. Where
/// the reply streams, "stream" says whether it does: a text by default (each answer is a piece, the
/// last has a "finish_reason"), a picture when asked (an answer without outputs a step, "step" of
/// "steps", then the picture).
void execute(const Context& context, const ModelRegistry::Held& held, InferRequest request,
             std::shared_ptr<InferReply> reply);

/// Error(bad_input) in Triton's words: an input that is missing, unknown or of another type or
/// shape, an unknown output.
void check_ports(const InferRequest& request, const ModelInfo& info);

}  // namespace tenon::serving::kserve
