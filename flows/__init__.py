"""Flows: what composes the rooms into pipelines, and the commands."""
