// tenon tokenize: lines in, one JSON line out each.
#include <iostream>
#include <limits>

#include "base/error.h"
#include "commands/commands.h"
#include "model_source.h"
#include "text/tokenizer.h"

namespace tenon::apps {
namespace {

struct Options {
  std::string source;
  bool decode = false;
  bool no_special = false;
};

bundle::Files files_of(const std::filesystem::path& path) {
  if (!std::filesystem::exists(path))
    bad_input("{}: there is no such file or folder", path.string());
  bundle::Files files = side_files(path);
  bundle::Files of_pictures = text::files_below(files, "tokenizer/");
  return of_pictures.empty() ? files : of_pictures;
}

std::vector<std::int32_t> ids_of(const std::string& line) {
  const Json array = parse_json(line, "standard input");
  if (!array.is_array()) bad_input("standard input: '{}' is not a JSON array of ids", line);
  std::vector<std::int32_t> ids;
  for (const Json& id : array) {
    if (!id.is_number_integer() || id < 0 || id > std::numeric_limits<std::int32_t>::max())
      bad_input("standard input: {} is not a token id", id.dump());
    ids.push_back(id.get<std::int32_t>());
  }
  return ids;
}

void tokenize(const Options& options) {
  const auto tokenizer =
      with_context(options.source, [&] { return text::load_tokenizer(files_of(options.source)); });
  text::EncodeOptions encoding;
  encoding.add_special_tokens = !options.no_special;
  std::string line;
  while (std::getline(std::cin, line)) {
    if (options.decode) {
      print_json({{"text", tokenizer->decode(ids_of(line), options.no_special)}});
    } else {
      print_json({{"ids", tokenizer->encode(line, encoding)}});
    }
  }
}

}  // namespace

void add_tokenize(CLI::App& program, Common& common, int&) {
  const auto options = std::make_shared<Options>();
  CLI::App* command = add_subcommand(program, common, "tokenize",
                                     "turn lines of standard input into token ids, or back",
                                     "echo \"Hello\" | tenon tokenize llama2.tenon");
  command->add_option("SRC", options->source, "checkpoint, ONNX folder or bundle")->required();
  command->add_flag("--decode", options->decode, "lines are JSON arrays of ids");
  command->add_flag("--no-special", options->no_special, "without BOS and the like");
  command->callback([options] { tokenize(*options); });
}

}  // namespace tenon::apps
