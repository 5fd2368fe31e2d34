// Replace, Prepend, Lowercase, Strip, StripAccents, ByteLevel and sequences of normalizers.
#include "text/tokenizer/normalizer.h"

#include <utility>
#include <vector>

#include "base/error.h"
#include "text/tokenizer/byte_level.h"
#include "text/tokenizer/json_parts.h"
#include "text/tokenizer/unicode_normalizer.h"
#include "text/tokenizer/utf8.h"
#include "text/unicode/tables.h"

namespace tenon::text {
namespace {

class SequenceNormalizer : public Normalizer {
 public:
  explicit SequenceNormalizer(std::vector<std::unique_ptr<Normalizer>> parts)
      : parts_(std::move(parts)) {}
  void apply(std::string& text) const override {
    for (const auto& part : parts_) part->apply(text);
  }

 private:
  std::vector<std::unique_ptr<Normalizer>> parts_;
};

class PrependNormalizer : public Normalizer {
 public:
  explicit PrependNormalizer(std::string prefix) : prefix_(std::move(prefix)) {}
  void apply(std::string& text) const override {
    if (!text.empty()) text.insert(0, prefix_);
  }

 private:
  std::string prefix_;
};

class ReplaceNormalizer : public Normalizer {
 public:
  ReplaceNormalizer(Pattern pattern, std::string content)
      : pattern_(std::move(pattern)), content_(std::move(content)) {}
  void apply(std::string& text) const override { text = pattern_.replace_all(text, content_); }

 private:
  Pattern pattern_;
  std::string content_;
};

class LowercaseNormalizer : public Normalizer {
 public:
  void apply(std::string& text) const override {
    std::string out;
    out.reserve(text.size());
    for (std::size_t at = 0; at < text.size();) append_lower(out, next_point(text, at));
    text = std::move(out);
  }
};

class StripNormalizer : public Normalizer {
 public:
  StripNormalizer(bool left, bool right) : left_(left), right_(right) {}
  void apply(std::string& text) const override {
    std::size_t begin = text.size();  // of the first character that is not a space
    std::size_t end = 0;              // behind the last one
    for (std::size_t at = 0; at < text.size();) {
      const std::size_t start = at;
      if (is_space(next_point(text, at))) continue;
      begin = std::min(begin, start);
      end = at;
    }
    if (begin == text.size()) {
      if (left_ || right_) text.clear();
      return;
    }
    if (right_) text.erase(end);
    if (left_) text.erase(0, begin);
  }

 private:
  bool left_;
  bool right_;
};

class StripAccentsNormalizer : public Normalizer {
 public:
  void apply(std::string& text) const override {
    std::string out;
    for (std::size_t at = 0; at < text.size();) {
      const std::size_t start = at;
      if (!classify(next_point(text, at)).accent()) out.append(text, start, at - start);
    }
    text = std::move(out);
  }
};

class ByteLevelNormalizer : public Normalizer {
 public:
  void apply(std::string& text) const override { text = to_byte_level(text); }
};

std::unique_ptr<Normalizer> make_sequence(const Json& json) {
  std::vector<std::unique_ptr<Normalizer>> parts;
  for (const Json& part : array_field(json, "normalizers")) {
    if (auto made = make_normalizer(part)) parts.push_back(std::move(made));
  }
  return std::make_unique<SequenceNormalizer>(std::move(parts));
}

}  // namespace

std::unique_ptr<Normalizer> make_normalizer(const Json& json) {
  if (json.is_null()) return nullptr;
  const std::string type = type_field(json, "normalizer");
  if (type == "Sequence") return make_sequence(json);
  if (type == "NFC" || type == "NFD" || type == "NFKC" || type == "NFKD") {
    return make_unicode_normalizer(type);
  }
  if (type == "Prepend") {
    return std::make_unique<PrependNormalizer>(required_string(json, "prepend"));
  }
  if (type == "Replace") {
    return std::make_unique<ReplaceNormalizer>(pattern_field(json),
                                               required_string(json, "content"));
  }
  if (type == "Lowercase") return std::make_unique<LowercaseNormalizer>();
  if (type == "Strip") {
    return std::make_unique<StripNormalizer>(get_bool(json, "strip_left", true),
                                             get_bool(json, "strip_right", true));
  }
  if (type == "StripAccents") return std::make_unique<StripAccentsNormalizer>();
  if (type == "ByteLevel") return std::make_unique<ByteLevelNormalizer>();
  bad_input(
      "normalizer \"{}\" is not supported; known are Sequence, NFC, NFD, NFKC, NFKD, Prepend, "
      "Replace, Lowercase, Strip, StripAccents, ByteLevel",
      type);
}

}  // namespace tenon::text
