#include "traffic/report.h"

#include <algorithm>
#include <array>
#include <cmath>

#include <fmt/core.h>

#include "base/html.h"
#include "traffic/plots.h"
#include "traffic/report_tables.h"
#include "traffic/result_fields.h"

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
svg.line-key{display:inline-block;width:26px;height:10px;vertical-align:middle;margin-right:6px}
.key .sw{display:inline-block;width:14px;height:10px;margin-right:6px}
.sw.wait{background:var(--mid)}.sw.out{background:var(--hue)}.sw.off{background:var(--bad)}
.levels th{white-space:nowrap}
.levels thead tr:first-child th{border-bottom:0;padding-bottom:0}
th[scope=colgroup]{text-align:center}
tbody th{text-align:left;color:var(--ink);font-weight:500;white-space:nowrap}
.levels th:first-child{position:sticky;left:0;background:var(--card);padding-right:16px}
.levels th[scope=rowgroup]{position:static;font-weight:600;padding-top:12px}
th[scope=rowgroup] span{display:inline-block;position:sticky;left:0;max-width:76vw;
white-space:normal;overflow-wrap:anywhere}
td.worse{color:var(--bad)}
.words th,.words td{text-align:left;vertical-align:top;padding-right:18px}
.words td{white-space:normal;overflow-wrap:anywhere}
.words td.n{text-align:right;overflow-wrap:normal}
.words tbody th{white-space:normal}
dl{display:grid;grid-template-columns:max-content minmax(0,1fr);gap:6px 20px;margin:0;font-size:.9rem}
dt{color:var(--soft)}
dd{margin:0;overflow-wrap:anywhere}
dd .one{display:inline-block;margin-right:16px}
dd .one b{font-weight:500;color:var(--soft)}
pre{white-space:pre-wrap;overflow-wrap:anywhere;margin:0;padding:8px 10px;border-radius:8px;
background:var(--bg);font:.92em/1.45 ui-monospace,monospace}
pre span{display:inline-block;max-width:100%}
dd ul{margin:0;padding-left:18px}
h3{font-size:.95rem;margin:14px 0 4px}
summary{padding:2px 0}
@media(max-width:700px){dl{grid-template-columns:minmax(0,1fr);gap:1px 0}dd{margin-bottom:9px}
.pair svg text{font-size:16px}
.words thead{display:none}.words,.words tbody{display:block}
.words tr{display:block;padding:6px 0;border-bottom:1px solid var(--line)}
.words th,.words td,.words td.n{display:block;text-align:left;padding:0;border:0}
.words td.n::after{content:" times"}}
@media print{details::details-content{content-visibility:visible}}
)css";

std::string key(const std::vector<Json>& results, bool dashed) {
  std::string html = "<ul class=\"key small\">";
  const auto item = [&](std::string_view style, const std::string& name) {
    html += fmt::format(
        "<li><svg class=\"line-key\" viewBox=\"0 0 26 10\" aria-hidden=\"true\"><path class=\"{}\" "
        "d=\"M0 5H26\"/>"
        "</svg>{}</li>",
        style, escaped(name));
  };
  for (std::size_t i = 0; i < results.size(); ++i)
    item(fmt::format("s{}", i % 8), label_of(results[i]));
  if (dashed) item("s7", "median"), item("s7 dashed", "99th percentile");
  return html + "</ul>";
}

// A value of all levels of all results; the second path, if any, is drawn dashed.
std::string sweep_plot(const std::vector<Json>& results, const std::string& title,
                       const std::string& unit, std::initializer_list<const char*> solid,
                       std::initializer_list<const char*> dashed = {}) {
  std::vector<PlotLine> lines;
  bool open = false;
  bool wide = false;
  std::vector<double> loads;
  for (std::size_t i = 0; i < results.size(); ++i) {
    PlotLine first{label_of(results[i]), i, false, true, {}};
    PlotLine second{label_of(results[i]) + ", p99", i, true, true, {}};
    for (const Json& level : results[i].at("levels")) {
      open = open || is_open(level);
      wide = wide || load_of(level) >= 8;
      if (std::isfinite(load_of(level)) && load_of(level) > 0 &&
          std::find(loads.begin(), loads.end(), load_of(level)) == loads.end())
        loads.push_back(load_of(level));
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
                   wide ? AxisScale::logarithmic : AxisScale::linear,
                   loads.size() <= 8 ? loads : std::vector<double>()};
  return section(title, line_plot(title, x, {unit, AxisScale::linear, {}}, lines));
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
        line_plot(fmt::format("{} at {}", title, load), {"ms", AxisScale::logarithmic, {}},
                  {"% of them are at most this long", AxisScale::linear, {}}, lines);
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
  return html +
         "</div><ul class=\"key small\"><li><span class=\"sw wait\"></span>waiting for the first "
         "output</li><li><span class=\"sw out\"></span>output</li><li><span class=\"sw "
         "off\"></span>failed</li></ul>";
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
  html += head(results);
  if (results.size() == 1) html += headline(results.front());
  html += section("Levels", level_table(results)) + key(results, true);
  html += "<div class=\"pair\">";
  html += sweep_plot(results, "Output", "tokens/s", {"output_tokens_per_s"});
  html += sweep_plot(results, "Answers", "requests/s", {"requests_per_s"});
  html += sweep_plot(results, "Time to first token", "ms", {"ttft_ms", "p50"}, {"ttft_ms", "p99"});
  html += sweep_plot(results, "Time per token", "ms", {"tpot_ms", "p50"}, {"tpot_ms", "p99"});
  html += sweep_plot(results, "Whole answer", "ms", {"e2e_ms", "p50"}, {"e2e_ms", "p99"});
  html += sweep_plot(results, "Answers that keep the targets", "requests/s", {"goodput", "per_s"});
  html += "</div>" + by_level(results) + failure_table(results);
  for (const Json& result : results) html += facts(result);
  return html + "</main></body></html>\n";
}

}  // namespace tenon::traffic
