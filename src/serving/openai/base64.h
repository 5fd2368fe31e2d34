// Bytes as text, as JSON carries them.
#pragma once

#include <string>

namespace tenon::serving::openai {

/// RFC 4648, with padding, on one line. At most 1.5 GiB of bytes.
std::string base64(const std::string& bytes);

}  // namespace tenon::serving::openai
