"""Phrasings of instructions. The last of each list is held out: training never reads it, test only reads it."""

import numpy as np

PHRASINGS: dict[str, tuple[str, ...]] = {
    "add": (
        "add {thing}",
        "put {thing}",
        "place {thing}",
        "insert {thing}",
        "I want to see {thing}",
        "there should be {thing}",
    ),
    "remove": (
        "remove the {noun}",
        "take the {noun} away",
        "erase the {noun}",
        "delete the {noun}",
        "get rid of the {noun}",
        "make the {noun} disappear",
    ),
    "replace": (
        "replace the {old} with {new}",
        "swap the {old} for {new}",
        "turn the {old} into {new}",
        "change the {old} to {new}",
        "there should be {new} instead of the {old}",
        "exchange the {old} for {new}",
    ),
    "global": (
        "make it {look}",
        "turn the picture {look}",
        "change the whole scene to be {look}",
        "give everything a {look} look",
        "let it look {look}",
    ),
    "identity": (
        "keep it as it is",
        "change nothing",
        "leave everything as it is",
        "do not edit anything",
        "keep the picture the same",
        "no change at all",
        "return it unchanged",
        "do nothing to it",
        "leave it alone",
    ),
    "text_to_video": (
        "generate a video of {caption}",
        "create {caption}",
        "show {caption}",
        "make a video that shows {caption}",
    ),
}


def phrase(task: str, rng: np.random.Generator, held_out: bool, **words: str) -> str:
    """An instruction of a task in a drawn wording; held-out wordings for test rows, the others for training."""
    known = PHRASINGS[task]
    pattern = known[-1] if held_out else known[int(rng.integers(len(known) - 1))]
    return pattern.format(**words)
