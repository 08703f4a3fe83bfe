"""The page of an inference report: one file, no network, readable in light and dark."""

PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{ title }}</title>
<style>
:root { color-scheme: light dark; --paper: #fff; --card: #f6f7f9; --ink: #1c1e21; --soft: #666c75; --rule: #dfe2e7;
        --good: #1a7f37; --bad: #bc2a2a; --accent: #2f5fd0; }
@media (prefers-color-scheme: dark) {
  :root { --paper: #121417; --card: #1b1e23; --ink: #e8eaed; --soft: #9aa1ab; --rule: #2c3139;
          --good: #56c271; --bad: #ff7b72; --accent: #8ab0ff; }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink);
       font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "Helvetica Neue", Arial, sans-serif; }
main { max-width: 1180px; margin: 0 auto; padding: 32px 24px 64px; }
h1 { font-size: 26px; line-height: 1.2; margin: 0 0 4px; letter-spacing: -.01em; }
h2 { font-size: 17px; margin: 40px 0 12px; }
p.soft { margin: 0; color: var(--soft); }
code { font: 13px ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; overflow-wrap: anywhere; }
dl { display: flex; flex-wrap: wrap; gap: 1px; margin: 20px 0 0;
     background: var(--rule); border: 1px solid var(--rule); border-radius: 10px; overflow: hidden; }
dl div { flex: 1 1 120px; background: var(--card); padding: 8px 14px; }
dt { color: var(--soft); font-size: 12px; }
dd { margin: 0; overflow-wrap: anywhere; }
.edits { display: grid; align-items: start; gap: 18px;
         grid-template-columns: repeat(auto-fill, minmax(min(100%, 520px), 1fr)); }
article { border: 1px solid var(--rule); border-radius: 10px; background: var(--card); padding: 14px 16px; }
article h3 { font-size: 15px; font-weight: 600; margin: 0 0 2px; overflow-wrap: anywhere; }
article .facts { color: var(--soft); font-size: 13px; margin: 0 0 10px; overflow-wrap: anywhere; }
.pair { display: grid; grid-template-columns: 1fr 1fr; gap: 10px; }
figure { margin: 0; min-width: 0; }
figure img, figure video { display: block; width: 100%; height: auto; max-height: 340px;
                           object-fit: contain; border-radius: 6px; background: #0003; }
figcaption { color: var(--soft); font-size: 12px; margin-top: 4px; }
a { color: var(--accent); }
.tag { display: inline-block; border: 1px solid var(--rule); border-radius: 99px; padding: 0 8px; font-size: 12px;
       color: var(--ink); background: var(--paper); }
table { border-collapse: collapse; width: 100%; font-size: 14px; }
th, td { text-align: left; vertical-align: top; padding: 8px 12px 8px 0; border-bottom: 1px solid var(--rule);
         overflow-wrap: anywhere; }
th { color: var(--soft); font-weight: 500; font-size: 12px; }
td.reason { color: var(--bad); }
.scroll { overflow-x: auto; }
</style>
</head>
<body>
<main>
<h1>{{ title }}</h1>
<p class="soft">Made with {{ header.model }}, weights <code>{{ header.digest[:12] }}</code></p>
<dl>
{%- for fact in header.facts %}
<div><dt>{{ fact.name }}</dt><dd>{{ fact.value }}</dd></div>
{%- endfor %}
</dl>
{%- if edits %}
<h2>Edits</h2>
<div class="edits">
{%- for edit in edits %}
<article id="row-{{ edit.row.number }}">
<h3>{{ edit.row.instruction }}</h3>
<p class="facts">{{ edit.row.name }} · <span class="tag">{{ edit.row.task }}</span>
{{ "given" if edit.row.task_given else "predicted" }} · {{ "%.1f"|format(edit.row.seconds) }} s · ok</p>
<div class="pair">
{%- for side in edit.sides %}
<figure>
{%- if side.uri and side.is_video %}
<video src="{{ side.uri }}" muted loop playsinline controls preload="metadata"></video>
{%- elif side.uri %}
<img src="{{ side.uri }}" alt="{{ side.label }} of {{ edit.row.name }}" loading="lazy">
{%- endif %}
<figcaption>{{ side.label }}{% if side.link %} · <a href="{{ side.link }}" title="{{ side.file }}">open</a>{% endif %}
{%- if side.note %} · {{ side.note }}{% endif %}</figcaption>
</figure>
{%- endfor %}
</div>
</article>
{%- endfor %}
</div>
{%- endif %}
{%- if failures %}
<h2>Not edited</h2>
<div class="scroll"><table>
<thead><tr><th>Row</th><th>Clip</th><th>Instruction</th><th>Reason</th></tr></thead>
<tbody>
{%- for row in failures %}
<tr id="row-{{ row.number }}"><td>{{ row.name }}</td><td>{{ row.clip }}</td><td>{{ row.instruction }}</td>
<td class="reason">{{ row.error }}</td></tr>
{%- endfor %}
</tbody>
</table></div>
{%- endif %}
</main>
<script>
const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
const seen = new IntersectionObserver(entries => entries.forEach(({target, isIntersecting}) => {
  const videos = [...target.querySelectorAll("video")];
  videos.forEach(video => isIntersecting && !still ? video.play().catch(() => {}) : video.pause());
}), {rootMargin: "100px"});
document.querySelectorAll(".pair").forEach(pair => {
  seen.observe(pair);
  const [source, edit] = pair.querySelectorAll("video");
  if (!edit) return;
  const follow = () => {
    if (Math.abs(source.currentTime - edit.currentTime) > .15) edit.currentTime = source.currentTime;
  };
  source.addEventListener("timeupdate", follow);
  source.addEventListener("seeked", follow);
});
</script>
</body>
</html>
"""
