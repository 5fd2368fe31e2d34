#include "traffic/report_tables.h"

#include <algorithm>
#include <array>
#include <cmath>

#include <fmt/core.h>

#include "base/html.h"
#include "traffic/plots.h"
#include "traffic/result_fields.h"

namespace tenon::traffic {
namespace {

std::string cell(double value) { return std::isfinite(value) ? short_number(value) : "–"; }

std::string steady_word(const Json& level) {
  const Json* stability = find_field(level, "stability");
  const Json* steady = stability == nullptr ? nullptr : find_field(*stability, "steady");
  if (steady == nullptr || !steady->is_boolean()) return "too short";
  if (steady->get<bool>()) return "yes";
  return fmt::format("no, {:.0f} %", 100 * number_at(*stability, {"largest_departure"}));
}

std::string tile(const std::string& value, const std::string& what, bool off = false) {
  return fmt::format("<div class=\"tile{}\"><b>{}</b><span class=\"small soft\">{}</span></div>",
                     off ? " off" : "", value, what);
}

std::string level_row(const Json& level) {
  std::string html = fmt::format("<tr><th scope=\"row\">{}</th>", load_name(level));
  const auto add = [&](double value) { html += fmt::format("<td>{}</td>", cell(value)); };
  add(number_at(level, {"completed"}));
  const double failed = number_at(level, {"failed"});
  html += fmt::format("<td{}>{}</td>", failed > 0 ? " class=\"worse\"" : "", cell(failed));
  add(number_at(level, {"requests_per_s"}));
  add(number_at(level, {"output_tokens_per_s"}));
  for (const char* kind : {"ttft_ms", "tpot_ms", "e2e_ms"}) {
    add(number_at(level, {kind, "p50"}));
    add(number_at(level, {kind, "p99"}));
  }
  add(number_at(level, {"goodput", "per_s"}));
  return html + fmt::format("<td>{}</td></tr>", steady_word(level));
}

// Of a colour's line in the plots.
std::string line_key(std::size_t index) {
  return fmt::format(
      "<svg class=\"line-key\" viewBox=\"0 0 26 10\" aria-hidden=\"true\"><path class=\"s{}\" "
      "d=\"M0 5H26\"/></svg>",
      index % 8);
}

struct Setting {
  const char* key;
  const char* name;
  const char* unit;
};
constexpr std::array kSettings = {
    Setting{"prompt_tokens", "prompt", " tokens"},
    Setting{"new_tokens", "answer", " tokens"},
    Setting{"shared_prefix", "shared prefix", " tokens"},
    Setting{"prompts", "prompts from", ""},
    Setting{"arrivals", "arrivals", ""},
    Setting{"requests", "requests a level", ""},
    Setting{"duration_s", "time of a level", " s"},
    Setting{"warmup", "warm-up requests", ""},
    Setting{"stream", "streamed", ""},
    Setting{"timeout_s", "time for a request", " s"},
    Setting{"stability_percent", "steady within", " %"},
    Setting{"seed", "seed", ""},
    Setting{"extra", "added to requests", ""},
};

std::string value_text(const Json& value) {
  if (value.is_string()) return value.get<std::string>();
  if (value.is_boolean()) return value.get<bool>() ? "yes" : "no";
  return value.is_number() ? fmt::format("{:g}", value.get<double>()) : json_text(value);
}

std::string settings_text(const Json& settings) {
  std::string html;
  for (const Setting& one : kSettings) {
    const Json* value = find_field(settings, one.key);
    if (value == nullptr || *value == 0) continue;
    const std::string text = value_text(*value);
    if (text.empty()) continue;
    html += fmt::format("<span class=\"one\"><b>{}</b> {}{}</span> ", one.name, escaped(text),
                        one.unit);
  }
  return html;
}

std::string machine_text(const Json& machine) {
  std::string text = text_at(machine, "cpu");
  const auto add = [&](const std::string& more) { text += (text.empty() ? "" : ", ") + more; };
  if (const double cores = number_at(machine, {"cores"}); std::isfinite(cores))
    add(fmt::format("{:g} cores", cores));
  if (const double bytes = number_at(machine, {"memory_bytes"}); std::isfinite(bytes))
    add(fmt::format("{} GB", short_number(bytes / 1e9)));
  if (const std::string system = text_at(machine, "system"); !system.empty()) add(system);
  return text;
}

// Its words are kept whole where there is room: a hyphen is no place to break an option.
std::string command_text(const std::string& command) {
  std::string html;
  for (std::size_t begin = 0; begin < command.size();) {
    const auto end = std::min(command.find(' ', begin), command.size());
    html += fmt::format("<span>{}</span> ", escaped(command.substr(begin, end - begin)));
    begin = end + 1;
  }
  return html.empty() ? "" : "<pre>" + html + "</pre>";
}

// `body` is HTML.
std::string fact(const std::string& name, const std::string& body) {
  return body.empty() ? "" : fmt::format("<dt>{}</dt><dd>{}</dd>", name, body);
}

std::string notes_of(const Json& result) {
  std::string html;
  const Json* notes = find_field(result, "notes");
  if (notes == nullptr || !notes->is_array()) return "";
  for (const Json& note : *notes)
    if (note.is_string()) html += fmt::format("<li>{}</li>", escaped(note.get<std::string>()));
  return html.empty() ? "" : "<ul>" + html + "</ul>";
}

}  // namespace

std::string section(const std::string& title, const std::string& body) {
  return body.empty() ? "" : fmt::format("<section><h2>{}</h2>{}</section>", title, body);
}

std::string headline(const Json& result) {
  const Json* most = nullptr;
  const Json* lightest = nullptr;
  double failed = 0, sent = 0;
  const bool tokens = [&] {
    for (const Json& level : result.at("levels"))
      if (number_at(level, {"output_tokens_per_s"}) > 0) return true;
    return false;
  }();
  const char* rate = tokens ? "output_tokens_per_s" : "requests_per_s";
  for (const Json& level : result.at("levels")) {
    if (!std::isfinite(load_of(level))) continue;
    if (most == nullptr || number_at(level, {rate}) > number_at(*most, {rate})) most = &level;
    if (lightest == nullptr || load_of(level) < load_of(*lightest)) lightest = &level;
    if (const double count = number_at(level, {"failed"}); count > 0) failed += count;
    if (const double count = number_at(level, {"sent"}); count > 0) sent += count;
  }
  if (most == nullptr) return "";
  std::string html = tile(cell(number_at(*most, {rate})) + (tokens ? " tokens/s" : " answers/s"),
                          "at most, at " + load_name(*most));
  const auto time = [&](const char* kind, const char* name) {
    const double value = number_at(*lightest, {kind, "p50"});
    if (!std::isfinite(value)) return;
    html += tile(cell(value) + " ms", fmt::format("{}, median at {}", name, load_name(*lightest)));
  };
  if (tokens) time("ttft_ms", "first token");
  if (tokens) time("tpot_ms", "each further token");
  if (!tokens) time("e2e_ms", "whole answer");
  html += tile(fmt::format("{} of {}", cell(failed), cell(sent)), "requests failed", failed > 0);
  return "<div class=\"tiles\">" + html + "</div>";
}

std::string level_table(const std::vector<Json>& results) {
  std::string html =
      "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"Levels\">"
      "<table class=\"levels\"><thead><tr><th></th><th colspan=\"2\" scope=\"colgroup\">requests"
      "</th><th colspan=\"2\" scope=\"colgroup\">a second</th><th colspan=\"2\" "
      "scope=\"colgroup\">first token, ms</th><th colspan=\"2\" scope=\"colgroup\">each token, ms"
      "</th><th colspan=\"2\" scope=\"colgroup\">whole answer, ms</th><th></th><th></th></tr><tr>";
  for (const char* name : {"load", "answered", "failed", "answers", "tokens", "p50", "p99", "p50",
                           "p99", "p50", "p99", "good/s", "steady"})
    html += fmt::format("<th scope=\"col\">{}</th>", name);
  html += "</tr></thead>";
  for (std::size_t i = 0; i < results.size(); ++i) {
    html += "<tbody>";
    if (results.size() > 1)
      html += fmt::format("<tr><th colspan=\"13\" scope=\"rowgroup\"><span>{}{}</span></th></tr>",
                          line_key(i), escaped(label_of(results[i])));
    for (const Json& level : results[i].at("levels")) html += level_row(level);
    html += "</tbody>";
  }
  return html + "</table></div>";
}

std::string failure_table(const std::vector<Json>& results) {
  std::string rows;
  for (const Json& result : results) {
    for (const Json& level : result.at("levels")) {
      const Json* found = find_field(level, "errors");
      if (found == nullptr || !found->is_object()) continue;
      for (const auto& [kind, what] : found->items()) {
        rows += "<tr>";
        if (results.size() > 1)
          rows += fmt::format("<th scope=\"row\">{}</th>", escaped(label_of(result)));
        rows += fmt::format("<td>{}</td><td class=\"n\">{}</td><td>{}</td><td>{}</td></tr>",
                            load_name(level), cell(number_at(what, {"count"})), escaped(kind),
                            escaped(text_at(what, "example")));
      }
    }
  }
  if (rows.empty()) return "";
  return section("Failed requests",
                 fmt::format("<table class=\"words\"><thead><tr>{}<th scope=\"col\">load</th><th "
                             "scope=\"col\">count</th><th scope=\"col\">kind</th><th "
                             "scope=\"col\">one of them</th></tr></thead><tbody>{}</tbody></table>",
                             results.size() > 1 ? "<th scope=\"col\">server</th>" : "", rows));
}

std::string facts(const Json& result) {
  const Json& server = result.at("server");
  std::string html = "<dl>";
  html += fact("server", escaped(text_at(server, "url") + "  " + text_at(server, "name")));
  html += fact("model", escaped(text_at(server, "model")));
  html += fact("protocol", escaped(text_at(server, "api")));
  html += fact("measured", escaped(text_at(result, "date")));
  html += fact("client's machine", escaped(machine_text(result.value("machine", Json::object()))));
  html += fact("settings", settings_text(result.value("settings", Json::object())));
  html += fact("command", command_text(text_at(result, "command")));
  html += fact("notes", notes_of(result)) + "</dl>";
  if (result.value("interrupted", false))
    html += "<p><b>Interrupted: these are the results until then.</b></p>";
  return section(escaped(label_of(result)), html);
}

}  // namespace tenon::traffic
