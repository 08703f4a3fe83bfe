"""Measurements of the whole; each writes a dated record into `results/`."""
