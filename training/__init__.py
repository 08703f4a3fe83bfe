"""Pairs in, models out: the three stages, the data they mix, and the scores and gate a model must pass."""
