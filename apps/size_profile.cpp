#include "size_profile.h"

#include <algorithm>
#include <charconv>

#include "base/error.h"

namespace tenon::apps {
namespace {

std::vector<std::string> split(const std::string& text, char separator) {
  std::vector<std::string> parts;
  std::size_t begin = 0;
  for (std::size_t end = 0; end != std::string::npos; begin = end + 1) {
    end = text.find(separator, begin);
    parts.push_back(text.substr(begin, end == std::string::npos ? end : end - begin));
  }
  return parts;
}

Shape parse_shape(const std::string& text) {
  Shape shape;
  if (text == "scalar") return shape;
  for (const std::string& part : split(text, 'x')) {
    std::int64_t size = 0;
    const auto [end, error] = std::from_chars(part.data(), part.data() + part.size(), size);
    if (error != std::errc() || end != part.data() + part.size() || size < 1)
      fail(ErrorCode::usage, "\"{}\" is not a shape, expected for instance 2x4x64x64", text);
    shape.push_back(size);
  }
  return shape;
}

// An input's name may hold separators itself: its shapes stand behind the last one.
std::pair<std::string, std::string> name_and_rest(const std::string& item, char separator) {
  const auto at = item.rfind(separator);
  if (at == std::string::npos || at == 0)
    fail(ErrorCode::usage, "\"{}\" is not NAME{}SHAPE", item, separator);
  return {item.substr(0, at), item.substr(at + 1)};
}

void add_profile(const std::string& text, SizeProfile& profile) {
  const std::size_t first = profile.sets.size();
  for (const std::string& item : split(text, ',')) {
    const auto [name, shapes] = name_and_rest(item, '=');
    const auto list = split(shapes, ':');
    if (profile.sets.size() == first) profile.sets.resize(first + list.size());
    if (profile.sets.size() - first != list.size()) {
      fail(ErrorCode::usage, "profile \"{}\": {} has {} shapes, the inputs before it have {}", text,
           name, list.size(), profile.sets.size() - first);
    }
    for (std::size_t i = 0; i < list.size(); ++i)
      profile.sets[first + i][name] = parse_shape(list[i]);
  }
}

void add_shapes(const std::vector<std::string>& flags, SizeProfile& profile) {
  if (flags.empty()) return;
  profile.sets.emplace_back();
  for (const std::string& flag : flags) {
    for (const std::string& item : split(flag, ',')) {
      const auto [name, shape] = name_and_rest(item, ':');
      profile.sets.back()[name] = parse_shape(shape);
    }
  }
}

// The shape that the set gives the input, if any.
const Shape* shape_of(const std::map<std::string, Shape, std::less<>>& set, const std::string& part,
                      const std::string& input) {
  auto found = set.find(part + "." + input);
  if (found == set.end()) found = set.find(input);
  return found == set.end() ? nullptr : &found->second;
}

// False where the shape is none of the input's.
bool bind_input(const graph::Value& input, const Shape& shape, bool guessed, Dim::Bindings& sizes) {
  bool fits = shape.size() == input.shape.size();
  for (std::size_t i = 0; i < shape.size() && fits; ++i) {
    const Dim& dim = input.shape[i];
    const auto names = dim.symbols();
    if (names.size() == 1 && dim == Dim::symbol(names[0])) {
      fits = sizes.emplace(names[0], shape[i]).first->second == shape[i];
    } else if (names.empty()) {
      fits = guessed || dim.constant() == shape[i];
    }
  }
  if (!fits && !guessed) {
    fail(ErrorCode::usage, "profile: input {} is {}, which {} does not fit", input.name,
         to_string(input.shape), to_string(shape));
  }
  return fits;
}

bool keeps_constraints(const graph::Graph& graph, const Dim::Bindings& sizes) {
  return std::all_of(graph.constraints.begin(), graph.constraints.end(), [&](const auto& one) {
    return one.a.evaluate(sizes) == one.b.evaluate(sizes);
  });
}

}  // namespace

SizeProfile parse_profile(const ProfileFlags& flags) {
  SizeProfile profile;
  for (const std::string& text : flags.profiles) add_profile(text, profile);
  add_shapes(flags.min_shapes, profile);
  add_shapes(flags.opt_shapes, profile);
  add_shapes(flags.max_shapes, profile);
  return profile;
}

std::vector<Dim::Bindings> bind_profile(const SizeProfile& profile, const std::string& part,
                                        const graph::Graph& graph) {
  std::vector<Dim::Bindings> bound;
  for (const auto& set : profile.sets) {
    Dim::Bindings sizes;
    bool fits = true;
    for (const auto id : graph.inputs()) {
      const graph::Value& input = graph.value(id);
      if (const Shape* shape = shape_of(set, part, input.name))
        fits &= bind_input(input, *shape, profile.guessed, sizes);
    }
    bool whole = fits && !sizes.empty();
    for (const auto id : graph.inputs()) {
      for (const Dim& dim : graph.value(id).shape) {
        for (const auto& symbol : dim.symbols()) whole &= sizes.contains(symbol);
      }
    }
    if (whole && profile.guessed) whole = keeps_constraints(graph, sizes);
    if (whole) bound.push_back(std::move(sizes));
  }
  return bound;
}

}  // namespace tenon::apps
