"""Scorers: frames and texts in one space, to tell whether an edit shows what was asked for (Movie Gen Edit, 5.2.2)."""
