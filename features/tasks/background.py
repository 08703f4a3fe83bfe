"""Put the objects of a scene in front of something else."""

import numpy as np

from features.backdrops import PHOTOGRAPHS
from features.instructions import phrase
from features.tasks.draft import Choice, Draft, Materials
from features.tasks.marks import draw_pointed, shuffled


def draw(rng: np.random.Generator, materials: Materials, choices: int) -> Draft:
    """A scene of one or two objects, or with a subject of its own, before a backdrop of the closed list."""
    source, item = draw_pointed(rng, materials, 2)
    own = PHOTOGRAPHS.get(source.background.scene)
    names = [name for name in shuffled(rng, materials.backdrops) if name != own]
    wording = int(rng.integers(2**31))
    made = tuple(
        Choice(
            phrase("background", np.random.default_rng(wording), materials.held_out, backdrop=name),
            source.before(name, with_subject=item is None),
        )
        for name in names[:choices]
    )
    return Draft("background", source, made)
