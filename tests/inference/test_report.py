"""The report holds every row, whatever the files; its size is bounded; its previews play like their clips."""

import base64
import re
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from inference import report
from inference.report import Fact, ReportHeader, ReportRow, write_report
from stores.clip_files import probe
from stores.clip_writer import write_clip, write_picture
from tests.media import WIDE, moving_frames

HEADER = ReportHeader("editor", "0123456789abcdef", (Fact("Steps", "3"),))


def _row(number: int, source: Path, output: Path) -> ReportRow:
    return ReportRow(
        number=number,
        name=f"row {number}",
        clip=str(source),
        instruction=f"instruction {number}",
        task="add",
        task_given=False,
        seconds=1.5,
        error="",
        source=source,
        output=output,
    )


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    write_clip(tmp_path / "my clip.mp4", moving_frames(150, 301, 533), Fraction(30))
    return tmp_path / "my clip.mp4"


def test_previews_are_small_even_and_as_long_as_the_clip(tmp_path: Path, clip: Path) -> None:
    write_report(tmp_path / "report.html", [_row(1, clip, clip)], HEADER, WIDE)
    page = (tmp_path / "report.html").read_text()
    (first, _) = re.findall(r'src="data:video/mp4;base64,([^"]+)"', page)
    info = probe(base64.b64decode(first), WIDE)
    assert max(info.height, info.width) == report.PREVIEW_SIDE and info.height % 2 == info.width % 2 == 0
    assert info.frames <= report.PREVIEW_FRAMES and info.seconds == pytest.approx(5, abs=0.2)
    assert "<title>1 edit</title>" in page and 'href="my%20clip.mp4"' in page and "533 x 301, 5.0 s" in page


def test_a_full_page_links_instead(tmp_path: Path, clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report, "MAX_BYTES", 60_000)
    rows = [_row(number, clip, clip) for number in range(1, 30)]
    write_report(tmp_path / "report.html", rows, HEADER, WIDE)
    page = (tmp_path / "report.html").read_text()
    assert len(page) < 60_000 + 30_000
    assert all(f"instruction {number}<" in page for number in range(1, 30))
    assert "the page is full" in page


def test_a_page_of_noise_stays_under_thirty_megabytes(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (48, 144, 256, 3), dtype=np.uint8)
    write_clip(tmp_path / "noise.mp4", noise, Fraction(16))
    rows = [_row(number, tmp_path / "noise.mp4", tmp_path / "noise.mp4") for number in range(1, 21)]
    write_report(tmp_path / "report.html", rows, HEADER, WIDE)
    assert (tmp_path / "report.html").stat().st_size < 30 << 20


def test_lost_files_and_failures_are_shown(tmp_path: Path) -> None:
    write_picture(tmp_path / "a.png", moving_frames(1)[0])
    good = _row(1, tmp_path / "a.png", tmp_path / "gone.png")
    bad = replace(good, number=2, name="bad <row>", error="no <such> file", output=None)
    write_report(tmp_path / "report.html", [good, bad], HEADER, WIDE)
    page = (tmp_path / "report.html").read_text()
    assert "<title>1 edit, 1 not edited</title>" in page
    assert "not shown: " in page and "bad &lt;row&gt;" in page and "no &lt;such&gt; file" in page


def test_no_rows_are_a_page_too(tmp_path: Path) -> None:
    write_report(tmp_path / "deep" / "report.html", [], HEADER, WIDE)
    assert "<title>0 edits</title>" in (tmp_path / "deep" / "report.html").read_text()
