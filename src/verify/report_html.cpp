// The report as one page that needs nothing else: for a browser, a phone, an attachment.
#include <algorithm>
#include <cctype>
#include <cmath>
#include <ctime>

#include <fmt/chrono.h>

#include "base/cpu_features.h"
#include "base/html.h"
#include "verify/plots.h"
#include "verify/report.h"

namespace tenon::verify {
namespace {

constexpr std::size_t kShownValues = 2000;

std::string number(double value) {
  if (std::isnan(value)) return "NaN";
  if (std::isinf(value)) return "∞";
  return fmt::format("{:.3g}", value);
}

std::string tile(const std::string& what, const std::string& value, const std::string& limit,
                 bool off = false) {
  return fmt::format(
      "<div class=\"tile{}\"><span class=\"soft small\">{}</span><b>{}</b><span class=\"soft "
      "small\">{}</span></div>",
      off ? " off" : "", what, value, limit);
}

std::string limit_text(const char* sign, const std::optional<double>& limit) {
  return limit ? fmt::format("budget {} {}", sign, number(*limit)) : std::string("no budget");
}

std::string verdict(const Report& report) {
  std::string html =
      fmt::format("<div class=\"verdict {}\"><h1>{}</h1>", report.passed ? "good" : "bad",
                  report.passed ? "Same answers" : "Not the same answers");
  html += fmt::format(
      "<p><code>{}</code> <span class=\"soft\">({})</span> against <code>{}</code> <span "
      "class=\"soft\">({})</span></p>",
      escaped(report.name_b), escaped(report.precision_b), escaped(report.name_a),
      escaped(report.precision_a));
  for (std::string violation : report.violations) {
    violation[0] = static_cast<char>(std::toupper(static_cast<unsigned char>(violation[0])));
    html += fmt::format("<p>{}.</p>", escaped(violation));
  }
  return html + "</div>";
}

std::string tiles(const Report& report) {
  const Metrics& m = report.metrics;
  const Budget& b = report.budget;
  const auto above = [](double value, const std::optional<double>& limit) {
    return limit.has_value() && !(value <= *limit);
  };
  const double change = m.perplexity_a > 0 ? std::abs(m.perplexity_b / m.perplexity_a - 1) : 0.0;
  std::string html = "<div class=\"tiles\">";
  html +=
      tile("mean KL", number(m.mean_kl), limit_text("≤", b.mean_kl), above(m.mean_kl, b.mean_kl));
  html +=
      tile("largest KL", number(m.max_kl), limit_text("≤", b.max_kl), above(m.max_kl, b.max_kl));
  const bool top1_off = b.top1.has_value() && m.positions > 0 &&
                        std::ceil((1 - *b.top1) * static_cast<double>(m.positions) - 1e-9) <
                            static_cast<double>(m.top1_disagreements);
  html += tile("same best token", fmt::format("{:.2f} %", 100 * m.top1_agreement),
               b.top1 ? fmt::format("budget ≥ {:.4g} %", 100 * *b.top1) : std::string("no budget"),
               top1_off);
  html += tile("relative error", number(m.relative_l2), limit_text("≤", b.relative_l2),
               above(m.relative_l2, b.relative_l2));
  html += tile("largest difference", number(m.max_abs), limit_text("≤", b.max_abs),
               above(m.max_abs, b.max_abs));
  html += tile("perplexity",
               m.perplexity_a > 0 ? fmt::format("{:.4g}", m.perplexity_b) : std::string("none"),
               fmt::format("was {:.4g}, {}", m.perplexity_a,
                           b.perplexity ? fmt::format("change ≤ {}", number(*b.perplexity))
                                        : std::string("no budget")),
               above(change, b.perplexity));
  return html + "</div>";
}

std::string departure(const Departure& found) {
  std::string at;
  for (const auto index : found.where) at += fmt::format("{}{}", at.empty() ? "" : ", ", index);
  return fmt::format(
      "<section><h2>First departure: <code>{}</code></h2><p><b>{}</b>: {}.</p><p class=\"soft "
      "small\">value <code>{}</code> of {} in {}; relative error {}, explained {}; largest "
      "difference {} at [{}]; largest magnitude {}</p></section>",
      escaped(found.module.empty() ? found.value : found.module), escaped(found.cause),
      escaped(found.reason), escaped(found.value), escaped(found.op), escaped(found.dtype),
      number(found.relative), number(found.allowed), number(found.max_difference), at,
      number(found.max_abs));
}

std::string plots(const Report& report) {
  std::string html;
  const std::string mark = report.first_departure ? report.first_departure->value : "";
  if (const std::string plot = error_plot(report.values, mark); !plot.empty()) {
    html += "<section class=\"wide\"><h2>Relative error of each value, in execution order</h2>" +
            plot +
            "<p class=\"soft small\">Solid: measured. Dashed: what rounding and the errors of its "
            "inputs explain. A value departs when it rises above.</p></section>";
  }
  html += "<div class=\"pair\">";
  if (const std::string plot = kl_plot(report); !plot.empty())
    html += "<section><h2>KL of the next token, by position</h2>" + plot + "</section>";
  if (const std::string plot = histogram_plot(report.histogram); !plot.empty())
    html += "<section><h2>Logits by absolute difference</h2>" + plot + "</section>";
  return html + "</div>";
}

std::string outputs_table(const Report& report) {
  std::string html = fmt::format(
      "<section><h2>{}</h2><div class=\"scroll\"><table><tr><th>output</th><th>shape</th><th>"
      "relative error</th><th>largest difference</th><th>PSNR</th><th>worst run</th></tr>",
      report.part.empty() ? "Outputs" : escaped(report.part));
  for (const OutputError& output : report.outputs) {
    const bool off = !report.budget.violations(output).empty();
    html += fmt::format(
        "<tr{}><td><code>{}</code></td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td></"
        "tr>",
        off ? " class=\"mark\"" : "", escaped(output.output), to_string(output.shape),
        number(output.relative), number(output.max_abs),
        output.psnr ? fmt::format("{} dB", number(*output.psnr)) : std::string(), output.worst_run);
  }
  html += "</table></div>";
  for (std::size_t i = 0; i < report.runs.size(); ++i)
    html += fmt::format("<p class=\"soft small\">run {}: {}</p>", i, escaped(report.runs[i]));
  for (const std::string& note : report.notes) html += fmt::format("<p>{}.</p>", escaped(note));
  return html + fmt::format("<p class=\"soft small\">budget {}; {} against {}</p></section>",
                            escaped(report.budget.to_string()), escaped(report.precision_b),
                            escaped(report.precision_a));
}

std::string prompts_table(const Report& report) {
  std::string html =
      "<section><h2>Prompts</h2><div class=\"scroll\"><table><tr><th>prompt</th><th>tokens</th>"
      "<th>mean KL</th><th>largest difference</th><th>other best token</th><th>worst "
      "position</th></tr>";
  for (std::size_t i = 0; i < report.prompts.size(); ++i) {
    const PromptMetrics& prompt = report.prompts[i];
    html +=
        fmt::format("<tr><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>",
                    i, prompt.tokens, number(prompt.mean_kl), number(prompt.max_abs),
                    prompt.top1_disagreements, prompt.worst_position);
  }
  return html + "</table></div></section>";
}

std::string values_table(const Report& report) {
  if (report.values.empty()) return "";
  std::string html = fmt::format(
      "<section><details><summary>{} values of {}</summary><div "
      "class=\"scroll\"><table><tr><th>module and value</th><th>op</th><th>type</th><th>relative "
      "error</th><th>explained</th><th>largest magnitude</th></tr>",
      report.values.size(),
      report.outputs.empty()
          ? fmt::format("prompt {}, {} tokens", report.traced_prompt, report.traced_tokens)
          : fmt::format("run {}", report.traced_prompt));
  for (std::size_t i = 0; i < std::min(report.values.size(), kShownValues); ++i) {
    const ValueError& v = report.values[i];
    const bool mark = report.first_departure && report.first_departure->value == v.value;
    html += fmt::format(
        "<tr{}><td><code>{}</code><br><span class=\"soft\"><code>{}</code></span></td><td>{}</td>"
        "<td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>",
        mark ? " class=\"mark\"" : "", escaped(v.module), escaped(v.value), escaped(v.op),
        escaped(v.dtype), v.not_finite + v.nan_in_both > 0 ? "NaN or ∞" : number(v.relative),
        number(v.explained), number(v.max_abs));
  }
  return html + "</table></div></details></section>";
}

std::string provenance(const Report& report) {
  const CpuInfo cpu = cpu_info();
  const std::time_t now = std::time(nullptr);
  std::string html = "<section><h2>How this was made</h2>";
  for (const std::string& note : report.notes) html += fmt::format("<p>{}.</p>", escaped(note));
  const std::string budget = report.budget.to_string();
  html += fmt::format(
      "<p class=\"soft small\">{} positions in {} prompts; budget {}; A ran {:.2f} s, B {:.2f} s, "
      "values and reasons {:.2f} s; {} ({} cores, {}); {:%Y-%m-%d %H:%M} UTC; Tenon</p></section>",
      report.metrics.positions, report.prompts.size(),
      budget.empty() ? std::string("none but finite logits") : escaped(budget), report.seconds_a,
      report.seconds_b, report.seconds_diagnosis, escaped(cpu.model), cpu.cores,
      isa_name(native_isa()), fmt::gmtime(now));
  return html;
}

std::string tensor_sections(const Report& report) {
  std::string html = outputs_table(report);
  if (report.first_departure) html += departure(*report.first_departure);
  const std::string mark = report.first_departure ? report.first_departure->value : "";
  if (const std::string plot = error_plot(report.values, mark); !plot.empty())
    html += "<section class=\"wide\"><h2>Relative error of each value, in execution order</h2>" +
            plot + "</section>";
  return html + values_table(report);
}

}  // namespace

std::string to_html(const Report& report) {
  std::string html =
      "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" "
      "content=\"width=device-width,initial-scale=1\"><title>Tenon: verification</title><style>";
  html += kPageStyle;
  html += "</style></head><body><main>";
  html += verdict(report);
  if (!report.parts.empty() || !report.outputs.empty()) {
    for (const Report& part : report.parts) html += tensor_sections(part);
    if (report.parts.empty()) html += tensor_sections(report);
    return html + "</main></body></html>\n";
  }
  html += tiles(report);
  if (report.first_departure) html += departure(*report.first_departure);
  html += plots(report) + prompts_table(report) + values_table(report) + provenance(report);
  return html + "</main></body></html>\n";
}

}  // namespace tenon::verify
