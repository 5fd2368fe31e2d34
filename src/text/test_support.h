// What the tests of texts share: errors as text, and recordings.
#pragma once

#include <stdexcept>
#include <string>
#include <utility>

#include <zlib.h>

#include "base/error.h"

namespace tenon::text {

/// The text of the bad_input Error that `body` throws; a plain word when it throws none.
template <typename Body>
std::string error_of(Body&& body) {
  try {
    std::forward<Body>(body)();
  } catch (const Error& error) {
    return error.code() == ErrorCode::bad_input ? error.what() : "not bad_input";
  }
  return "no error";
}

/// The content of a file that gzip wrote.
inline std::string inflate(const std::string& path) {
  gzFile file = gzopen(path.c_str(), "rb");
  if (file == nullptr) throw std::runtime_error(path + " cannot be opened");
  std::string out;
  std::string part(1 << 16, '\0');
  for (int length = 0;
       (length = gzread(file, part.data(), static_cast<unsigned>(part.size()))) > 0;) {
    out.append(part, 0, static_cast<std::size_t>(length));
  }
  gzclose(file);
  return out;
}

}  // namespace tenon::text
