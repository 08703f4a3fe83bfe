"""What ByT5 reads: quoted substrings, whatever the marks; apostrophes, inches and unbalanced marks quote nothing."""

import pytest

from models.text_encoders.quotes import quoted_text


@pytest.mark.parametrize(
    "text, quoted",
    [
        ('a sign that says "OPEN"', "OPEN"),
        ("a sign that says 'OPEN'", "OPEN"),
        ("a sign that says “OPEN NOW”.", "OPEN NOW"),
        ("a sign that says \u2018OPEN\u2019", "OPEN"),
        ("ein Schild mit „OFFEN“", "OFFEN"),
        ("une enseigne « OUVERT »", "OUVERT"),
        ('replace "OPEN" with "CLOSED"', "OPEN CLOSED"),
        ("replace “OPEN” with 'CLOSED', please", "OPEN CLOSED"),
        ("\"first\" and “second”, then 'third'", "first second third"),
        ("write 'don't stop'", "don't stop"),
        ("write \u2018don\u2019t stop\u2019", "don\u2019t stop"),
        ("""write "it's 5 o'clock" on it""", "it's 5 o'clock"),
        ("""write "say 'hi' twice" on it""", "say 'hi' twice"),
        ('write "  OPEN  "', "OPEN"),
        ('a 12" disc that says "LIVE"', "LIVE"),
        ('write "日本語 ✓"', "日本語 ✓"),
        ('("OPEN")', "OPEN"),
    ],
)
def test_quoted_text_is_found(text: str, quoted: str) -> None:
    assert quoted_text(text) == quoted


@pytest.mark.parametrize(
    "text",
    [
        "",
        "   ",
        "add a red balloon",
        "don't add the dog's ball, it isn't there",
        "the dogs' and the cats' bowls",
        "don\u2019t move the dog\u2019s ball",
        'a sign that says "OPEN',
        "a sign that says OPEN”",
        "a sign that says 'OPEN",
        '""',
        '" "',
        "“”",
        "''",
        'a 12" disc beside a 7" disc',
        'one line "that ends\nbefore the mark"',
        '"',
        "'",
    ],
)
def test_nothing_quoted_is_nothing(text: str) -> None:
    assert quoted_text(text) == ""
