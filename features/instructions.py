"""Phrasings of instructions. The last of each list is held out: training never reads it, test only reads it."""

from collections.abc import Mapping

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
    "recolour": (
        "make the {noun} {colour}",
        "colour the {noun} {colour}",
        "paint the {noun} {colour}",
        "turn the {noun} {colour}",
        "change the colour of the {noun} to {colour}",
        "give the {noun} the colour {colour}",
    ),
    "background": (
        "change the background to {backdrop}",
        "replace the background with {backdrop}",
        "put it in front of {backdrop}",
        "let the background be {backdrop}",
        "show it before {backdrop}",
        "swap the background for {backdrop}",
    ),
    "global": (
        "make it {look}",
        "turn the picture {look}",
        "change the whole scene to be {look}",
        "give everything a {look} look",
        "let it look {look}",
    ),
    "style": (
        "turn it into {style}",
        "make it look like {style}",
        "redraw it as {style}",
        "change the style to {style}",
        "show the scene as {style}",
        "render it as {style}",
    ),
    "segment": (
        "mark the {noun} in {colour}",
        "segment the {noun} in {colour}",
        "highlight the {noun} in {colour}",
        "cover the {noun} with {colour}",
        "show where the {noun} is in {colour}",
        "overlay the {noun} in {colour}",
    ),
    "detect": (
        "draw a {colour} box around the {noun}",
        "put a {colour} frame around the {noun}",
        "find the {noun} and box it in {colour}",
        "detect the {noun} with a {colour} box",
        "enclose the {noun} in a {colour} box",
        "surround the {noun} by a {colour} box",
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


# What takes an edit back where no other edit says it: an own colour has no name. The last is held out too.
UNDOINGS: dict[str, tuple[str, ...]] = {
    "recolour": (
        "give the {noun} its own colour again",
        "take the {colour} colour off the {noun}",
        "make the {noun} the colour it was",
        "let the {noun} be {colour} no more",
    ),
    "background": (
        "bring back the background of {scene}",
        "put the background of {scene} back",
        "return to the background of {scene}",
        "restore the background of {scene}",
    ),
    "global": (
        "undo the {effect}",
        "make it {before} again",
        "take the {effect} away",
        "make it {before}, as it was",
        "let it be {before} as before",
    ),
    "style": (
        "turn the {kind} back into a photograph",
        "make a photograph of the {kind} again",
        "show what the {kind} was drawn from",
        "undo the {kind}",
        "change the {kind} back to a real picture",
    ),
    "segment": (
        "take the {colour} mark off the {noun}",
        "clear the {colour} mark from the {noun}",
        "show the {noun} without the {colour} mark",
        "unmark the {colour} {noun}",
    ),
    "detect": (
        "take away the {colour} box around the {noun}",
        "remove the {colour} box from the {noun}",
        "show the {noun} without the {colour} box",
        "erase the {colour} frame around the {noun}",
    ),
}


def phrase(task: str, rng: np.random.Generator, held_out: bool, **words: str) -> str:
    """An instruction of a task in a drawn wording; held-out wordings for test rows, the others for training."""
    return _worded(PHRASINGS[task], rng, held_out, words)


def undoing(task: str, rng: np.random.Generator, held_out: bool, **words: str) -> str:
    """An instruction that takes an edit of a task back, in a drawn wording, held out likewise."""
    return _worded(UNDOINGS[task], rng, held_out, words)


def _worded(known: tuple[str, ...], rng: np.random.Generator, held_out: bool, words: Mapping[str, str]) -> str:
    pattern = known[-1] if held_out else known[int(rng.integers(len(known) - 1))]
    return pattern.format(**words)
