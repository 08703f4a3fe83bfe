"""What changed between two scenes, as words of the task that changes it or takes the change back."""

from dataclasses import dataclass, replace

import numpy as np

from features.composer import Placed, Scene
from features.instructions import phrase, undoing
from features.tasks.marks import spoken
from features.tasks.style import STYLES
from features.vocabulary import BEFORE, EFFECTS

# A mark and a box are things on the picture: to take them back is to remove them. All else is undone by its own task.
UNDOING_TASKS = {"segment": "remove", "detect": "remove"}


@dataclass(frozen=True)
class Change:
    """One edit: the task whose phrasings say it, whether it takes such an edit back, its words, the thing meant."""

    of: str
    undoes: bool
    words: tuple[tuple[str, str], ...]
    thing: str | None

    @property
    def task(self) -> str:
        """The task that the instruction asks for."""
        return UNDOING_TASKS.get(self.of, self.of) if self.undoes else self.of

    def told(self, rng: np.random.Generator, held_out: bool) -> str:
        """The instruction, in a drawn wording."""
        say = undoing if self.undoes else phrase
        return say(self.of, rng, held_out, **dict(self.words))


def change_between(before: Scene, after: Scene) -> Change | None:
    """The one edit that leads from a scene to another, None where it takes none, several, or one without words."""
    found = [found for find in (_objects, _subject, _box, _look, _ground) for found in find(before, after)]
    return found[0] if len(found) == 1 else None


Found = list[Change | None]


def _change(of: str, meant: str | None, undoes: bool = False, /, **words: str) -> Change:
    return Change(of, undoes, tuple(words.items()), meant)


def _objects(before: Scene, after: Scene) -> Found:
    gone = [item for item in before.objects if item not in after.objects]
    new = [item for item in after.objects if item not in before.objects]
    if not gone and not new:
        return []
    if len(gone) > 1 or len(new) > 1:
        return [None]
    if not gone:
        return [_change("add", new[0].name.spoken, thing=new[0].phrase)]
    if not new:
        return [_change("remove", spoken(gone[0]), noun=spoken(gone[0]))]
    return [_other(gone[0], new[0])]


def _other(old: Placed, new: Placed) -> Change | None:
    """An object that stayed where it was, and is another or looks otherwise."""
    if replace(old, name=new.name) == new:
        return _change("replace", old.name.spoken, old=old.name.spoken, new=new.name.with_article)
    if replace(old, colour=new.colour) == new:
        return _in_colour("recolour", old.name.spoken, old.colour, new.colour)
    if replace(old, mark=new.mark) == new:
        return _in_colour("segment", old.name.spoken, old.mark, new.mark)
    return None


def _in_colour(of: str, noun: str, old: str | None, new: str | None) -> Change:
    if new is None:
        return _change(of, noun, True, noun=noun, colour=str(old))
    return _change(of, noun, noun=noun, colour=new)


def _subject(before: Scene, after: Scene) -> Found:
    found: Found = []
    for of, old, new in (
        ("recolour", before.subject.colour, after.subject.colour),
        ("segment", before.subject.mark, after.subject.mark),
    ):
        if old != new:
            found.append(_in_colour(of, spoken(None), old, new))
    return found


def _box(before: Scene, after: Scene) -> Found:
    old, new = before.box, after.box
    if old is not None and new is not None:
        same = (old.colour, spoken(old.item)) == (new.colour, spoken(new.item))
        return [] if same else [None]
    told = [(box, undoes) for box, undoes in ((old, True), (new, False)) if box is not None]
    return [
        _change("detect", spoken(box.item), undoes, noun=spoken(box.item), colour=box.colour) for box, undoes in told
    ]


def _look(before: Scene, after: Scene) -> Found:
    if before.look == after.look:
        return []
    if before.look is not None and after.look is not None:
        return [None]
    undoes, look = after.look is None, str(before.look or after.look)
    if look in STYLES:
        kind = look.removeprefix("a ").removeprefix("an ")
        return [_change("style", None, True, kind=kind) if undoes else _change("style", None, style=look)]
    if undoes:
        return [_change("global", None, True, effect=EFFECTS[look], before=BEFORE[look])]
    return [_change("global", None, look=look)]


def _ground(before: Scene, after: Scene) -> Found:
    kept = [(scene.background.caption, scene.backdrop, scene.subject.kept) for scene in (before, after)]
    return [_behind(before, after)] if kept[0] != kept[1] else []


def _behind(before: Scene, after: Scene) -> Change | None:
    """Objects keep their ground only in name: all of it is replaced. A subject stays, and has something behind it."""
    if after.objects:
        return _change("background", None, backdrop=after.ground)
    if before.background.caption != after.background.caption:
        return None
    if after.backdrop is None:
        return _change("background", None, True, scene=after.ground)
    return _change("background", None, backdrop=after.backdrop)
