"""Edit one file: the same clip or picture back, of the same length, rate, size and sound.

Frames are streamed from the decoder through the windows into the encoder, so memory does not grow with the clip.
"""

import time
from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Literal

import numpy as np

from inference.composite import Frame, KeepDetail, restore, upsample
from inference.editor import Editor
from inference.params import EditError, EditSettings, checked_instruction
from inference.windows import edit_stream
from models.pixels import Frames
from models.tasks import Task
from stores.clip_files import MediaInfo, Source, probe, stream_frames
from stores.clip_writer import write_clip, write_picture
from stores.receipts import ModelReceipt

PICTURE_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")
CLIP_SUFFIXES = (".mp4",)


@dataclass(frozen=True)
class EditResult:
    """A finished edit: where it lies and what was made. `seconds` is wall time, decoding and writing included."""

    output: Path
    kind: Literal["picture", "video"]
    task: Task
    task_given: bool
    frames: int
    fps: Fraction
    width: int
    height: int
    seconds: float
    model: ModelReceipt


def edit_file(editor: Editor, path: Path, instruction: str, output: Path | None, settings: EditSettings) -> EditResult:
    """Edit a picture or clip into `output`, by default `<stem>-edited.png` or `.mp4` beside it.

    If `output` is a folder that is there, the edit gets its default name in it. A picture is written as .png, .jpg or
    .webp; a clip as .mp4, with its audio copied. An older output is replaced,
    but only by a finished one.

    Raises:
        EditError: no or too long an instruction, an unsupported suffix, or the output is the source itself.
        MediaError: the source cannot be read or is beyond the limits, or the output cannot be written.
    """
    started = time.perf_counter()
    instruction = checked_instruction(instruction)
    info = probe(path, editor.params.limits.media())
    output = checked_output(path, named_output(path, output or path.parent, info), info)
    frames = edited_frames(editor, path, info, instruction, settings)
    with closing(frames):
        if info.kind == "picture":
            write_picture(output, next(frames))
        else:
            write_clip(output, frames, info.fps, audio_from=path)
    return EditResult(
        output=output,
        kind=info.kind,
        task=editor.task_of(instruction, settings),
        task_given=settings.task is not None,
        frames=info.frames,
        fps=info.fps,
        width=info.width,
        height=info.height,
        seconds=time.perf_counter() - started,
        model=editor.model,
    )


def edited_frames(
    editor: Editor, source: Source, info: MediaInfo, instruction: str, settings: EditSettings
) -> Generator[Frame, None, None]:
    """The edited frames uint8 [h, w, 3] at the source's size, one by one."""
    params, limits = editor.params, editor.params.limits.media()
    # Scaled by the decoder, as the training clips were: the model sees the whole frame stretched to its square.
    small = stream_frames(source, limits, size=(params.resolution, params.resolution))
    if not params.keep_source_detail:
        for edit in edit_stream(
            small,
            lambda window: editor.edit_frames(window, instruction, settings).frames,
            params.window_frames,
            params.window_overlap,
        ):
            yield upsample(edit, info.height, info.width)
        return
    # A second decoder, read only as edits come out: nothing of the source's full size waits in memory.
    own = stream_frames(source, limits)
    both = edit_stream(
        small,
        lambda window: _with_reconstruction(editor, window, instruction, settings),
        params.window_frames,
        params.window_overlap,
    )
    keep = KeepDetail(params.detail_threshold)
    for frame, (edit, reconstruction) in zip(own, both, strict=True):
        yield restore(frame, edit, reconstruction, keep)


def named_output(path: Path, output: Path, info: MediaInfo) -> Path:
    """`output`, or in an existing folder `<stem>-edited.png` for a picture and `.mp4` for a clip."""
    if not output.is_dir():
        return output
    return output / f"{path.stem}-edited{'.png' if info.kind == 'picture' else '.mp4'}"


def checked_output(path: Path, output: Path, info: MediaInfo) -> Path:
    """The output path, its folder made.

    Raises:
        EditError: its suffix does not fit the kind of the source, or it is the source itself.
    """
    known = PICTURE_SUFFIXES if info.kind == "picture" else CLIP_SUFFIXES
    if output.suffix.lower() not in known:
        kind = "picture" if info.kind == "picture" else "clip"
        raise EditError(f"{output}: a {kind} is written as {', '.join(known)}, not as {output.suffix or 'no suffix'!r}")
    if output.resolve() == path.resolve() or (output.exists() and output.samefile(path)):
        raise EditError(f"{output}: is the source itself; an edit never overwrites its source")
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise EditError(f"{output.parent}: cannot be made: {error.strerror}") from error
    return output


def _with_reconstruction(editor: Editor, window: Frames, instruction: str, settings: EditSettings) -> Frames:
    """Edit and reconstruction as [f 2 R R 3], so that both are blended over windows alike."""
    edited = editor.edit_frames(window, instruction, settings).frames
    return np.stack([edited, editor.reconstruct(window)], axis=1)
