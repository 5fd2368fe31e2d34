// Unicode normalization forms.
#pragma once

#include <memory>
#include <string_view>

#include "text/tokenizer/normalizer.h"

namespace tenon::text {

/// `form`: NFC, NFD, NFKC or NFKD. Code points younger than Unicode 9 stay as they are, as in the
/// reference.
std::unique_ptr<Normalizer> make_unicode_normalizer(std::string_view form);

}  // namespace tenon::text
