"""Data Docs of Great Expectations made to be read anywhere: two pages, no script, nothing from a network."""

import re
from pathlib import Path

STYLE = """<style>
body { font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, Arial, sans-serif; color: #1c1e21; margin: 0; }
.container-fluid { max-width: 1180px; margin: 0 auto; padding: 0 24px; }
.ge-section.container-fluid { padding: 0; }
h4 { font-size: 24px; margin: 24px 0 4px; } h5 { font-size: 17px; margin: 24px 0 8px; } h6 { margin: 12px 0 4px; }
.h6 { font-weight: 600; }
table { border-collapse: collapse; width: 100%; font-size: 14px; }
th, td { text-align: left; vertical-align: top; padding: 7px 12px 7px 0; border-bottom: 1px solid #dfe2e7;
         overflow-wrap: anywhere; }
th { color: #666c75; font-weight: 500; font-size: 12px; }
td table { width: auto; margin-top: 8px; } td table td { padding-right: 20px; }
code, .badge { font: 13px ui-monospace, Menlo, Consolas, monospace; background: #eef0f3; border-radius: 4px;
               padding: 1px 5px; overflow-wrap: anywhere; }
.text-danger { color: #bc2a2a; } .text-success { color: #1a7f37; }
i.fa-times::before { content: "failed"; } i.fa-check-circle::before { content: "passed"; }
i.fa-exclamation-triangle::before { content: "error"; }
i { font-style: normal; font-weight: 600; font-size: 13px; } ul { padding-left: 20px; }
</style>"""
# What asks a network, or works only with what a network would bring: scripts, style sheets, pictures, filters, menus.
GONE = (
    r"<script\b.*?</script>",
    r"<link\b[^>]*>",
    r"<img\b[^>]*>",
    r"<style\b.*?</style>",
    r"<footer\b.*?</footer>",
    r'<nav class="navbar.*?</nav>\s*</div>\s*</nav>',
    r"<title></title>",
)
SIDE = re.compile(r'<div class="col-lg-2 col-md-2.*?(?=<div class="col-md-10)', re.DOTALL)
UNFOLD = re.compile(r'<p class="m-0">\s*<a data-toggle="collapse".*?</a>\s*</p>', re.DOTALL)
RETRIEVE = re.compile(r'<div id=\S+-collapse-body-\S+ class="collapse m-2" >.*?</div>', re.DOTALL)
TO_OTHER = re.compile(r'href="[^"]*/expectations/[^"]*\.html"')
TO_INDEX = re.compile(r'href="[^"#]*/?(?:index|validations/[^"]*)\.html"')
ABROAD = re.compile(r'<a\b[^>]*href="https?://[^"]*"[^>]*>(.*?)</a>', re.DOTALL)


def write_offline(site: Path, folder: Path) -> None:
    """From a site as Great Expectations builds it, the result as `index.html` and the suite as `expectations.html`.

    Its index of runs is left out: there is one run, and its address would hold the time.
    """
    (result,) = (site / "validations").rglob("*.html")
    (suite,) = (site / "expectations").rglob("*.html")
    folder.mkdir(parents=True, exist_ok=True)
    for page, name in ((result, "index.html"), (suite, "expectations.html")):
        (folder / name).write_text(offline(page.read_text(encoding="utf-8")), encoding="utf-8")


def offline(page: str) -> str:
    """A page without anything that is fetched when it is opened, nor a link that leads abroad."""
    for gone in (*(re.compile(pattern, re.DOTALL) for pattern in GONE), SIDE, UNFOLD, RETRIEVE):
        page = gone.sub("", page)
    page = TO_INDEX.sub('href="index.html"', TO_OTHER.sub('href="expectations.html"', page))
    page = ABROAD.sub(r"\1", page).replace("Data asset: None<br>", "")
    return page.replace("</head>", f"{STYLE}\n</head>", 1)
