"""The task vocabulary: its order is part of every checkpoint, so names are only ever appended.

Movie Gen Edit inherits Emu Edit's task ids (one learned vector each, section 5.1.1); the paper does not print the list.
"""

from enum import IntEnum


class Task(IntEnum):
    """What an instruction asks for. `NULL` stands for "no task" in guidance, `TEXT_TO_VIDEO` for generation."""

    NULL = 0
    TEXT_TO_VIDEO = 1
    IDENTITY = 2
    ADD = 3
    REMOVE = 4
    REPLACE = 5
    RECOLOUR = 6
    BACKGROUND = 7
    GLOBAL = 8
    STYLE = 9
    SEGMENT = 10
    DETECT = 11
    LOCAL = 12
    TEXTURE = 13

    @property
    def label(self) -> str:
        """Lower-case name, as written in tables, manifests and on the command line."""
        return self.name.lower()


TASK_COUNT = len(Task)
EDIT_TASKS = tuple(task for task in Task if task not in (Task.NULL, Task.TEXT_TO_VIDEO))


def parse_task(label: str) -> Task:
    """The task of a label.

    Raises:
        ValueError: the label is not a task; the message lists those that are.
    """
    for task in Task:
        if task.label == label.strip().lower():
            return task
    raise ValueError(f"unknown task {label!r}; known tasks: {', '.join(t.label for t in EDIT_TASKS)}")
