#include "checkpoint/original_config.h"

#include <charconv>
#include <cmath>

#include <yaml.h>

#include "base/error.h"
#include "base/mapped_file.h"

namespace tenon::checkpoint {

namespace fs = std::filesystem;

namespace {

constexpr std::size_t kMaxBytes = std::size_t{1} << 20;
constexpr std::size_t kMaxValues = 100'000;
constexpr int kMaxDepth = 64;

class YamlReader {
 public:
  YamlReader(std::string_view text, std::string_view where) : where_(where) {
    if (yaml_parser_initialize(&parser_) == 0) fail(ErrorCode::resource, "no memory for YAML");
    yaml_parser_set_input_string(&parser_, reinterpret_cast<const unsigned char*>(text.data()),
                                 text.size());
  }
  ~YamlReader() {
    yaml_event_delete(&event_);
    yaml_parser_delete(&parser_);
  }
  YamlReader(const YamlReader&) = delete;
  YamlReader& operator=(const YamlReader&) = delete;

  Json read() {
    expect(YAML_STREAM_START_EVENT);
    if (next() == YAML_STREAM_END_EVENT) return Json::object();
    if (event_.type != YAML_DOCUMENT_START_EVENT) refuse("a document was expected");
    next();
    Json value = take(0);
    expect(YAML_DOCUMENT_END_EVENT);
    expect(YAML_STREAM_END_EVENT);
    return value;
  }

 private:
  [[noreturn]] void refuse(std::string_view what) const {
    bad_input("{}: line {}: {}", where_, event_.start_mark.line + 1, what);
  }

  yaml_event_type_t next() {
    yaml_event_delete(&event_);
    if (yaml_parser_parse(&parser_, &event_) == 0) {
      bad_input("{}: line {}: not valid YAML: {}", where_, parser_.problem_mark.line + 1,
                parser_.problem == nullptr ? "unknown problem" : parser_.problem);
    }
    return event_.type;
  }

  void expect(yaml_event_type_t wanted) {
    if (next() != wanted) refuse("one document of maps, lists and scalars was expected");
  }

  // The value whose first event is the current one.
  Json take(int depth) {
    if (depth > kMaxDepth) refuse("nested too deep");
    if (++values_ > kMaxValues) refuse("too many values");
    switch (event_.type) {
      case YAML_SCALAR_EVENT:
        return scalar();
      case YAML_SEQUENCE_START_EVENT:
        return list(depth);
      case YAML_MAPPING_START_EVENT:
        return map(depth);
      default:
        refuse("aliases are not read");
    }
  }

  std::string text() const {
    return {reinterpret_cast<const char*>(event_.data.scalar.value), event_.data.scalar.length};
  }

  Json scalar() const {
    std::string plain = text();
    if (event_.data.scalar.style != YAML_PLAIN_SCALAR_STYLE) return plain;
    if (plain.empty() || plain == "~" || plain == "null") return Json();
    if (plain == "true" || plain == "True") return true;
    if (plain == "false" || plain == "False") return false;
    const char* end = plain.data() + plain.size();
    std::int64_t integer = 0;
    if (const auto read = std::from_chars(plain.data(), end, integer);
        read.ec == std::errc() && read.ptr == end)
      return integer;
    double number = 0;
    if (const auto read = std::from_chars(plain.data(), end, number);
        read.ec == std::errc() && read.ptr == end && std::isfinite(number))
      return number;
    return plain;
  }

  Json list(int depth) {
    Json values = Json::array();
    while (next() != YAML_SEQUENCE_END_EVENT) values.push_back(take(depth + 1));
    return values;
  }

  Json map(int depth) {
    Json values = Json::object();
    while (next() != YAML_MAPPING_END_EVENT) {
      if (event_.type != YAML_SCALAR_EVENT) refuse("a plain key was expected");
      const std::string key = text();
      if (values.contains(key)) refuse("a key stands twice");
      next();
      values[key] = take(depth + 1);
    }
    return values;
  }

  std::string where_;
  yaml_parser_t parser_{};
  yaml_event_t event_{};
  std::size_t values_ = 0;
};

// An empty object where the path leads nowhere.
const Json& under(const Json& root, std::initializer_list<const char*> path) {
  static const Json empty = Json::object();
  const Json* at = &root;
  for (const char* key : path) {
    at = find_field(*at, key);
    if (at == nullptr || !at->is_object()) return empty;
  }
  return *at;
}

std::optional<std::int64_t> positive(const Json& object, const char* key) {
  // -1 stands for "given by the other field".
  const std::int64_t value = get_int(object, key, -1, 1 << 16, -1);
  return value > 0 ? std::optional(value) : std::nullopt;
}

double positive_number(const Json& object, const char* key, double fallback) {
  const double value = get_number(object, key, fallback);
  if (!(value > 0 && std::isfinite(value)))
    bad_input("field \"{}\" is {}, a positive number was expected", key, value);
  return value;
}

}  // namespace

Json parse_yaml(std::string_view text, std::string_view where) {
  return YamlReader(text, where).read();
}

fs::path find_original_config(const fs::path& weights, const fs::path& wanted) {
  std::error_code error;
  if (!wanted.empty()) {
    if (!fs::is_regular_file(wanted, error))
      bad_input("{}: the configuration of the original release is not there", wanted.string());
    return wanted;
  }
  fs::path beside = weights;
  beside.replace_extension(".yaml");
  return fs::is_regular_file(beside, error) ? beside : fs::path();
}

OriginalConfig read_original_config(const fs::path& path) {
  OriginalConfig config;
  if (path.empty()) return config;
  config.present = true;
  const Json root = parse_yaml(read_file(path, kMaxBytes), path.string());
  return with_context(path.string(), [&] {
    const Json& model = under(root, {"model", "params"});
    const Json& unet = under(root, {"model", "params", "unet_config", "params"});
    config.parameterization = get_string(model, "parameterization", "eps");
    if (config.parameterization != "eps" && config.parameterization != "v" &&
        config.parameterization != "x0") {
      bad_input("field \"parameterization\" is \"{}\"; eps, v and x0 are supported",
                config.parameterization);
    }
    config.heads = positive(unet, "num_heads");
    config.head_dim = positive(unet, "num_head_channels");
    config.beta_start = positive_number(model, "linear_start", config.beta_start);
    config.beta_end = positive_number(model, "linear_end", config.beta_end);
    config.train_steps = get_int(model, "timesteps", 1, 1 << 20, config.train_steps);
    config.latent_scale = positive_number(model, "scale_factor", config.latent_scale);
    return config;
  });
}

}  // namespace tenon::checkpoint
