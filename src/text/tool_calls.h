// Calls of tools in the answers of models: which form a model writes them in, the grammar that
// holds an answer to it, and the way back from the text, piece by piece.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "text/chat_template.h"
#include "text/grammar/grammar.h"
#include "text/json_pieces.h"
#include "text/tokenizer.h"

namespace tenon::text {

enum class ToolFormat {
  none,     ///< the template does not know tools
  hermes,   ///< <tool_call>{"name": f, "arguments": {...}}</tool_call>: Hermes, Qwen 2.5 and 3
  llama,    ///< {"name": f, "parameters": {...}}, with ; between, perhaps behind <|python_tag|>
  mistral,  ///< [TOOL_CALLS][{"name": f, "arguments": {...}}] or [TOOL_CALLS]f[ARGS]{...}
  json,     ///< {"name": f, "arguments": {...}} or a list of them: no form of its own is known
};

/// By what the source of the template writes and reads.
ToolFormat find_tool_format(std::string_view template_source);

struct Tool {
  std::string name;
  OrderedJson parameters;  ///< JSON schema of an object; null: any object
};

/// OpenAI's "tools". Error(bad_input) names the place: no list, more than `most`, another type than
/// function, a name that is not [A-Za-z0-9_.-]{1,64}, a name twice.
std::vector<Tool> read_tools(const OrderedJson& tools, std::size_t most);

/// Texts that are calls of these tools with arguments under their schemas: one, or with `many` one
/// or more. Error(bad_input) names a keyword of a schema that is not supported, with its path.
grammar::Grammar tool_grammar(const std::vector<Tool>& tools, ToolFormat format, bool many);

/// What comes before an answer that must be a call: the special token "[TOOL_CALLS]", where the
/// tokenizer has it; a grammar cannot write it.
std::optional<std::int32_t> tool_opening(ToolFormat format, const Tokenizer& tokenizer);
/// The text of a special token that begins or separates calls; decoding leaves them out, so that
/// whoever parses puts them back. Empty for all others.
std::string_view tool_marker(ToolFormat format, const Tokenizer& tokenizer, std::int32_t id);
/// What a model without tools in its template is told.
std::string tool_preamble(const OrderedJson& tools);

/// A piece of an answer.
struct ToolEvent {
  enum class Kind {
    content,    ///< `text` for the reader
    call,       ///< call number `index` begins: `text` is the function's name
    arguments,  ///< more of the arguments of call `index`, as JSON
  };
  Kind kind;
  std::size_t index = 0;
  std::string text;
};

/// One answer. However the text is cut into pieces, the events add up to the same. What looks like
/// a call and is none (other names, no JSON) is content, as far as no call was told of yet.
class ToolCallParser {
 public:
  /// `names`: of the functions that there are. `opened`: the prompt ends with the opening.
  ToolCallParser(ToolFormat format, std::set<std::string, std::less<>> names, bool opened = false);

  std::vector<ToolEvent> push(std::string_view piece);
  /// The text has ended.
  std::vector<ToolEvent> finish();
  std::size_t calls() const { return calls_; }

 private:
  enum class State { start, text, before, name, call, behind, done };
  bool step(std::vector<ToolEvent>& events, bool ended);
  bool step_start(std::vector<ToolEvent>& events, bool ended);
  bool step_text(std::vector<ToolEvent>& events, bool ended);
  bool step_before(std::vector<ToolEvent>& events, bool ended);
  bool step_name(std::vector<ToolEvent>& events, bool ended);
  bool step_call(std::vector<ToolEvent>& events, bool ended);
  bool step_behind(std::vector<ToolEvent>& events, bool ended);
  void content(std::vector<ToolEvent>& events, std::string text);
  void give_up(std::vector<ToolEvent>& events);

  ToolFormat format_;
  std::set<std::string, std::less<>> names_;
  State state_;
  std::string rest_;      // not yet understood
  std::string consumed_;  // of a call that nobody was told of
  std::string space_;     // held back: it goes when a call follows
  std::optional<JsonCall> call_;
  bool told_ = false;  // of this call
  bool in_list_ = false;
  std::size_t calls_ = 0;
};

}  // namespace tenon::text
