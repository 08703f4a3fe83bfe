"""Quoted text of a prompt: what is to be written in the picture, and all that ByT5 reads (Movie Gen, appendix A.1)."""

import re

# A straight mark opens only where no word ends, so that inches (12") and apostrophes (don't, dogs') open nothing; a
# single one closes only where no word goes on, so that the apostrophe in 'don't' does not close it.
QUOTED = re.compile(
    r"""
      (?<!\w)"([^"\n]+)"
    | [“„]([^“”„\n]+)[”“]
    | «([^«»\n]+)»
    | (?<!\w)'([^"\n]+?)'(?!\w)
    | (?<!\w)\u2018([^"\u2018\n]+?)\u2019(?!\w)
    """,
    re.VERBOSE,
)


def quoted_text(text: str) -> str:
    """The substrings inside straight or typographic quotation marks, joined by a space; "" if nothing is quoted.

    Unbalanced marks quote nothing. Marks inside a quotation are part of it.
    """
    found = ("".join(group or "" for group in match.groups()).strip() for match in QUOTED.finditer(text))
    return " ".join(part for part in found if part)
