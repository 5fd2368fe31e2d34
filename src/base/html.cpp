#include "base/html.h"

namespace tenon {

const std::string_view kPageStyle = R"css(
:root{color-scheme:light dark;--bg:#f7f7f5;--card:#fff;--ink:#1c1e21;--soft:#62666d;--line:#e2e2de;
--good:#14743f;--goodbg:#e3f4ea;--bad:#b3261e;--badbg:#fce8e6;--hue:#2f5fd0;--mid:#b9c6e8}
@media(prefers-color-scheme:dark){:root{--bg:#131517;--card:#1c1f22;--ink:#e8e9ea;--soft:#9da3ab;
--line:#31353a;--good:#6fd49b;--goodbg:#15301f;--bad:#ff8a80;--badbg:#3a1a18;--hue:#86a8ff;
--mid:#3d4d78}}
*{box-sizing:border-box}
body{margin:0;background:var(--bg);color:var(--ink);font:16px/1.5 system-ui,sans-serif}
main{max-width:1000px;margin:0 auto;padding:28px 18px 60px}
h1{font-size:1.9rem;line-height:1.2;margin:0 0 4px}
h2{font-size:1.05rem;margin:0 0 10px}
p{margin:6px 0}
code{font:.92em ui-monospace,monospace;overflow-wrap:anywhere}
.soft{color:var(--soft)}
.small{font-size:.87rem}
section,.verdict{background:var(--card);border:1px solid var(--line);border-radius:12px;
padding:18px 20px;margin:14px 0}
.verdict.good{background:var(--goodbg);border-color:var(--good)}
.verdict.bad{background:var(--badbg);border-color:var(--bad)}
.good h1{color:var(--good)}
.bad h1{color:var(--bad)}
.tiles{display:grid;gap:10px;margin:14px 0;
grid-template-columns:repeat(auto-fit,minmax(min(240px,45%),1fr))}
.tile{background:var(--card);border:1px solid var(--line);border-radius:12px;padding:12px 14px}
.tile b{display:block;font-size:1.35rem;font-variant-numeric:tabular-nums}
.tile.off{border-color:var(--bad)}
.tile.off b{color:var(--bad)}
.pair{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,440px),1fr));gap:0 14px}
.scroll{overflow-x:auto}
table{border-collapse:collapse;width:100%;font-size:.87rem;font-variant-numeric:tabular-nums}
th,td{text-align:right;padding:5px 10px 5px 0;border-bottom:1px solid var(--line)}
th{color:var(--soft);font-weight:500}
td{white-space:nowrap}
td:first-child,th:first-child{text-align:left}
tr.mark td{color:var(--bad);font-weight:600}
svg{width:100%;height:auto;display:block}
svg text{fill:var(--soft);font:12px system-ui,sans-serif;paint-order:stroke;stroke:var(--card);
stroke-width:3px}
.grid{stroke:var(--line)}
.bound{stroke:var(--soft);stroke-dasharray:2 4}
.limit{stroke:var(--bad);stroke-dasharray:6 4}
.line{fill:none;stroke:var(--hue);stroke-width:1.8}
.explained{fill:none;stroke:var(--mid);stroke-width:1.5;stroke-dasharray:5 4}
.dot{fill:var(--hue)}
.bar{fill:var(--hue)}
.mark{fill:var(--bad)}
@media(max-width:700px){.wide text{font-size:20px}section,.verdict{padding:14px}}
details summary{cursor:pointer;font-weight:600}
)css";

std::string escaped(std::string_view words) {
  std::string safe;
  for (const char c : words) {
    switch (c) {
      case '&':
        safe += "&amp;";
        break;
      case '<':
        safe += "&lt;";
        break;
      case '>':
        safe += "&gt;";
        break;
      case '"':
        safe += "&quot;";
        break;
      case '\'':
        safe += "&#39;";
        break;
      default:
        safe += c;
    }
  }
  return safe;
}

}  // namespace tenon
