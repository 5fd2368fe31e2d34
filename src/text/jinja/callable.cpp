// Matching of arguments to parameters.
#include "text/jinja/callable.h"

#include <cstring>

namespace tenon::text::jinja {

Parameters::Parameters(std::string_view callee, const Arguments& arguments,
                       std::initializer_list<const char*> names, std::size_t required)
    : callee_(callee), values_(names.size(), nullptr), names_(names) {
  if (arguments.positional.size() > names.size()) {
    bad_input("{} takes at most {} arguments, {} were given", callee, names.size(),
              arguments.positional.size());
  }
  for (std::size_t i = 0; i < arguments.positional.size(); ++i) {
    values_[i] = &arguments.positional[i];
  }
  for (const auto& [name, value] : arguments.named) {
    std::size_t i = 0;
    while (i < names_.size() && name != names_[i]) ++i;
    if (i == names_.size()) bad_input("{} has no argument named {}", callee, name);
    if (values_[i] != nullptr) bad_input("{} got two values for argument {}", callee, name);
    values_[i] = &value;
  }
  for (std::size_t i = 0; i < required; ++i) {
    if (values_[i] == nullptr) bad_input("{} needs the argument {}", callee, names_[i]);
  }
}

std::int64_t Parameters::integer(std::size_t i, std::int64_t fallback) const {
  if (!has(i)) return fallback;
  if (const std::int64_t* number = values_[i]->integer()) return *number;
  if (const bool* flag = values_[i]->boolean()) return *flag ? 1 : 0;
  bad_input("{}: argument {} is a {}, an int was expected", callee_, names_[i],
            values_[i]->type_name());
}

bool Parameters::boolean(std::size_t i, bool fallback) const {
  return has(i) ? truth(*values_[i]) : fallback;
}

std::string Parameters::text(std::size_t i, std::string_view fallback) const {
  if (!has(i)) return std::string(fallback);
  if (const std::string* string = values_[i]->string()) return *string;
  bad_input("{}: argument {} is a {}, a str was expected", callee_, names_[i],
            values_[i]->type_name());
}

const Value* Parameters::optional(std::size_t i) const {
  return has(i) && !values_[i]->is_none() ? values_[i] : nullptr;
}

}  // namespace tenon::text::jinja
