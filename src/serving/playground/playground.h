// The page at "/": files that the program carries, for people with a browser.
#pragma once

#include <span>
#include <string_view>

#include "serving/http/router.h"

namespace tenon::serving::playground {

/// A file of this folder as it stood when the program was built.
struct File {
  std::string_view name;  ///< "chat.js"
  std::string_view content;
};
/// All of them. Defined by the build: cmake/embed_files.cmake.
std::span<const File> files();

/// Adds GET / and GET /playground/{file}. Each answer has an ETag, a type that browsers must keep
/// to, and a policy that lets the page load nothing from elsewhere.
void add_routes(http::Router& router);

}  // namespace tenon::serving::playground
