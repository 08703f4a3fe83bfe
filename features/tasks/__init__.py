"""Composed editing tasks, one file each: from materials to an instruction and its exact truth."""
