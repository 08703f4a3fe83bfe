"""The task of an instruction in anybody's words: an ordered list of rules; what none of them knows is a local edit.

Movie Gen Edit learns one vector a task (section 5.1.1); the paper does not say how data without task names get theirs.
"""

import re

from features.paint import COLOURS
from models.tasks import Task

WHOLE = r"(?:it|this|everything|the (?:whole |entire )?(?:picture|image|photo|photograph|scene|video|clip|frame))"
THING = rf"(?!{WHOLE}\b)(?:the|a|an|his|her|its|their|my|all) .+"
COLOUR = rf"(?:light |dark |bright |pale )?(?:{'|'.join(COLOURS)}|brown|gr[ae]y|gold|golden|silver|violet|turquoise)"
AIR = (
    r"(?:winter|summer|autumn|spring|night|day|daytime|dawn|dusk|sunrise|sunset|evening|morning|rain|rainy|snow|snowy|"
    r"fog|foggy|storm|stormy|sunny|cloudy|midnight|noon)"
)
ART = (
    r"(?:style|painting|drawing|sketch|cartoon|anime|manga|comic|watercolou?r|pixel art|pop art|poster|relief|mosaic|"
    r"engraving|woodcut|sculpture|origami|lego|claymation|pixar|ghibli|disney|cyberpunk|cubism|impressionism|render)"
)
# The first that is found decides. Each is looked for anywhere, in lower case, without a full stop at the end.
RULES: tuple[tuple[Task, str], ...] = (
    (Task.IDENTITY, rf"^(?:keep|leave) {WHOLE} (?:as it is|as they are|the same|alone|unchanged)$"),
    (Task.IDENTITY, r"^(?:change|edit|alter) nothing$|^no changes?(?: at all)?$|^return \w+ unchanged$|^do nothing\b"),
    (Task.IDENTITY, r"^(?:do not|don't) (?:edit|change|alter)(?: anything| it)?$"),
    (Task.DETECT, r"^(?:detect|locate)\b|\b(?:box|rectangle|frame) around\b|\bbox (?:it|them) in\b"),
    (Task.DETECT, r"^(?:enclose|surround) .+\b(?:box|rectangle|frame)$"),
    (Task.SEGMENT, rf"^(?:segment|mark|highlight|overlay|mask)\b|^show where\b|^cover .+ (?:with|in) {COLOUR}$"),
    (Task.BACKGROUND, r"^\w+ (?:the |its |his |her )?(?:background|backdrop)\b"),
    (Task.BACKGROUND, rf"^(?:put|place|show|set) (?:{WHOLE}|him|her|them) (?:in front of|before)\b"),
    (Task.REMOVE, r"^(?:remove|erase|delete|eliminate|get rid of|take (?:away|out|off))\b|\bdisappear\b"),
    (Task.REMOVE, r"^take .+ (?:away|out|off)$|^there should be no\b"),
    (Task.REPLACE, r"^(?:replace|swap|exchange|substitute)\b|\binstead of\b"),
    (Task.GLOBAL, r"\b(?:weather|season|time of day|lighting|atmosphere|mood|brightness|contrast|saturation)\b"),
    (Task.GLOBAL, rf"^\w+ {WHOLE} (?:be |look )?(?:to |into |like |as )?(?:a |an |the |at )?{AIR}\b"),
    (Task.GLOBAL, r"\b(?:look|feel|filter|effect)$"),
    (Task.STYLE, rf"\bstyle\b|^\w+ {WHOLE} .*\b{ART}\b|^(?:as|convert to|turn into) .*\b{ART}\b"),
    (Task.STYLE, r"^(?:redraw|render|stylise|stylize)\b"),
    (Task.GLOBAL, rf"^(?:make|turn|let|change|set) {WHOLE} (?!into\b|to an?\b)\w"),
    (Task.TEXTURE, r"\btextured?\b|\b(?:made|out) of \w+$"),
    (Task.RECOLOUR, rf"\bcolou?rs? of\b|\bthe colou?r\b|^\w+ {THING} (?:to |in )?{COLOUR}$"),
    (Task.RECOLOUR, r"^(?:recolou?r|repaint|dye|tint)\b"),
    (Task.ADD, r"^(?:add|put|place|insert|include|draw)\b|^i (?:want|would like) to see\b"),
    (Task.ADD, r"^(?:there should|let there) be\b"),
    (Task.ADD, r"^(?:give|let) (?:him|her|them|it|the .+?) (?:have |wear |hold )?(?:a|an|some)\b"),
    (Task.REPLACE, rf"^(?:turn|change|transform|convert|make) {THING} (?:into|to) \w"),
)
POLITE = re.compile(r"^(?:please|(?:can|could|would) you(?: please)?|let's|i want you to|now)[ ,]+|[ ,]+please$")
_COMPILED = tuple((task, re.compile(rule)) for task, rule in RULES)


def task_told(instruction: str) -> Task:
    """The editing task that an instruction asks for."""
    told = " ".join(instruction.lower().split()).strip(" .!?\"'")
    told = POLITE.sub("", told)
    return next((task for task, rule in _COMPILED if rule.search(told)), Task.LOCAL)
