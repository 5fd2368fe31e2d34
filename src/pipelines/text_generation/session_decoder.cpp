#include "pipelines/text_generation/session_decoder.h"

#include <algorithm>
#include <limits>

namespace tenon::pipelines {

int SessionDecoder::context_length() const {
  const std::int64_t length = session_.context_length();
  const std::int64_t room =
      static_cast<std::int64_t>(session_.pages().total_pages()) * kernels::kPageTokens;
  return static_cast<int>(std::min<std::int64_t>(length > 0 ? std::min(length, room) : room,
                                                 std::numeric_limits<int>::max()));
}

void SessionDecoder::forward(std::span<const Input> inputs, std::span<float> logits) {
  // All but the last piece of long inputs first; their logits are not wanted.
  std::vector<session::DecoderSession::Input> last;
  for (const Input& input : inputs) {
    const auto total = static_cast<std::int64_t>(input.tokens.size());
    const std::int64_t final_length = session_.length(input.sequence) + total;
    std::int64_t begin = 0;
    for (; total - begin > chunk_; begin += chunk_) {
      const session::DecoderSession::Input piece{
          input.sequence,
          input.tokens.subspan(static_cast<std::size_t>(begin), static_cast<std::size_t>(chunk_)),
          session::Logits::none, final_length};
      session_.forward(std::span(&piece, 1));
    }
    last.push_back({input.sequence, input.tokens.subspan(static_cast<std::size_t>(begin)),
                    session::Logits::last, final_length});
  }
  const TensorView rows = session_.forward(last);
  std::copy_n(rows.as<float>().begin(), rows.as<float>().size(), logits.begin());
}

std::string TokenizerStream::append(std::int32_t id) {
  ids_.push_back(id);
  return decoder_.push(id);
}

std::unique_ptr<TextStream> TokenizerStream::clone() const {
  auto copy = std::make_unique<TokenizerStream>(tokenizer_);
  for (const std::int32_t id : ids_) copy->append(id);
  return copy;
}

}  // namespace tenon::pipelines
