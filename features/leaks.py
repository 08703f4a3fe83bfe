"""The split kept: no scene, and no picture of one, on both sides, whatever table it came in by."""

from collections.abc import Sequence
from dataclasses import dataclass

from features.duplicates import Seen
from features.ingest import TEST, TRAIN
from features.params import QualityParams
from features.quality import Rejection


@dataclass(frozen=True)
class Sighting:
    """What an item shows: its scene, the side of the split it is on, and the difference hashes of its pictures."""

    name: str
    scene: str
    split: str
    hashes: tuple[str, ...]


def leaks(items: Sequence[Sighting], known: Sequence[Sighting], params: QualityParams) -> list[Rejection | None]:
    """Why an item may not join those that are known, None if it may; in the order of the items.

    Test items are judged by the known training scenes; then training items by the known test scenes and the test items
    that may join. So nothing depends on the order of the items.
    """
    seen, sides = Seen(params), dict[tuple[str, str], str]()
    found: list[Rejection | None] = [None] * len(items)
    _join(seen, sides, known)
    for split in (TEST, TRAIN):
        chosen = [number for number, item in enumerate(items) if item.split == split]
        for number in chosen:
            found[number] = _across(items[number], seen, sides)
        _join(seen, sides, [items[number] for number in chosen if found[number] is None])
    return found


def _join(seen: Seen, sides: dict[tuple[str, str], str], items: Sequence[Sighting]) -> None:
    sides.update({(item.scene, item.split): item.name for item in items})
    looks = [(item.name, dhash, item.split) for item in items for dhash in item.hashes]
    seen.extend(*([look[part] for look in looks] for part in range(3)))


def _across(item: Sighting, seen: Seen, sides: dict[tuple[str, str], str]) -> Rejection | None:
    other = TRAIN if item.split == TEST else TEST
    if (item.scene, other) in sides:
        return Rejection("scene on the other side of the split", f"{item.scene}: {sides[item.scene, other]} ({other})")
    return next(filter(None, (seen.leak(dhash, item.split) for dhash in item.hashes)), None)
