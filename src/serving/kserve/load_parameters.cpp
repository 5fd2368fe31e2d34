#include "serving/kserve/load_parameters.h"

#include <openssl/evp.h>

#include "base/error.h"

namespace tenon::serving::kserve {
namespace {

constexpr std::string_view kFile = "file:";

std::string from_base64(const std::string& text, const std::string& name) {
  const bool fits = text.size() % 4 == 0 && text.size() <= std::size_t{1} << 30;
  std::string bytes(text.size() / 4 * 3, '\0');
  const int written = fits ? ::EVP_DecodeBlock(reinterpret_cast<unsigned char*>(bytes.data()),
                                               reinterpret_cast<const unsigned char*>(text.data()),
                                               static_cast<int>(text.size()))
                           : -1;
  // What it takes beyond the alphabet: white space around the text.
  if (written != static_cast<int>(bytes.size()))
    bad_input("load: parameter {}: base64 was expected", name);
  for (std::size_t i = text.size(); i > 0 && text.size() - i < 2 && text[i - 1] == '='; --i)
    bytes.pop_back();
  return bytes;
}

}  // namespace

LoadParameters load_parameters(const Json& body) {
  LoadParameters made;
  const Json* parameters = find_field(body, "parameters");
  if (parameters == nullptr) return made;
  if (!parameters->is_object()) bad_input("load: \"parameters\": an object was expected");
  for (const auto& [name, value] : parameters->items()) {
    const bool is_file = name.starts_with(kFile);
    if (!is_file && name != "config") {
      bad_input("load: parameter {} is not known; \"config\" and \"file:VERSION/NAME\" are",
                name.substr(0, 128));
    }
    if (!value.is_string()) bad_input("load: parameter {}: a text was expected", name);
    if (is_file)
      made.files[name.substr(kFile.size())] =
          from_base64(value.get_ref<const std::string&>(), name);
    else
      made.config = value.get<std::string>();
  }
  return made;
}

}  // namespace tenon::serving::kserve
