"""Edits clips and pictures from instructions: one file, a manifest or a table of requests; report and serving."""
