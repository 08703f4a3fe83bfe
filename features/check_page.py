"""The page of a table's checks: one file, no script, no network, readable in light and dark."""

PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{ report.title }}</title>
<style>
:root { color-scheme: light dark; --paper: #fff; --card: #f6f7f9; --ink: #1c1e21; --soft: #666c75; --rule: #dfe2e7;
        --good: #1a7f37; --bad: #bc2a2a; --bar: #8fa8dd; --second: #2f5fd0; }
@media (prefers-color-scheme: dark) {
  :root { --paper: #121417; --card: #1b1e23; --ink: #e8eaed; --soft: #9aa1ab; --rule: #2c3139;
          --good: #56c271; --bad: #ff7b72; --bar: #40578d; --second: #8ab0ff; }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink);
       font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "Helvetica Neue", Arial, sans-serif; }
main { max-width: 1180px; margin: 0 auto; padding: 32px 24px 64px; }
h1 { font-size: 26px; line-height: 1.2; margin: 0 0 4px; letter-spacing: -.01em; }
h2 { font-size: 17px; margin: 40px 0 12px; }
h3 { font-size: 14px; font-weight: 600; margin: 0 0 8px; }
p { margin: 0; } .soft, figcaption, th, dt, .ends { color: var(--soft); }
.verdict { font-weight: 600; } .good { color: var(--good); } .bad { color: var(--bad); }
code { font: 12.5px ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; overflow-wrap: anywhere; }
dl { display: flex; flex-wrap: wrap; gap: 1px; margin: 20px 0 0;
     background: var(--rule); border: 1px solid var(--rule); border-radius: 10px; overflow: hidden; }
dl div { flex: 1 1 120px; background: var(--card); padding: 8px 14px; }
dt { font-size: 12px; } dd { margin: 0; overflow-wrap: anywhere; }
.cards { display: grid; gap: 14px; grid-template-columns: repeat(auto-fill, minmax(min(100%, 260px), 1fr)); }
.wide { align-items: start; grid-template-columns: repeat(auto-fill, minmax(min(100%, 420px), 1fr)); }
.card { border: 1px solid var(--rule); border-radius: 10px; background: var(--card); padding: 14px 16px; }
.bars { display: flex; align-items: flex-end; gap: 2px; height: 72px; border-bottom: 1px solid var(--rule); }
.bars i { flex: 1; background: var(--bar); border-radius: 2px 2px 0 0; min-height: 0; }
.ends { display: flex; justify-content: space-between; font-size: 12px; margin-top: 4px; }
.share { display: flex; height: 12px; min-width: 60px; gap: 1px; }
.share i { background: var(--bar); border-radius: 2px; } .share i:first-child { background: var(--second); }
figure { margin: 0; min-width: 0; }
figure img { display: block; width: 100%; border-radius: 6px; background: #0003; image-rendering: auto; }
figcaption { font-size: 13px; margin-top: 6px; overflow-wrap: anywhere; } figcaption b { color: var(--ink); }
table { border-collapse: collapse; width: 100%; font-size: 14px; }
th, td { text-align: left; vertical-align: top; padding: 7px 14px 7px 0; border-bottom: 1px solid var(--rule);
         overflow-wrap: anywhere; }
th { font-weight: 500; font-size: 12px; } td.number, th.number { text-align: right; white-space: nowrap; }
td.half { width: 45%; } td img { display: block; width: 128px; border-radius: 4px; }
.key { display: inline-block; width: 10px; height: 10px; border-radius: 2px; background: var(--bar); }
th:nth-child(2) .key { background: var(--second); }
.scroll { overflow-x: auto; }
</style>
</head>
<body>
<main>
<h1>{{ report.title }}</h1>
<p class="verdict {{ 'good' if report.published else 'bad' }}">{{ report.verdict }}</p>
<dl>
{%- for fact in report.facts %}
<div><dt>{{ fact.name }}</dt><dd>{{ fact.value }}</dd></div>
{%- endfor %}
</dl>
{%- if report.failing %}
<h2>Rows that fail</h2>
<div class="scroll"><table>
<thead><tr><th>Row</th><th></th><th>Expected</th><th>Found</th></tr></thead>
<tbody>
{%- for row in report.failing %}
<tr><td><code>{{ row.id }}</code><br><span class="soft">{{ row.about }}</span></td>
<td>{% if row.picture %}<img src="{{ row.picture }}" alt="preview of {{ row.id }}">{% endif %}</td>
<td>{{ row.told }}<br><code class="soft">{{ row.column }}</code></td>
<td class="bad"><code>{{ row.value }}</code></td></tr>
{%- endfor %}
</tbody>
</table></div>
{%- if report.more %}<p class="soft">and {{ report.more }} more: see <code>checks.md</code></p>{% endif %}
{%- endif %}
<h2>What is in it</h2>
<div class="cards wide">
{%- for counts in report.counts %}
<div class="card"><table>
<thead><tr><th>{{ counts.row }}</th>
{%- for name in counts.columns %}<th class="number"><span class="key"></span> {{ name }}</th>{% endfor %}
<th></th></tr></thead>
<tbody>
{%- for line in counts.lines %}
<tr><td>{{ line.name }}</td>{% for count in line.counts %}<td class="number">{{ count }}</td>{% endfor %}
<td class="half"><div class="share">
{%- for share in line.shares %}<i style="width:{{ share }}%"></i>{% endfor %}</div></td></tr>
{%- endfor %}
</tbody>
</table></div>
{%- endfor %}
</div>
{%- if report.histograms %}
<h2>How its numbers are spread</h2>
<div class="cards">
{%- for histogram in report.histograms %}
<div class="card"><h3>{{ histogram.name }}</h3>
<div class="bars">{% for height in histogram.heights %}<i style="height:{{ height }}%"></i>{% endfor %}</div>
<div class="ends"><span>{{ histogram.least }}</span><span>median {{ histogram.median }}</span>
<span>{{ histogram.most }}</span></div>
<div class="ends"><span>{{ histogram.rows }} rows</span></div></div>
{%- endfor %}
</div>
{%- endif %}
{%- if report.examples %}
<h2>Examples</h2>
<div class="cards">
{%- for example in report.examples %}
<figure class="card"><img src="{{ example.picture }}" alt="preview of {{ example.id }}" loading="lazy">
<figcaption><b>{{ example.title }}</b><br>{{ example.about }}</figcaption></figure>
{%- endfor %}
</div>
{%- endif %}
<h2>What was expected</h2>
<div class="scroll"><table>
<thead><tr><th></th><th>Expectation</th><th>Column</th><th>Exactly</th>
<th class="number">Rows that miss it</th></tr></thead>
<tbody>
{%- for finding in report.findings %}
<tr><td class="{{ 'good' if finding.success else 'bad' }}">{{ "passed" if finding.success else "failed" }}</td>
<td>{{ finding.told }}{% if not finding.success and not finding.failed %}
<br><code class="bad">{{ finding.detail }}</code>{% endif %}</td><td><code>{{ finding.column }}</code></td>
<td><code class="soft">{{ finding.expectation }}<br>{{ finding.asked }}</code></td>
<td class="number">{{ finding.failed|length or "" }}</td></tr>
{%- endfor %}
</tbody>
</table></div>
{%- if report.aside %}
<h2>Set aside in <code>quarantine</code></h2>
<div class="scroll"><table>
<thead><tr><th>By</th><th>Row</th><th>Reason</th><th>Value</th></tr></thead>
<tbody>
{%- for row in report.aside %}
<tr><td>{{ row.origin }}</td><td><code>{{ row.row }}</code></td><td>{{ row.reason }}</td>
<td><code>{{ row.value }}</code></td></tr>
{%- endfor %}
</tbody>
</table></div>
{%- endif %}
</main>
</body>
</html>
"""
