#include "traffic/report.h"

#include <algorithm>
#include <array>
#include <cmath>

#include <fmt/core.h>

#include "base/html.h"
#include "traffic/plots.h"

namespace tenon::traffic {
namespace {

constexpr std::string_view kMoreStyle = R"css(
:root{--s0:#2f5fd0;--s1:#c2410c;--s2:#14743f;--s3:#8b2fc9;--s4:#0e7490;--s5:#be185d;--s6:#7c6a00;
--s7:#52525b}
@media(prefers-color-scheme:dark){:root{--s0:#86a8ff;--s1:#ffa066;--s2:#6fd49b;--s3:#d3a1ff;
--s4:#67d5ea;--s5:#ff8fc0;--s6:#e3cf5a;--s7:#b4b4bd}}
main{max-width:1120px}
.head h1{margin-bottom:8px}
path{fill:none;stroke-width:2}
.dashed{stroke-dasharray:5 4;stroke-width:1.5}
.s0{stroke:var(--s0)}.s1{stroke:var(--s1)}.s2{stroke:var(--s2)}.s3{stroke:var(--s3)}
.s4{stroke:var(--s4)}.s5{stroke:var(--s5)}.s6{stroke:var(--s6)}.s7{stroke:var(--s7)}
.f0{fill:var(--s0)}.f1{fill:var(--s1)}.f2{fill:var(--s2)}.f3{fill:var(--s3)}
.f4{fill:var(--s4)}.f5{fill:var(--s5)}.f6{fill:var(--s6)}.f7{fill:var(--s7)}
.wait{fill:var(--mid)}
.key{display:flex;flex-wrap:wrap;gap:4px 18px;margin:6px 0 0;padding:0;list-style:none}
.key svg{display:inline;width:26px;height:10px;vertical-align:middle;margin-right:6px}
tbody th{text-align:left;color:var(--ink);font-weight:500;white-space:nowrap}
td.worse{color:var(--bad)}
pre{white-space:pre-wrap;overflow-wrap:anywhere;margin:6px 0;font:.87em ui-monospace,monospace}
h3{font-size:.95rem;margin:14px 0 4px}
summary{padding:2px 0}
)css";

/// Absent, null or of another type: NaN.
double number_at(const Json& object, std::initializer_list<const char*> path) {
  const Json* at = &object;
  for (const char* key : path) {
    at = find_field(*at, key);
    if (at == nullptr) return NAN;
  }
  return at->is_number() ? at->get<double>() : NAN;
}

std::string text_at(const Json& object, const char* key) {
  const Json* field = find_field(object, key);
  return field != nullptr && field->is_string() ? field->get<std::string>() : std::string();
}

std::string cell(double value) { return std::isfinite(value) ? short_number(value) : "–"; }

bool is_open(const Json& level) { return std::isfinite(number_at(level, {"request_rate"})); }
double load_of(const Json& level) {
  return is_open(level) ? number_at(level, {"request_rate"}) : number_at(level, {"concurrency"});
}
std::string load_name(const Json& level) {
  return is_open(level) ? fmt::format("{:g} requests/s", load_of(level))
                        : fmt::format("concurrency {:g}", load_of(level));
}

std::string label_of(const Json& result) {
  const std::string label = text_at(result, "label");
  return label.empty() ? text_at(result.at("server"), "url") : label;
}

std::string key(const std::vector<Json>& results, bool dashed) {
  std::string html = "<ul class=\"key small\">";
  const auto item = [&](std::string_view style, const std::string& name) {
    html += fmt::format(
        "<li><svg viewBox=\"0 0 26 10\" aria-hidden=\"true\"><path class=\"{}\" d=\"M0 5H26\"/>"
        "</svg>{}</li>",
        style, escaped(name));
  };
  for (std::size_t i = 0; i < results.size(); ++i)
    item(fmt::format("s{}", i % 8), label_of(results[i]));
  if (dashed) item("s7", "median"), item("s7 dashed", "99th percentile");
  return html + "</ul>";
}

std::string section(const std::string& title, const std::string& body) {
  return body.empty() ? "" : fmt::format("<section><h2>{}</h2>{}</section>", title, body);
}

// A value of all levels of all results; the second path, if any, is drawn dashed.
std::string sweep_plot(const std::vector<Json>& results, const std::string& title,
                       const std::string& unit, std::initializer_list<const char*> solid,
                       std::initializer_list<const char*> dashed = {}) {
  std::vector<PlotLine> lines;
  bool open = false;
  bool wide = false;
  for (std::size_t i = 0; i < results.size(); ++i) {
    PlotLine first{label_of(results[i]), i, false, true, {}};
    PlotLine second{label_of(results[i]) + ", p99", i, true, true, {}};
    for (const Json& level : results[i].at("levels")) {
      open = open || is_open(level);
      wide = wide || load_of(level) >= 8;
      if (const double y = number_at(level, solid);
          std::isfinite(y) && std::isfinite(load_of(level)))
        first.points.emplace_back(load_of(level), y);
      if (dashed.size() == 0) continue;
      if (const double y = number_at(level, dashed); std::isfinite(y))
        second.points.emplace_back(load_of(level), y);
    }
    std::sort(first.points.begin(), first.points.end());
    std::sort(second.points.begin(), second.points.end());
    lines.push_back(std::move(first));
    lines.push_back(std::move(second));
  }
  const PlotAxis x{open ? "requests a second" : "users at once",
                   wide ? AxisScale::logarithmic : AxisScale::linear};
  return section(title, line_plot(title, x, {unit, AxisScale::linear}, lines));
}

std::string steady_word(const Json& level) {
  const Json* stability = find_field(level, "stability");
  const Json* steady = stability == nullptr ? nullptr : find_field(*stability, "steady");
  if (steady == nullptr || !steady->is_boolean()) return "too short to tell";
  if (steady->get<bool>()) return "yes";
  return fmt::format("no, {:.0f} %", 100 * number_at(*stability, {"largest_departure"}));
}

std::string table(const std::vector<Json>& results) {
  std::string html =
      "<div class=\"scroll\"><table><thead><tr><th scope=\"col\">server</th><th scope=\"col\">"
      "load</th><th scope=\"col\">answered</th><th scope=\"col\">failed</th><th scope=\"col\">"
      "requests/s</th><th scope=\"col\">tokens/s</th><th scope=\"col\">first token ms p50 / "
      "p99</th><th scope=\"col\">per token ms p50 / p99</th><th scope=\"col\">whole ms p50 / "
      "p99</th><th scope=\"col\">good/s</th><th scope=\"col\">steady</th></tr></thead><tbody>";
  const auto pair = [](const Json& level, const char* name) {
    return cell(number_at(level, {name, "p50"})) + " / " + cell(number_at(level, {name, "p99"}));
  };
  for (std::size_t i = 0; i < results.size(); ++i) {
    for (const Json& level : results[i].at("levels")) {
      const double failed = number_at(level, {"failed"});
      html += fmt::format(
          "<tr><th scope=\"row\">{}</th><td>{}</td><td>{}</td><td{}>{}</td><td>{}</td><td>{}</td>"
          "<td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>",
          escaped(label_of(results[i])), load_name(level), cell(number_at(level, {"completed"})),
          failed > 0 ? " class=\"worse\"" : "", cell(failed),
          cell(number_at(level, {"requests_per_s"})),
          cell(number_at(level, {"output_tokens_per_s"})), pair(level, "ttft_ms"),
          pair(level, "tpot_ms"), pair(level, "e2e_ms"),
          cell(number_at(level, {"goodput", "per_s"})), steady_word(level));
    }
  }
  return html + "</tbody></table></div>";
}

std::vector<std::pair<double, double>> points_of(const Json& level, const char* name) {
  std::vector<std::pair<double, double>> points;
  const Json* all = find_field(level, "ecdf");
  const Json* list = all == nullptr ? nullptr : find_field(*all, name);
  if (list == nullptr || !list->is_array()) return points;
  for (const Json& one : *list)
    if (one.is_array() && one.size() == 2 && one[0].is_number() && one[1].is_number())
      points.emplace_back(one[0].get<double>(), 100 * one[1].get<double>());
  return points;
}

std::vector<Bar> bars_of(const Json& level) {
  std::vector<Bar> bars;
  const Json* list = find_field(level, "timeline");
  if (list == nullptr || !list->is_array()) return bars;
  for (const Json& one : *list) {
    if (!one.is_array() || one.size() != 4 || !one[0].is_number() || !one[2].is_number() ||
        !one[3].is_string())
      continue;
    const std::string failure = one[3].get<std::string>();
    bars.push_back({one[0].get<double>(), one[1].is_number() ? one[1].get<double>() : -1,
                    one[2].get<double>(), failure == "none" ? "" : failure});
  }
  return bars;
}

std::string distributions(const std::vector<Json>& results, const std::string& load) {
  static constexpr std::array<std::pair<const char*, const char*>, 3> kKinds = {
      {{"ttft_ms", "Time to first token"},
       {"itl_ms", "Between pieces of output"},
       {"e2e_ms", "Whole answer"}}};
  std::string html = "<div class=\"pair\">";
  for (const auto& [name, title] : kKinds) {
    std::vector<PlotLine> lines;
    for (std::size_t i = 0; i < results.size(); ++i)
      for (const Json& level : results[i].at("levels"))
        if (load_name(level) == load)
          lines.push_back({label_of(results[i]), i, false, false, points_of(level, name)});
    const std::string plot =
        line_plot(fmt::format("{} at {}", title, load), {"ms", AxisScale::logarithmic},
                  {"% of them are at most this long", AxisScale::linear}, lines);
    if (!plot.empty()) html += fmt::format("<div><h3>{}</h3>{}</div>", title, plot);
  }
  for (const Json& result : results) {
    for (const Json& level : result.at("levels")) {
      if (load_name(level) != load) continue;
      const std::string label = label_of(result);
      const std::string plot =
          timeline_plot(fmt::format("requests of {} at {}", label, load), bars_of(level));
      if (!plot.empty())
        html += fmt::format("<div><h3>Requests over time: {}</h3>{}</div>", escaped(label), plot);
    }
  }
  return html + "</div>";
}

std::string by_level(const std::vector<Json>& results) {
  std::vector<std::pair<double, std::string>> loads;
  for (const Json& result : results)
    for (const Json& level : result.at("levels"))
      if (const std::pair one{load_of(level), load_name(level)};
          std::find(loads.begin(), loads.end(), one) == loads.end())
        loads.push_back(one);
  std::sort(loads.begin(), loads.end());
  std::string html;
  for (std::size_t i = 0; i < loads.size(); ++i)
    html += fmt::format("<section><details{}><summary>{}</summary>{}{}</details></section>",
                        i + 1 == loads.size() ? " open" : "", loads[i].second, key(results, false),
                        distributions(results, loads[i].second));
  return html.empty() ? "" : "<h2>Each level: distributions, requests over time</h2>" + html;
}

std::string errors(const std::vector<Json>& results) {
  std::string rows;
  for (const Json& result : results) {
    for (const Json& level : result.at("levels")) {
      const Json* found = find_field(level, "errors");
      if (found == nullptr || !found->is_object()) continue;
      for (const auto& [kind, what] : found->items())
        rows += fmt::format(
            "<tr><th scope=\"row\">{}</th><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>",
            escaped(label_of(result)), load_name(level), escaped(kind),
            cell(number_at(what, {"count"})), escaped(text_at(what, "example")));
    }
  }
  if (rows.empty()) return "";
  return section("Failed requests",
                 "<div class=\"scroll\"><table><thead><tr><th scope=\"col\">server</th><th "
                 "scope=\"col\">load</th><th scope=\"col\">kind</th><th scope=\"col\">count</th>"
                 "<th scope=\"col\">one of them</th></tr></thead><tbody>" +
                     rows + "</tbody></table></div>");
}

std::string row(const std::string& name, const std::string& value) {
  return value.empty()
             ? ""
             : fmt::format("<tr><th scope=\"row\">{}</th><td>{}</td></tr>", name, escaped(value));
}

std::string facts(const Json& result) {
  const Json& server = result.at("server");
  const Json machine = result.value("machine", Json::object());
  const Json settings = result.value("settings", Json::object());
  std::string html = "<div class=\"scroll\"><table><tbody>";
  html += row("server", text_at(server, "url") + "  " + text_at(server, "name"));
  html += row("model", text_at(server, "model"));
  html += row("protocol", text_at(server, "api"));
  html += row("measured", text_at(result, "date"));
  html += row("client's machine", fmt::format("{}, {} cores, {} GB, {}", text_at(machine, "cpu"),
                                              cell(number_at(machine, {"cores"})),
                                              cell(number_at(machine, {"memory_bytes"}) / 1e9),
                                              text_at(machine, "system")));
  std::string all;
  for (const auto& [name, value] : settings.items()) {
    const bool plain = value.is_null() || value == 0 || (value.is_string() && value == "");
    if (!plain)
      all += (all.empty() ? "" : ", ") + name + " " +
             (value.is_string() ? value.get<std::string>() : value.dump());
  }
  html += row("settings", all) + "</tbody></table></div>";
  html += fmt::format("<pre>{}</pre>", escaped(text_at(result, "command")));
  const Json* notes = find_field(result, "notes");
  if (notes != nullptr && notes->is_array() && !notes->empty()) {
    html += "<ul>";
    for (const Json& note : *notes)
      if (note.is_string()) html += fmt::format("<li>{}</li>", escaped(note.get<std::string>()));
    html += "</ul>";
  }
  if (result.value("interrupted", false))
    html += "<p><b>Interrupted: these are the results until then.</b></p>";
  return section(escaped(label_of(result)), html);
}

std::string head(const std::vector<Json>& results) {
  std::string names;
  for (const Json& result : results)
    names +=
        (names.empty() ? "" : " beside ") + fmt::format("<b>{}</b>", escaped(label_of(result)));
  return fmt::format("<header class=\"head\"><h1>Load on {}</h1><p>{}</p></header>",
                     results.size() == 1 ? "a server" : "servers", names);
}

}  // namespace

std::string to_html(const std::vector<Json>& results) {
  std::string html = fmt::format(
      "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" "
      "content=\"width=device-width,initial-scale=1\"><title>Load: {}</title><style>{}{}</style>"
      "</head><body><main>",
      escaped(results.empty() ? "" : label_of(results.front())), kPageStyle, kMoreStyle);
  html += head(results) + section("Levels", table(results) + key(results, true));
  html += "<div class=\"pair\">";
  html += sweep_plot(results, "Output", "tokens/s", {"output_tokens_per_s"});
  html += sweep_plot(results, "Answers", "requests/s", {"requests_per_s"});
  html += sweep_plot(results, "Time to first token", "ms", {"ttft_ms", "p50"}, {"ttft_ms", "p99"});
  html += sweep_plot(results, "Time per token", "ms", {"tpot_ms", "p50"}, {"tpot_ms", "p99"});
  html += sweep_plot(results, "Whole answer", "ms", {"e2e_ms", "p50"}, {"e2e_ms", "p99"});
  html += sweep_plot(results, "Answers that keep the targets", "requests/s", {"goodput", "per_s"});
  html += "</div>" + by_level(results) + errors(results);
  for (const Json& result : results) html += facts(result);
  return html + "</main></body></html>\n";
}

}  // namespace tenon::traffic
